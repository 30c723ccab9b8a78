"""Classic BPF: small programs by which the kernel drops what a socket need not hear."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Collection, Mapping, Sequence

LOAD = 0x20
LOAD_HALF = 0x28
LOAD_BYTE = 0x30
EQUAL = 0x15
EQUAL_X = 0x1D
GREATER = 0x25
AT_LEAST = 0x35
ANY_BIT = 0x45
JUMP = 0x05
COPY = 0x07
AND = 0x54
SUBTRACT = 0x14
RETURN = 0x06

NETWORK_HEADER = 0xFFF00000
"""Added to an offset: it counts from the IP header, also where a socket is given what stands behind that."""
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


def near_sources(sources: Mapping[bytes, int]) -> Program:
    """Pass a datagram from one of these packed addresses, all of one family, whose TTL is at least that one's.

    Where they are too many, or none, every datagram passes whose TTL is at least the lowest.
    """
    size = len(next(iter(sources), b"")) or 4
    ttl_at, source_at = (8, 12) if size == 4 else (7, 8)
    lines: list[tuple[int, int, int, int]] = []
    for source, least in sources.items():
        words = [int.from_bytes(source[at : at + 4]) for at in range(0, size, 4)]
        # To the next source: past the rest of this one's words, and the four lines of its TTL.
        for place, word in enumerate(words):
            after = 2 * (len(words) - 1 - place) + 4
            lines += [(LOAD, 0, 0, NETWORK_HEADER + source_at + 4 * place), (EQUAL, 0, after, word)]
        lines += _at_least(ttl_at, least)
    if lines and len(lines) < _MOST_LINES:
        return [*lines, (RETURN, 0, 0, 0)]
    return _at_least(ttl_at, min(sources.values(), default=0))


def _at_least(ttl_at: int, least: int) -> list[tuple[int, int, int, int]]:
    return [
        (LOAD_BYTE, 0, 0, NETWORK_HEADER + ttl_at),
        (AT_LEAST, 0, 1, least),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, 0),
    ]


def attach(sock: socket.socket, program: Program) -> None:
    """From now on only what passes is heard."""
    code = b"".join(_LINE.pack(*line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
