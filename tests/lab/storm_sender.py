"""Sends frames at a rate, many in a system call: `python -m tests.lab.storm_sender INTERFACE FILE COUNT RATE`."""

from __future__ import annotations

import ctypes
import pickle
import socket
import sys
import time

_BATCH = 500
_PAUSE = 0.004


class _Vector(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr"""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    )


class Batches:
    """Frames laid out in memory once, and sent again and again in their order."""

    def __init__(self, frames: list[bytes]) -> None:
        self._count = len(frames)
        self._buffers = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
        self._vectors = (_Vector * self._count)(
            *((ctypes.addressof(buffer), len(frame)) for buffer, frame in zip(self._buffers, frames, strict=True))
        )
        self._messages = (_Message * self._count)()
        for number, message in enumerate(self._messages):
            message.vectors = ctypes.addressof(self._vectors) + number * ctypes.sizeof(_Vector)
            message.vector_count = 1
        self._next = 0
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg

    def send(self, sock: socket.socket, most: int) -> int:
        """How many of at most so many frames went; raises OSError."""
        count = min(most, self._count - self._next, _BATCH)
        at = ctypes.addressof(self._messages) + self._next * ctypes.sizeof(_Message)
        sent = self._call(sock.fileno(), ctypes.c_void_p(at), count, 0)
        if sent < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        self._next = (self._next + int(sent)) % self._count
        return int(sent)


def main(interface: str, file: str, count: int, rate: int) -> None:
    """Print how many went, and in how many seconds."""
    with open(file, "rb") as opened:
        batches = Batches(pickle.load(opened))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, 0))
        begin, sent = time.monotonic(), 0
        while sent < count:
            due = min(count, int((time.monotonic() - begin) * rate) + 1)
            while sent < due:
                sent += batches.send(sock, due - sent)
            time.sleep(_PAUSE)
        print(sent, time.monotonic() - begin)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
