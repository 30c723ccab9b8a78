"""The kernel's table as this process knows it, and the way to change it: what it believes is what the kernel said."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from kad.ipvs import plan
from kad.ipvs.plan import Command
from kad.linux.netlink import ipvs
from kad.linux.netlink.ipvs import Ipvs
from kad.linux.refused import Refused
from kad.model.ipvs_table import Connections, DestinationKey, Entry, ServiceKey, ServiceSettings, Table

BREATH = 64
"""Entries or commands after which a long piece of work shows that the process lives."""
_GONE = (errno.ENOENT, errno.ESRCH)
_SURPRISES = {
    plan.AddService: (errno.EEXIST,),
    plan.SetService: _GONE,
    plan.AddDestination: (errno.EEXIST, errno.ESRCH),
    plan.SetDestination: _GONE,
}
"""Answers that mean that the table is not as it was believed to be."""


class Failure(NamedTuple):
    """A command that the kernel refused."""

    command: Command
    errno: int


class Done(NamedTuple):
    """What became of commands."""

    failures: list[Failure]
    stale: set[ServiceKey]
    """Services that were not as believed: to be read and planned again."""


class Kernel:
    """The table, once it is open; whatever is not read yet is read when it is asked for."""

    def __init__(self, beat: Callable[[], None]) -> None:
        """`beat` shows that this process lives while it reads a long table."""
        self._beat = beat
        self._ipvs: Ipvs | None = None
        self._known: Table = {}
        self._unread: dict[ServiceKey, ServiceSettings] = {}
        """Services whose destinations were not looked at yet."""

    @property
    def is_open(self) -> bool:
        return self._ipvs is not None

    @property
    def ipvs(self) -> Ipvs:
        assert self._ipvs is not None
        return self._ipvs

    def open(self) -> None:
        """Raises Refused."""
        self._ipvs = Ipvs.open()

    def close(self) -> None:
        if self._ipvs is not None:
            self._ipvs.close()
        self._ipvs = None

    def read_services(self) -> None:
        """Forget what was believed, and see which services there are. Raises Refused."""
        self._known, self._unread = {}, {}
        for number, (key, settings) in enumerate(self.ipvs.services()):
            self._unread[key] = settings
            if not number % BREATH:
                self._beat()

    def entry(self, key: ServiceKey) -> Entry | None:
        """What the kernel has under this key. Raises Refused."""
        if key in self._unread:
            self._beat()
            settings = self._unread.pop(key)
            found = ((each, placed) for each, placed, _ in self.ipvs.destinations(key))
            self._known[key] = Entry(settings, dict(found))
        return self._known.get(key)

    def read_again(self, key: ServiceKey) -> None:
        """Raises Refused."""
        self._known.pop(key, None)
        self._unread.pop(key, None)
        settings = self.ipvs.service(key)
        if settings is not None:
            self._unread[key] = settings

    def connections(self, key: ServiceKey) -> Iterator[tuple[DestinationKey, Connections]]:
        """Of each destination, now. Raises Refused."""
        return ((each, found) for each, _, found in self.ipvs.destinations(key))

    def keys(self) -> Iterable[ServiceKey]:
        """All services of the kernel, ours or not."""
        return [*self._known, *self._unread]

    def do(self, commands: Sequence[Command]) -> Done:
        """Raises Refused when the kernel cannot be asked at all."""
        done = Done([], set())
        for start in range(0, len(commands), BREATH):
            self._beat()
            self._do(commands[start : start + BREATH], done)
        return done

    def _do(self, commands: Sequence[Command], done: Done) -> None:
        for command, code in zip(commands, self.ipvs.request([encode(one) for one in commands]), strict=True):
            is_deletion = isinstance(command, plan.DeleteService | plan.DeleteDestination)
            if code == 0 or (is_deletion and code in _GONE):
                with suppress(KeyError):
                    plan.apply(self._known, command)
            elif code in _SURPRISES.get(type(command), ()):
                done.stale.add(command.service)
                done.failures.append(Failure(command, code))
            else:
                done.failures.append(Failure(command, code))


def encode(command: Command) -> bytes:
    """The request that does it."""
    match command:
        case plan.AddDestination(service, destination, placed):
            return ipvs.add_destination(service, destination, placed)
        case plan.SetDestination(service, destination, placed):
            return ipvs.set_destination(service, destination, placed)
        case plan.DeleteDestination(service, destination):
            return ipvs.delete_destination(service, destination)
        case plan.AddService(service, settings):
            return ipvs.add_service(service, settings)
        case plan.SetService(service, settings):
            return ipvs.set_service(service, settings)
        case plan.DeleteService(service):
            return ipvs.delete_service(service)


def describe(command: Command) -> str:
    """For the log."""
    match command:
        case plan.AddService(service):
            return f"add the service {service}"
        case plan.SetService(service):
            return f"change the service {service}"
        case plan.DeleteService(service):
            return f"delete the service {service}"
        case plan.AddDestination(service, destination):
            return f"add {destination} to {service}"
        case plan.SetDestination(service, destination):
            return f"change {destination} of {service}"
        case plan.DeleteDestination(service, destination):
            return f"delete {destination} from {service}"


def open_or_why(kernel: Kernel) -> str:
    """Empty when the table is open."""
    try:
        kernel.open()
        kernel.read_services()
    except Refused as refused:
        kernel.close()
        if refused.errno == errno.ENOENT:
            return "this kernel has no IPVS: the module ip_vs is neither loaded nor can it be"
        return f"IPVS cannot be used: {refused}"
    return ""
