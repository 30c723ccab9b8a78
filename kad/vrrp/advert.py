"""Bytes to Advertisement and back: the VRRP packet of RFC 3768 (version 2) and RFC 9568 (version 3), nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address

VRRP = 112
AUTHENTICATION_HEADER = 51
ADVERTISEMENT = 1
OWNER = 255
GIVING_UP = 0
LARGEST_INTERVAL_CENTISECONDS = 4095
IPV4_HEADER_LENGTH = 20
_VRRP_HEADER_LENGTH = 8
_AUTH_DATA_LENGTH = 8
_NO_AUTHENTICATION, _PASS, _AH = 0, 1, 2
_ETHERNET_PADDING_LIMIT = 46
"""An Ethernet frame is padded to 46 bytes of payload; a short packet may arrive that long."""


class Finding(Enum):
    """What is remarkable about a received packet, in the order in which keepalived looks; the value is its counter."""

    TRUNCATED = "packet_len_err"
    AH_UNEXPECTED = "authtype_mismatch"
    LENGTH = "packet_length"
    TTL = "ip_ttl_err"
    VERSION = "version_mismatch"
    AUTH_TYPE_INVALID = "invalid_authtype"
    AUTH_TYPE_DIFFERS = "authtype_differs"
    AUTH_FAILURE = "auth_failure"
    INTERVAL_DIFFERS = "advert_interval_err"
    TYPE = "invalid_type_rcvd"
    TOTAL_LENGTH = "total_length"
    INTERVAL_OTHER = "interval_other"
    CHECKSUM = "checksum_err"
    DESTINATION_KIND = "destination_kind"
    OWNER_IGNORES = "owner_ignores"
    ADDRESS_LIST = "addr_list_err"
    SOURCE_UNKNOWN = "source_unknown"


ACCEPTED_FINDINGS = frozenset({Finding.INTERVAL_OTHER, Finding.ADDRESS_LIST})
"""Said once, but the packet counts (keepalived accepts both)."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One decoded advert; addresses are packed network order, the interval is in seconds."""

    source: str
    version: int
    virtual_router_id: int
    priority: int
    interval: float
    addresses: tuple[bytes, ...]
    source_number: int
    """The source address as a number, by which equal priorities are decided (RFC 9568 6.4.3)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an instance demands of a packet."""

    version: int
    family: int
    interval: float
    auth_type: int
    auth_data: bytes
    addresses: frozenset[bytes]
    address_count: int
    unicast_peers: frozenset[str]
    check_source: bool
    peer_ttls: tuple[tuple[str, int, int], ...]
    checksum_as_v2: bool
    ignores_everything: bool


@dataclass(frozen=True, slots=True)
class Examined:
    """A packet with everything that was found about it."""

    advert: Advertisement | None
    findings: tuple[Finding, ...]
    uses_multicast_checksum: bool = False
    """A version 3 unicast packet whose checksum was made as if it were sent to 224.0.0.18."""

    @property
    def rejection(self) -> Finding | None:
        """Why the packet must not count; None when it counts."""
        return next((finding for finding in self.findings if finding not in ACCEPTED_FINDINGS), None)


