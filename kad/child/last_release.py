"""What a dead vrrp process held is released although the parent cannot see to it: it is dead too, or it is stopped.

The runner does it: it is told which vrrp process lives, and what that may hold. See SURVIVAL.md.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import struct
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import msgspec

from kad.child.privileges import UNPRIVILEGED_USER, give_up_signals
from kad.linux.process import capabilities, fork
from kad.linux.process.memfd import read_memory_file
from kad.linux.process.pid_file import is_locked
from kad.linux.process.process import set_title
from kad.linux.process.spawn import reap
from kad.model.program_end import shell_status
from kad.shared import messages
from kad.shared.exit_codes import EXIT_OK, EXIT_SOFTWARE, describe
from kad.shared.log import Logger

if TYPE_CHECKING:
    from kad.child.multiplexer import Moment, Mux

MISSED_AFTER = 3
"""Advertisement intervals without an advert after which a peer takes over."""
_LEAVES_WITHIN = 1.0
"""Seconds that a vrrp process whose parent is gone has to hand over and leave; longer where a peer takes over later."""
_KILLED_WITHIN = 1.0
"""Seconds in which a process that is killed has ended."""
_RELEASE_WITHIN = 5.0
"""Seconds that the process has which releases."""
_UNLOCKED_WITHIN = 1.0
"""Seconds in which a dead parent has left its lock: the kernel may close its channels before that."""
_LOOK_AGAIN = 0.02
"""Seconds until the lock is looked at again."""


class _Instance(msgspec.Struct):
    advertisement_interval: float = 1.0


class _Intervals(msgspec.Struct):
    """Of what is to be released, the fields that are needed here."""

    instances: tuple[_Instance, ...] = ()


def missed_after(release_slice: bytes) -> float:
    """Seconds of silence after which the first peer takes an address over."""
    intervals = msgspec.msgpack.decode(release_slice, type=_Intervals)
    return MISSED_AFTER * min((each.advertisement_interval for each in intervals.instances), default=1.0)


class LastRelease:
    """In the runner: waits for the end of the vrrp process, and then for the parent to see to what it held."""

    def __init__(self, mux: Mux, log: Logger) -> None:
        self._mux = mux
        self._log = log
        self._slice: bytes | None = None
        self._pid_file = ""
        self._pidfd: int | None = None
        self._waiting: Moment | None = None
        self._releasing: int | None = None
        """The process that does it."""
        self._orphaned = False
        self._locked_until = 0.0
        """Until this moment the lock may be that of the parent that just died; later it is another daemon's."""

    def take(self, message: messages.VrrpProcess, descriptor: int | None) -> None:
        """The parent has another vrrp process, or has buried the one that was, and sees to what it held."""
        self._forget()
        if descriptor is not None:
            self._slice = read_memory_file(descriptor)
            os.close(descriptor)
        self._pid_file = message.pid_file
        if message.pid:
            try:
                self._pidfd = os.pidfd_open(message.pid)
            except OSError:
                self._died()
                return
            self._mux.watch(self._pidfd, self._died, "releasing what a dead process held")

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._pidfd is not None:
            self._mux.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _died(self) -> None:
        """The parent buries it at once, unless it cannot."""
        self._forget()
        if self._slice is None:
            return
        patience = 0.0 if self._orphaned else missed_after(self._slice)
        self._waiting = self._mux.at(self._mux.now() + patience, self._release)

    async def orphaned(self) -> None:
        """The parent is gone; the vrrp process releases by itself, or dies before it has."""
        self._orphaned = True
        self._locked_until = self._mux.now() + _UNLOCKED_WITHIN
        if self._slice is None:
            return
        end = self._mux.now() + max(_LEAVES_WITHIN, missed_after(self._slice))
        if self._pidfd is not None:
            await self._left_until(end)
        elif self._releasing is None:
            self._died()
        while (self._waiting is not None or self._releasing is not None) and self._mux.now() < end + _RELEASE_WITHIN:
            await asyncio.sleep(0.02)

    async def _left_until(self, end: float) -> None:
        """The vrrp process has ended; one that is stopped or hangs is killed at that moment."""
        killed = False
        while self._pidfd is not None and self._mux.now() < end + _KILLED_WITHIN:
            if not killed and self._mux.now() >= end:
                killed = True
                self._log.error("the vrrp process does not leave: killing it to release what it holds")
                with suppress(OSError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            await asyncio.sleep(0.02)

    def _release(self) -> None:
        self._waiting = None
        content = self._slice
        if content is None or self._releasing is not None:
            return
        if self._orphaned and is_locked(Path(self._pid_file)):
            if self._mux.now() < self._locked_until:
                self._waiting = self._mux.at(self._mux.now() + _LOOK_AGAIN, self._release)
            else:
                self._log.info("another daemon has begun, which releases what it finds by itself")
            return
        if not self._orphaned:
            self._log.error("the vrrp process is dead and the parent does nothing: releasing what it held")
        try:
            birth = fork.fork(lambda _end: release(content, None, self._log))
        except OSError as error:
            self._log.error(f"cannot start the process that releases addresses: {error.strerror}")
            return
        birth.end.close()
        self._releasing = birth.pidfd
        self._mux.watch(birth.pidfd, self._released, "releasing what a dead process held")
        self._waiting = self._mux.at(self._mux.now() + _RELEASE_WITHIN, self._give_up)

    def _give_up(self) -> None:
        self._waiting = None
        if self._releasing is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._releasing, signal.SIGKILL)

    def _released(self) -> None:
        pidfd = self._releasing
        assert pidfd is not None
        status = reap(pidfd)
        self._mux.unwatch(pidfd)
        os.close(pidfd)
        self._releasing = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if status is not None and shell_status(status) != EXIT_OK:
            self._log.error(f"the process that releases addresses {describe(shell_status(status))}")


def release_here(release_slice: bytes, names: frozenset[str] | None, log: Logger) -> None:
    """In this process: what a vrrp process held for these instances (None: everything), from a ReleaseSlice."""
    let_go = importlib.import_module("kad.vrrp.process.worker").let_go
    cast(Callable[[bytes, frozenset[str] | None, Logger], None], let_go)(release_slice, names, log)


def release(release_slice: bytes, names: frozenset[str] | None, log: Logger) -> NoReturn:
    """What a process does that is forked for that alone: it has CAP_NET_ADMIN, and may neither signal nor trace."""
    status = EXIT_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        set_title("kad: sweep")
        capabilities.drop_to((capabilities.Capability.NET_ADMIN,), UNPRIVILEGED_USER)
        give_up_signals(log)
        release_here(release_slice, names, log)
        status = EXIT_OK
    except (ValueError, RecursionError, OverflowError, struct.error) as error:
        # A file of an earlier daemon may hold any text and number.
        log.error(f"what is to be released cannot be understood: {error}")
    except BaseException:
        log.error(traceback.format_exc())
    finally:
        os._exit(status)
