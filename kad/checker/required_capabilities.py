"""Which privileges the configured checks cannot do without."""

from __future__ import annotations

import functools
from collections.abc import Callable

from kad.checker.check import Question
from kad.checker.checker_slice import CheckerSlice
from kad.linux.process.capabilities import Capability
from kad.linux.sockets import icmp


def needed(wanted: CheckerSlice, may_ping: Callable[[int], bool] = icmp.is_allowed) -> frozenset[Capability]:
    """`may_ping` tells of a family, 4 or 6, whether everybody may open the kernel's ping sockets."""
    asked_once = functools.cache(may_ping)
    checks = (check for server in wanted.servers for check in server.checks if isinstance(check, Question))
    return frozenset(Capability[name] for check in checks for name in check.capabilities(asked_once))
