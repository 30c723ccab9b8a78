"""`drain`: give a real server no new connections; answered when the ipvs process has done it."""

from __future__ import annotations

from kad.shared.control_protocol import Permission
from kad.watchdog.control_clients import Client
from kad.watchdog.drain_orders import DrainArguments
from kad.watchdog.verb import DaemonParts, Verb


def _drain(daemon: DaemonParts, client: Client, arguments: DrainArguments) -> None:
    daemon.drains.send(client, arguments, undo=False)


VERB = Verb(name="drain", permission=Permission.ACT, answer=_drain, arguments=DrainArguments)
