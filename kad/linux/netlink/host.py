"""Reads what the configuration analyzer asks about this machine: interfaces, users, groups, files."""

from __future__ import annotations

import fnmatch
import grp
import ipaddress
import os
import pwd
import random
import re
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator, Sequence

import msgspec

from kad.linux.process.spawn import beginning_of
from kad.model.host import FileLook, Host, Interface, TooMany

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_WILD = re.compile(r"[*?\[]")
_MOST_MATCHES = 20_000
"""Files of one pattern."""
_GLOB_SECONDS = 3.0
_RTM_GETLINK, _RTM_GETADDR = 18, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST_DUMP = 0x301
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 1, 3, 4, 18
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFLA_VRF_TABLE = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


class LocalFiles:
    """The file system of this machine."""

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def look(self, path: str) -> FileLook | None:
        return _look(path, follow=True)

    def look_at_link(self, path: str) -> FileLook | None:
        return _look(path, follow=False)

    def target(self, path: str) -> str:
        try:
            return os.readlink(path)
        except (OSError, ValueError):
            return ""

    def begins(self, path: str) -> bytes | None:
        return beginning_of(path)

    def glob(self, pattern: str) -> Sequence[str]:
        found: list[str] = []
        deadline = time.monotonic() + _GLOB_SECONDS
        for path in _matches("/" if pattern.startswith("/") else "", pattern.strip("/").split("/"), deadline):
            found.append(path)
            if len(found) > _MOST_MATCHES:
                raise TooMany(f"more than {_MOST_MATCHES} files match")
        return sorted(found)

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)


def _look(path: str, *, follow: bool) -> FileLook | None:
    try:
        found = os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return None
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "other")
    return FileLook(kind=kind, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)


def _matches(folder: str, parts: list[str], deadline: float) -> Iterator[str]:
    """What the parts of a pattern match below a folder, which is empty or ends with a slash; raises TooMany."""
    if time.monotonic() > deadline:
        raise TooMany(f"looking for files that match took more than {_GLOB_SECONDS:g} s")
    part, rest = parts[0], parts[1:]
    if not _WILD.search(part):
        if os.path.lexists(folder + part):
            yield from _matches(f"{folder}{part}/", rest, deadline) if rest else [folder + part]
        return
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return
    matching = [name for name in fnmatch.filter(names, part) if part.startswith(".") or not name.startswith(".")]
    for name in matching:
        if not rest:
            yield folder + name
        elif os.path.isdir(folder + name):
            yield from _matches(f"{folder}{name}/", rest, deadline)


def gather() -> Host:
    """This machine, now: two netlink dumps and the name services, a few milliseconds."""
    return Host(
        interfaces=_interfaces(),
        users={entry.pw_name: (entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()},
        groups={entry.gr_name: entry.gr_gid for entry in grp.getgrall()},
        name=socket.gethostname(),
        environment=dict(os.environ),
        cwd=os.getcwd(),
        uid=os.geteuid(),
        processors=os.sysconf("SC_NPROCESSORS_CONF"),
        seed=random.getrandbits(31),
        files=LocalFiles(),
    )


def _interfaces() -> dict[str, Interface]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        links = list(_links(netlink))
        addresses: dict[int, list[str]] = {}
        for index, text in _addresses(netlink):
            addresses.setdefault(index, []).append(text)
    return {link.name: msgspec.structs.replace(link, addresses=tuple(addresses.get(link.index, ()))) for link in links}


def _links(netlink: socket.socket) -> Iterator[Interface]:
    for body in _dump(netlink, _RTM_GETLINK, bytes(16)):
        index, flags = struct.unpack_from("=iI", body, 4)
        attributes = dict(_attributes(body, 16))
        kind = dict(_attributes(attributes.get(_IFLA_LINKINFO, b""), 0)).get(_IFLA_INFO_KIND, b"")
        yield Interface(
            name=attributes[_IFLA_IFNAME].rstrip(b"\0").decode(errors="surrogateescape"),
            index=index,
            flags=flags,
            mtu=int.from_bytes(attributes.get(_IFLA_MTU, b""), sys.byteorder),
            mac=attributes.get(_IFLA_ADDRESS, b"").hex(":"),
            kind=kind.rstrip(b"\0").decode(errors="replace"),
            vrf_table=_vrf_table(attributes.get(_IFLA_LINKINFO, b"")),
        )


def _vrf_table(link_info: bytes) -> int | None:
    found = dict(_attributes(link_info, 0))
    if found.get(_IFLA_INFO_KIND, b"").rstrip(b"\0") != b"vrf":
        return None
    data = dict(_attributes(found.get(_IFLA_INFO_DATA, b""), 0))
    return int.from_bytes(data.get(_IFLA_VRF_TABLE, b""), sys.byteorder) or None


def _addresses(netlink: socket.socket) -> Iterator[tuple[int, str]]:
    for body in _dump(netlink, _RTM_GETADDR, bytes(8)):
        prefix = body[1]
        (index,) = struct.unpack_from("=I", body, 4)
        attributes = dict(_attributes(body, 8))
        packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
        if packed is not None and len(packed) in (4, 16):
            yield index, f"{ipaddress.ip_address(packed)}/{prefix}"


def _dump(netlink: socket.socket, kind: int, body: bytes) -> Iterator[bytes]:
    """The body of each message that answers a dump request; raises OSError."""
    netlink.sendto(struct.pack("=IHHII", 16 + len(body), kind, _NLM_F_REQUEST_DUMP, kind, 0) + body, (0, 0))
    while True:
        data = netlink.recv(1 << 17)
        at = 0
        while at + 16 <= len(data):
            length, answer = struct.unpack_from("=IH", data, at)
            if answer == _NLMSG_DONE:
                return
            if answer == _NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", data, at + 16)
                raise OSError(-code, os.strerror(-code))
            yield data[at + 16 : at + length]
            at += (length + 3) & ~3


def _attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if length < 4:
            return
        yield kind & 0x3FFF, body[at + 4 : at + length]
        at += (length + 3) & ~3
