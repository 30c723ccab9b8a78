"""What a dead vrrp process held is let go before a peer takes it over, when no replacement speaks for it in time.

The parent knows no address: a process that lives for a moment does it, from what the analyzer wrote for that
(kad.model.vrrp.ReleaseSlice, without secrets): of the configuration that runs, or of the one that ran when the
whole daemon died.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kad.child.last_release import MISSED_AFTER, release
from kad.linux.files.runtime_directory import read_file, remove_file, replace_file
from kad.linux.process import fork
from kad.linux.process.fork import Birth
from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.linux.process.spawn import reap
from kad.model.program_end import shell_status
from kad.shared import messages
from kad.shared.exit_codes import EXIT_OK, describe
from kad.shared.log import Logger
from kad.watchdog.children import Children
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.selector_loop import SelectorLoop
from kad.watchdog.two_phase_commit import RunningConfiguration

_MEMORY = "vrrp.left"
_RETRY = 0.5
_PATIENCE = 2.0
"""Seconds that the process has."""


class AddressCleanup:
    """Which instances no process sends adverts for, and the process that releases what they hold."""

    def __init__(
        self,
        loop: SelectorLoop,
        children: Children,
        running: RunningConfiguration,
        log: Logger,
        runtime_directory: Path,
        pid_file: Path,
        *,
        release_at_stop: bool,
        is_stopping: Callable[[], bool],
        on_end: Callable[[], None],
    ) -> None:
        """`on_end` is called when a process that released something has ended."""
        self._loop = loop
        self._children = children
        self._running = running
        self._log = log
        self._pid_file = str(pid_file)
        self._release_at_stop = release_at_stop
        self._is_stopping = is_stopping
        self._on_end = on_end
        self._orphans: dict[str, messages.RouterState] = {}
        self._swept: set[str] = set()
        self._died = False
        """The vrrp process, out of order, and no other one has its place yet."""
        self._birth: Birth | None = None
        self._deadline: float | None = None
        self._not_before = 0.0
        self._then: Callable[[], None] | None = None
        self._last: int | None = None
        """A memory file: what the last configuration with a vrrp part may hold; what still leaves may hold it."""
        self._memory = runtime_directory / _MEMORY
        """What the running configuration may hold; the file exists at a start if the last end was none in order."""

    def remember(self) -> None:
        """Another configuration runs: what it holds must be found even if nobody of us lives any more."""
        current = self._running.current
        if current is None or current.files.release is None:
            remove_file(self._memory)
            return
        try:
            last, self._last = self._last, os.dup(current.files.release)
            if last is not None:
                os.close(last)
            replace_file(self._memory, read_memory_file(current.files.release))
        except OSError as error:
            self._log.warning(f"{self._memory}: {error.strerror}")
        self.tell_runner()

    def tell_runner(self) -> None:
        """Which vrrp process lives, for the case that it dies and this process cannot see to what it held."""
        vrrp, held = self._children.members["vrrp"], self.held
        message, descriptor = messages.VrrpProcess(pid_file=self._pid_file), None
        if vrrp.pid is not None and held is not None:
            message, descriptor = messages.VrrpProcess(pid=vrrp.pid, pid_file=self._pid_file), held
        self._children.send(self._children.members["runner"], message, descriptor)

    def forget(self) -> None:
        """The daemon ends in order, and holds nothing."""
        if self._release_at_stop:
            remove_file(self._memory)

    def clear(self, then: Callable[[], None]) -> None:
        """At the start: let go of what a daemon that was killed left behind, then go on."""
        descriptor = self._left()
        # Not inside the handler of an exception: what is forked from there would show that one beside its own.
        if descriptor is None:
            then()
            return
        self._log.info(f"an earlier life did not end in order: letting go of what it held ({self._memory})")
        self._then = then
        forked = self._fork(descriptor, None)
        os.close(descriptor)
        if not forked:
            self._then = None
            then()

    def _left(self) -> int | None:
        """A memory file with what that daemon held; None: it held nothing, or that cannot be read."""
        try:
            return write_memory_file("left behind", read_file(self._memory))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._log.error(f"{self._memory}: {error.strerror}: what an earlier kad held is not known")
            return None

    def begin(self, states: Iterable[messages.RouterState]) -> None:
        """The vrrp process died, and this is what it had said."""
        self._died = True
        self._orphans = {
            state.name: state for state in states if state.holds_addresses and state.name not in self._swept
        }

    def cancel(self) -> None:
        """Another process speaks for them now."""
        self._orphans, self._swept, self._died = {}, set(), False

    def end(self) -> bool:
        """There will be no other process: let go of everything; True when nothing is left to be done."""
        if self._birth is None and self._died:
            self._died = False
            self._let_go_of_everything()
        return self._birth is None

    @property
    def process(self) -> int | None:
        """Pid of the process at work."""
        return self._birth.pid if self._birth is not None else None

    @property
    def deadline(self) -> float | None:
        if self._birth is not None:
            return self._deadline
        return min((self._missed_at(state) for state in self._orphans.values()), default=None)

    def fall_due(self, now: float) -> None:
        """Let go of what a peer may take over by now; end a process that hangs."""
        if self._birth is None:
            self._let_go(frozenset(name for name, state in self._orphans.items() if self._missed_at(state) <= now))
        elif self._deadline is not None and self._deadline <= now:
            self._deadline = None
            self._log.error("letting go takes too long: killing the process that does it")
            signal.pidfd_send_signal(self._birth.pidfd, signal.SIGKILL)

    def _missed_at(self, state: messages.RouterState) -> float:
        spoke_at = self._children.members["vrrp"].page.spoken(state.slot).at
        return max(spoke_at + MISSED_AFTER * state.advertisement_interval, self._not_before)

    def _let_go(self, names: frozenset[str]) -> None:
        held = self.held
        kept = self._is_stopping() and not self._release_at_stop
        if not names or kept or held is None:
            self._orphans = {name: state for name, state in self._orphans.items() if name not in names}
            return
        self._log.warning(f"nobody speaks for {', '.join(sorted(names))}: letting go of what it holds")
        if self._fork(held, names):
            self._swept |= names
            self._orphans = {name: state for name, state in self._orphans.items() if name not in names}

    def _let_go_of_everything(self) -> None:
        """Also of what no instance holds as MASTER: devices, filters, static addresses."""
        held = self.held
        self._orphans = {}
        if self._release_at_stop and held is not None:
            self._log.warning("there will be no other vrrp process: letting go of what it held")
            self._fork(held, None)

    @property
    def held(self) -> int | None:
        """A memory file with a ReleaseSlice: what the dead process may have held."""
        current = self._running.current
        release = current.files.release if current is not None else None
        return self._last if release is None else release

    def _fork(self, descriptor: int, names: frozenset[str] | None) -> bool:
        """False when this host has no process left for it; it is tried again."""
        log = self._log.named(PROCESS_SPECS["vrrp"].ident)
        try:
            self._birth = fork.fork(
                lambda _end: release(read_memory_file(descriptor), names, log), frozenset({descriptor})
            )
        except OSError as error:
            self._log.error(f"cannot start the process that lets go of addresses: {error.strerror}")
            self._not_before = time.monotonic() + _RETRY
            return False
        self._deadline = time.monotonic() + _PATIENCE
        self._loop.watch(self._birth.pidfd, self._bury)
        return True

    def _bury(self) -> None:
        birth = self._birth
        assert birth is not None
        self._loop.unwatch(birth.pidfd)
        ending = reap(birth.pidfd)
        status = EXIT_OK if ending is None else shell_status(ending)
        os.close(birth.pidfd)
        birth.end.close()
        self._birth = None
        if status != EXIT_OK:
            self._log.error(f"the process that lets go of addresses {describe(status)}")
        then, self._then = self._then, None
        if then is not None:
            then()
        self._on_end()
