"""DNS_CHECK: the server must answer a question without an error.

What is not an answer to this very question (RFC 5452 9.1) is left out, as if it had not come: a sender that guesses
the number of a query decides nothing.
"""

import secrets
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended, Outcome
from kad.checker.keywords.check_words import ConnectionWords, TimingWords
from kad.checker.keywords.codes import CheckCode
from kad.config.keyword import Block, Inline, keyword
from kad.config.values import one_of, text
from kad.model.checker import Connection, Timing

if TYPE_CHECKING:
    from dns.message import Message

    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance

_DNS_TYPES = ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY")
_RETRY = 3
_HEADER = struct.Struct("!6H")  # id, flags, counts of questions, answers, authorities, additions (RFC 1035 4.1.1)
_RECURSION_DESIRED = 0x0100
_RESPONSE, _TRUNCATED = 0x8000, 0x0200
_READ_WHOLE = 1232
"""Bytes; of a longer answer, which was not asked for, header and question are read, since records take time."""


class DnsCheck(Question, frozen=True, kw_only=True, tag="DNS_CHECK"):
    """A question is answered without error."""

    connection: Connection
    timing: Timing
    question: bytes
    """Name, type and class as they stand in a query (RFC 1035 4.1.2)."""
    text: str
    """The question for people."""

    @property
    def target(self) -> str:
        return f"[{self.connection.address}]:udp:{self.connection.port}"

    @property
    def success(self) -> str:
        return f"DNS_CHECK({self.text}) on service {self.target} success"

    @classmethod
    def load(cls) -> None:
        """Import what reads answers: only a configuration with such checks pays for it."""
        import dns.message  # noqa: F401

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        number = secrets.randbits(16)
        judge = Judge(self, number)
        return attempts.datagram(self.connection, query(self, number), judge.judge, judge.silence, ended)


def query(check: DnsCheck, number: int) -> bytes:
    return _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0) + check.question


class Judge:
    """Judges the datagrams that come while one query is open."""

    def __init__(self, check: DnsCheck, number: int) -> None:
        self._check = check
        self._number = number
        self._left_out = ""
        """Why the last datagram was left out."""

    def judge(self, data: bytes) -> Outcome | None:
        """What a datagram says; None: it is no answer to the query."""
        if len(data) < _HEADER.size:
            return None
        number, flags, questions, *_ = _HEADER.unpack_from(data)
        if number != self._number or not flags & _RESPONSE:
            return None
        try:
            return self._read(data, is_whole=len(data) <= _READ_WHOLE and not flags & _TRUNCATED, questions=questions)
        except Exception as error:
            # Of the library, which has many: no byte that a server sends may end this process.
            self._left_out = f"one that is malformed ({str(error) or type(error).__name__})"
            return None

    def silence(self, seconds: float) -> Outcome:
        """What it means that no answer came in that time."""
        but = f", but {self._left_out}" if self._left_out else ""
        return Outcome(False, f"no DNS response within {seconds:g} s{but}")

    def _read(self, data: bytes, *, is_whole: bool, questions: int) -> Outcome | None:
        from dns import message, opcode, rcode

        answer = message.from_wire(data, question_only=not is_whole, ignore_trailing=True)
        code = answer.rcode()
        # A server that refuses to read a query need not repeat its question.
        if answer.opcode() != opcode.QUERY or ((questions or code == rcode.NOERROR) and not self._is_asked(answer)):
            asked = ", ".join(f"{one.name} {_type(one.rdtype)}" for one in answer.question) or "none"
            self._left_out = f"one to another question: {asked}"
            return None
        if code != rcode.NOERROR:
            return Outcome(False, f"DNS {rcode.to_text(code)}, wanted: NOERROR ({self._check.text})")
        if is_whole and not _fits(answer):
            self._left_out = f"one whose records answer another question: {answer.answer[0].name}"
            return None
        return Outcome(True, "DNS NOERROR")

    def _is_asked(self, answer: "Message") -> bool:
        """The question is repeated; names do not differ by upper and lower case."""
        mine = self._check.question
        if len(answer.question) != 1:
            return False
        one = answer.question[0]
        theirs = (one.name.to_wire() or b"") + one.rdtype.to_bytes(2) + one.rdclass.to_bytes(2)
        return theirs.lower() == mine.lower()


def _fits(answer: "Message") -> bool:
    """There are no records, or they begin at the name that was asked for and lead to the type."""
    from dns import message, rdatatype

    assert isinstance(answer, message.QueryMessage)
    kind = answer.question[0].rdtype
    if not answer.answer or rdatatype.is_metatype(kind) or kind == rdatatype.RRSIG:
        return True
    found = answer.resolve_chaining()
    return found.answer is not None or bool(found.cnames)


def _type(number: int) -> str:
    from dns import rdatatype

    return rdatatype.to_text(rdatatype.RdataType(number))


class DnsBlock(Block, frozen=True, kw_only=True):
    """DNS_CHECK { }: it asks for a name."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    type: Annotated[str | None, keyword(one_of(*_DNS_TYPES), "of the question", default="SOA")] = None
    name: Annotated[str | None, keyword(text("DOMAIN"), "of the question", default=". (the root)", unique=True)] = None


def resolve(blocks: tuple[DnsBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[DnsCheck]:
    # Only here, and only when it is needed: the check itself sends the bytes that are made here.
    from dns import exception, name, rdataclass, rdatatype

    for block in blocks:
        kind, asked = block.type or "SOA", block.name or "."
        try:
            labels = name.from_text(asked)
        except exception.DNSException as error:
            place = resolver.scope.places.of(block, "name")
            resolver.warn(place, CheckCode.NOT_A_DOMAIN_NAME(asked=asked, error=error))
            continue
        number = rdatatype.from_text(kind)
        yield DnsCheck(
            connection=resolver.connection(block, above, block.connection),
            timing=above.timing(block.timing, retry=_RETRY, delay_before_retry=None),
            question=(labels.to_wire() or b"") + number.to_bytes(2) + rdataclass.IN.to_bytes(2),
            text=f"{asked} {kind}",
        )


_MAIL = ("DNS_CHECK: succeed on service", "DNS_CHECK: failed on service")
CHECKER = Checker(
    DnsCheck, 50, (CheckBlock("DNS_CHECK", DnsBlock, "the server must answer a DNS query", resolve, _MAIL),)
)
