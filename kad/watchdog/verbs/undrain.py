"""`undrain`: give a drained real server new connections again."""

from __future__ import annotations

from kad.shared.control_protocol import Permission
from kad.watchdog.control_clients import Client
from kad.watchdog.drain_orders import DrainArguments
from kad.watchdog.verb import DaemonParts, Verb


def _undrain(daemon: DaemonParts, client: Client, arguments: DrainArguments) -> None:
    daemon.drains.send(client, arguments, undo=True)


VERB = Verb(name="undrain", permission=Permission.ACT, answer=_undrain, arguments=DrainArguments)
