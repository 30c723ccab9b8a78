"""Scheduling and memory of a process that must not be late."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Iterable

from kad.linux.libc import LIBC, call
from kad.linux.refused import refusing

_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""Its number, by machine: older C libraries have no function for it."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period
_SLICE = 100_000
"""Nanoseconds; the least that the kernel takes."""


def set_realtime(priority: int, limit: float | None) -> None:
    """SCHED_RR with that priority for this process alone, not for its children.

    limit: seconds of CPU without a blocking system call after which the kernel sends SIGXCPU, and SIGKILL a second
    later (RLIMIT_RTTIME): a loop that runs wild cannot take the machine with it.
    """
    if limit is not None:
        with refusing("limit of real-time CPU"):
            soft = int(limit * 1_000_000)
            resource.setrlimit(resource.RLIMIT_RTTIME, (soft, soft + 1_000_000))
    with refusing(f"real-time priority {priority}"):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def shorten_slice() -> None:
    """Be let in soon after each wake-up, in front of what computes: since Linux 6.12 who asks for less at a time is.

    Costs nobody any of his share. Nothing is done for a real-time process, or where the kernel refuses.
    """
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _SLICE, 0, 0)
    LIBC.syscall(number, 0, attributes, 0)


def lock_memory() -> None:
    """Keep every page in memory from its first use on (MCL_ONFAULT: pages shared since a fork stay shared)."""
    call("locking memory", LIBC.mlockall, _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def set_nice(value: int) -> None:
    """-20 (first) to 19 (last)."""
    with refusing(f"nice value {value}"):
        os.setpriority(os.PRIO_PROCESS, 0, value)


def set_affinity(cpus: Iterable[int]) -> None:
    """Run on these processors only."""
    with refusing("processor affinity"):
        os.sched_setaffinity(0, cpus)
