"""One interface as VRRP uses it: a receiver, senders, and the multicast groups that are joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kad.linux.batch import BatchReceiver, BatchSender, Datagram, Received, Unsent
from kad.linux.link import Link
from kad.linux.vrrp_socket import join, leave, open_receiver, open_sender


class Segment:
    """The sockets of one interface and family; closed and opened anew when the interface's index changes."""

    def __init__(self, link: Link, family: int) -> None:
        """Raises Refused."""
        self.link = link
        self.family = family
        self._groups: set[str] = set()
        self._receiver = BatchReceiver(open_receiver(link.index, link.name, family, None))
        self._senders = {
            multicast: BatchSender(open_sender(link.index, link.name, family, multicast=multicast))
            for multicast in (True, False)
        }
        self._outbox: dict[bool, list[Datagram]] = {True: [], False: []}

    def fileno(self) -> int:
        return self._receiver.socket.fileno()

    def listen_to(self, groups: Iterable[str]) -> None:
        """Be a member of exactly these multicast groups. Raises Refused."""
        wanted = set(groups)
        for group in self._groups - wanted:
            leave(self._receiver.socket, self.link.index, group)
        for group in wanted - self._groups:
            join(self._receiver.socket, self.link.index, group)
        self._groups = wanted

    def receive(self) -> list[Received]:
        """What waits, in order; empty when nothing does. Raises Refused."""
        return self._receiver.receive()

    @property
    def may_have_more(self) -> int:
        """A receive() that returned this many packets may have left some."""
        return self._receiver.capacity

    def post(self, datagrams: Sequence[Datagram], *, multicast: bool) -> None:
        """Send with the next flush()."""
        self._outbox[multicast] += datagrams

    def flush(self) -> list[Unsent]:
        """One system call for all that was posted; what the kernel refused."""
        unsent: list[Unsent] = []
        for multicast, datagrams in self._outbox.items():
            if datagrams:
                unsent += self._senders[multicast].send(datagrams)
                self._outbox[multicast] = []
        return unsent

    def close(self) -> None:
        self._receiver.socket.close()
        for sender in self._senders.values():
            sender.socket.close()
