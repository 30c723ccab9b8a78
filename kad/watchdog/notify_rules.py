"""Which programs a child may have run, and for which facts; pure.

The parent looks at the id and at the kind of the fact. Whether the configuration holds the program, and whether the
fact fits it, the runner judges, which holds the configuration.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kad.model.notification import (
    CheckDue,
    GroupStateChanged,
    InstanceStateChanged,
    LowerPriorityReceived,
    QuorumChanged,
    RealServerChanged,
)
from kad.shared.messages import BadFrame, Notify


class Allowed(NamedTuple):
    """What one process may have run."""

    program: re.Pattern[str]
    """Form of the id."""
    facts: tuple[type, ...]


_ALLOWED = {
    "vrrp": Allowed(
        re.compile(r".*/notify(_[a-z_]+)?", re.DOTALL),
        (InstanceStateChanged, GroupStateChanged, LowerPriorityReceived),
    ),
    "ipvs": Allowed(
        re.compile(r"service:.*/(quorum_up|quorum_down|notify_up|notify_down)", re.DOTALL),
        (RealServerChanged, QuorumChanged),
    ),
    "checker": Allowed(re.compile(r"check:.*/misc_path", re.DOTALL), (CheckDue,)),
}


def check_order(sender: str, order: Notify) -> None:
    """Raises BadFrame: the process of this name may not order that."""
    allowed = _ALLOWED.get(sender)
    if allowed is None or allowed.program.fullmatch(order.program) is None:
        raise BadFrame(f"{order.program[:100]!r} is not for the {sender} process to run")
    if not isinstance(order.fact, allowed.facts):
        raise BadFrame(f"{type(order.fact).__name__} is not for the {sender} process to say")
