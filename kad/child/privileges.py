"""What every child gives up: its user, and the right to signal and trace other processes."""

from __future__ import annotations

from kad.linux.process.seccomp import refuse_signals_and_tracing
from kad.linux.refused import Refused
from kad.shared.log import Logger

UNPRIVILEGED_USER = "kad"
"""Children become this user where it exists."""


def give_up_signals(log: Logger) -> None:
    """Children are apart from one another, although they may have one user."""
    try:
        if not refuse_signals_and_tracing():
            log.info("system calls that signal or trace are not refused on this machine")
    except Refused as refused:
        log.warning(f"children can signal and trace each other: {refused}")
