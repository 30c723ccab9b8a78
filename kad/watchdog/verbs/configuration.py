"""`configuration`: what each child was given, with the passwords that are in it."""

from __future__ import annotations

from kad import VERSION
from kad.shared.control_protocol import Permission
from kad.watchdog.control_clients import Client
from kad.watchdog.verb import DaemonParts, NoArguments, Verb


def _configuration(daemon: DaemonParts, client: Client, _arguments: NoArguments) -> None:
    current = daemon.running.current
    if current is None:
        client.reply({"ok": True, "version": VERSION, "generation": 0, "slices": [], "refusals": [], "hindrance": ""})
        return
    answer = {
        "ok": True,
        "version": VERSION,
        "generation": current.generation,
        "slices": list(current.slices),
        "refusals": sorted(current.refusals),
        "hindrance": daemon.reload.hindrance(),
    }
    client.reply(answer, tuple(current.slices.values()))


VERB = Verb(name="configuration", permission=Permission.ACT, answer=_configuration)
