"""A process that asks for a short slice keeps its policy and its nice value."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

import pytest

from kad.linux.libc import LIBC
from kad.linux.process import scheduling

_SCHED_GETATTR = 315
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def _in_a_child(nice: int, policy: int) -> tuple[int, int, int]:
    """Policy, nice value and slice in nanoseconds afterwards."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            os.sched_setscheduler(0, policy, os.sched_param(0))
            scheduling.shorten_slice()
            buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
            LIBC.syscall(_SCHED_GETATTR, 0, buffer, _ATTRIBUTES.size, 0)
            os.write(writer, buffer.raw)
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    _, policy, _, nice, _, slice_length, _, _ = _ATTRIBUTES.unpack(os.read(reader, _ATTRIBUTES.size))
    os.close(reader)
    return policy, nice, slice_length


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs the number of sched_getattr on this machine")
def test_only_the_slice_is_another_one() -> None:
    policy, nice, length = _in_a_child(5, os.SCHED_OTHER)
    assert (policy, nice) == (os.SCHED_OTHER, 5)
    version = tuple(map(int, platform.release().split("-")[0].split(".")[:2]))
    if version >= (6, 12):
        assert length == 100_000


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs the number of sched_getattr on this machine")
def test_another_policy_stays() -> None:
    assert _in_a_child(0, os.SCHED_BATCH)[0] == os.SCHED_BATCH
