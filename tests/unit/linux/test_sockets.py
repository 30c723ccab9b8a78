"""Sockets behind one descriptor: who is told, of what, and who is not any more."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from kad.linux.sockets.epoll_set import FAILED, READABLE, WRITABLE, Sockets


@pytest.fixture
def ends() -> Iterator[list[socket.socket]]:
    made = [*socket.socketpair(), *socket.socketpair()]
    yield made
    for each in made:
        each.close()


def is_readable(sockets: Sockets) -> bool:
    return bool(select.select([sockets], [], [], 0)[0])


def test_who_is_ready_is_told_until_it_is_not(ends: list[socket.socket]) -> None:
    sockets, told = Sockets(), list[int]()
    sockets.add(ends[0].fileno(), READABLE, told.append)
    assert not is_readable(sockets)
    ends[1].send(b"x")
    for _ in range(2):
        assert is_readable(sockets)
        sockets.serve()
    ends[0].recv(1)
    sockets.serve()
    assert told == [READABLE, READABLE]


def test_what_is_wanted_can_change(ends: list[socket.socket]) -> None:
    sockets, told = Sockets(), list[int]()
    sockets.add(ends[0].fileno(), WRITABLE, told.append)
    sockets.serve()
    sockets.change(ends[0].fileno(), READABLE)
    sockets.serve()
    assert told == [WRITABLE]


def test_a_failure_is_told_unasked(ends: list[socket.socket]) -> None:
    sockets, told = Sockets(), list[int]()
    sockets.add(ends[0].fileno(), READABLE, told.append)
    ends[1].close()
    sockets.serve()
    assert told[0] & FAILED


def test_one_that_takes_the_number_of_another_is_not_told_what_was_meant_for_that(ends: list[socket.socket]) -> None:
    sockets, told = Sockets(), list[str]()

    def first_of_two(other: socket.socket) -> None:
        """The other one, which is ready too, leaves, and a new one that is not ready has its number."""
        if told:
            told.append("one that has left")
            return
        told.append("one that is ready")
        number = other.fileno()
        sockets.forget(number)
        other.close()
        ends.extend(socket.socketpair())
        assert ends[-2].fileno() == number
        sockets.add(number, READABLE, lambda _: told.append("one that has come"))

    for each, other in ((ends[0], ends[2]), (ends[2], ends[0])):
        sockets.add(each.fileno(), WRITABLE, lambda _, left=other: first_of_two(left))  # type: ignore[misc]
    sockets.serve()
    assert told == ["one that is ready", "one that has left"]
