"""Bytes to Advertisement and back: the VRRP packet of RFC 3768 (version 2) and RFC 9568 (version 3), nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from kad.shared.checksum import internet_checksum

VRRP = 112
AUTHENTICATION_HEADER = 51
ADVERTISEMENT = 1
GIVING_UP = 0
LARGEST_INTERVAL_CENTISECONDS = 4095
IPV4_HEADER_LENGTH = 20
IPV6_HEADER_LENGTH = 40
OLD_UNICAST_DESTINATION = bytes([224, 0, 0, 18])
"""What old peers put into the pseudo header of unicast adverts (version 3)."""
_AUTHENTICATION_HEADER_LENGTH = 24
_VRRP_HEADER_LENGTH = 8
_AUTH_DATA_LENGTH = 8
TRAILER_LENGTH = 28
"""Bytes of authentication that may stand behind a message."""
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
    EXTENSION_MISSING = "auth_ext_missing"
    EXTENSION_ABSENT = "auth_ext_absent"
    EXTENSION_MALFORMED = "auth_ext_malformed"
    EXTENSION_STALE = "auth_ext_stale"
    EXTENSION_UNKNOWN_KEY = "auth_ext_unknown_key"
    EXTENSION_INVALID = "auth_ext_invalid_hmac"
    EXTENSION_REPLAY = "auth_ext_replay"
    EXTENSION_SKEW = "auth_ext_clock_skew"
    AUTH_TYPE_INVALID = "invalid_authtype"
    AUTH_TYPE_DIFFERS = "authtype_differs"
    AUTH_FAILURE = "auth_failure"
    AH_NEXT_HEADER = "ah_next_header"
    AH_ICV = "ah_icv"
    AH_SPI = "ah_spi"
    AH_SEQUENCE = "ah_sequence"
    INTERVAL_DIFFERS = "advert_interval_err"
    TYPE = "invalid_type_rcvd"
    TOTAL_LENGTH = "total_length"
    INTERVAL_OTHER = "interval_other"
    CHECKSUM = "checksum_err"
    DESTINATION_KIND = "destination_kind"
    OTHER_GROUP = "other_group"
    OWNER_IGNORES = "owner_ignores"
    ADDRESS_LIST = "addr_list_err"
    SOURCE_UNKNOWN = "source_unknown"
    SOURCE_NO_PEER = "source_no_peer"
    PEER_TTL = "peer_ttl"


class Checksum(Enum):
    """What a checksum covers, in the words of the log."""

    MESSAGE = "the message alone (RFC 9568)"
    PSEUDO_HEADER = "a pseudo header too"
    OLD_UNICAST = "a pseudo header with 224.0.0.18 instead of its destination"


ACCEPTED_FINDINGS = frozenset(
    {
        Finding.EXTENSION_ABSENT,
        Finding.EXTENSION_SKEW,
        Finding.INTERVAL_OTHER,
        Finding.ADDRESS_LIST,
        Finding.SOURCE_NO_PEER,
    }
)
"""Said once, but the packet counts (keepalived accepts them too)."""
_ORDER = {finding: place for place, finding in enumerate(Finding)}


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
    ignores_everything: bool
    multicast_group: bytes
    hmac: bool = False
    """A trailer may stand behind the message (keepalived's auth_hmac)."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A packet with everything that was found about it."""

    advert: Advertisement | None
    findings: tuple[Finding, ...]
    checksum: Checksum | None = None
    """By which rule the checksum is right."""
    message: bytes = b""
    """What the packet says of VRRP, without what pads it."""
    trailer: bytes = b""
    """The authentication behind the message; empty where there is none."""

    @property
    def rejection(self) -> Finding | None:
        """Why the packet must not count; None when it counts."""
        return next((finding for finding in self.findings if finding not in ACCEPTED_FINDINGS), None)

    def came_to(self, finding: Finding) -> bool:
        """Nothing that is looked at before this one spoils the packet."""
        return self.advert is not None and (self.rejection is None or _ORDER[self.rejection] > _ORDER[finding])


def with_findings(examined: Examined, *found: Finding) -> Examined:
    """The packet with more that is remarkable about it, in the order of the checks."""
    findings = sorted({*examined.findings, *found}, key=_ORDER.__getitem__)
    return replace(examined, findings=tuple(findings))


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
    pseudo = pseudo_header(pseudo_source, pseudo_destination, len(message)) if pseudo_source else b""
    return head + struct.pack("!H", internet_checksum(pseudo + message)) + tail


def pseudo_header(source: bytes, destination: bytes, length: int) -> bytes:
    """What the checksum of version 3 covers before a message of that many bytes (RFC 9568 5.2.8)."""
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, VRRP, length)
    return source + destination + struct.pack("!IHBB", length, 0, 0, VRRP)


def virtual_router_id_of(datagram: bytes, family: int) -> int | None:
    """The VRID of a received datagram with its IP header, before anything is checked."""
    if len(datagram) < IPV4_HEADER_LENGTH:
        return None
    offset = IPV6_HEADER_LENGTH
    if family == 4:
        offset = (datagram[0] & 0x0F) * 4
        offset += _AUTHENTICATION_HEADER_LENGTH if datagram[9] == AUTHENTICATION_HEADER else 0
    return datagram[offset + 1] if len(datagram) > offset + 1 else None


@lru_cache(maxsize=4096)
def address_text(packed: bytes) -> str:
    """Of an address in network order."""
    return str(ip_address(packed))


