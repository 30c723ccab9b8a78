"""What a verb of the control socket is: its name, who may ask it, its arguments, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kad.shared.control_protocol import Permission
from kad.watchdog.children import Children
from kad.watchdog.control_clients import Client
from kad.watchdog.drain_orders import DrainOrders
from kad.watchdog.journal import Journal
from kad.watchdog.reload import Reload
from kad.watchdog.state_dump import StateDump
from kad.watchdog.two_phase_commit import RunningConfiguration


@dataclass(frozen=True, kw_only=True)
class DaemonParts:
    """What verbs answer from, and act on."""

    children: Children
    running: RunningConfiguration
    reload: Reload
    journal: Journal
    dump: StateDump
    drains: DrainOrders
    is_stopping: Callable[[], bool]
    stop: Callable[[int, str], None]
    """End the daemon: exit status, and what is wrong if something is."""


class NoArguments(msgspec.Struct, frozen=True):
    """Of a verb that needs none."""


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One verb. `answer` must not wait; what it raises is logged and ends the client."""

    name: str
    permission: Permission
    answer: Callable[[DaemonParts, Client, Any], None]
    arguments: type[msgspec.Struct] = NoArguments
    """Fields of the request, which are given to `answer`; a client that sends others of their types is not served."""
