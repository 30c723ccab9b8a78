"""Socket filters: the steps themselves, run by the book, and by a kernel where there is one."""

from __future__ import annotations

import random
import socket

import pytest

from kad.linux.bpf import Program, attach, one_of


def passes(steps: Program, packet: bytes) -> bool:
    """What the kernel would do, one step after the other."""
    accumulator, at = 0, 0
    while True:
        code, when, otherwise, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                if operand + 4 > len(packet):
                    return False
                accumulator = int.from_bytes(packet[operand : operand + 4])
            case 0x05:
                at += operand
            case 0x15:
                at += when if accumulator == operand else otherwise
            case 0x25:
                at += when if accumulator > operand else otherwise
            case 0x06:
                return operand != 0
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 9, 100, 1000])
def test_it_passes_these_and_no_others(count: int) -> None:
    dice = random.Random(count)
    numbers = {dice.getrandbits(32) for _ in range(count)}
    steps = one_of(14, numbers)
    assert len(steps) <= 4096
    assert all(passes(steps, bytes(14) + number.to_bytes(4)) for number in numbers)
    others = {number + 1 for number in numbers if number < 0xFFFFFFFF} | {0, 0xFFFFFFFF, dice.getrandbits(32)}
    assert not any(passes(steps, bytes(14) + number.to_bytes(4)) for number in others - numbers)
    assert not passes(steps, bytes(17))


def test_too_many_pass_everything() -> None:
    assert passes(one_of(14, range(2000)), b"")


def test_the_kernel_takes_it() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        attach(ours, one_of(2, range(1, 1001)))
        for number in (0, 1, 500, 1000, 1001):
            theirs.send(b"ab" + number.to_bytes(4))
        heard = []
        while len(heard) < 3:
            heard.append(int.from_bytes(ours.recv(10)[2:]))
        assert heard == [1, 500, 1000]
        with pytest.raises(BlockingIOError):
            ours.recv(10)
