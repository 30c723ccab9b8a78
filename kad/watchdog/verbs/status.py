"""`status`: what is wrong, and the objects that a status lists; answered within 2 s."""

from __future__ import annotations

from kad.shared.control_protocol import Permission
from kad.watchdog.control_clients import Client
from kad.watchdog.verb import DaemonParts, NoArguments, Verb


def _status(daemon: DaemonParts, client: Client, _arguments: NoArguments) -> None:
    daemon.dump.collect_status(lambda dump: client.reply({"ok": True, "dump": dump}))


VERB = Verb(name="status", permission=Permission.LOOK, answer=_status)
