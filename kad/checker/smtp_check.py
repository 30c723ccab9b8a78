"""SMTP_CHECK: the server greets with 220, answers HELO with 250, and QUIT with anything."""

from __future__ import annotations

import re

from kad.checker.checker_api import Outcome

LARGEST_REPLY = 65536
_LINE = re.compile(rb"([0-9]{3})(?:([ -])(.*))?\Z", re.DOTALL)


class SmtpConversation:
    """RFC 5321; a reply may have several lines, and its last one counts."""

    def __init__(self, helo_name: str) -> None:
        self._turns = [
            ("greeting", b"220", f"HELO {helo_name}\r\n".encode()),
            ("answer to HELO", b"250", b"QUIT\r\n"),
            ("answer to QUIT", b"", b""),
        ]
        self._buffer = bytearray()
        self._size = 0

    @property
    def awaited(self) -> str:
        return self._turns[0][0]

    def begin(self) -> bytes:
        return b""

    def hear(self, data: bytes) -> bytes | Outcome:
        self._buffer += data
        self._size += len(data)
        if self._size > LARGEST_REPLY:
            return Outcome(False, f"the SMTP {self.awaited} is longer than {LARGEST_REPLY} bytes")
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            said = self._take(line)
            if said is not None:
                return said
        return b""

    def end(self) -> Outcome:
        if len(self._turns) == 1:
            return Outcome(True, "SMTP 250")
        return Outcome(False, f"the connection was closed without {self.awaited}")

    def _take(self, line: bytes) -> bytes | Outcome | None:
        """What is said after the last line of a reply; None: more lines follow."""
        awaited, wanted, answer = self._turns[0]
        if not wanted:
            return Outcome(True, "SMTP 250")
        found = _LINE.match(line)
        if found is None or found[1] != wanted:
            text = line[:60].decode(errors="replace")
            return Outcome(False, f"the SMTP {awaited} is {text!r}, not {wanted.decode()}")
        if found[2] == b"-":
            return None
        del self._turns[0]
        self._buffer.clear()
        self._size = 0
        return answer
