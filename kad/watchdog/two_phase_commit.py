"""One configuration for all children, all or none: prepare, then commit; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kad.model.daemon import WatchdogSlice
from kad.model.finding import Identity
from kad.shared.messages import Finding


class MemoryFiles(NamedTuple):
    """Descriptors of what an analyzer wrote; the parent passes them on, and reads none that may hold a secret."""

    slices: dict[str, int]
    """By the name of the child that is given it."""
    release: int | None = None
    """What to release if the vrrp process is dead; None where the configuration has no such process."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        return (*self.slices.values(), *(() if self.release is None else (self.release,)))


@dataclass(frozen=True)
class Configuration:
    """A generation as the parent holds it: sealed memory files by child, and what it needs itself."""

    generation: int
    files: MemoryFiles
    watchdog: WatchdogSlice
    refusals: frozenset[Identity]
    """Errors and warnings that it has; a later one that has others is refused."""

    @property
    def slices(self) -> dict[str, int]:
        """Descriptors of what each child is given, by its name."""
        return self.files.slices


@dataclass
class RunningConfiguration:
    """What is in force: written by the reload, read by every part of the parent."""

    current: Configuration | None = None
    """None: not even the first one is."""
    last_reload: dict[str, object] | None = None
    """When the last reload was, what became of it, and its diagnostics."""

    @property
    def words(self) -> WatchdogSlice:
        """What it says of the parent."""
        return self.current.watchdog if self.current else WatchdogSlice()

    @property
    def slices(self) -> dict[str, int]:
        """Descriptors of what each child was given, by its name."""
        return self.current.slices if self.current else {}


@dataclass(frozen=True)
class Refusal:
    """Why a reload is refused."""

    findings: tuple[Finding, ...] = ()
    """Those that the running files do not have."""
    reasons: tuple[str, ...] = ()
    """Everything else."""

    @property
    def text(self) -> str:
        """On one line, for the dump and the journal."""
        return "; ".join([*(each.summary for each in self.findings), *self.reasons])

    @property
    def lines(self) -> str:
        """For the client of a reload: each finding with its source line."""
        return "".join([*(each.whole for each in self.findings), *(f"{reason}\n" for reason in self.reasons)])

    @property
    def brief(self) -> str:
        """For a log that has the findings already."""
        count = len(self.findings)
        new = [f"{count} new finding{'s' * (count > 1)}, see above"] if count else []
        return "; ".join([*new, *self.reasons])


def refusal(
    findings: Iterable[Finding], running: Collection[Identity], *, unusable: bool, runs_something: bool, has_work: bool
) -> Refusal | None:
    """Why a reload must not be: what is wrong with the file and was not wrong with the running one. None: it may be.

    unusable: a first start would end with this file. has_work: it gives some child something to do.
    """
    known = frozenset(running)
    new = tuple(each for each in findings if each.refuses and not each.identities <= known)
    if new:
        return Refusal(findings=new)
    if unusable:
        return Refusal(reasons=("the file cannot be used",))
    if runs_something and not has_work:
        return Refusal(reasons=("nothing is configured that could run",))
    return None


class Stage(Enum):
    """How far the rollout is."""

    PREPARING = "preparing"
    COMMITTING = "committing"
    DONE = "done"
    ABANDONED = "abandoned"


@dataclass
class Rollout:
    """Which children still have to say ready, and which that they run it."""

    configuration: Configuration
    deadline: float
    """When the children must have said that they are ready."""
    stage: Stage = Stage.PREPARING
    reason: str = ""
    _waiting: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._waiting = set(self.configuration.slices)

    @property
    def waiting(self) -> frozenset[str]:
        """Children that have not yet said what is waited for: ready, or that they run it."""
        return frozenset(self._waiting)

    def waits_for(self, name: str) -> bool:
        return name in self._waiting

    def prepares(self, generation: int) -> bool:
        """Whether a child that is ready for this generation still has to wait for the others."""
        return self.stage is Stage.PREPARING and generation == self.configuration.generation

    def ready(self, name: str) -> bool:
        """That child can run it; True when now all can and it must be committed."""
        if self.stage is not Stage.PREPARING:
            return False
        self._waiting.discard(name)
        if self._waiting:
            return False
        self.stage = Stage.COMMITTING
        self._waiting = set(self.configuration.slices)
        return True

    def configured(self, name: str) -> bool:
        """That child runs it; True when now all do."""
        if self.stage is not Stage.COMMITTING:
            return False
        self._waiting.discard(name)
        if self._waiting:
            return False
        self.stage = Stage.DONE
        return True

    def abandon(self, reason: str) -> bool:
        """It cannot be; False when it is too late for that."""
        if self.stage is not Stage.PREPARING:
            return False
        self.stage = Stage.ABANDONED
        self.reason = reason
        return True
