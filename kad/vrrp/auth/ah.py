"""AH around an advert as keepalived makes it: HMAC-MD5-96, the source address as SPI, one counter for both ways."""

from __future__ import annotations

import hmac
import struct

from kad.vrrp.advert import VRRP, Examined, Finding, with_findings

LENGTH = 24
"""Bytes of the header (RFC 2402 2)."""
HIGHEST = 0xFFFF_FFFF
_FIXED = struct.Struct("!BBHII")  # next header, payload length, reserved, SPI, sequence number
_PAYLOAD_LENGTH = 4
"""32-bit words of the header less two."""
_ICV_LENGTH = 12
_SOURCE = slice(12, 16)


class AuthenticationHeader:
    """The security association of one instance: its key, and the highest number that was sent or accepted."""

    __slots__ = ("_key", "_unicast", "sequence")

    def __init__(self, key: bytes, *, unicast: bool, sequence: int = 0) -> None:
        """key: the eight bytes of the password. unicast: the TTL may change on the way and is not covered."""
        self._key = key
        self._unicast = unicast
        self.sequence = sequence

    def advance(self) -> None:
        """The next advert; copies of it to several peers bear the same number. At one a second it lasts 136 years."""
        self.sequence = min(self.sequence + 1, HIGHEST)

    @property
    def identification(self) -> int:
        """Of the IP header: it is covered, so that the kernel may not choose it."""
        return self.sequence % 0xFFFF + 1

    def header(self, ip_header: bytes, body: bytes) -> bytes:
        """What stands between an IPv4 header, whose length and protocol count it in, and a VRRP message."""
        spi = int.from_bytes(ip_header[_SOURCE], "big")
        fixed = _FIXED.pack(VRRP, _PAYLOAD_LENGTH, 0, spi, self.sequence)
        return fixed + self._icv(ip_header, fixed, body)

    def judge(self, datagram: bytes, examined: Examined) -> Examined:
        """An IPv4 packet that was examined, with what its header says; one that is believed moves the counter."""
        if not examined.came_to(Finding.AH_NEXT_HEADER):
            return examined
        found = self._find(datagram)
        return examined if found is None else with_findings(examined, found)

    def _find(self, datagram: bytes) -> Finding | None:
        start = (datagram[0] & 0x0F) * 4
        next_header, _, _, spi, sequence = _FIXED.unpack_from(datagram, start)
        if next_header != VRRP:
            return Finding.AH_NEXT_HEADER
        ip_header, body = datagram[:start], datagram[start + LENGTH :]
        fixed, icv = datagram[start : start + _FIXED.size], datagram[start + _FIXED.size : start + LENGTH]
        if not hmac.compare_digest(icv, self._icv(ip_header, fixed, body)):
            return Finding.AH_ICV
        if spi != int.from_bytes(ip_header[_SOURCE], "big"):
            return Finding.AH_SPI
        if sequence <= self.sequence:
            return Finding.AH_SEQUENCE
        self.sequence = sequence
        return None

    def _icv(self, ip_header: bytes, fixed: bytes, body: bytes) -> bytes:
        """RFC 2402 3.3.3: what changes on the way counts as zero; keepalived covers the TTL of multicast."""
        covered = bytearray(ip_header)
        covered[1] = 0
        covered[6:8] = covered[10:12] = b"\0\0"
        if self._unicast:
            covered[8] = 0
        return hmac.digest(self._key, bytes(covered) + fixed + bytes(_ICV_LENGTH) + body, "md5")[:_ICV_LENGTH]