class _Parcel(NamedTuple):
    """A datagram taken apart; `message` is what follows its IP and authentication headers."""

    source: bytes
    destination: bytes
    ttl: int
    authenticated: bool
    message: bytes
    may_be_padded: bool
    total_length_fits: bool

    @property
    def multicast(self) -> bool:
        first = self.destination[0]
        return 224 <= first <= 239 if len(self.destination) == 4 else first == 0xFF


def _open_ipv4(datagram: bytes) -> _Parcel | None:
    if len(datagram) < IPV4_HEADER_LENGTH:
        return None
    header_length = (datagram[0] & 0x0F) * 4
    authenticated = datagram[9] == AUTHENTICATION_HEADER
    if header_length < IPV4_HEADER_LENGTH:
        return None
    (total_length,) = struct.unpack_from("!H", datagram, 2)
    small = len(datagram) <= _ETHERNET_PADDING_LIMIT
    return _Parcel(
        source=datagram[12:16],
        destination=datagram[16:20],
        ttl=datagram[8],
        authenticated=authenticated,
        message=datagram[header_length + (_AUTHENTICATION_HEADER_LENGTH if authenticated else 0) :],
        may_be_padded=small,
        total_length_fits=total_length == len(datagram) or (total_length < len(datagram) and small),
    )


def _open_ipv6(datagram: bytes) -> _Parcel | None:
    """The kernel has cut off whatever the length in the header does not cover."""
    if len(datagram) < IPV6_HEADER_LENGTH:
        return None
    return _Parcel(
        source=datagram[8:24],
        destination=datagram[24:40],
        ttl=datagram[7],
        authenticated=False,
        message=datagram[IPV6_HEADER_LENGTH:],
        may_be_padded=False,
        total_length_fits=True,
    )


def examine(datagram: bytes, expected: Expectation) -> Examined:
    """Look at a whole datagram with its IP header; every finding is reported, in keepalived's order of checks."""
    parcel = _open_ipv4(datagram) if expected.family == 4 else _open_ipv6(datagram)
    if parcel is None:
        return Examined(None, (Finding.TRUNCATED,))
    message = parcel.message
    findings: list[Finding] = []
    if parcel.authenticated != (expected.auth_type == _AH):
        findings.append(Finding.AH_UNEXPECTED)
    if len(message) < _VRRP_HEADER_LENGTH:
        return Examined(None, (*findings, Finding.TRUNCATED))
    kind, count = message[0] & 0x0F, message[3]
    version = message[0] >> 4
    size = 4 if expected.family == 4 else 16
    end_of_addresses = _VRRP_HEADER_LENGTH + size * count
    length = end_of_addresses + (_AUTH_DATA_LENGTH if expected.version == 2 else 0)
    padding = len(message) - length
    trailer = message[length:] if expected.hmac and padding == TRAILER_LENGTH else b""
    padding -= len(trailer)
    # RFC 9568 5.2.5: version 3 without any address is no advertisement.
    none_at_all = expected.version == 3 and not count
    if padding < 0 or none_at_all or (padding and not parcel.may_be_padded):
        findings.append(Finding.LENGTH)
    if parcel.multicast and parcel.ttl != 255:
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
    if not parcel.total_length_fits:
        findings.append(Finding.TOTAL_LENGTH)
    if expected.version == 3 and interval != expected.interval:
        findings.append(Finding.INTERVAL_OTHER)
    # IPv6 counts whatever follows its header.
    covered = message[:length] if expected.family == 4 else message[: length + len(trailer)]
    checksum = _rule_of_checksum(covered, parcel, expected)
    if checksum is None:
        findings.append(Finding.CHECKSUM)
    if parcel.multicast == bool(expected.unicast_peers):
        findings.append(Finding.DESTINATION_KIND)
    elif parcel.multicast and parcel.destination != expected.multicast_group:
        findings.append(Finding.OTHER_GROUP)
    if expected.ignores_everything:
        findings.append(Finding.OWNER_IGNORES)
    addresses = tuple(message[at : at + size] for at in range(_VRRP_HEADER_LENGTH, end_of_addresses, size))
    if count != expected.address_count or not expected.addresses.issuperset(addresses):
        findings.append(Finding.ADDRESS_LIST)
    source = address_text(parcel.source)
    if expected.unicast_peers:
        findings += _examine_source(source, parcel.ttl, expected)
    number = int.from_bytes(parcel.source)
    advert = Advertisement(source, version, message[1], message[2], interval, addresses, number)
    return Examined(advert, tuple(findings), checksum, message[:length], trailer)


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


def _rule_of_checksum(message: bytes, parcel: _Parcel, expected: Expectation) -> Checksum | None:
    """By which rule the checksum is right; None: by none."""
    if expected.version == 2:
        return Checksum.MESSAGE if internet_checksum(message) == 0 else None
    source, length = parcel.source, len(message)
    if internet_checksum(pseudo_header(source, parcel.destination, length) + message) == 0:
        return Checksum.PSEUDO_HEADER
    if expected.family == 6:
        return None
    if internet_checksum(message) == 0:
        return Checksum.MESSAGE
    old = pseudo_header(source, OLD_UNICAST_DESTINATION, length)
    if expected.unicast_peers and internet_checksum(old + message) == 0:
        return Checksum.OLD_UNICAST
    return None


def _examine_source(source: str, ttl: int, expected: Expectation) -> list[Finding]:
    for peer, lowest, highest in expected.peer_ttls:
        if peer == source:
            return [] if lowest <= ttl <= highest else [Finding.PEER_TTL]
    if source in expected.unicast_peers:
        return []
    return [Finding.SOURCE_UNKNOWN if expected.check_source else Finding.SOURCE_NO_PEER]
