"""Who is told of servers and quorums, in keepalived's order: of a server program and FIFOs, then of the quorum too."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from kad.model.ipvs import IpvsSlice, RealServer, VirtualServer
from kad.model.notification import QuorumChanged, RealServerChanged, RealServerLine, VirtualServerLine, as_name, as_text
from kad.shared.messages import FifoLine, Mail, Message, Notify

FAREWELL = 1.0
"""Seconds that a program gets when kad ends; keepalived's."""


class Occasion(Enum):
    """When it is told."""

    CHANGE = "change"
    START = "start"
    """The first state of all."""
    STOP = "stop"
    """kad ends, and omega is asked for."""
    REMOVAL = "removal"
    """A reload removed it."""


_BODIES = {Occasion.STOP: "=> Shutting down <=", Occasion.REMOVAL: "=> Removing <="}


class Telling:
    """Makes messages for the runner; which of them lead anywhere is said by the configuration."""

    def __init__(
        self, say: Callable[[Message], None], clock: Callable[[], float], monotonic_ns: Callable[[], int]
    ) -> None:
        """The clocks are those of the module time: UNIX seconds, and nanoseconds since the boot."""
        self._say = say
        self._clock = clock
        self._monotonic_ns = monotonic_ns
        self._last_number = 0
        self._generation = 0
        self._feeds_fifo = False

    def follow(self, configuration: IpvsSlice, generation: int) -> None:
        """From now on this is in force; what it removed was told with the generation before."""
        self._generation = generation
        self._feeds_fifo = configuration.feeds_fifo

    def server(
        self,
        service: VirtualServer,
        server: RealServer,
        up: bool,
        reason: str,
        occasion: Occasion = Occasion.CHANGE,
    ) -> None:
        """A real server came or went. Mail of a change tells which check saw it, so the checker process sends it."""
        word = "UP" if up else "DOWN"
        who = f"service:{service.name}/{server.address} {server.port}"
        keyword = f"notify_{word.lower()}"
        if keyword in server.notifies:
            self._notify(f"{who}/{keyword}", RealServerChanged(up=up, reason=as_text(reason)), occasion)
        self._write(
            RealServerLine(virtual_server=as_name(service.label), real_server=as_name(server.label_in(service)), up=up)
        )
        if server.smtp_alert and occasion in _BODIES:
            title = f"Realserver {server.label_in(service)} of virtual server {service.label}"
            self._mail(who, title, word, _BODIES[occasion], reason)

    def quorum(
        self,
        service: VirtualServer,
        up: bool,
        reason: str,
        *,
        weight: int,
        quorum: int,
        hysteresis: int,
        occasion: Occasion = Occasion.CHANGE,
    ) -> None:
        """A virtual server gained or lost its quorum; `weight` is that of its living servers together."""
        word = "UP" if up else "DOWN"
        who = f"service:{service.name}"
        keyword = f"quorum_{word.lower()}"
        if keyword in service.notifies:
            self._notify(f"{who}/{keyword}", QuorumChanged(up=up, reason=as_text(reason)), occasion)
        self._write(VirtualServerLine(virtual_server=as_name(service.label), up=up))
        if service.smtp_alert:
            body = _BODIES.get(occasion) or _weighed(up, occasion, weight, quorum, hysteresis)
            self._mail(who, f"Virtualserver {service.label}", word, body, reason)

    def _notify(self, program: str, fact: RealServerChanged | QuorumChanged, occasion: Occasion) -> None:
        self._say(
            Notify(
                program=program,
                fact=fact,
                generation=self._generation,
                sequence=self._number(),
                awaited_until=FAREWELL if occasion is Occasion.STOP else None,
            )
        )

    def _write(self, line: RealServerLine | VirtualServerLine) -> None:
        if self._feeds_fifo:
            self._say(FifoLine(line=line, sequence=self._number()))

    def _mail(self, who: str, title: str, word: str, body: str, reason: str) -> None:
        self._say(
            Mail(
                object=as_name(who),
                state=word,
                subject=as_text(f"{title} - {word}"),
                body=body,
                reason=as_text(reason),
                when=self._clock(),
                sequence=self._number(),
            )
        )

    def _number(self) -> int:
        """Greater than every number of an earlier life of this process."""
        self._last_number = max(self._last_number + 1, self._monotonic_ns())
        return self._last_number


def _weighed(up: bool, occasion: Occasion, weight: int, quorum: int, hysteresis: int) -> str:
    """The words of keepalived's log."""
    if occasion is Occasion.START:
        phrase = f"Starting with quorum {'up' if up else 'down'}"
    else:
        phrase = "Gained quorum" if up else "Lost quorum"
    if up:
        return f"=> {phrase} {quorum}+{hysteresis}={quorum + hysteresis} <= {weight} <="
    return f"=> {phrase} {quorum}-{hysteresis}={quorum - hysteresis} > {weight} <="
