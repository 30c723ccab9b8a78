"""VRRP datagrams as a stranger would build them: each field may be wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address

from kad.vrrp.advert import Expectation
from kad.vrrp.advert_rules import expectation
from tests.unit.vrrp.samples import VIP_BYTES, instance, instance_v6

V2_PASS = bytes.fromhex("2133640101" + "01aa52" + "0a4d0064" + "6162636400000000")
"""VRID 51, priority 100, PASS abcd, 10.77.0.100, 1 s: as keepalived sent it."""
V3 = bytes.fromhex("31346401" + "00197522" + "0a4d0065")
"""VRID 52, priority 100, 0.25 s, 10.77.0.101, from 10.77.0.1 to 224.0.0.18: as keepalived sent it."""


def one_complement(data: bytes) -> int:
    """RFC 1071, by the book: word by word, the carry added at once."""
    total = 0
    for high, low in zip(data[0::2], data[1::2] + b"\0" * (len(data) % 2), strict=True):
        total += high << 8 | low
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@dataclass(frozen=True)
class Packet:
    """Version 2 from 10.77.0.2 to 224.0.0.18 unless said otherwise; what is None is made right.

    The family is that of the source.
    """

    version: int = 2
    kind: int = 1
    virtual_router_id: int = 51
    priority: int = 100
    addresses: tuple[bytes, ...] = (VIP_BYTES,)
    count: int | None = None
    auth_type: int = 0
    auth_data: bytes = bytes(8)
    interval: int = 1
    """Version 2: seconds; 3: centiseconds."""
    reserved: int = 0
    checksum: int | None = None
    pseudo_destination: str | None = None
    """Version 3: what the pseudo header says; None: the destination; empty: no pseudo header."""
    source: str = "10.77.0.2"
    destination: str = "224.0.0.18"
    ttl: int = 255
    protocol: int = 112
    total_length: int | None = None
    padding: bytes = b""
    cut: int = 0
    """Bytes that were lost at the end."""

    @property
    def message(self) -> bytes:
        count = len(self.addresses) if self.count is None else self.count
        head = struct.pack("!BBBB", self.version << 4 | self.kind, self.virtual_router_id, self.priority, count)
        if self.version == 2:
            head += struct.pack("!BB", self.auth_type, self.interval)
        else:
            head += struct.pack("!H", self.reserved << 12 | self.interval)
        tail = b"".join(self.addresses) + (self.auth_data if self.version == 2 else b"")
        checksum = self.checksum
        if checksum is None:
            checksum = one_complement(self._pseudo_header(len(head) + 2 + len(tail)) + head + b"\0\0" + tail)
        return head + struct.pack("!H", checksum) + tail

    def _pseudo_header(self, length: int) -> bytes:
        if self.version == 2 or self.pseudo_destination == "":
            return b""
        ends = ip_address(self.source).packed + ip_address(self.pseudo_destination or self.destination).packed
        if len(ends) == 32:
            return ends + struct.pack("!II", length, 112)
        return ends + struct.pack("!BBH", 0, 112, length)

    @property
    def datagram(self) -> bytes:
        body = self.message
        if ":" in self.source:
            header = struct.pack("!IHBB", 0x6C000000, len(body) - self.cut, self.protocol, self.ttl)
            whole = header + ip_address(self.source).packed + ip_address(self.destination).packed + body
            return whole[: len(whole) - self.cut] + self.padding
        if self.protocol == 51:
            body = struct.pack("!BBHII12s", 112, 4, 0, int(ip_address(self.source)), 1, bytes(12)) + body
        length = 20 + len(body) if self.total_length is None else self.total_length
        header = struct.pack("!BBHHHBBH", 0x45, 0xC0, length, 1, 0, self.ttl, self.protocol, 0)
        whole = header + ip_address(self.source).packed + ip_address(self.destination).packed + body
        return whole[: len(whole) - self.cut] + self.padding


def v3(**changes: object) -> Packet:
    """Version 3 with an advert each second."""
    fields: dict[str, object] = {"version": 3, "interval": 100}
    return replace(Packet(), **(fields | changes))  # type: ignore[arg-type]


LINK_LOCAL_VIP, GLOBAL_VIP = ip_address("fe80::100").packed, ip_address("2001:db8::100").packed


def v6(**changes: object) -> Packet:
    """Version 3 over IPv6: fe80::100 and 2001:db8::100, from fe80::2 to ff02::12, an advert each second."""
    fields: dict[str, object] = {"source": "fe80::2", "destination": "ff02::12"}
    return v3(**(fields | {"addresses": (LINK_LOCAL_VIP, GLOBAL_VIP)} | changes))


def expecting_v6(effective_priority: int = 100, **changes: object) -> Expectation:
    """What the IPv6 instance of `samples`, changed so, demands."""
    return expectation(instance_v6(**changes), effective_priority)


def expecting(effective_priority: int = 100, **changes: object) -> Expectation:
    """What the instance of `samples`, changed so, demands."""
    return expectation(instance(**changes), effective_priority)
