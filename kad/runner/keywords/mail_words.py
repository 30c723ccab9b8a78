"""From the words about mail to what the runner is given."""

from __future__ import annotations

from kad.config.build import Scope
from kad.config.notification_words import MailGlobals
from kad.model.runner import Mailing
from kad.runner.keywords.codes import RunnerCode


def to_mailing(words: MailGlobals, router_id: str, scope: Scope) -> Mailing | None:
    """None while nobody can be told; half of what it takes is said."""
    recipients = tuple(address for line in words.notification_email for address in _addresses(line))
    if words.smtp_server is None or not recipients:
        if recipients:
            place = scope.places.of(words, "notification_email")
            scope.report.note(place, RunnerCode.NO_SMTP_SERVER(), proposal="add smtp_server HOST [PORT]")
        elif words.smtp_server is not None:
            place = scope.places.of(words, "smtp_server")
            scope.report.note(place, RunnerCode.NO_NOTIFICATION_EMAIL(), proposal="add it with an address")
        return None
    server, *port = words.smtp_server
    name = scope.host.name
    return Mailing(
        server=server.rpartition("@")[2].strip("[]"),
        port=int(port[0]) if port else 25,
        timeout=float(words.smtp_connect_timeout or 30),
        helo=words.smtp_helo_name or name,
        sender=words.notification_email_from or f"{_user(scope)}@{name}",
        recipients=recipients,
        router_id=router_id,
        faults=not words.no_email_faults,
    )


def _addresses(line: tuple[str, ...]) -> tuple[str, ...]:
    """Each word is one, but a name before <ADDRESS> belongs to it."""
    return (" ".join(line),) if any("<" in word for word in line) else line


def _user(scope: Scope) -> str:
    """Who runs the daemon."""
    return next((name for name, (uid, _) in scope.host.users.items() if uid == scope.host.uid), str(scope.host.uid))
