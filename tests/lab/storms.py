"""Frames of which a host sends many thousands a second: what each kind of storm is made of."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from tests.lab import rubbish

VIP = "10.77.0.100"
MASTER, BACKUP, STRANGER = "10.77.0.1", "10.77.0.2", "10.77.0.66"
PASSWORD = "secret12"
MULTICAST, UNICAST = 51, 53
"""Virtual router identifiers."""
DISTINCT = 3000
"""Frames; then they are repeated."""


class Target(NamedTuple):
    """Who is to receive a storm."""

    mac: bytes
    """Of the MASTER."""


Frame: TypeAlias = Callable[[int, Target], bytes]
"""One frame of a storm, by its number."""


def mac_of(number: int) -> bytes:
    return b"\x02\x00\x77" + number.to_bytes(3)


def source_of(number: int) -> str:
    return f"10.77.{1 + number % 200}.{1 + number // 200 % 250}"


def ethernet(destination: bytes, number: int, packet: bytes, kind: int = 0x0800) -> bytes:
    return destination + mac_of(number) + struct.pack("!H", kind) + packet


def datagram(
    payload: bytes,
    source: str,
    destination: str,
    *,
    protocol: int = 112,
    ttl: int = 255,
    identifier: int = 1,
    fragment: int = 0,
) -> bytes:
    """An IPv4 packet; `fragment` is the word with the flags and the offset."""
    start = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(payload), identifier, fragment, ttl, protocol, 0)
    header = start + socket.inet_aton(source) + socket.inet_aton(destination)
    return header[:10] + struct.pack("!H", rubbish.checksum(header)) + header[12:] + payload


def advert(*, vrid: int = MULTICAST, priority: int = 254, password: str = PASSWORD, address: str = VIP) -> bytes:
    """A right advertisement of version 2 that beats every other router."""
    head = struct.pack("!BBBBBBH", 0x21, vrid, priority, 1, 1, 1, 0)
    body = socket.inet_aton(address) + password.encode().ljust(8, b"\0")
    return head[:6] + struct.pack("!H", rubbish.checksum(head + body)) + body


def to_group(number: int, packet: bytes) -> bytes:
    return ethernet(bytes.fromhex("01005e000012"), number, packet)


def bad_checksum(number: int, target: Target) -> bytes:
    right = bytearray(advert())
    right[6] ^= 1 + number % 255
    return to_group(number, datagram(bytes(right), source_of(number), rubbish.GROUP))


def unknown_router(number: int, target: Target) -> bytes:
    return to_group(number, datagram(advert(vrid=100 + number % 150), source_of(number), rubbish.GROUP))


def wrong_password(number: int, target: Target) -> bytes:
    return to_group(number, datagram(advert(password=f"no{number:06}"), source_of(number), rubbish.GROUP))


def bad_ttl(number: int, target: Target) -> bytes:
    return to_group(number, datagram(advert(), source_of(number), rubbish.GROUP, ttl=number % 255))


def truncated(number: int, target: Target) -> bytes:
    right = advert()
    return to_group(number, datagram(right[: number % len(right)], source_of(number), rubbish.GROUP))


def fragments(number: int, target: Target) -> bytes:
    """First parts, whose rest never comes, with the whole advert in them."""
    more_follow = 0x2000
    packet = datagram(
        advert() + bytes(4), source_of(number), rubbish.GROUP, identifier=number & 0xFFFF, fragment=more_follow
    )
    return to_group(number, packet)


def of_no_peer(number: int, target: Target) -> bytes:
    right = advert(vrid=UNICAST, address="10.77.0.103")
    return ethernet(target.mac, number, datagram(right, source_of(number), MASTER))


def bfd(number: int) -> bytes:
    """A control packet that differs from the next one, wrong in its version, length or state."""
    wrong = ((0x40 + number % 8, 0xC0, 24), (0x20, 0xC0, 25 + number % 200), (0x20, number % 256 | 1, 24))[number % 3]
    body = struct.pack("!BBBBIIIII", wrong[0], wrong[1], 3, wrong[2], number + 1, number + 2, 50_000, 50_000, 0)
    return struct.pack("!HHHH", 49152, 3784, 8 + len(body), 0) + body


def bfd_from_off_link(number: int, target: Target) -> bytes:
    source = BACKUP if number % 2 else source_of(number)
    return ethernet(target.mac, number, datagram(bfd(number), source, MASTER, protocol=17, ttl=64))


def bfd_as_the_neighbour(number: int, target: Target) -> bytes:
    return ethernet(target.mac, number, datagram(bfd(number), BACKUP, MASTER, protocol=17))


def own_adverts(number: int, target: Target) -> bytes:
    """What the MASTER itself sends, sent back to it; with its MAC as well, the switch would lose the way to it."""
    return to_group(number, datagram(advert(priority=150), MASTER, rubbish.GROUP))


def claims(number: int, target: Target) -> bytes:
    """ARP replies to all: the virtual address is at another MAC."""
    mac, address = mac_of(number), socket.inet_aton(VIP)
    reply = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mac + address + mac + address
    return ethernet(b"\xff" * 6, number, reply, 0x0806)


def answers_of_a_server(number: int, target: Target) -> bytes:
    """Answers to pings that were not sent, as from the server that is checked."""
    message = struct.pack("!BBHHH", 0, 0, 0, number & 0xFFFF, number >> 3 & 0xFFFF) + bytes(32)
    message = message[:2] + struct.pack("!H", rubbish.checksum(message)) + message[4:]
    return ethernet(target.mac, number, datagram(message, BACKUP, MASTER, protocol=1))


STORMS: list[Frame] = [
    bad_checksum,
    unknown_router,
    wrong_password,
    bad_ttl,
    truncated,
    fragments,
    of_no_peer,
    bfd_from_off_link,
    bfd_as_the_neighbour,
    own_adverts,
    claims,
    answers_of_a_server,
]
