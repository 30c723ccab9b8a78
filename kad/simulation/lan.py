"""One segment: it delays, loses and cuts packets between hosts, and knows who can hear whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

from kad.simulation.chronicle import Chronicle
from kad.simulation.timeline import Timeline


class Listener(Protocol):
    """Whatever has an address on the segment."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    def receive(self, datagram: bytes) -> None: ...


class Lan:
    """Packets from one host to another keep their order; delays are seconds."""

    def __init__(self, random: Random, *, shortest: float = 0.0001, longest: float = 0.001, loss: float = 0.0) -> None:
        self.random = random
        self.timeline = Timeline()
        self.chronicle = Chronicle()
        self.hosts: list[Listener] = []
        self.shortest = shortest
        self.longest = longest
        self.loss = loss
        """Share of the packets that is lost, for each receiver by itself."""
        self._deaf: set[tuple[str, str]] = set()
        self._parts: dict[str, int] = {}
        self._arrivals: dict[tuple[str, str], float] = {}

    @property
    def now(self) -> float:
        return self.timeline.now

    def attach(self, host: Listener) -> None:
        self.hosts.append(host)

    def partition(self, parts: Iterable[Iterable[Listener]]) -> None:
        """Only hosts of one part hear each other; a host that is not named is in the first part."""
        self._parts = {host.name: number for number, part in enumerate(parts) for host in part}

    def deafen(self, receiver: Listener, sender: Listener) -> None:
        """The receiver no longer hears the sender; the other way nothing changes."""
        self._deaf.add((sender.name, receiver.name))

    def heal(self) -> None:
        """Everybody hears everybody, and nothing is lost."""
        self._deaf.clear()
        self._parts = {}
        self.loss = 0.0

    def parts(self) -> list[list[Listener]]:
        """The hosts that hear each other, part by part."""
        found: dict[int, list[Listener]] = {}
        for host in self.hosts:
            found.setdefault(self._parts.get(host.name, 0), []).append(host)
        return list(found.values())

    def hears(self, receiver: Listener, sender: Listener) -> bool:
        """Whether a packet that is not lost by chance would arrive."""
        here, there = self._parts.get(sender.name, 0), self._parts.get(receiver.name, 0)
        return here == there and (sender.name, receiver.name) not in self._deaf

    def send(self, sender: Listener, destination: str, datagram: bytes) -> None:
        """Carry it to whoever has that address, or to everybody else when it is multicast."""
        multicast = destination.startswith(("224.", "ff"))
        for host in self.hosts:
            if host is sender or not (multicast or host.address == destination):
                continue
            if not self.hears(host, sender) or (self.loss and self.random.random() < self.loss):
                self.chronicle.lost += 1
                continue
            pair = (sender.name, host.name)
            arrival = self.now + self.random.uniform(self.shortest, self.longest)
            arrival = max(arrival, self._arrivals.get(pair, 0.0))
            self._arrivals[pair] = arrival
            self.timeline.at(arrival, _delivery(host, datagram))


def _delivery(host: Listener, datagram: bytes) -> Callable[[], None]:
    return lambda: host.receive(datagram)
