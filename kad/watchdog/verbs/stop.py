"""`stop`: end the daemon in order."""

from __future__ import annotations

from kad.shared.control_protocol import Permission
from kad.shared.exit_codes import EXIT_OK
from kad.watchdog.control_clients import Client
from kad.watchdog.verb import DaemonParts, NoArguments, Verb


def _stop(daemon: DaemonParts, client: Client, _arguments: NoArguments) -> None:
    client.reply({"ok": True})
    daemon.stop(EXIT_OK, "")


VERB = Verb(name="stop", permission=Permission.ACT, answer=_stop)
