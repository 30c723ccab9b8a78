"""The analyzer as the parent runs it: forked for each reading of the configuration, patiently waited for, reaped."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from kad.linux.process.fork import Birth
from kad.linux.process.process import processor_time
from kad.linux.sockets.channel import Channel, ChannelLost
from kad.shared import messages
from kad.shared.framing import BadFrame
from kad.shared.log import Logger
from kad.shared.messages import Analyzed
from kad.watchdog import process_specs
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.selector_loop import SelectorLoop
from kad.watchdog.two_phase_commit import MemoryFiles

_PATIENCE = 60.0
"""Seconds in which an analyzer must have worked; one that waits for a file for so long is given up."""
_WORK = 0.1
"""Seconds of a processor that count as work: on a busy host a large file takes minutes."""
_LONGEST = 600.0
"""Seconds after which it is given up, whatever it does."""


@dataclass
class Analysis:
    """An analyzer at work."""

    birth: Birth
    channel: Channel
    deadline: float | None
    """None: it was killed."""
    descriptors: dict[str, int]
    """Memory files that have come, by the name of the child or messages.RELEASE."""
    until: float
    """Not even work counts after this moment."""
    worked: float = 0.0
    """Seconds of a processor that it had when it was last looked at."""

    @property
    def files(self) -> MemoryFiles:
        """What has come."""
        slices = {name: descriptor for name, descriptor in self.descriptors.items() if name in PROCESS_SPECS}
        return MemoryFiles(slices, self.descriptors.get(messages.RELEASE))

    def works(self, now: float) -> bool:
        """Whether it has got on since the last look, and may go on."""
        before, self.worked = self.worked, processor_time(self.birth.pid, asleep=True) or 0.0
        return now < self.until and self.worked - before >= _WORK


class AnalyzerProcess:
    """At most one at a time."""

    def __init__(
        self,
        loop: SelectorLoop,
        log: Logger,
        analyze: Callable[[], tuple[Analyzed, dict[str, bytes]]],
        on_end: Callable[[Analyzed | None, MemoryFiles, int], None],
    ) -> None:
        """`analyze` is called in the process; `on_end` is given its answer (None: it has none), files and status."""
        self._loop = loop
        self._log = log
        self._analyze = analyze
        self._on_end = on_end
        self._analysis: Analysis | None = None

    @property
    def pid(self) -> int | None:
        """None: no analyzer is at work."""
        return self._analysis.birth.pid if self._analysis is not None else None

    @property
    def deadline(self) -> float | None:
        return self._analysis.deadline if self._analysis is not None else None

    def fall_due(self, now: float) -> None:
        """Give up one that takes too long."""
        analysis = self._analysis
        if analysis is not None and analysis.deadline is not None and now >= analysis.deadline:
            if analysis.works(now):
                analysis.deadline = now + _PATIENCE
            else:
                self.cancel()

    def start(self) -> None:
        """Raises OSError."""
        birth = process_specs.fork_analyzer(self._analyze, self._log)
        now = time.monotonic()
        self._analysis = Analysis(birth, Channel(birth.end), now + _PATIENCE, {}, now + _LONGEST)
        self._loop.watch(birth.end, self._read)

    def cancel(self) -> None:
        """Its end of file will say the rest."""
        if self._analysis is not None:
            os.kill(self._analysis.birth.pid, signal.SIGKILL)
            self._analysis.deadline = None

    def _read(self) -> None:
        analysis = self._analysis
        if analysis is None:
            return
        try:
            analyzed = self._take(analysis)
            if analyzed is None:
                return
        except ChannelLost:
            analyzed = None
        except Exception:
            # What it was given to read may have led it to anything.
            self._log.error(traceback.format_exc())
            analyzed = None
        self._loop.unwatch(analysis.birth.end)
        analysis.channel.close()
        # It has said all that it will say; one that cannot even exit must not keep us.
        os.kill(analysis.birth.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(analysis.birth.pid, 0)[1])
        os.close(analysis.birth.pidfd)
        self._analysis = None
        self._on_end(analyzed, analysis.files, status)

    def _take(self, analysis: Analysis) -> Analyzed | None:
        for frame in analysis.channel.receive():
            match messages.from_frame(frame):
                case messages.Slice(name=name):
                    if name not in (*PROCESS_SPECS, messages.RELEASE) or name in analysis.descriptors:
                        raise BadFrame(f"a slice for {name!r}")
                    analysis.descriptors[name] = analysis.channel.take_descriptor()
                case Analyzed() as analyzed:
                    return analyzed
                case _:
                    pass
        return None
