"""How a process is forked that shares nothing with its parent but one channel."""

from __future__ import annotations

import gc
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from kad.linux.sockets import channel as unix
from kad.shared.exit_codes import EXIT_SOFTWARE


@dataclass(frozen=True)
class Birth:
    """A process that was just forked, as its parent sees it."""

    pid: int
    pidfd: int
    end: socket.socket


def fork(
    live: Callable[[socket.socket], NoReturn],
    kept: frozenset[int] = frozenset(),
    inherit: Callable[[], None] = lambda: None,
) -> Birth:
    """Fork a process that keeps the standard descriptors, its end of a channel, and `kept`; nothing else.

    `inherit` is called in it while it still has all the others.

    Raises OSError: this host has no process or descriptor left.
    """
    gc.collect()
    gc.freeze()
    ours, theirs = unix.pair()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        try:
            inherit()
            _close_all_but({0, 1, 2, theirs.fileno(), *kept})
            live(theirs)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(EXIT_SOFTWARE)
    theirs.close()
    return Birth(pid, os.pidfd_open(pid), ours)


def _close_all_but(kept: set[int]) -> None:
    """A copy of a sibling's channel would hide its end of file; objects that own the numbers live on unused."""
    for descriptor in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        if descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                continue
