"""What every checker declares: its keyword blocks, the check that they make, how that is attempted and described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from kad.checker.checker_api import Attempt, Attempts, Ended
from kad.config.keyword import Block
from kad.model.checker import Check, Connection, Timing
from kad.shared.messages import Observation


class Described(Check, frozen=True, kw_only=True):
    """A check, and how it is named in the dump, the log and mail."""

    @property
    def kind(self) -> str:
        """The keyword of its block."""
        return str(self.__struct_config__.tag)

    @property
    def target(self) -> str:
        """What it checks, in keepalived's manner."""
        raise NotImplementedError

    @property
    def is_alpha(self) -> bool:
        """The server is down until the check has succeeded."""
        return False


class Question(Described, frozen=True, kw_only=True):
    """A check that is made by attempts, again and again."""

    @property
    def timing(self) -> Timing:
        raise NotImplementedError

    @property
    def connection(self) -> Connection | None:
        """None: this process connects to nothing for it."""
        return None

    @property
    def target(self) -> str:
        assert self.connection is not None
        return f"[{self.connection.address}]:tcp:{self.connection.port}"

    @property
    def is_alpha(self) -> bool:
        return self.timing.alpha

    @property
    def is_answered(self) -> bool:
        """A success is an answer of the server, and its latency counts."""
        return True

    @property
    def sets_weight(self) -> bool:
        """Its outcome can set the weight of the server."""
        return False

    @property
    def protocol_name(self) -> str:
        """Stands in the message of a success."""
        return self.kind.partition("_")[0]

    @property
    def success(self) -> str:
        """keepalived's message of a success, without the reason."""
        return f"{self.protocol_name} connection to {self.target} success"

    def failure(self, retries: int) -> str:
        """keepalived's message of a failure, without the reason."""
        return self.failed_as(self.kind, retries)

    def failed_as(self, name: str, retries: int) -> str:
        after = f" after {retries} {'retry' if retries == 1 else 'retries'}" if retries else ""
        return f"{name} on service {self.target} failed{after}"

    def capabilities(self, may_ping: Callable[[int], bool]) -> frozenset[str]:
        """Names of the capabilities (capabilities(7), without CAP_) that its attempts need.

        `may_ping` says of a family, 4 or 6, whether every process may open the kernel's ping sockets.
        """
        connection = self.connection
        if connection is None:
            return frozenset()
        found = {"NET_ADMIN"} if connection.fwmark else set()
        if 0 < connection.bind_port < 1024:
            found.add("NET_BIND_SERVICE")
        return frozenset(found)

    def remarks(self) -> Iterator[str]:
        """What is logged when it is configured."""
        return iter(())

    @classmethod
    def load(cls) -> None:
        """Import what its attempts need and other checks do not; called before privileges are given up."""

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        """Begin an attempt; `url` counts from 0 where Timing.urls is set. Raises what `attempts` raises."""
        raise NotImplementedError


class FollowedVerdict(NamedTuple):
    """What an Observation means for a server."""

    healthy: bool
    reason: str
    known: bool = True
    weight_change: int = 0


class Followed(Described, frozen=True, kw_only=True):
    """A check that another process makes: `followed` names its Observation."""

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def target(self) -> str:
        return self.name

    def judge(self, observed: Observation | None) -> FollowedVerdict:
        """None: nothing has been observed yet."""
        raise NotImplementedError


@dataclass(frozen=True)
class CheckBlock:
    """A block of real_server that makes checks."""

    keyword: str
    block: type[Block]
    help: str
    resolve: Callable[[Any, Any, Any], Iterable[Question | Followed]]
    """From all blocks of one real_server, a CheckResolver and the Inheritance to the checks that can be made."""
    mail: tuple[str, str] | None = None
    """keepalived's words in mail for a success and a failure; {target} stands for what is checked."""

    def mail_of(self, healthy: bool, target: str) -> str:
        """What mail says of a check that has changed."""
        name = self.keyword.partition("_")[0]
        words = self.mail or (f"{name} CHECK succeed on service", f"{name} CHECK failed on service")
        return words[0 if healthy else 1].replace("{target}", target)


@dataclass(frozen=True)
class Checker:
    """What a file of kad/checker/checks/ declares under the name CHECKER."""

    check: type[Question | Followed]
    """A struct with a tag; the tag names it in the slice, and in the dump."""
    position: int
    """Its checks stand among those of one server in this order, whatever the order in the file."""
    blocks: tuple[CheckBlock, ...]
