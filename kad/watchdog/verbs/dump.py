"""`dump`: everything about the daemon, or one section of it."""

from __future__ import annotations

from typing import Any

import msgspec

from kad.shared import messages
from kad.shared.control_protocol import Permission
from kad.watchdog.control_clients import Client
from kad.watchdog.verb import DaemonParts, Verb


class Arguments(msgspec.Struct, frozen=True):
    """None or empty: everything."""

    section: str | None = None


def _dump(daemon: DaemonParts, client: Client, arguments: Arguments) -> None:
    section = arguments.section
    if section == "events":
        # The journal is the parent's own: it can be read while no child answers.
        events = [messages.to_plain(entry) for entry in daemon.journal.entries()]
        client.reply({"ok": True, "dump": events})
    else:
        daemon.dump.collect(section, lambda dump: _reply(client, dump, section))


def _reply(client: Client, dump: dict[str, Any], section: str | None) -> None:
    if not section:
        client.reply({"ok": True, "dump": dump})
    elif section in dump:
        client.reply({"ok": True, "dump": dump[section]})
    elif section in dump["processes"]:
        client.refuse(f"the {section} process does not answer: ask again")
    else:
        known = ", ".join(sorted(dump))
        client.refuse(f"there is no section {section}; there are: {known}")


VERB = Verb(name="dump", permission=Permission.LOOK, answer=_dump, arguments=Arguments)
