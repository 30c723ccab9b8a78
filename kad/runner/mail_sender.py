"""The short life of a process that hands letters to an SMTP server and reports what became of each."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, localtime, make_msgid, parseaddr
from typing import NoReturn

from kad import VERSION
from kad.child.privileges import UNPRIVILEGED_USER
from kad.linux.process import capabilities
from kad.linux.process.process import set_title
from kad.model import escaping
from kad.model.runner import Mailing
from kad.runner.mail_queue import Letter, Outcome

STEPS = 4
"""Times the timeout of one step: longer than that no attempt lasts."""
_TEMPORARY = range(400, 500)


def live(end: socket.socket, mailing: Mailing, letters: Sequence[Letter]) -> NoReturn:
    """Send them all, write an outcome a line to `end`, and exit."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Whatever the server does, this process ends, also when nobody is left to end it.
    signal.alarm(int(STEPS * mailing.timeout) + 1)
    set_title("kad: mail")
    capabilities.drop_to((), UNPRIVILEGED_USER)
    end.setblocking(True)
    for outcome in deliver(mailing, letters):
        with suppress(OSError):
            end.sendall(json.dumps(outcome).encode() + b"\n")
    os._exit(0)


def deliver(mailing: Mailing, letters: Sequence[Letter]) -> Iterator[Outcome]:
    """One connection for all; what cannot be tried any more is failed."""
    left = len(letters)
    try:
        with smtplib.SMTP(mailing.server, mailing.port, local_hostname=mailing.helo, timeout=mailing.timeout) as server:
            for letter in letters:
                outcome = _send(server, mailing, letter)
                left -= 1
                yield outcome
    except (OSError, smtplib.SMTPException) as error:
        for _ in range(left):
            yield Outcome("failed", f"{mailing.server} port {mailing.port}: {_text(error)}")


def compose(mailing: Mailing, letter: Letter) -> EmailMessage:
    """keepalived's headers, and those that keep other machines from answering."""
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(localtime())
    message["From"] = mailing.sender
    message["Subject"] = escaping.one_line(letter.subject)
    message["X-Mailer"] = f"Keepalived (kad {VERSION})"
    message["To"] = ", ".join(mailing.recipients)
    message["Message-ID"] = make_msgid(domain=mailing.helo)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(escaping.lines(letter.body))
    return message


def _send(server: smtplib.SMTP, mailing: Mailing, letter: Letter) -> Outcome:
    """Raises OSError or SMTPServerDisconnected when the server is lost."""
    sender = parseaddr(mailing.sender)[1]
    recipients = [address for _, address in getaddresses(mailing.recipients)]
    try:
        refused = server.send_message(compose(mailing, letter), sender, recipients)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        word = "failed" if any(code in _TEMPORARY for code in codes) else "refused"
        return Outcome(word, _who(error.recipients))
    except smtplib.SMTPResponseException as error:
        with suppress(smtplib.SMTPException):
            server.rset()
        return Outcome("failed" if error.smtp_code in _TEMPORARY else "refused", _text(error))
    except (smtplib.SMTPNotSupportedError, UnicodeError) as error:
        return Outcome("refused", str(error))
    return Outcome("sent", _who(refused) if refused else "")


def _who(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{who} is refused: {code} {_line(said)}" for who, (code, said) in refused.items())


def _text(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _line(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(text.split())
