"""The clients of the control socket that are being served: how many there may be, and whose place goes to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from kad.watchdog.control_socket import Conversation

MOST = 64
"""Of those that may only look, and again of those that may act."""
MOST_WAITING_BYTES = 128 * 1024 * 1024
"""Of answers that clients have not read yet."""


class Client(Protocol):
    """Who has asked. It is answered once; what is answered after it has ended is lost."""

    def reply(self, answer: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """The verb is done: JSON values, and files of which a copy is sent."""

    def refuse(self, error: str) -> None:
        """It is not."""

    def allow(self, seconds: float) -> None:
        """It may wait for its answer for so long from now; before that 30 s."""

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call when the client has ended, answered or not."""


class Clients:
    """Clients that may only look never cost one that may act its place."""

    def __init__(self) -> None:
        self._until: dict[Conversation, float] = {}
        """With the monotonic moment until which each may last; in the order in which they came."""

    def __contains__(self, conversation: Conversation) -> bool:
        return conversation in self._until

    def __iter__(self) -> Iterator[Conversation]:
        return iter(list(self._until))

    @property
    def deadlines(self) -> list[float]:
        return list(self._until.values())

    @property
    def waiting_bytes(self) -> int:
        """Of all answers that were not read yet."""
        return sum(conversation.waiting_bytes for conversation in self._until)

    def last(self, conversation: Conversation, until: float) -> None:
        """It may last until then (monotonic seconds)."""
        self._until[conversation] = until

    def late(self, now: float) -> list[Conversation]:
        return [conversation for conversation, until in self._until.items() if until <= now]

    def forget(self, conversation: Conversation) -> bool:
        """False: it was forgotten before."""
        return self._until.pop(conversation, None) is not None

    def in_the_way(self, new: Conversation) -> Conversation | None:
        """Whose place a new client gets; itself: there is none for it; None: there is room.

        One that has not asked anything goes before one that waits for its answer, and one of the user with the most
        clients before those of other users. Who may act and has asked keeps its place.
        """
        like = [each for each in self._until if each.may_act == new.may_act]
        if len(like) < MOST:
            return None
        counts = Counter(each.uid for each in like)
        idle = [each for each in like if not each.has_asked]
        if new.may_act and not idle:
            return new
        return max(idle or like, key=lambda each: counts[each.uid])
