"""What passes on the wire, seen from the switch: adverts and gratuitous ARPs with the kernel's time of arrival."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
import time
from typing import NamedTuple

from tests.lab.hub import Hub
from tests.lab.namespaces import Namespaces

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 35, 33, 26

_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")

# Copied to us: ARP; IPv4 with protocol 112 or 51; IPv6 with next header 58, 112 or 51. One classic BPF step a row.
_FILTER = (
    (0x28, 0, 0, 12),  # load the ethertype
    (0x15, 8, 0, 0x0806),
    (0x15, 0, 2, 0x0800),
    (0x30, 0, 0, 23),  # load the IPv4 protocol
    (0x05, 0, 0, 3),
    (0x15, 0, 5, 0x86DD),
    (0x30, 0, 0, 20),  # load the IPv6 next header
    (0x15, 2, 0, 58),
    (0x15, 1, 0, 112),
    (0x15, 0, 1, 51),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class Advert(NamedTuple):
    """One VRRP advertisement; `interval` in seconds, `time` in UNIX seconds, `packet` from the IP header on."""

    time: float
    node: str
    source: str
    destination: str
    ttl: int
    version: int
    vrid: int
    priority: int
    interval: float
    addresses: tuple[str, ...]
    authentication: bytes
    packet: bytes
    mac: str = ""
    """Source of the frame."""


class Announcement(NamedTuple):
    """One gratuitous ARP or unsolicited neighbour advertisement; `frame` is the whole Ethernet frame."""

    time: float
    node: str
    address: str
    sender: str
    frame: bytes


def decode_advert(arrival: float, node: str, packet: bytes) -> Advert:
    """An IPv4 or IPv6 packet of protocol 112 or 51; offsets of RFC 791, RFC 8200, RFC 2402, RFC 3768 and RFC 9568."""
    if packet[0] >> 4 == 6:
        family, size, ttl, ends = socket.AF_INET6, 16, packet[7], packet[8:40]
        vrrp = packet[40 : 40 + struct.unpack_from("!H", packet, 4)[0]]
    else:
        family, size, ttl, ends = socket.AF_INET, 4, packet[8], packet[12:20]
        start = (packet[0] & 0x0F) * 4 + (24 if packet[9] == 51 else 0)
        vrrp = packet[start : struct.unpack_from("!H", packet, 2)[0]]
    # Rubbish may count more addresses than it holds.
    version, count = vrrp[0] >> 4, min(vrrp[3], (len(vrrp) - 8) // size)
    seconds = float(vrrp[5]) if version == 2 else (struct.unpack_from("!H", vrrp, 4)[0] & 0x0FFF) / 100
    return Advert(
        time=arrival,
        node=node,
        source=socket.inet_ntop(family, ends[:size]),
        destination=socket.inet_ntop(family, ends[size:]),
        ttl=ttl,
        version=version,
        vrid=vrrp[1],
        priority=vrrp[2],
        interval=seconds,
        addresses=tuple(socket.inet_ntop(family, vrrp[at : at + size]) for at in range(8, 8 + size * count, size)),
        authentication=vrrp[8 + size * count :],
        packet=packet,
    )


class Wire:
    """Reads every port of the switch: each packet once, as the node sent it, also while the node is cut off."""

    def __init__(self, hub: Hub, switch: Namespaces) -> None:
        self._hub = hub
        self._switch = switch
        self._sockets: list[socket.socket] = []
        self._frames: list[tuple[float, str, bytes]] = []
        self._adverts: list[Advert] = []
        self._announcements: list[Announcement] = []
        self._decoded = 0

    def listen(self, port: str, node: str) -> None:
        """Watch a port of the switch; what comes in there was sent by that node."""
        listening = self._switch.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _FILTER))
        program = struct.pack("HL", len(_FILTER), ctypes.addressof(steps))
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        listening.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        listening.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        listening.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 * 1024 * 1024)
        listening.setblocking(False)
        listening.bind((port, _ETH_P_ALL))
        self._sockets.append(listening)
        self._hub.watch(listening, lambda: self._read(listening, node))

    def adverts(
        self, *, node: str = "", vrid: int | None = None, priority: int | None = None, since: float = 0.0
    ) -> list[Advert]:
        """What was sent so far, in order of arrival, of that node, router and priority where given."""
        self._decode()
        return [
            advert
            for advert in self._adverts
            if advert.time >= since
            and (not node or advert.node == node)
            and (vrid is None or advert.vrid == vrid)
            and (priority is None or advert.priority == priority)
        ]

    def wait_advert(
        self,
        *,
        seconds: float,
        node: str = "",
        vrid: int | None = None,
        priority: int | None = None,
        since: float | None = None,
        count: int = 1,
    ) -> Advert:
        """The first advert like that (or the count-th) since then, by default since the call; raises Late."""
        begin = time.time() if since is None else since

        def found() -> Advert | None:
            seen = self.adverts(node=node, vrid=vrid, priority=priority, since=begin)
            return seen[count - 1] if len(seen) >= count else None

        return self._hub.until(found, seconds, lambda: f"advert {count} of {node or 'any node'}, {vrid=} {priority=}")

    def announcements(self, *, node: str = "", address: str = "", since: float = 0.0) -> list[Announcement]:
        """Gratuitous ARPs and unsolicited neighbour advertisements so far."""
        self._decode()
        return [
            seen
            for seen in self._announcements
            if seen.time >= since and (not node or seen.node == node) and (not address or seen.address == address)
        ]

    def wait_announcements(
        self, count: int, *, seconds: float, node: str = "", address: str = "", since: float = 0.0
    ) -> list[Announcement]:
        """So many gratuitous ARPs, at least; raises Late."""

        def found() -> list[Announcement] | None:
            seen = self.announcements(node=node, address=address, since=since)
            return seen if len(seen) >= count else None

        return self._hub.until(found, seconds, lambda: f"{count} gratuitous ARPs for {address} by {node}")

    def close(self) -> None:
        for listening in self._sockets:
            self._hub.forget(listening)
            listening.close()

    def _read(self, listening: socket.socket, node: str) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    frame, control, _, _ = listening.recvmsg(2048, 64)
                except OSError as error:
                    # A port that goes down says so once; the socket hears again when it comes up.
                    if error.errno not in (errno.ENETDOWN, errno.ENODEV):
                        raise
                    continue
                seconds, nanoseconds = struct.unpack("qq", control[0][2])
                self._frames.append((seconds + nanoseconds / 1e9, node, frame))

    def _decode(self) -> None:
        """Decode what came since the last question, not on arrival: the reading thread must keep pace with a flood."""
        fresh = self._frames[self._decoded :]
        self._decoded += len(fresh)
        for arrival, node, frame in fresh:
            kind = frame[12:14]
            if (kind == b"\x08\x00" and frame[23] in (112, 51)) or (kind == b"\x86\xdd" and frame[20] == 112):
                with contextlib.suppress(IndexError, struct.error, OSError):
                    self._adverts.append(decode_advert(arrival, node, frame[14:])._replace(mac=frame[6:12].hex(":")))
            # A gratuitous ARP: sender and target protocol address are the same.
            elif kind == b"\x08\x06" and frame[28:32] == frame[38:42]:
                address, sender = socket.inet_ntoa(frame[28:32]), frame[22:28].hex(":")
                self._announcements.append(Announcement(arrival, node, address, sender, frame))
            # A neighbour advertisement (type 136) to all nodes, with the option of its link-layer address.
            elif kind == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136 and frame[38:54] == _ALL_NODES:
                address, sender = socket.inet_ntop(socket.AF_INET6, frame[62:78]), frame[80:86].hex(":")
                self._announcements.append(Announcement(arrival, node, address, sender, frame))
