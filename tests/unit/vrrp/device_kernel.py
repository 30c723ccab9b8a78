"""A kernel that makes macvlans as Linux does, refuses what it is told to refuse, and tells of every change."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

import msgspec
import pytest

from kad.linux.files import temporary_sysctls
from kad.linux.netlink.address import parse_address
from kad.linux.netlink.link import Elsewhere, Link
from kad.linux.netlink.network_table import AddressChanged, LinkChanged
from kad.linux.netlink.nftables import NftablesMonitor
from kad.linux.netlink.socket import Message, attributes
from kad.linux.refused import Refused
from kad.linux.sockets.sendmmsg import Datagram, Unsent
from kad.vrrp.process.kernel import firewall, virtual_interfaces
from kad.vrrp.process.wire import advert_sockets
from tests.unit.vrrp.clockwork import Frames, House, Network, Segment

NEWLINK, DELLINK, NEWADDR, DELADDR = 16, 17, 20, 21
ROUTING = {24: "route", 25: "-route", 32: "rule", 33: "-rule"}
CREATE = 0x400


class DeviceKernel(Network):
    """The links and addresses of one namespace."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        """Interfaces that were made."""
        self.refusing: Callable[[str], int] = lambda call: 0
        """The errno with which a call is refused, 0 for none: make, up, rename, alias, unmake, address, -address,
        route, -route, rule, -rule, sysctl, nftables, socket, source, send, announce."""
        self.refusing_of: dict[str, int] = {}
        """The errno with which an address is refused."""
        self.as_made: Callable[[Link], Link] = lambda link: link
        """What becomes of an interface that is made."""
        self.renames_live = True
        self.settings: dict[str, str] = {}
        self._next = 100

    def request(self, batch: list[bytes]) -> list[int]:
        self.asked.append(list(batch))
        return [self._do(message) for message in batch]

    def change(self, old: Link | None, new: Link | None) -> None:
        """An interface comes, changes or goes, with its addresses."""
        if old is not None:
            del self.by_name[old.name]
        if new is not None:
            self.by_name[new.name] = new
        elif old is not None:
            self.changes += [AddressChanged(each, gone=True) for each in self.held.pop(old.index, [])]
        self.changes.append(LinkChanged(old, new))

    def _do(self, message: bytes) -> int:
        kind, flags = struct.unpack_from("=HH", message, 4)
        if kind in (NEWADDR, DELADDR):
            return self._address(message, kind)
        if kind in ROUTING:
            return self.refusing(ROUTING[kind])
        if kind not in (NEWLINK, DELLINK):
            return 0
        index, up, change = struct.unpack_from("=iII", message, 20)
        found = attributes(message[32:])
        if kind == DELLINK:
            return self._delete(index, found)
        if flags & CREATE:
            return self.refusing("make") or self._make(found)
        link = self.link_at(index)
        if link is None:
            return errno.ENODEV
        if change & 1:
            return self.refusing("up") or self._switch(link, bool(up & 1))
        if 3 in found:
            return self.refusing("rename") or self._rename(link, found[3].rstrip(b"\0").decode())
        if 20 in found:
            if refusal := self.refusing("alias"):
                return refusal
            self.change(link, msgspec.structs.replace(link, alias=found[20].rstrip(b"\0").decode()))
        if 27 in found:
            self.change(link, msgspec.structs.replace(link, group=_number(found[27])))
        return 0

    def _make(self, found: dict[int, bytes]) -> int:
        name = found[3].rstrip(b"\0").decode()
        if name in self.by_name:
            return errno.EEXIST
        base = self.link_at(_number(found[5]))
        assert base is not None
        info = attributes(found[18])
        kind = info[1].rstrip(b"\0").decode()
        lower: tuple[int, Elsewhere | None] = (base.index, None)
        if base.kind == kind:
            lower = (base.lower, base.lower_elsewhere)
        self._next += 1
        self.made += 1
        self.takes()
        link = Link(
            index=self._next,
            name=name,
            flags=0x1002,
            up=False,
            enabled=False,
            arp=True,
            loopback=False,
            hardware=1,
            mac=found.get(1, base.mac),
            mtu=1500,
            kind=kind,
            master=0,
            lower=lower[0],
            lower_elsewhere=lower[1],
            mode=1 if kind == "macvlan" else 0,
            group=_number(found[27]),
        )
        self.change(None, self.as_made(link))
        return 0

    def _switch(self, link: Link, on: bool) -> int:
        rivals = (
            each
            for each in self.links()
            if each.kind == link.kind == "macvlan" and each.enabled and each.index != link.index
        )
        where = (link.mac, link.lower, link.lower_elsewhere)
        if on and any((each.mac, each.lower, each.lower_elsewhere) == where for each in rivals):
            return errno.EADDRINUSE
        self.change(link, msgspec.structs.replace(link, up=on, enabled=on, flags=0x1043 if on else 0x1002))
        return 0

    def _rename(self, link: Link, name: str) -> int:
        if name in self.by_name:
            return errno.EEXIST
        if link.enabled and not self.renames_live:
            return errno.EBUSY
        self.change(link, msgspec.structs.replace(link, name=name))
        return 0

    def _delete(self, index: int, found: dict[int, bytes]) -> int:
        if refusal := self.refusing("unmake"):
            return refusal
        group = _number(found[27]) if 27 in found else None
        gone = [each for each in self.links() if each.index == index or (group is not None and each.group == group)]
        for link in gone:
            self.change(link, None)
        return 0 if gone else errno.ENODEV

    def _address(self, message: bytes, kind: int) -> int:
        parsed = parse_address(Message(kind, 0, 0, message[16:]))
        assert parsed is not None
        address, gone = parsed
        if not gone and address.address in self.refusing_of:
            return self.refusing_of[address.address]
        if refusal := self.refusing("-address" if gone else "address"):
            return refusal
        if self.link_at(address.index) is None:
            return errno.ENODEV
        held = self.held.setdefault(address.index, [])
        (known,) = [each for each in held if each.address == address.address] or [None]
        if gone:
            if known is None:
                return errno.EADDRNOTAVAIL
            held.remove(known)
        elif known is not None:
            return errno.EEXIST
        else:
            held.append(address)
        self.changes.append(AddressChanged(known or address, gone=gone))
        return 0

    # what is not rtnetlink

    def setting(self, family: int, interface: str, name: str) -> str:
        if interface not in ("all", "default") and interface not in self.by_name:
            raise Refused(f"reading {name} of {interface}", errno.ENOENT)
        return self.settings.get(f"{family}/{interface}/{name}", "0")

    def set_setting(self, family: int, interface: str, name: str, value: str) -> None:
        if refusal := self.refusing("sysctl"):
            raise Refused(f"writing {name} of {interface}", refusal)
        self.settings[f"{family}/{interface}/{name}"] = value


def _number(payload: bytes) -> int:
    return int.from_bytes(payload, "little")


class DeviceHouse(House):
    """A House whose kernel makes interfaces; nothing of it touches this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel = kernel = DeviceKernel()
        super().__init__(monkeypatch, kernel)

        class RefusedSegment(Segment):
            def __init__(self, link: Link, family: int, *, ah: bool = False, receive_buffer: int = 0) -> None:
                if refusal := kernel.refusing("socket"):
                    raise Refused(f"socket on {link.name}", refusal)
                super().__init__(link, family, ah=ah, receive_buffer=receive_buffer)

            def speak_as(self, source: str) -> None:
                if refusal := kernel.refusing("source"):
                    raise Refused(f"address of {self.link.name}", refusal)

            def flush(self) -> list[Unsent]:
                super().flush()
                sent, self.sent = self.sent, []
                if sent and (refusal := kernel.refusing("send")):
                    return [Unsent(0, refusal)]
                self.sent = sent
                return []

        class RefusedFrames(Frames):
            def send(self, frames: list[Datagram]) -> list[Unsent]:
                if refusal := kernel.refusing("announce"):
                    return [Unsent(place, refusal) for place in range(len(frames))]
                return super().send(frames)

        monkeypatch.setattr(advert_sockets, "Segment", RefusedSegment)
        self.frames.__class__ = RefusedFrames
        for module in (temporary_sysctls, virtual_interfaces):
            monkeypatch.setattr(module, "interface_setting", kernel.setting, raising=False)
            monkeypatch.setattr(module, "set_interface_setting", kernel.set_setting)

        class Nftables:
            port = 1

            def commit(self, requests: list[bytes]) -> None:
                if refusal := kernel.refusing("nftables"):
                    raise Refused("nftables", refusal)

        class Monitor(NftablesMonitor):
            def __init__(self, port: int) -> None:
                pass

            def fileno(self) -> int:
                return 996

            def close(self) -> None:
                pass

        monkeypatch.setattr(firewall, "Nftables", Nftables)
        monkeypatch.setattr(firewall, "NftablesMonitor", Monitor)

    def read(self) -> None:
        """The process reads what the kernel told."""
        self.mux.watched[self.network.fileno()]()
