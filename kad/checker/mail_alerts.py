"""What mail says of a check that changed its mind, in keepalived's words and with the reason."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from kad.checker.checker_slice import CheckedServer
from kad.checker.registry import CHECKERS
from kad.model.notification import as_name, as_text
from kad.shared.messages import CheckState, Mail, Message, ServerHealth

_BLOCKS = {block.keyword: block for checker in CHECKERS for block in checker.blocks}


class Telling:
    """Makes letters for the runner; the process of the table tells everything else of servers."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._last_number = 0
        self.of_each_check = True
        """Also of one that leaves its server as it was."""

    def change(self, server: CheckedServer, truth: ServerHealth, before: ServerHealth) -> None:
        """A letter for each check that says something else of the server than before."""
        if not server.mailed_as or not (self.of_each_check or truth.healthy != before.healthy):
            return
        known = dict(_numbered(before.checks))
        for place, state in _numbered(truth.checks):
            earlier = known.get(place)
            if earlier is not None and earlier.healthy != state.healthy:
                self._mail(server, truth, state)

    def _mail(self, server: CheckedServer, truth: ServerHealth, state: CheckState) -> None:
        """The subject says what the server is by all its checks."""
        # Greater than every number of an earlier life of this process.
        self._last_number = max(self._last_number + 1, time.monotonic_ns())
        word = "UP" if truth.healthy else "DOWN"
        self._say(
            Mail(
                object=as_name(f"check:{truth.key}"),
                state=word,
                subject=as_text(f"{server.mailed_as} - {word}"),
                body=as_text(body(state)),
                reason=as_text(f"{state.kind} {state.target}: {state.reason}"),
                when=time.time(),
                sequence=self._last_number,
            )
        )


def body(state: CheckState) -> str:
    """One line, as keepalived has it for each checker."""
    return f"=> {_BLOCKS[state.kind].mail_of(state.healthy, state.target)} <="


def _numbered(states: Iterable[CheckState]) -> Iterator[tuple[tuple[str, str, int], CheckState]]:
    """Each with what names it: equal ones are told apart by their order."""
    seen: Counter[tuple[str, str]] = Counter()
    for state in states:
        name = (state.kind, state.target)
        yield (*name, seen[name]), state
        seen[name] += 1
