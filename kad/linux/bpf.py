"""Classic BPF: small programs by which the kernel drops what a socket need not hear."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Collection, Sequence

LOAD = 0x20
LOAD_HALF = 0x28
LOAD_BYTE = 0x30
EQUAL = 0x15
EQUAL_X = 0x1D
GREATER = 0x25
ANY_BIT = 0x45
JUMP = 0x05
COPY = 0x07
RETURN = 0x06

ALL = 0xFFFFFFFF
"""RETURN with it: the whole message passes; with 0 none of it does."""

_SO_ATTACH_FILTER = 26
_LINE = struct.Struct("=HBBI")  # code, jump if true, jump if false, operand

Program = Sequence[tuple[int, int, int, int]]

_MOST_LINES = 4096
_LEAF = 4


def one_of(offset: int, numbers: Collection[int]) -> Program:
    """Pass a message whose 32-bit word at the offset is one of these; every message where they are too many."""
    lines = [(LOAD, 0, 0, offset), *_search(sorted(set(numbers)))]
    return lines if len(lines) <= _MOST_LINES else [(RETURN, 0, 0, ALL)]


def _search(numbers: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """A binary search; every leaf ends by itself, so that no jump is longer than the half it leaves out."""
    if len(numbers) <= _LEAF:
        lines: list[tuple[int, int, int, int]] = []
        for number in numbers:
            lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALL)]
        return [*lines, (RETURN, 0, 0, 0)]
    middle = len(numbers) // 2
    low, high = _search(numbers[:middle]), _search(numbers[middle:])
    # A conditional jump reaches 255 lines only.
    return [(GREATER, 0, 1, numbers[middle - 1]), (JUMP, 0, 0, len(low)), *low, *high]


def attach(sock: socket.socket, program: Program) -> None:
    """From now on only what passes is heard."""
    code = b"".join(_LINE.pack(*line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
