"""Internet headers and their checksum as bytes: pure."""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

INTERNETWORK_CONTROL = 0xC0
"""TOS and traffic class of VRRP: precedence 6."""

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")


def internet_checksum(data: bytes) -> int:
    """One's complement of the one's complement sum of 16-bit words (RFC 1071); 0 over data that holds a right one."""
    if len(data) % 2:
        data += b"\0"
    # 65536 is 1 modulo 65535, so the number that the bytes spell is congruent to the sum of its words.
    total = int.from_bytes(data, "big")
    remainder = total % 0xFFFF
    if remainder == 0 and total:
        remainder = 0xFFFF
    return 0xFFFF - remainder


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
