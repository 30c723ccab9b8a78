"""The one way in which this room says that the kernel refused something."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """The kernel refused `what`; `errno` is its reason."""

    def __init__(self, what: str, errno: int) -> None:
        super().__init__(what, errno)
        self.what = what
        self.errno = errno

    def __str__(self) -> str:
        return f"{self.what}: {os.strerror(self.errno)}"


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn an OSError inside the block into Refused(what, errno)."""
    try:
        yield
    except OSError as error:
        raise Refused(what, error.errno or 0) from error


@contextmanager
def closed_on_failure(sock: socket.socket) -> Iterator[socket.socket]:
    """Close the socket when the block that prepares it fails."""
    try:
        yield sock
    except BaseException:
        sock.close()
        raise
