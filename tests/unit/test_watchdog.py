"""The parent beside a child whose end of the channel the test holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kad import messages
from kad.linux.channel import Channel, pair
from kad.linux.pidfile import PidFile
from kad.log import Destination, Logger
from kad.messages import Analyzed
from kad.watchdog import Options, Watchdog


def analyze() -> tuple[Analyzed, dict[str, bytes]]:
    raise AssertionError("nothing is analyzed here")


class Parent:
    """A Watchdog that serves one turn at a time; the test is its ipvs process."""

    def __init__(self, folder: Path) -> None:
        options = Options("none", folder, analyze, {})
        self.pid_file = PidFile(folder / "kad.pid")
        self.watchdog = Watchdog(options, Logger("test", Destination(syslog=False)), self.pid_file)
        ours, theirs = pair()
        self.member, self.child = self.watchdog.members["ipvs"], Channel(theirs)
        self.member.channel = Channel(ours)
        self.watchdog._watch_child(self.member, self.member.channel)

    def is_at_rest(self) -> bool:
        """Nothing is to be served now."""
        return not self.watchdog._poll.ready(0.0)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    made = Parent(tmp_path)
    yield made
    made.pid_file.remove()
    made.child.close()
    assert made.member.channel is not None
    made.member.channel.close()
    made.watchdog.close()


def test_a_queue_that_a_later_message_empties_leaves_nothing_to_wait_for(parent: Parent) -> None:
    large = messages.IpvsLeft(slice=bytes(1_000_000))
    parent.watchdog.send(parent.member, large)
    assert parent.is_at_rest()
    # The socket has room again, and it is a message and not the loop that finds it first.
    while parent.member.channel is not None and parent.member.channel.has_backlog:
        list(parent.child.receive())
        parent.watchdog.send(parent.member, messages.TellAll())
    assert parent.is_at_rest()
    list(parent.child.receive())
    assert parent.is_at_rest()


def test_what_waits_leaves_when_there_is_room(parent: Parent) -> None:
    parent.watchdog.send(parent.member, messages.IpvsLeft(slice=bytes(1_000_000)))
    received = []
    while not received:
        received += parent.child.receive()
        for serve in parent.watchdog._poll.ready(1.0):
            serve()
    assert messages.from_frame(received[0]) == messages.IpvsLeft(slice=bytes(1_000_000))
    assert parent.is_at_rest()
