"""`reload`: read the configuration again; answered when the new one is in force, or refused."""

from __future__ import annotations

from kad.shared.control_protocol import RELOAD_SECONDS, Permission
from kad.watchdog.control_clients import Client
from kad.watchdog.verb import DaemonParts, NoArguments, Verb


def _reload(daemon: DaemonParts, client: Client, _arguments: NoArguments) -> None:
    if daemon.is_stopping():
        client.refuse("the daemon is stopping")
        return

    def answer(refused: str) -> None:
        if refused:
            client.refuse(f"the reload is refused, the running configuration stays:\n{refused.rstrip()}")
        else:
            client.reply({"ok": True})

    client.allow(RELOAD_SECONDS)
    client.on_end(daemon.reload.wait(answer))
    daemon.reload.ask()


VERB = Verb(name="reload", permission=Permission.ACT, answer=_reload)
