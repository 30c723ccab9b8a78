"""Gratuitous ARP as a frame: pure."""

from __future__ import annotations

import socket
import struct

_BROADCAST = b"\xff" * 6
_ETHERTYPE_ARP = b"\x08\x06"
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET, _IPV4, _REQUEST = 1, 0x0800, 1


def gratuitous_arp(mac: bytes, address: str) -> bytes:
    """A broadcast request (RFC 5227 announcement), sender and target both `address`, target hardware broadcast.

    The broadcast as target hardware address is what keepalived sends.
    """
    packed = socket.inet_pton(socket.AF_INET, address)
    request = _ARP.pack(_ETHERNET, _IPV4, 6, 4, _REQUEST, mac, packed, _BROADCAST, packed)
    return _BROADCAST + mac + _ETHERTYPE_ARP + request
