"""What a dead vrrp process held is let go before a peer takes it over, when no replacement speaks for it in time.

The parent knows no address: a process that lives for a moment does it, from the configuration that runs.
"""

from __future__ import annotations

import importlib
import os
import selectors
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NoReturn, cast

from kad import family, messages
from kad.child import UNPRIVILEGED_USER
from kad.family import KINDS, Birth
from kad.linux import privilege
from kad.linux.memory import read_memory_file
from kad.linux.process import set_title
from kad.linux.spawn import reap
from kad.log import Logger
from kad.supervision import EXIT_OK, EXIT_SOFTWARE, describe

if TYPE_CHECKING:
    from kad.watchdog import Watchdog

_MISSED_AFTER = 3
"""Advertisement intervals without an advert after which a peer takes over."""
_PATIENCE = 2.0
"""Seconds that the process has."""


class Sweep:
    """For the watchdog: which instances nobody speaks for, and the process that lets them go."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._orphans: dict[str, messages.RouterState] = {}
        self._swept: set[str] = set()
        self._birth: Birth | None = None
        self._deadline: float | None = None

    def begin(self, states: Iterable[messages.RouterState]) -> None:
        """The vrrp process died, and this is what it had said."""
        self._orphans = {
            state.name: state for state in states if state.holds_addresses and state.name not in self._swept
        }

    def cancel(self) -> None:
        """Another process speaks for them now."""
        self._orphans, self._swept = {}, set()

    def end(self) -> bool:
        """There will be no other process: let go of everything; True when nothing is left to be done."""
        if self._birth is None:
            self._let_go(frozenset(self._orphans))
        return self._birth is None

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
            self._watchdog.log.error("letting go takes too long: killing the process that does it")
            signal.pidfd_send_signal(self._birth.pidfd, signal.SIGKILL)

    def _missed_at(self, state: messages.RouterState) -> float:
        spoke_at = self._watchdog.members["vrrp"].page.spoken(state.slot).at
        return spoke_at + _MISSED_AFTER * state.advertisement_interval

    def _let_go(self, names: frozenset[str]) -> None:
        self._swept |= names
        for name in names:
            del self._orphans[name]
        watchdog, configuration = self._watchdog, self._watchdog.reload.current
        kept = watchdog.stopping and not watchdog.options.release_at_stop
        if not names or kept or configuration is None or "vrrp" not in configuration.slices:
            return
        watchdog.log.warning(f"nobody speaks for {', '.join(sorted(names))}: letting go of what it holds")
        descriptor, log = configuration.slices["vrrp"], watchdog.log.named(KINDS["vrrp"].ident)
        self._birth = family.fork(lambda end: _sweep(descriptor, names, log), frozenset({descriptor}))
        self._deadline = time.monotonic() + _PATIENCE
        watchdog.watch(self._birth.pidfd, selectors.EVENT_READ, self._bury)

    def _bury(self) -> None:
        birth = self._birth
        assert birth is not None
        self._watchdog.unwatch(birth.pidfd)
        status = reap(birth.pidfd) or EXIT_OK
        os.close(birth.pidfd)
        birth.end.close()
        self._birth = None
        if status != EXIT_OK:
            self._watchdog.log.error(f"the process that lets go of addresses {describe(status)}")
        self._watchdog.go_on_stopping()


def _sweep(descriptor: int, names: frozenset[str], log: Logger) -> NoReturn:
    """In the new process."""
    status = EXIT_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        set_title("kad: sweep")
        privilege.drop_to(KINDS["vrrp"].capabilities or (), UNPRIVILEGED_USER)
        let_go = cast(Callable[[bytes, frozenset[str], Logger], None], _find("kad.vrrp.process", "let_go"))
        let_go(read_memory_file(descriptor), names, log)
        status = EXIT_OK
    except BaseException:
        log.error(traceback.format_exc())
    finally:
        os._exit(status)


def _find(module: str, name: str) -> object:
    return getattr(importlib.import_module(module), name)
