"""Brings the kernel's table to what is wanted, some services at a time, and compares the two again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from kad.child.multiplexer import Moment, Mux
from kad.ipvs.plan import AddService, Command, DeleteService, plan_destination, plan_service
from kad.ipvs.process.kernel_table import BREATH, Done, Failure, Kernel, describe, open_or_why
from kad.ipvs.service import Service
from kad.linux.netlink import ipvs
from kad.linux.refused import Refused
from kad.model.ipvs_table import DestinationKey, Entry, ServiceKey
from kad.shared.log import Logger

_AT_ONCE = 128
"""Services in one turn of the loop."""
_EVERY = 5.0
"""Seconds between two comparisons, at least."""
_SHARE = 50
"""So many times the processor's time for a comparison passes until the next one: 2 % of a processor at most."""
_SOON = 0.5
"""Seconds until everything is compared when a command finds that somebody else changed the table."""
_WITHOUT_KERNEL = 10.0
"""Seconds until a kernel without IPVS is asked again."""
_TOLD = 10
"""Differences of one comparison that are told one by one."""


class Programming:
    """What is ours in the table; whoever is no owner of it is left alone."""

    def __init__(self, mux: Mux, log: Logger, note: Callable[[str, str], None]) -> None:
        """`note(object, text)` writes into the journal."""
        self._mux = mux
        self._log = log
        self._note = note
        self._beat = mux.sign_of_life("working through IPVS")
        self.kernel = Kernel(self._beat)
        self.compared: Callable[[], None] = lambda: None
        """Told after each comparison, and when the table is there at last."""
        self.failure = ""
        """Why the table cannot be programmed at all."""
        self.owners: dict[ServiceKey, Service] = {}
        self.left: dict[ServiceKey, set[DestinationKey]] = {}
        """What only an earlier configuration named, by service."""
        self._dirty: dict[ServiceKey, None] = {}
        self._pumping = False
        self._refused: dict[ServiceKey, Refused] = {}
        """What was said of a service that the kernel does not take."""
        self._comparing: list[ServiceKey] = []
        self._found: list[Command] = []
        self._spent = 0.0
        self._next: Moment | None = None
        self.heals = 0
        """Commands that a comparison made necessary."""
        self.ended = False

    @property
    def waiting(self) -> int:
        """Services that are to be programmed yet."""
        return len(self._dirty)

    def refusal(self, keys: Iterable[ServiceKey]) -> str:
        """Why the kernel does not have one of them as it is wanted; empty when it does."""
        refused = self._refused_of(keys)
        return f"IPVS refuses {refused}" if refused is not None else ""

    def refused_request(self, keys: Iterable[ServiceKey]) -> str:
        """What the kernel does not do for one of them, and why; empty when it does."""
        return str(self._refused_of(keys) or "")

    def _refused_of(self, keys: Iterable[ServiceKey]) -> Refused | None:
        return next((self._refused[key] for key in keys if key in self._refused), None)

    def begin(self) -> None:
        """Open the table, or try again later."""
        if self.kernel.is_open:
            return
        failure = open_or_why(self.kernel)
        if failure and failure != self.failure:
            self._log.error(f"{failure}; the virtual servers are not served")
            self._note("ipvs", failure)
        elif self.failure and not failure:
            self._log.notice("IPVS is there now")
        self.failure = failure
        self._compare_in(_WITHOUT_KERNEL if failure else _EVERY)

    # programming

    def program(self, keys: Collection[ServiceKey], alone: DestinationKey | None = None) -> None:
        """Make these as they are wanted: now, or where they are many, some in each turn of the loop.

        alone: of each the server that alone is another than before.
        """
        # Very many changes may come before the loop turns again.
        self._beat()
        if alone is not None and self._program_server(keys, alone):
            return
        for key in keys:
            self._dirty[key] = None
        if len(self._dirty) <= _AT_ONCE:
            self._program_some()
        self._pump()

    def _pump(self) -> None:
        if not self._pumping and self._dirty and self.kernel.is_open and not self.ended:
            self._pumping = True
            self._mux.loop.call_soon(self._mux.noted(self._turn, "programming IPVS"))

    def _turn(self) -> None:
        self._pumping = False
        if not self.ended:
            self._program_some()
        self._pump()

    def _program_some(self) -> None:
        if not self.kernel.is_open:
            return
        keys = list(islice(self._dirty, _AT_ONCE))
        for key in keys:
            del self._dirty[key]
        try:
            self._program(keys)
        except Refused as refused:
            self._log.error(f"IPVS does not answer: {refused}")
            self.kernel.close()
            self._compare_in(_EVERY)

    def _program(self, keys: Sequence[ServiceKey]) -> None:
        done = self.kernel.do([command for key in keys for command in self._commands(key)])
        if done.stale:
            if self._next is not None:
                self._compare_in(_SOON)
            for key in done.stale:
                self.kernel.read_again(key)
            again = self.kernel.do([command for key in done.stale for command in self._commands(key)])
            kept = [one for one in done.failures if one.command.service not in done.stale]
            done = Done([*kept, *again.failures], set())
        self._judge(keys, done.failures)

    def _program_server(self, keys: Collection[ServiceKey], server: DestinationKey) -> bool:
        """One of very many servers changed: the others are not gone through. False: it must be done in the long way."""
        if (
            not self.kernel.is_open
            or len(keys) > _AT_ONCE
            or any(key in self._dirty or key in self._refused for key in keys)
        ):
            return False
        commands = []
        try:
            for key in keys:
                owner, entry = self.owners.get(key), self.kernel.entry(key)
                if owner is None or entry is None or server not in owner.servers:
                    return False
                commands += plan_destination(key, entry, *owner.destination(server, key.port))
            done = self.kernel.do(commands)
        except Refused:
            return False
        return not done.failures

    def _commands(self, key: ServiceKey) -> list[Command]:
        entry = self.kernel.entry(key)
        owner = self.owners.get(key)
        if owner is None:
            self.left.pop(key, None)
            return [DeleteService(key)] if entry is not None else []
        ours = owner.named(key.port) | self.left.pop(key, set())
        return plan_service(key, entry, wanted(owner, key), ours)

    def _judge(self, keys: Sequence[ServiceKey], failures: Sequence[Failure]) -> None:
        """Of a service that is refused the first reason is said, once."""
        first: dict[ServiceKey, Failure] = {}
        for failure in failures:
            first.setdefault(failure.command.service, failure)
        for key in keys:
            found = first.get(key)
            if found is None:
                if self._refused.pop(key, None):
                    self._log.notice(f"IPVS has {key} now as it is wanted")
                continue
            refused, before = Refused(f"to {describe(found.command)}", found.errno), self._refused.get(key)
            if before is None or (before.what, before.errno) != (refused.what, refused.errno):
                self._refused[key] = refused
                self._log.error(f"IPVS refuses {refused}")

    # comparison

    def _compare_in(self, seconds: float) -> None:
        if self._next is not None:
            self._next.cancel()
        if not self.ended:
            self._next = self._mux.at(self._mux.now() + seconds, self._compare)

    def _compare(self) -> None:
        """Look whether the table is still as it shall be; the loop serves others in between."""
        self._next = None
        if not self.kernel.is_open:
            self.begin()
            self.program(self.owners)
            self.compared()
            return
        if self._dirty:
            self._compare_in(_EVERY)
            return
        began = time.thread_time()
        try:
            self.kernel.read_services()
        except Refused as refused:
            self._log.error(f"IPVS cannot be read: {refused}")
            self.kernel.close()
            self._compare_in(_EVERY)
            return
        self._spent = time.thread_time() - began
        self._found = []
        self._comparing = list(self.owners)
        self._compare_some()

    def _compare_some(self) -> None:
        began = time.thread_time()
        keys = self._comparing[-_AT_ONCE:]
        del self._comparing[-_AT_ONCE:]
        different = []
        with suppress(Refused):  # the next command says it
            for key in keys:
                owner = self.owners.get(key)
                if owner is None or key in self._dirty:
                    continue
                ours = owner.named(key.port)
                commands = plan_service(key, self.kernel.entry(key), wanted(owner, key), ours)
                if commands:
                    different.append(key)
                    self._found += [] if key in self._refused else commands
        if different:
            self.program(different)
        self._spent += time.thread_time() - began
        if self._comparing:
            self._mux.loop.call_soon(self._mux.noted(self._compare_some, "comparing IPVS"))
        else:
            self._conclude()

    def _conclude(self) -> None:
        # What was to be added with its service need not be told apart.
        added = {command.service for command in self._found if isinstance(command, AddService)}
        told = [one for one in self._found if isinstance(one, AddService) or one.service not in added]
        for command in told[:_TOLD]:
            text = f"the IPVS table was not as it shall be, somebody else changed it: had to {describe(command)}"
            self._log.warning(text)
            self._note("ipvs", text)
        if len(told) > _TOLD:
            self._log.warning(f"the IPVS table had {len(told) - _TOLD} more differences of that kind")
        self.heals += len(self._found)
        self.compared()
        self._found = []
        self._compare_in(max(_EVERY, _SHARE * self._spent))

    # the end

    def clear(self, keys: Iterable[ServiceKey], *, everything: bool = False) -> None:
        """Delete these services and what was to be deleted, or the whole table. Raises Refused."""
        if not self.kernel.is_open:
            return
        keys = [*keys, *(key for key in self._dirty if key not in self.owners)]
        commands = [ipvs.flush()] if everything else [ipvs.delete_service(key) for key in keys]
        for start in range(0, len(commands), BREATH):
            self.kernel.ipvs.request(commands[start : start + BREATH])
            self._beat()

    def end(self) -> None:
        """Leave the table as it is."""
        self.ended = True
        if self._next is not None:
            self._next.cancel()


def wanted(service: Service, key: ServiceKey) -> Entry:
    """What the kernel shall have under this key."""
    return Entry(service.settings(key), service.destinations(key.port))
