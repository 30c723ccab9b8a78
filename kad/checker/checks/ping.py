"""PING_CHECK: the server must answer an echo request."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended, Outcome
from kad.checker.keywords.check_words import ConnectionWords, TimingWords
from kad.config.keyword import Block, Inline
from kad.model.checker import Connection, Timing

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance


class PingCheck(Question, frozen=True, kw_only=True, tag="PING_CHECK"):
    """An echo comes back."""

    connection: Connection
    timing: Timing

    @property
    def target(self) -> str:
        return f"[{self.connection.address}]"

    @property
    def protocol_name(self) -> str:
        return "ICMP"

    def capabilities(self, may_ping: Callable[[int], bool]) -> frozenset[str]:
        raw = frozenset[str]() if may_ping(6 if ":" in self.connection.address else 4) else frozenset({"NET_RAW"})
        return super().capabilities(may_ping) | raw

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        return attempts.echo(self.connection, Outcome(True, "echo"), _silence, ended)


def _silence(seconds: float) -> Outcome:
    return Outcome(False, f"no echo within {seconds:g} s")


class PingBlock(Block, frozen=True, kw_only=True):
    """PING_CHECK { }: it sends an echo request."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]


def resolve(blocks: tuple[PingBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[PingCheck]:
    for block in blocks:
        connection = msgspec.structs.replace(resolver.connection(block, above, block.connection), port=0)
        yield PingCheck(connection=connection, timing=above.timing(block.timing))


_MAIL = ("ICMP CHECK succeed on service", "ICMP CHECK failed on service")
CHECKER = Checker(
    PingCheck, 80, (CheckBlock("PING_CHECK", PingBlock, "the server must answer a ping", resolve, _MAIL),)
)
