"""What a child does with what its parent says, in whatever order it comes."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from kad.child.main import Child
from kad.child.multiplexer import Mux
from kad.linux.process.memfd import write_memory_file
from kad.linux.sockets.channel import Channel, pair
from kad.model.problem import Problem
from kad.shared import messages
from kad.shared.log import Destination, Logger
from kad.shared.messages import Message
from kad.shared.shared_page import Page


class Room:
    """Remembers what it was asked for."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self.asked: list[str] = []

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        self.asked.append(f"prepare {generation} {slice_bytes.decode()}")

    def commit(self, generation: int) -> None:
        self.asked.append(f"commit {generation}")

    def abandon(self) -> None:
        self.asked.append("abandon")

    def receive(self, message: Message) -> None: ...

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        return {}

    def problems(self) -> list[Problem]:
        return []

    async def stop(self, release: bool, handover: float) -> None:
        self.asked.append("stop")

    async def orphaned(self) -> None:
        self.asked.append("orphaned")


@pytest.fixture
def ends() -> tuple[socket.socket, socket.socket]:
    return pair()


@pytest.mark.parametrize("late", [[1], [1, 2]])
def test_who_is_told_to_leave_takes_up_nothing_more(ends: tuple[socket.socket, socket.socket], late: list[int]) -> None:
    parent = Channel(ends[0])

    def say(message: Message, descriptor: int | None = None) -> None:
        parent.send(messages.to_frame(message), descriptor=descriptor, given=True)

    say(messages.Prepare(generation=1), write_memory_file("slice", b"words"))
    say(messages.Stop(release=True, handover=0.0))
    for generation in late:
        if generation > 1:
            say(messages.Prepare(generation=generation), write_memory_file("slice", b"others"))
        say(messages.Commit(generation=generation))
    made: list[Room] = []

    def factory(mux: Mux, tell: Callable[[Message], None], log: Logger) -> Room:
        made.append(Room(mux, tell, log))
        return made[0]

    child = Child("test", Channel(ends[1]), factory, Logger("test", Destination(syslog=False)), Page())
    assert child.run() == 0
    assert made[0].asked == ["prepare 1 words", "stop"]
    parent.close()