def internet_checksum(data: bytes) -> int:
    """One's complement sum of 16-bit words (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def pass_data(password: str) -> bytes:
    """The eight bytes of a simple password (RFC 2338 5.3.6.1): cut, zero padded."""
    return password.encode()[:_AUTH_DATA_LENGTH].ljust(_AUTH_DATA_LENGTH, b"\0")


def build_v2(
    virtual_router_id: int,
    priority: int,
    addresses: tuple[bytes, ...],
    interval: float,
    auth_type: int = _NO_AUTHENTICATION,
    auth_data: bytes = bytes(_AUTH_DATA_LENGTH),
) -> bytes:
    """RFC 3768 5.1; interval in whole seconds, always eight bytes of authentication data at the end."""
    head = struct.pack("!BBBBBB", 0x21, virtual_router_id, priority, len(addresses), auth_type, round(interval))
    tail = b"".join(addresses) + (auth_data if auth_type == _PASS else bytes(_AUTH_DATA_LENGTH))
    return head + struct.pack("!H", internet_checksum(head + b"\0\0" + tail)) + tail


def build_v3(
    virtual_router_id: int,
    priority: int,
    addresses: tuple[bytes, ...],
    interval: float,
    pseudo_source: bytes = b"",
    pseudo_destination: bytes = b"",
) -> bytes:
    """RFC 9568 5.1; interval in seconds, sent as centiseconds; no pseudo header when the addresses are empty."""
    centiseconds = min(round(interval * 100), LARGEST_INTERVAL_CENTISECONDS)
    head = struct.pack("!BBBBH", 0x31, virtual_router_id, priority, len(addresses), centiseconds)
    tail = b"".join(addresses)
    message = head + b"\0\0" + tail
    pseudo = _pseudo_header(pseudo_source, pseudo_destination, len(message)) if pseudo_source else b""
    return head + struct.pack("!H", internet_checksum(pseudo + message)) + tail


def _pseudo_header(source: bytes, destination: bytes, length: int) -> bytes:
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, VRRP, length)
    return source + destination + struct.pack("!IHBB", length, 0, 0, VRRP)


def virtual_router_id_of(datagram: bytes, family: int) -> int | None:
    """The VRID of a received datagram (IPv4: with IP header), before anything is checked."""
    offset = 0
    if family == 4:
        if len(datagram) < IPV4_HEADER_LENGTH:
            return None
        offset = (datagram[0] & 0x0F) * 4 + (24 if datagram[9] == AUTHENTICATION_HEADER else 0)
    return datagram[offset + 1] if len(datagram) > offset + 1 else None


@lru_cache(maxsize=4096)
def _text(packed: bytes) -> str:
    return str(ip_address(packed))


def examine_ipv4(datagram: bytes, expected: Expectation) -> Examined:
    """Look at a whole IPv4 datagram; every finding is reported, in keepalived's order of checks."""
    if len(datagram) < IPV4_HEADER_LENGTH:
        return Examined(None, (Finding.TRUNCATED,))
    header_length = (datagram[0] & 0x0F) * 4
    total_length, ttl, protocol = struct.unpack_from("!H", datagram, 2)[0], datagram[8], datagram[9]
    source, destination = datagram[12:16], datagram[16:20]
    findings: list[Finding] = []
    if (protocol == AUTHENTICATION_HEADER) != (expected.auth_type == _AH):
        findings.append(Finding.AH_UNEXPECTED)
    if protocol == AUTHENTICATION_HEADER:
        header_length += 24
    message = datagram[header_length:]
    if header_length < IPV4_HEADER_LENGTH or len(message) < _VRRP_HEADER_LENGTH:
        return Examined(None, (*findings, Finding.TRUNCATED))
    kind, count = message[0] & 0x0F, message[3]
    version = message[0] >> 4
    length = _VRRP_HEADER_LENGTH + 4 * count + (_AUTH_DATA_LENGTH if expected.version == 2 else 0)
    padding = len(message) - length
    # RFC 9568 5.2.5: version 3 without any address is no advertisement.
    none_at_all = expected.version == 3 and not count
    if padding < 0 or none_at_all or (padding and len(datagram) > _ETHERNET_PADDING_LIMIT):
        findings.append(Finding.LENGTH)
    multicast = 224 <= destination[0] <= 239
    if multicast and ttl != 255:
        findings.append(Finding.TTL)
    if version != expected.version:
        findings.append(Finding.VERSION)
    if expected.version == 2:
        findings += _examine_v2_fields(message, length, expected)
        interval = float(message[5])
    else:
        interval = (struct.unpack_from("!H", message, 4)[0] & 0x0FFF) / 100
        if not interval:
            # Erratum 8301 of RFC 9568: learned, it would make every master dead at once.
            findings.append(Finding.INTERVAL_DIFFERS)
    if kind != ADVERTISEMENT:
        findings.append(Finding.TYPE)
    if total_length > len(datagram) or (total_length < len(datagram) and len(datagram) > _ETHERNET_PADDING_LIMIT):
        findings.append(Finding.TOTAL_LENGTH)
    if expected.version == 3 and interval != expected.interval:
        findings.append(Finding.INTERVAL_OTHER)
    checksum_fine, as_multicast = _checksum_ipv4(message[:length], source, destination, expected)
    if not checksum_fine:
        findings.append(Finding.CHECKSUM)
    if multicast == bool(expected.unicast_peers):
        findings.append(Finding.DESTINATION_KIND)
    if expected.ignores_everything:
        findings.append(Finding.OWNER_IGNORES)
    addresses = tuple(message[at : at + 4] for at in range(_VRRP_HEADER_LENGTH, _VRRP_HEADER_LENGTH + 4 * count, 4))
    if count != expected.address_count or not expected.addresses.issuperset(addresses):
        findings.append(Finding.ADDRESS_LIST)
    text = _text(source)
    if expected.unicast_peers and not _source_fits(text, ttl, expected):
        findings.append(Finding.SOURCE_UNKNOWN)
    advert = Advertisement(text, version, message[1], message[2], interval, addresses, int.from_bytes(source))
    return Examined(advert, tuple(findings), as_multicast)


def _examine_v2_fields(message: bytes, length: int, expected: Expectation) -> list[Finding]:
    findings = []
    auth_type = message[4]
    if auth_type not in (_NO_AUTHENTICATION, _PASS, _AH):
        findings.append(Finding.AUTH_TYPE_INVALID)
    elif auth_type != expected.auth_type:
        findings.append(Finding.AUTH_TYPE_DIFFERS)
    elif auth_type == _PASS and message[length - _AUTH_DATA_LENGTH : length] != expected.auth_data:
        findings.append(Finding.AUTH_FAILURE)
    if message[5] != round(expected.interval):
        findings.append(Finding.INTERVAL_DIFFERS)
    return findings


_OLD_UNICAST_DESTINATION = bytes([224, 0, 0, 18])


def _checksum_ipv4(message: bytes, source: bytes, destination: bytes, expected: Expectation) -> tuple[bool, bool]:
    """Whether the checksum is right, and whether only with the destination that old peers put in for unicast."""
    if expected.version == 2:
        return internet_checksum(message) == 0, False
    if expected.checksum_as_v2 and internet_checksum(message) == 0:
        return True, False
    if internet_checksum(_pseudo_header(source, destination, len(message)) + message) == 0:
        return True, False
    as_multicast = bool(expected.unicast_peers) and (
        internet_checksum(_pseudo_header(source, _OLD_UNICAST_DESTINATION, len(message)) + message) == 0
    )
    return as_multicast, as_multicast


def _source_fits(source: str, ttl: int, expected: Expectation) -> bool:
    for peer, lowest, highest in expected.peer_ttls:
        if peer == source:
            return lowest <= ttl <= highest
    return source in expected.unicast_peers or not expected.check_source
