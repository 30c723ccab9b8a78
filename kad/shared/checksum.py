"""The Internet checksum of IPv4, ICMP and VRRP."""

from __future__ import annotations


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
