"""Unsolicited neighbour advertisement (RFC 4861 §4.4, §7.2.6) as a frame: pure."""

from __future__ import annotations

import socket
import struct

from kad.linux.sockets.ip_header import ipv6_header
from kad.shared.checksum import internet_checksum

_ALL_NODES = "ff02::1"
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ETHERTYPE_IPV6 = b"\x86\xdd"
_ICMPV6 = 58
_HOP_LIMIT = 255
_ROUTER, _OVERRIDE = 0x80000000, 0x20000000
_ADVERTISEMENT = struct.Struct("!BBHI16sBB6s")
_NEIGHBOUR_ADVERTISEMENT, _TARGET_LINK_LAYER_ADDRESS = 136, 2
_PSEUDO_HEADER = struct.Struct("!16s16sI3xB")


def unsolicited_advertisement(mac: bytes, address: str, *, router: bool = False) -> bytes:
    """From `address` to all nodes, with Override; `router` when the interface forwards."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    flags = _OVERRIDE | (_ROUTER if router else 0)

    def advertisement(checksum: int) -> bytes:
        return _ADVERTISEMENT.pack(
            _NEIGHBOUR_ADVERTISEMENT, 0, checksum, flags, packed, _TARGET_LINK_LAYER_ADDRESS, 1, mac
        )

    size = _ADVERTISEMENT.size
    pseudo_header = _PSEUDO_HEADER.pack(packed, socket.inet_pton(socket.AF_INET6, _ALL_NODES), size, _ICMPV6)
    checksum = internet_checksum(pseudo_header + advertisement(0))
    header = ipv6_header(address, _ALL_NODES, size, _HOP_LIMIT, _ICMPV6, traffic_class=0)
    return _ALL_NODES_MAC + mac + _ETHERTYPE_IPV6 + header + advertisement(checksum)
