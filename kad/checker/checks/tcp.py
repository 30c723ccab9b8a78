"""TCP_CHECK: the server must accept a connection."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended
from kad.checker.keywords.check_words import ConnectionWords, StreamWords, TimingWords
from kad.config.keyword import Block, Inline
from kad.model.checker import Connection, Timing

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance


class TcpCheck(Question, frozen=True, kw_only=True, tag="TCP_CHECK"):
    """A connection is accepted."""

    connection: Connection
    timing: Timing

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        return attempts.stream(self.connection, ended)


class TcpBlock(Block, frozen=True, kw_only=True):
    """TCP_CHECK { }: it connects."""

    connection: Annotated[ConnectionWords, Inline()]
    stream: Annotated[StreamWords, Inline()]
    timing: Annotated[TimingWords, Inline()]


def resolve(blocks: tuple[TcpBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[TcpCheck]:
    for block in blocks:
        connection = resolver.connection(block, above, block.connection, block.stream)
        yield TcpCheck(connection=connection, timing=above.timing(block.timing))


CHECKER = Checker(TcpCheck, 10, (CheckBlock("TCP_CHECK", TcpBlock, "the server must accept a connection", resolve),))
