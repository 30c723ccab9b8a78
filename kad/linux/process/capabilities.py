"""Giving up privileges: a process keeps the capabilities that it names, and another user where there is one."""

from __future__ import annotations

import ctypes
import os
import pwd
import struct
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from errno import EINVAL, EPERM
from typing import NamedTuple

from kad.linux.libc import LIBC, call
from kad.linux.refused import Refused, refusing


class Capability(IntEnum):
    """linux/capability.h"""

    CHOWN = 0
    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    FOWNER = 3
    FSETID = 4
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    LINUX_IMMUTABLE = 9
    NET_BIND_SERVICE = 10
    NET_BROADCAST = 11
    NET_ADMIN = 12
    NET_RAW = 13
    IPC_LOCK = 14
    IPC_OWNER = 15
    SYS_MODULE = 16
    SYS_RAWIO = 17
    SYS_CHROOT = 18
    SYS_PTRACE = 19
    SYS_PACCT = 20
    SYS_ADMIN = 21
    SYS_BOOT = 22
    SYS_NICE = 23
    SYS_RESOURCE = 24
    SYS_TIME = 25
    SYS_TTY_CONFIG = 26
    MKNOD = 27
    LEASE = 28
    AUDIT_WRITE = 29
    AUDIT_CONTROL = 30
    SETFCAP = 31
    MAC_OVERRIDE = 32
    MAC_ADMIN = 33
    SYSLOG = 34
    WAKE_ALARM = 35
    BLOCK_SUSPEND = 36
    AUDIT_READ = 37
    PERFMON = 38
    BPF = 39
    CHECKPOINT_RESTORE = 40


class Standing(NamedTuple):
    """What a process is after drop_to()."""

    user: str
    uid: int
    capabilities: frozenset[Capability]
    """In effect; fewer than wanted where the process did not have them."""


_VERSION_3 = 0x20080522
_CAP_HEADER = struct.Struct("=Ii")
_CAP_DATA = struct.Struct("=6I")  # effective, permitted, inheritable; low words, then high words

_SECCOMP_FILTER = 2
_OF_CHILDREN = sum(
    1 << each
    for each in (
        Capability.NET_ADMIN,
        Capability.NET_RAW,
        Capability.NET_BIND_SERVICE,
        Capability.IPC_LOCK,
        Capability.SYS_NICE,
    )
)
"""Whatever of these a child keeps, it has no other."""
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38

_capget, _capset, _prctl = LIBC["capget"], LIBC["capset"], LIBC["prctl"]
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


class _Sets(NamedTuple):
    effective: int
    permitted: int
    inheritable: int


def effective() -> frozenset[Capability]:
    """What this process may do now."""
    held = _get().effective
    return frozenset(capability for capability in Capability if held >> capability & 1)


def is_effective(capability: Capability) -> bool:
    return bool(_get().effective >> capability & 1)


def is_confined(pid: int) -> bool:
    """Whether a process is, for good, what drop_to() makes of kad's children: no root can be like that by chance."""
    try:
        with open(f"/proc/{pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        bounding = int(fields["CapBnd"], 16)
        return (
            int(fields["NoNewPrivs"]) == 1
            and int(fields["Seccomp"]) == _SECCOMP_FILTER
            and not bounding & ~_OF_CHILDREN
        )
    except (OSError, KeyError, ValueError):
        return False


def drop_to(
    capabilities: Iterable[Capability],
    user: str | None = "kad",
    *,
    bounding: bool = True,
    no_new_privs: bool = True,
) -> Standing:
    """Keep these capabilities alone, for good, and become `user` where it exists and we may; else keep our own uid.

    From then on no process without CAP_SYS_PTRACE can open its memory in /proc, and the kernel writes no core dump.
    Call it while the process has one thread: capabilities belong to threads. bounding: programs started later can
    have no other capability either, also as root.
    """
    wanted = sum(1 << capability for capability in set(capabilities))
    if bounding:
        _drop_bounding(wanted)
    if user is not None:
        _become(user)
    kept = wanted & _get().permitted
    _set(_Sets(kept, kept, inheritable=0))  # what is not inheritable is no longer ambient either
    # Another child of the same user, and with as many capabilities, could read and write it.
    _control("access to memory", _PR_SET_DUMPABLE, 0)
    if no_new_privs:
        _control("no new privileges", _PR_SET_NO_NEW_PRIVS, 1)
    return Standing(_name(os.geteuid()), os.geteuid(), effective())


def _become(user: str) -> None:
    """Change uid and gid and keep what is permitted; nothing where the user is unknown, unmapped, or we may not."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return
    held = _get().effective
    may = held >> Capability.SETUID & held >> Capability.SETGID & 1
    mapped = _is_mapped("uid", entry.pw_uid) and _is_mapped("gid", entry.pw_gid)
    if entry.pw_uid == os.geteuid() or not may or not mapped:
        return
    _control("keeping capabilities", _PR_SET_KEEPCAPS, 1)
    with refusing(f"becoming user {user}"):
        with suppress(PermissionError):  # a user namespace may deny setgroups(2): whoever made it gave the groups
            os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    _control("keeping capabilities", _PR_SET_KEEPCAPS, 0)


def _is_mapped(kind: str, number: int) -> bool:
    """Whether this user namespace knows the uid or gid."""
    with refusing(f"{kind} map"), open(f"/proc/self/{kind}_map") as lines:
        ranges = [tuple(map(int, line.split())) for line in lines]
    return any(first <= number < first + count for first, _, count in ranges)


def _drop_bounding(wanted: int) -> None:
    """Without CAP_SETPCAP the bounding set stays; what we keep ourselves does not depend on it."""
    for number in range(64):
        if wanted >> number & 1:
            continue
        try:
            _control("bounding set", _PR_CAPBSET_DROP, number)
        except Refused as refusal:
            if refusal.errno not in (EPERM, EINVAL):  # EINVAL: beyond the kernel's last capability
                raise
            return


def _control(what: str, option: int, argument: int) -> None:
    call(what, _prctl, option, argument, 0, 0, 0)


def _get() -> _Sets:
    data = ctypes.create_string_buffer(_CAP_DATA.size)
    call("reading capabilities", _capget, _CAP_HEADER.pack(_VERSION_3, 0), data)
    words = _CAP_DATA.unpack(data.raw)
    return _Sets(*(words[low] | words[low + 3] << 32 for low in range(3)))


def _set(sets: _Sets) -> None:
    words = [value & 0xFFFFFFFF for value in sets] + [value >> 32 for value in sets]
    call("setting capabilities", _capset, _CAP_HEADER.pack(_VERSION_3, 0), _CAP_DATA.pack(*words))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
