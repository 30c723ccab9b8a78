"""Processes as the kernel knows them: descriptors that name one, and what ps shows of ours."""

from __future__ import annotations

import ctypes
import os
import signal

import setproctitle

from kad.linux.libc import LIBC, call
from kad.linux.refused import refusing

_PR_SET_NAME = 15
_COMM_BYTES = 15
_TICKS = os.sysconf("SC_CLK_TCK")

_prctl = LIBC["prctl"]
_prctl.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def pidfd_open(pid: int) -> int:
    """A descriptor that is readable once the process has ended, and never means another process."""
    with refusing(f"descriptor of process {pid}"):
        return os.pidfd_open(pid)


def pidfd_signal(pidfd: int, signal_number: int) -> None:
    """Signal exactly that process; Refused with ESRCH when it is gone."""
    with refusing("signal to a process"):
        signal.pidfd_send_signal(pidfd, signal_number)


def processor_time(pid: int, *, asleep: bool = False) -> float | None:
    """Seconds of a processor that a process has had.

    None: it is gone; and without `asleep` also: it sleeps or is stopped, so that it wants none now.
    """
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS if asleep or fields[0] == "R" else None


def set_title(title: str, comm: str | None = None) -> None:
    """What `ps` shows: the whole title as command line, and its first 15 bytes (or `comm`'s) as name."""
    setproctitle.setproctitle(title)
    name = (title if comm is None else comm).encode()[:_COMM_BYTES]
    call("process name", _prctl, _PR_SET_NAME, name, 0, 0, 0)
