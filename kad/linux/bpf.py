"""Classic BPF: small programs by which the kernel drops what a socket need not hear."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

LOAD = 0x20
LOAD_HALF = 0x28
LOAD_BYTE = 0x30
EQUAL = 0x15
EQUAL_X = 0x1D
COPY = 0x07
RETURN = 0x06

ALL = 0xFFFFFFFF
"""RETURN with it: the whole message passes; with 0 none of it does."""

_SO_ATTACH_FILTER = 26
_LINE = struct.Struct("=HBBI")  # code, jump if true, jump if false, operand

Program = Sequence[tuple[int, int, int, int]]


def attach(sock: socket.socket, program: Program) -> None:
    """From now on only what passes is heard."""
    code = b"".join(_LINE.pack(*line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
