"""Packets of protocol 112 that no router should have sent, made from a seed so that a failure can be repeated."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator

GROUP = "224.0.0.18"
_GROUP_MAC = bytes.fromhex("01005e000012")


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(payload: bytes, source: str, *, ttl: int = 255, length: int | None = None, protocol: int = 112) -> bytes:
    """An IPv4 packet to the VRRP group with a right header checksum; `length` overrides the total length."""
    total = 20 + len(payload) if length is None else length
    start = struct.pack("!BBHHHBBH", 0x45, 0xC0, total & 0xFFFF, 1, 0, ttl, protocol, 0)
    header = start + socket.inet_aton(source) + socket.inet_aton(GROUP)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def pdu(source: str, *, version: int, vrid: int, priority: int, addresses: tuple[str, ...], interval: int) -> bytes:
    """A right advertisement; `interval` in the unit of its version."""
    held = b"".join(socket.inet_aton(address) for address in addresses)
    head = struct.pack("!BBBB", version << 4 | 1, vrid, priority, len(addresses))
    timing = struct.pack("!BB", 0, interval) if version == 2 else struct.pack("!H", interval)
    body = held + bytes(8) if version == 2 else held
    message = head + timing + b"\0\0" + body
    pseudo = (
        b""
        if version == 2
        else socket.inet_aton(source) + socket.inet_aton(GROUP) + struct.pack("!HH", 112, len(message))
    )
    return message[:6] + struct.pack("!H", checksum(pseudo + message)) + message[8:]


def packets(count: int, seed: int, *, vrid: int, version: int, address: str, source: str) -> Iterator[bytes]:
    """IPv4 packets: random bytes, cut, lengthened, bit-flipped and field-wise wrong adverts.

    None of them is an advert that a router with this address must obey: the right ones among them have priority 1.
    """
    dice = random.Random(seed)
    interval = 1 if version == 2 else 10
    right = pdu(source, version=version, vrid=vrid, priority=1, addresses=(address,), interval=interval)
    for _ in range(count):
        match dice.randrange(8):
            case 0:
                yield ipv4(dice.randbytes(dice.randrange(0, 200)), source)
            case 1:
                yield ipv4(right[: dice.randrange(len(right))], source)
            case 2:
                yield ipv4(right + dice.randbytes(dice.randrange(1, 300)), source)
            case 3:
                flipped = bytearray(right)
                flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
                yield ipv4(bytes(flipped), source)
            case 4:
                yield ipv4(right, source, ttl=dice.randrange(255))
            case 5:
                yield ipv4(right, source, length=dice.randrange(0x10000))
            case 6:
                wrong = {
                    "version": dice.choice([0, 1, 2, 3, 4, 15]),
                    "vrid": dice.randrange(256),
                    "interval": dice.randrange(256),
                    "addresses": tuple(f"10.{dice.randrange(256)}.0.1" for _ in range(dice.randrange(60))),
                }
                chosen = dice.choice(list(wrong))
                settings = {"version": version, "vrid": vrid, "interval": interval, "addresses": (address,)}
                yield ipv4(pdu(source, priority=1, **(settings | {chosen: wrong[chosen]})), source)  # type: ignore[arg-type]
            case _:
                head = struct.pack("!BB", version << 4 | dice.randrange(16), vrid)
                yield ipv4(head + dice.randbytes(dice.randrange(0, 60)), source)


def frame(packet: bytes, sender: str) -> bytes:
    """An Ethernet frame to the VRRP group from that MAC."""
    return _GROUP_MAC + bytes.fromhex(sender.replace(":", "")) + b"\x08\x00" + packet
