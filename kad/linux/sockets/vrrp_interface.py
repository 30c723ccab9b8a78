"""One interface as VRRP uses it: a receiver, senders, and the multicast groups that are joined."""

from __future__ import annotations

from collections.abc import Iterable

from kad.linux.netlink.link import Link
from kad.linux.sockets.sendmmsg import BatchReceiver, BatchSender, Datagram, Unsent, Volley
from kad.linux.sockets.vrrp_socket import (
    AH,
    VRRP,
    bind_to_foreign_address,
    join,
    leave,
    open_receiver,
    open_sender,
    size,
)


class Outbox:
    """What leaves by one socket with the next flush, volleys first."""

    __slots__ = ("datagrams", "volleys")

    def __init__(self) -> None:
        self.volleys: list[Volley] = []
        self.datagrams: list[Datagram] = []

    def flush(self, sender: BatchSender) -> list[Unsent]:
        """Let it leave; what the kernel refused."""
        unsent: list[Unsent] = []
        for volley in self.volleys:
            unsent += sender.fire(volley)
        self.volleys.clear()
        if self.datagrams:
            unsent += sender.send(self.datagrams)
            self.datagrams.clear()
        return unsent


class Segment:
    """The sockets of one interface and family; closed and opened anew when the interface's index changes."""

    def __init__(self, link: Link, family: int, *, ah: bool = False, receive_buffer: int = 0) -> None:
        """With `ah`, what wears an authentication header is heard too; `receive_buffer`: see size(). Raises Refused."""
        self.link = link
        self.family = family
        self.ah = ah
        self._groups: set[str] = set()
        self._receive_buffer = receive_buffer
        self._source = ""
        self._receivers = [
            BatchReceiver(
                open_receiver(link.index, link.name, family, None, protocol=protocol, receive_buffer=receive_buffer)
            )
            for protocol in ((VRRP, AH) if ah else (VRRP,))
        ]
        self._senders = {
            multicast: BatchSender(open_sender(link.index, link.name, family, multicast=multicast))
            for multicast in (True, False)
        }
        self.outbox = {True: Outbox(), False: Outbox()}
        """By whether it is multicast; each stays the same one."""

    def filenos(self) -> list[int]:
        """Of the sockets that receive."""
        return [receiver.socket.fileno() for receiver in self._receivers]

    def listen_to(self, groups: Iterable[str]) -> None:
        """Be a member of exactly these multicast groups. Raises Refused."""
        wanted = set(groups)
        for group in self._groups - wanted:
            for receiver in self._receivers:
                leave(receiver.socket, self.link.index, group)
            self._groups.remove(group)
        for group in sorted(wanted - self._groups):
            for receiver in self._receivers:
                join(receiver.socket, self.link.index, group)
            # One that the kernel refuses, as it does after igmp_max_memberships of them, does not undo the others.
            self._groups.add(group)

    def size(self, receive_buffer: int) -> None:
        """Have so many bytes wait in each receiver; 0: as many as serve any number of routers."""
        if receive_buffer != self._receive_buffer:
            self._receive_buffer = receive_buffer
            for receiver in self._receivers:
                size(receiver.socket, receive_buffer)

    def speak_as(self, source: str) -> None:
        """Send from this IPv6 address, which only the interface below has. Raises Refused."""
        if self.family == 6 and source != self._source:
            for sender in self._senders.values():
                bind_to_foreign_address(sender.socket, source, self.link.index)
            self._source = source

    def receive(self) -> list[bytes]:
        """What waits, in order, with IP headers; empty when nothing does. Raises Refused."""
        if not self.ah:
            return self._receivers[0].receive()
        return [packet for receiver in self._receivers for packet in receiver.receive()]

    @property
    def capacity(self) -> int:
        """A receive() that returned this many packets may have left some."""
        return self._receivers[0].capacity

    def flush(self) -> list[Unsent]:
        """Let everything leave; what the kernel refused."""
        unsent: list[Unsent] = []
        for multicast, outbox in self.outbox.items():
            unsent += outbox.flush(self._senders[multicast])
        return unsent

    def close(self) -> None:
        for receiver in self._receivers:
            receiver.socket.close()
        for sender in self._senders.values():
            sender.socket.close()
