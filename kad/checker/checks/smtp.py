"""SMTP_CHECK: the server greets with 220, answers HELO with 250, and QUIT with anything."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended, Outcome
from kad.checker.keywords.check_words import ConnectionWords, StreamWords, TimingWords
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, block, keyword
from kad.config.values import text
from kad.model.checker import Connection, Timing

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance

LARGEST_REPLY = 65536
_LINE = re.compile(rb"([0-9]{3})(?:([ -])(.*))?\Z", re.DOTALL)


class SmtpCheck(Question, frozen=True, kw_only=True, tag="SMTP_CHECK"):
    """The server greets, answers HELO, and says goodbye."""

    connection: Connection
    timing: Timing
    helo_name: str = "smtpchecker.keepalived.org"

    @property
    def success(self) -> str:
        return f"Remote SMTP server {self.target} succeed on service"

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        return attempts.stream(self.connection, ended, SmtpConversation(self.helo_name))


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


class SmtpHostBlock(Block, frozen=True, kw_only=True):
    """host { } of SMTP_CHECK, an old way to say whom to ask."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]


class SmtpBlock(Block, frozen=True, kw_only=True):
    """SMTP_CHECK { }: it speaks SMTP."""

    connection: Annotated[ConnectionWords, Inline()]
    stream: Annotated[StreamWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    helo_name: Annotated[
        str | None,
        keyword(text("STRING"), "name sent in HELO", default="smtpchecker.keepalived.org", missing=Complaint.GENERAL),
    ] = None
    host: Annotated[
        tuple[SmtpHostBlock, ...], block(SmtpHostBlock, "old spelling of the words around it", collected=True)
    ] = ()


def resolve(blocks: tuple[SmtpBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[SmtpCheck]:
    for one in blocks:
        for connection, timing in [(host.connection, host.timing) for host in one.host] or [
            (one.connection, one.timing)
        ]:
            yield SmtpCheck(
                connection=resolver.connection(one, above, connection, one.stream, one.connection),
                timing=above.timing(timing, one.timing),
                helo_name=one.helo_name or "smtpchecker.keepalived.org",
            )


_MAIL = ("CHECK succeed on service", "CHECK failed on service")
CHECKER = Checker(
    SmtpCheck, 40, (CheckBlock("SMTP_CHECK", SmtpBlock, "the server must answer as an SMTP server", resolve, _MAIL),)
)
