"""Leaving the terminal: the command returns when the daemon says that it is configured, with its status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from kad.shared.output import to_error


def have_standard_streams() -> None:
    """Whoever starts us may have closed some: then whatever is opened next would take their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


_MOST = 60_000
"""Bytes."""


class Announcer:
    """The daemon's one word to whoever started it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def say(self, status: int, text: str) -> None:
        """0 when configured, else the exit status and why."""
        if self._descriptor is not None:
            # A pipe takes so much without a wait.
            os.write(self._descriptor, f"{status} {text}".encode(errors="replace")[:_MOST])
            os.close(self._descriptor)
            self._descriptor = None


def _let_go_of_the_terminal() -> None:
    """Before any child is forked: a pipe behind our output would otherwise stay open as long as one of them lives."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


def detach(run: Callable[[Announcer], int]) -> int:
    """Run in a process without terminal; returns, in the caller's process, once that process has said its word."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.chdir("/")
        _let_go_of_the_terminal()
        status = 70
        try:
            status = run(Announcer(writer))
        finally:
            os._exit(status)
    os.close(writer)
    word = b""
    while part := os.read(reader, 4096):
        word += part
    status_text, _, text = word.decode(errors="replace").partition(" ")
    if text:
        to_error(f"{text}\n")
    # Nothing said: the daemon died before it could.
    return int(status_text) if status_text.isdecimal() else 70
