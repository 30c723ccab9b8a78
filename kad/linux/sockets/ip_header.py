"""Internet headers and their checksum as bytes: pure."""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

from kad.shared.checksum import internet_checksum

INTERNETWORK_CONTROL = 0xC0
"""TOS and traffic class of VRRP: precedence 6."""

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")


@lru_cache(maxsize=1024)
def ipv4_header(
    source: str, destination: str, payload_length: int, ttl: int, identification: int, protocol: int = 112
) -> bytes:
    """Twenty bytes, unfragmented, with checksum. The kernel chooses an identification where it is 0."""
    fields = (
        0x45,
        INTERNETWORK_CONTROL,
        _IPV4.size + payload_length,
        identification,
        0,
        ttl,
        protocol,
    )
    ends = (socket.inet_pton(socket.AF_INET, source), socket.inet_pton(socket.AF_INET, destination))
    checksum = internet_checksum(_IPV4.pack(*fields, 0, *ends))
    return _IPV4.pack(*fields, checksum, *ends)


@lru_cache(maxsize=1024)
def ipv6_header(
    source: str,
    destination: str,
    payload_length: int,
    hop_limit: int,
    next_header: int = 112,
    traffic_class: int = INTERNETWORK_CONTROL,
) -> bytes:
    """Forty bytes, flow label 0."""
    return _IPV6.pack(
        6 << 28 | traffic_class << 20,
        payload_length,
        next_header,
        hop_limit,
        socket.inet_pton(socket.AF_INET6, source),
        socket.inet_pton(socket.AF_INET6, destination),
    )
