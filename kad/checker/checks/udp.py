"""UDP_CHECK: the server must not refuse a datagram, or must answer it as required."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended, Outcome
from kad.checker.keywords.check_words import ConnectionWords, TimingWords
from kad.checker.keywords.codes import CheckCode
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, keyword
from kad.config.values import Value, Words, Wrong, integer, optional
from kad.model.checker import Connection, Timing

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance


class UdpCheck(Question, frozen=True, kw_only=True, tag="UDP_CHECK"):
    """A datagram is not refused, or is answered."""

    connection: Connection
    timing: Timing
    payload: bytes = b""
    require_reply: bool = False
    reply: bytes = b""
    mask: bytes = b""
    """Bits of the reply that are compared, from its first byte on."""
    min_reply_length: int = 0
    max_reply_length: int = 255

    @property
    def target(self) -> str:
        return f"[{self.connection.address}]:udp:{self.connection.port}"

    @property
    def is_answered(self) -> bool:
        return self.require_reply

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        return attempts.datagram(
            self.connection, self.payload, lambda data: judge(self, data), lambda seconds: silence(self, seconds), ended
        )


def judge(check: UdpCheck, data: bytes) -> Outcome | None:
    """What an answer means; None: answers do not matter."""
    if not check.require_reply:
        return None
    if not check.min_reply_length <= len(data) <= check.max_reply_length:
        bounds = f"{check.min_reply_length}..{check.max_reply_length}"
        return Outcome(False, f"the reply has {len(data)} bytes, not {bounds}")
    size = len(check.mask)
    if len(data) < size or any(
        (got ^ wanted) & bits for got, wanted, bits in zip(data, check.reply, check.mask, strict=False)
    ):
        return Outcome(False, f"the reply {data[: max(size, 16)].hex()} is not as required")
    return Outcome(True, f"reply of {len(data)} bytes")


def silence(check: UdpCheck, seconds: float) -> Outcome:
    """What it means that nothing came in that time."""
    if check.require_reply:
        return Outcome(False, f"no reply within {seconds:g} s")
    return Outcome(True, f"nothing refused within {seconds:g} s")


def hexadecimal(*, with_wildcards: bool = False) -> Value:
    """Bytes in hexadecimal; blanks may stand between them, x stands for any digit."""
    digits = "[0-9A-Fa-fxX]" if with_wildcards else "[0-9A-Fa-f]"

    def read(words: Words) -> str:
        for index, word in enumerate(words):
            if not re.fullmatch(f"{digits}+", word.text):
                raise Wrong(CheckCode.NOT_HEXADECIMAL(word=word.text), index)
        return "".join(word.text if len(word.text) % 2 == 0 else f"0{word.text}" for word in words).lower()

    return Value(
        arguments="<HEX DIGITS> ...",
        pattern=rf"\s+({digits}+)",
        read=read,
        most=None,
    )


class UdpBlock(Block, frozen=True, kw_only=True):
    """UDP_CHECK { }: it sends a datagram."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    payload: Annotated[
        str | None, keyword(hexadecimal(), "what is sent", default="nothing", missing=Complaint.GENERAL)
    ] = None
    require_reply: Annotated[
        str | None,
        keyword(optional(hexadecimal(with_wildcards=True), ""), "no answer is a failure", default="off"),
    ] = None
    min_reply_length: Annotated[int | None, keyword(integer(0, 65535), "shortest answer", default="0")] = None
    max_reply_length: Annotated[int | None, keyword(integer(0, 65535), "longest answer", default="255")] = None


def resolve(blocks: tuple[UdpBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[UdpCheck]:
    for block in blocks:
        pattern = block.require_reply or ""
        yield UdpCheck(
            connection=resolver.connection(block, above, block.connection),
            timing=above.timing(block.timing),
            payload=bytes.fromhex(block.payload or ""),
            require_reply=block.require_reply is not None,
            reply=bytes.fromhex(pattern.replace("x", "0")),
            mask=bytes.fromhex("".join("0" if digit == "x" else "f" for digit in pattern)),
            min_reply_length=block.min_reply_length or 0,
            max_reply_length=255 if block.max_reply_length is None else block.max_reply_length,
        )


CHECKER = Checker(UdpCheck, 70, (CheckBlock("UDP_CHECK", UdpBlock, "the server must not refuse a datagram", resolve),))
