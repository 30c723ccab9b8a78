"""System calls that a process gives up for good: those that signal, trace, or look into other processes."""

from __future__ import annotations

import ctypes
import platform
import struct
from typing import NamedTuple

from kad.linux.libc import LIBC, call

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_RET_ALLOW = 0x7FFF0000
_RET_EPERM = 0x00050000 | 1
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
"""Places in struct seccomp_data."""
_X32 = 0x40000000
"""Numbers of x86-64's second set of system calls begin here."""

_prctl = LIBC["prctl"]
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


class _Machine(NamedTuple):
    """AUDIT_ARCH_* and the numbers of the calls that are refused."""

    architecture: int
    numbers: tuple[int, ...]


# kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, ptrace, process_vm_readv, process_vm_writev,
# pidfd_send_signal, pidfd_getfd
_MACHINES = {
    "x86_64": _Machine(0xC000003E, (62, 200, 234, 129, 297, 101, 310, 311, 424, 438)),
    "aarch64": _Machine(0xC00000B7, (129, 130, 131, 138, 240, 117, 270, 271, 424, 438)),
}


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_signals_and_tracing() -> bool:
    """From now on, also in what this process forks, these calls end with EPERM. False: not known for this machine.

    Needs no_new_privs. Raises Refused: the kernel has no seccomp.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = _filter(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_char_p))
    call("seccomp filter", _prctl, _PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program), 0, 0)
    return True


def _filter(machine: _Machine) -> bytes:
    """Classic BPF: of another machine's calls (32 bits) none is allowed."""
    numbers = machine.numbers
    # Jumps count the instructions between; the last but one refuses, the last one allows.
    checks = [(_JUMP_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, machine.architecture),
        (_RETURN, 0, 0, _RET_EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_GREATER_EQUAL, len(numbers) + 1, 0, _X32),
        *checks,
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in code)
