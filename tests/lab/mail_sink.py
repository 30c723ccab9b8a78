"""An SMTP server that writes down what it is given; run inside a node: python -m tests.lab.mail_sink HOST PORT FILE."""

from __future__ import annotations

import asyncio
import email
import json
import signal
import sys
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    """One JSON line a letter: sender, recipients, headers, body, and the HELO name and connection that it came by."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message: Any = email.message_from_bytes(content, policy=default)
        letter = {
            "helo": session.host_name,
            "peer": list(session.peer or ())[:2],
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in message.items()},
            "body": message.get_content().replace("\r\n", "\n"),
        }
        with open(self._path, "a") as file:
            file.write(json.dumps(letter) + "\n")
        return "250 taken"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 there is nobody"
        envelope.rcpt_tos.append(address)
        return "250 known"


async def serve(host: str, port: int, path: str) -> None:
    """Until TERM."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(path), hostname="sink"), host, port)
    print("ready", flush=True)
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    await done.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
