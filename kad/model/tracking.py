"""What a tracked process, file or item is: the typed values that the configuration gives to the runner and to vrrp."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """weight N [reverse]"""

    number: int = 0
    reverse: bool = False


class TrackItem(msgspec.Struct, frozen=True, kw_only=True):
    """What is tracked, and what its failure does to the priority."""

    kind: str
    """interface, script, process, file or bfd."""
    name: str
    weight: int = 0
    """0: a failure is a fault; above 0 added while good; below 0 subtracted while failing. Already resolved."""
    reverse: bool = False
    """Good and failing change places."""


def counts_as_fault(item: TrackItem) -> bool:
    """Where no weight counts, a file of weight 1 is as one of 0: 1 is what it has when nothing is written."""
    return item.kind == "file" and item.weight == 1


class TrackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """track_file: a file whose number moves priorities and weights."""

    name: str
    path: str
    initial: int | None = None
    """Written when the daemon starts and there is no such file."""
    overwrite: bool = False
    """Written even when there is one."""


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


class ProcessesRun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """There are such processes, whoever owns them; zombies do not count."""

    patterns: tuple[Patterns, ...]
    each: bool = True
    """Of several names each one must run; otherwise any."""

    def __str__(self) -> str:
        joined = (" and " if self.each else " or ").join(map(str, self.patterns))
        if self.each and len(self.patterns) > 1:
            return f"processes {joined} run"
        return f"a process {joined} runs"


class ProcessOfFileRuns(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process lives whose number stands in this file."""

    path: str

    def __str__(self) -> str:
        return f"the process of {self.path} runs"


class FileExists(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """There is such a file; symbolic links are followed."""

    path: str
    kind: Literal["file", "directory", "anything"]

    def __str__(self) -> str:
        return f"{'' if self.kind == 'anything' else self.kind + ' '}{self.path} exists"


Question = ProcessesRun | ProcessOfFileRuns | FileExists


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A question that kad answers itself."""

    asks: Question
    good_if: bool = True
    """The answer that counts as success."""

    def __str__(self) -> str:
        return f"OK {'if' if self.good_if else 'unless'} {self.asks}"
