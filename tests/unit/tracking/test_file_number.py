"""The number of a tracked file, read as strtol(3) reads it with base 0."""

from __future__ import annotations

import ctypes

import pytest

from kad.tracking.file import number_of


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"", 0),
        (b"5\n", 5),
        (b"-20\n", -20),
        (b"+7", 7),
        (b"  \t\n 12 and more", 12),
        (b"12x", 12),
        (b"nothing", 0),
        (b"- 5", 0),
        (b"0x1f", 31),
        (b"-0X10", -16),
        (b"0x", 0),
        (b"010", 8),
        (b"089", 0),
        (b"00", 0),
        (b"2147483647", 2147483647),
        (b"-2147483648", -2147483648),
        (b"2147483648", 2147483648),
        (b"2147483649", None),
        (b"-2147483649", None),
        (b"99999999999999999999", None),
        (b"\xff\xfe", 0),
        (b" " * 126 + b"5", 5),
        (b" " * 127 + b"5", 0),
        (b"1" + b"0" * 200, None),
    ],
)
def test_the_number(content: bytes, number: int | None) -> None:
    assert number_of(content) == number


@pytest.mark.parametrize("text", ["5", " -20x", "0x1f", "0x", "0xg", "010", "089", "-0", "+", "", "0b1", "1e3", "-0x8"])
def test_as_the_c_library_reads_it(text: str) -> None:
    strtol = ctypes.CDLL(None).strtol
    strtol.restype = ctypes.c_long
    assert number_of(text.encode()) == strtol(text.encode(), None, 0)
