"""Which processes are meant by a name, told as each tool tells it, and how many of them there must be; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

NAME_BYTES = 15
"""Of a program's name the kernel keeps no more."""


class Process(Protocol):
    """What can be asked about one."""

    @property
    def name(self) -> str:
        """The kernel's short name (comm)."""

    @property
    def arguments(self) -> Sequence[str]:
        """From argv[0] on; empty for threads of the kernel."""

    @property
    def executable_path(self) -> str:
        """Empty where nobody may know; " (deleted)" follows a file that is gone."""

    def runs(self, path: str) -> bool:
        """Its program is the file that stands there now."""


class Pattern(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Which processes are meant."""

    name: str

    def may_mean(self, name: str) -> bool:
        """Whether any process of that short name can be meant: asked first, because it needs nothing else."""
        return True

    def means(self, process: Process) -> bool:
        """Whether this process is meant; may_mean() was true of its name."""
        return process.name == self.name

    def __str__(self) -> str:
        return self.name


class KillallName(Pattern, frozen=True, kw_only=True):
    """As psmisc's killall finds them: the short name, a longer one in the arguments, a file where there is a slash."""

    def may_mean(self, name: str) -> bool:
        return "/" in self.name or _same_short_name(self.name, name)

    def means(self, process: Process) -> bool:
        if "/" in self.name:
            return process.runs(self.name)
        if len(_bytes(process.name)) != NAME_BYTES:
            return True
        # The whole name stands in the arguments, behind an interpreter where there is one.
        for word in process.arguments:
            if not word:
                break
            base = word.rpartition("/")[2]
            if _bytes(base)[:NAME_BYTES] == _bytes(process.name):
                return base == self.name
        return True


class PidofName(Pattern, frozen=True, kw_only=True):
    """As sysvinit's pidof finds them: argv[0] or its last part; with a path the executable."""

    scripts: bool = False
    """-x: also interpreters that run a script of that name."""

    def means(self, process: Process) -> bool:
        path = process.executable_path
        if self.name.startswith("/"):
            if path in (self.name, f"{self.name} (deleted)") or process.runs(self.name):
                return True
            if not self.scripts or not path:
                return False
        words = process.arguments
        first = words[0] if words else ""
        last_part = self.name.rpartition("/")[2]
        names = {self.name, last_part}
        if first and (first in names or first.rpartition("/")[2] == self.name):
            return True
        script = next((word for word in words[1:] if not word.startswith("-")), "")
        if self.scripts and script:
            base = script.rpartition("/")[2]
            if process.name[:NAME_BYTES] == base[:NAME_BYTES] and (script in names or base == self.name):
                return True
        titled = not first or " " in first or (first.startswith("-") and not script)
        return titled and process.name == last_part


class PgrepName(Pattern, frozen=True, kw_only=True):
    """As procps' pgrep finds them: a regular expression found in the short name; `exact`: it is the whole name."""

    exact: bool = False

    def may_mean(self, name: str) -> bool:
        expression = re.compile(self.name)
        return bool(expression.fullmatch(name) if self.exact else expression.search(name))

    def means(self, process: Process) -> bool:
        return True


class ProcessWords(Pattern, frozen=True, kw_only=True):
    """As vrrp_track_process finds them."""

    full_command: bool = False
    """argv[0] is compared, not the short name."""
    arguments: tuple[str, ...] = ()
    param_match: Literal["none", "exact", "initial", "partial"] = "none"
    """exact: these arguments alone; partial: they come first; initial: and the last one may be longer."""

    def may_mean(self, name: str) -> bool:
        return self.full_command or _same_short_name(self.name, name)

    def means(self, process: Process) -> bool:
        if not self.full_command:
            return True
        words = process.arguments
        if not words:
            return False
        if words[0] != self.name:
            # A process that wrote a title over its arguments has none left to compare.
            titled = " " in words[0] and self.param_match == "none"
            return titled and process.executable_path == self.name
        return self._fits(tuple(words[1:]))

    def _fits(self, given: tuple[str, ...]) -> bool:
        wanted = self.arguments
        match self.param_match:
            case "exact":
                return given == wanted
            case "partial":
                return given[: len(wanted)] == wanted
            case "initial":
                *whole, last = wanted or ("",)
                begin, rest = given[: len(whole)], given[len(whole) :]
                return begin == tuple(whole) and (not wanted or (bool(rest) and rest[0].startswith(last)))
        return True

    def __str__(self) -> str:
        return " ".join((self.name, *self.arguments))


Patterns = KillallName | PidofName | PgrepName | ProcessWords


def _same_short_name(wanted: str, name: str) -> bool:
    """A name of 15 bytes may be the beginning of a longer one."""
    if len(_bytes(wanted)) > NAME_BYTES:
        return _bytes(name) == _bytes(wanted)[:NAME_BYTES]
    return wanted == name


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


class TrackedProcess(msgspec.Struct, frozen=True, kw_only=True):
    """vrrp_track_process: how many processes there must be, and how long a change may last before it counts."""

    name: str
    pattern: ProcessWords
    quorum: int = 1
    quorum_max: int | None = None
    fork_delay: float = 0.0
    """Seconds after a growth of the number."""
    terminate_delay: float = 0.0
    """Seconds after a fall of the number."""


@dataclass(frozen=True, slots=True)
class Counted:
    """So many processes are there now."""

    number: int


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The keywords changed; the pattern did not."""

    tracked: TrackedProcess


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The delay is over."""


@dataclass(frozen=True, slots=True)
class Observe:
    """The value changed: 1 within the quorum, 0 not."""

    value: int
    reason: str


class ProcessQuorum:
    """One vrrp_track_process: a change that is undone within its delay never counts."""

    def __init__(self, tracked: TrackedProcess) -> None:
        self.tracked = tracked
        self.number: int | None = None
        self.value: int | None = None
        self.reason = "not counted yet"
        self._since: float | None = None
        """When the number left or entered the quorum, which does not count yet; None: nothing waits."""
        self._grew = False
        """Then."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        if self._since is None:
            return None
        return self._since + (self.tracked.fork_delay if self._grew else self.tracked.terminate_delay)

    def handle(self, event: Counted | Reconfigured | DeadlineReached, now: float) -> list[Observe]:
        """Observe, where the value changes."""
        match event:
            case Counted(number):
                return self._count(number, now)
            case Reconfigured(tracked):
                self.tracked = tracked
                waits = self.deadline is not None and self.deadline > now and self._wanted() != self.value
                return [] if waits else self._settle()
            case DeadlineReached():
                return self._settle() if self.deadline is not None and now >= self.deadline else []

    def resume(self, value: int, reason: str) -> None:
        """What an earlier life of this process said; the first number corrects it at once."""
        self.value, self.reason = value, reason

    def _count(self, number: int, now: float) -> list[Observe]:
        before, self.number = self.number, number
        if before is None:
            return self._settle()
        if self._wanted() == self.value:
            self._since = None
            return []
        if self._since is not None:
            return []
        self._since, self._grew = now, number > before
        return self._settle() if self.deadline == now else []

    def _wanted(self) -> int:
        number, most = self.number or 0, self.tracked.quorum_max
        return int(number >= self.tracked.quorum and (most is None or number <= most))

    def _settle(self) -> list[Observe]:
        self._since = None
        if self.number is None or self._wanted() == self.value:
            return []
        self.value = self._wanted()
        self.reason = self._sentence()
        return [Observe(self.value, self.reason)]

    def _sentence(self) -> str:
        tracked = self.tracked
        least, most = tracked.quorum, tracked.quorum_max
        wanted = f"{least} or more" if most is None else f"{least}" if least == most else f"{least} to {most}"
        verb = "runs" if self.number == 1 else "run"
        return f"{self.number} of process {tracked.pattern} {verb}, {wanted} wanted"
