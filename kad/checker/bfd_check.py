"""BFD_CHECK: the server is well while the session with its neighbour is up."""

from __future__ import annotations

from kad.model.checker import BfdCheck
from kad.shared.messages import Observation


def judge(check: BfdCheck, session: Observation | None) -> tuple[bool, bool, str]:
    """Whether the server is well, whether that is known, and why."""
    if session is None or session.value is None:
        return not check.alpha, False, f"bfd_instance {check.name} says nothing yet"
    return session.value == 1, True, session.reason
