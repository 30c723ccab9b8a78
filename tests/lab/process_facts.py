"""What the kernel says that a process is and may do: user, capabilities, filters, limits, open descriptors."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_CAPABILITIES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
_SOCKETS = {
    "unix": ("UNIX socket", 6),
    "netlink": ("netlink socket", -1),
    "packet": ("packet socket", 8),
    "raw": ("raw socket", 9),
    "raw6": ("raw socket", 9),
    "icmp": ("ping socket", 9),
    "udp": ("UDP socket", 9),
    "udp6": ("UDP socket", 9),
    "tcp": ("TCP socket", 9),
    "tcp6": ("TCP socket", 9),
}
"""By file in /proc/PID/net: what it lists, and the column of the inode."""
_OF_EVERY_LOOP = {"eventpoll", "eventfd", "io_uring", "timerfd", "pipe"}
_PASSING = {"TCP socket", "other socket"}
"""Of a check, while it is made."""
_NAMES = {"/run/kad/kad.pid": "pid file", "/run/kad/.kad.pid.lock": "lock of the pid file"}


class Facts(NamedTuple):
    """Of one process, in the words of docs/threat-model.md."""

    user: str
    capabilities: str
    """In effect and permitted."""
    bounding: str
    """What it could ever have."""
    no_new_privileges: str
    seccomp: str
    descriptors: str
    """Kinds of those beside the standard ones and what every event loop has, in order of the alphabet."""


def standing(pid: int) -> dict[str, str]:
    """/proc/PID/status"""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def facts(pid: int, everything: int) -> Facts:
    """`everything`: the set of capabilities that the parent was started with."""
    now = standing(pid)
    assert now["CapEff"] == now["CapPrm"], "what is permitted and not in effect could be taken up again"
    # What is inheritable or ambient would pass to a program that it starts.
    assert int(now["CapInh"], 16) == int(now["CapAmb"], 16) == 0
    uid, gid = (set(now[name].split()) for name in ("Uid", "Gid"))
    assert uid == gid
    assert len(uid) == 1
    return Facts(
        user={"0": "root", "4321": "kad"}[uid.pop()],
        capabilities=names(int(now["CapEff"], 16), everything),
        bounding=names(int(now["CapBnd"], 16), everything),
        no_new_privileges={"0": "no", "1": "yes"}[now["NoNewPrivs"]],
        seccomp={"0": "no", "2": "yes"}[now["Seccomp"]],
        descriptors=", ".join(sorted(descriptors(pid) - _OF_EVERY_LOOP - _PASSING)),
    )


def names(mask: int, everything: int) -> str:
    if mask == everything:
        return "all"
    return " ".join(name for number, name in enumerate(_CAPABILITIES) if mask >> number & 1) or "none"


def descriptors(pid: int) -> set[str]:
    """Kinds of the open descriptors above 2."""
    sockets = {
        inode: kind
        for name, (kind, column) in _SOCKETS.items()
        for inode in _column(Path(f"/proc/{pid}/net/{name}"), column)
    }
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        # A connection of a check may be gone by now.
        with suppress(FileNotFoundError):
            if int(entry.name) > 2:
                found.add(_kind(os.readlink(entry), sockets))
    return found


def _column(path: Path, column: int) -> list[str]:
    with suppress(FileNotFoundError):
        return [line.split()[column] for line in path.read_text().splitlines()[1:]]
    return []


def _kind(target: str, sockets: dict[str, str]) -> str:
    if target.startswith("socket:"):
        return sockets.get(target.removeprefix("socket:[").removesuffix("]"), "other socket")
    if target.startswith("anon_inode:"):
        return target.removeprefix("anon_inode:").strip("[]")
    if target.startswith("pipe:"):
        return "pipe"
    return "memory file" if target.startswith("/memfd:") else _NAMES.get(target, target)
