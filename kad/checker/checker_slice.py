"""What the checker process is given: which servers to ask, what to ask them, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

from kad.checker import registry
from kad.model.checker import Check, Credentials, Value

if TYPE_CHECKING:
    AnyCheck: TypeAlias = Check
else:
    AnyCheck = Union[tuple(checker.check for checker in registry.CHECKERS)]  # noqa: UP007


class CheckedServer(Value, frozen=True, kw_only=True):
    """A real server and the checks that it is put to."""

    service: str
    """The name of its virtual server."""
    address: str
    port: int = 0
    alpha: bool = False
    """It is down until every check has succeeded."""
    checks: tuple[AnyCheck, ...] = ()
    while_local: tuple[str, ...] | None = None
    """ha_suspend: checks are made while this host has one of these addresses, FIRST-LAST is a range; None: always."""
    mailed_as: str = ""
    """What a mail calls it; empty: nobody is told by mail."""

    @property
    def name(self) -> str:
        """For people, in keepalived's manner."""
        return f"[{self.address}]:{self.port}"


class CheckerSlice(Value, frozen=True, kw_only=True):
    """All that the checker process needs of the configuration."""

    servers: tuple[CheckedServer, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    mails_each_check: bool = True
    """False: a check that leaves its server as it was is not told by mail."""
    priority: int | None = None
    rt_priority: int | None = None
    rlimit_rttime: int = 10000
    no_swap: bool = False
    cpu_affinity: tuple[int, ...] = ()
    """As kad.child.scheduling understands them."""
