"""Drains that an operator asked for: who asked for what, how far each is, and what the next life must know of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from kad.child.multiplexer import Moment, Mux
from kad.ipvs.lookup import Unknown, find_server, find_service
from kad.ipvs.process.kernel_table import Kernel
from kad.ipvs.service import ConnectionsSeen, Drain, DrainAsked, DrainEnded, Event, Service, UndrainAsked
from kad.linux.refused import Refused
from kad.model.ipvs_table import Connections, DestinationKey, ServiceKey
from kad.shared.messages import DrainAnswered, Draining, DrainWanted, Message
from kad.shared.state_machine import DeadlineReached

_LOOK = 1.0
"""Seconds between two looks at the connections of a server that is being drained."""

_SHARE = 20
"""So many times as long as a look took passes until the next one."""


class Drains:
    """For the room: takes orders, looks whether the connections are gone, and remembers."""

    def __init__(
        self,
        mux: Mux,
        say: Callable[[Message], None],
        kernel: Kernel,
        feed: Callable[[str, Event], None],
    ) -> None:
        self._mux = mux
        self._say = say
        self._kernel = kernel
        self._feed = feed
        self._drains: dict[tuple[str, DestinationKey], Draining] = {}
        self._services: Mapping[str, Service] = {}
        self._keys: Mapping[str, tuple[ServiceKey, ...]] = {}
        self._next: Moment | None = None
        self._spent = 0.0
        """Seconds that the last look took: a group can have thousands of addresses."""

    def remember(self, earlier: Draining) -> None:
        """What an earlier life said."""
        self._drains[earlier.service, DestinationKey(earlier.address, earlier.port)] = earlier

    def resume(self, service: Service) -> None:
        """Go on with the drains of a virtual server that is taken up."""
        for (name, key), drain in self._drains.items():
            if name == service.configured.name and key in service.servers:
                service.servers[key].drain = Drain(drain.until, drain.out)

    def follow(self, services: Mapping[str, Service], keys: Mapping[str, tuple[ServiceKey, ...]]) -> None:
        """Another configuration is in force; whom it does not know is no longer drained."""
        self._services, self._keys = services, keys
        for (name, key), drain in list(self._drains.items()):
            if name not in services or key not in services[name].servers:
                del self._drains[name, key]
                self._say(msgspec.structs.replace(drain, deleted=True))
        self._arm()

    def order(self, wanted: DrainWanted) -> None:
        """Do what the operator asks, and answer."""
        try:
            text = self._obey(wanted)
        except Unknown as unknown:
            self._say(DrainAnswered(number=wanted.number, error=str(unknown)))
        else:
            self._say(DrainAnswered(number=wanted.number, text=text))

    def _obey(self, wanted: DrainWanted) -> str:
        service = find_service(self._services, wanted.service)
        key = find_server(service, wanted.server)
        name = service.configured.name
        who = f"real_server {key.address} {key.port} of virtual_server {name}"
        if wanted.undo:
            drain = self._drains.pop((name, key), None)
            if drain is None:
                return f"{who} is not being drained"
            self._feed(name, UndrainAsked(key))
            self._say(msgspec.structs.replace(drain, deleted=True))
            return f"{who} serves again"
        until = None if wanted.timeout is None else self._mux.now() + wanted.timeout
        drain = Draining(service=name, address=key.address, port=key.port, since=time.time(), until=until)
        self._drains[name, key] = drain
        self._say(drain)
        self._feed(name, DrainAsked(key, until))
        self._arm()
        limit = "however long that takes" if wanted.timeout is None else f"or after {wanted.timeout:g} s"
        return f"{who} gets no new connections; it leaves when it has none, {limit}"

    def ended(self, service: Service, end: DrainEnded) -> None:
        """A server is out of the table."""
        place = service.configured.name, end.server
        drain = self._drains.get(place)
        if drain is not None:
            self._drains[place] = msgspec.structs.replace(drain, out=True)
            self._say(self._drains[place])

    def of(self, name: str, key: DestinationKey) -> dict[str, object] | None:
        """For the snapshot."""
        drain = self._drains.get((name, key))
        if drain is None:
            return None
        left = None if drain.until is None else max(0.0, drain.until - self._mux.now())
        return {"since": drain.since, "ends_in": left, "out": drain.out}

    def end(self) -> None:
        if self._next is not None:
            self._next.cancel()

    # time

    def _arm(self) -> None:
        if self._next is None and any(service.is_draining for service in self._services.values()):
            self._next = self._mux.at(self._mux.now() + max(_LOOK, _SHARE * self._spent), self._look)

    def _look(self) -> None:
        self._next = None
        now = began = self._mux.now()
        for name, service in list(self._services.items()):
            if not service.is_draining:
                continue
            seen = self._connections(service, self._keys[name])
            if seen is not None:
                self._feed(name, ConnectionsSeen(seen))
            if service.deadline is not None and service.deadline <= now:
                self._feed(name, DeadlineReached())
        self._spent = self._mux.now() - began
        self._arm()

    def _connections(
        self, service: Service, keys: tuple[ServiceKey, ...]
    ) -> Mapping[DestinationKey, Connections] | None:
        """Of each server over all addresses of the service; None when the kernel does not say."""
        total = dict.fromkeys(service.servers, Connections())
        if not self._kernel.is_open:
            return None
        try:
            for key in keys:
                found = dict(self._kernel.connections(key))
                for server in total:
                    here = found.get(service.placed(server, key.port), Connections())
                    total[server] = Connections(*map(sum, zip(total[server], here, strict=True)))
        except Refused:
            return None
        return total
