"""What the parent knows of a child process, as one value: how it is started and stopped, what it may do and send."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from kad.linux.process.capabilities import Capability
from kad.shared import messages
from kad.shared.framing import BadFrame
from kad.shared.messages import Message

_OF_EVERY_CHILD = frozenset(
    {messages.Ready, messages.Refused, messages.Configured, messages.Pong, messages.SnapshotTaken}
)
_EVENTS_OF_PARENT = frozenset(
    {"bfd", "child", "file", "priority", "process", "reload", "script", "server", "transition"}
)
"""Kinds of events that the parent makes itself, of what it does and of the states that processes send."""


def imported(text: str) -> Any:
    """What MODULE:NAME stands for."""
    module, _, name = text.partition(":")
    return attrgetter(name)(importlib.import_module(module))


class PidOption(NamedTuple):
    """An option of the command line that names the pid file of the process."""

    letter: str
    name: str

    @property
    def field(self) -> str:
        """Where the parsed options hold its value."""
        return self.name.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """One child process. Names of code are MODULE:NAME, imported when they are needed."""

    name: str
    ident: str
    """Its name in the log."""
    title: str
    """Its name in the process table, unless the configuration gives another one."""
    worker: str
    """What it runs (kad.child.main.Room)."""
    configuration: str
    """The type of its slice; the process is started where the configuration has one."""
    pid_file: str
    """In the runtime directory."""
    pid_option: PidOption | None = None
    capabilities: tuple[Capability, ...] | None
    """None: every privilege of the parent."""
    stop_order: int
    """Processes of a higher number are stopped when those of a lower one have ended."""
    is_imported_early: bool = False
    """The parent imports the worker while the configuration is read, because nearly every configuration needs it."""
    setup: str = ""
    """Called first of all, with every privilege."""
    sockets: str = ""
    """Opens sockets that the parent keeps for the process that replaces this one."""
    sends: frozenset[type[Message]]
    """A process that sends another message is replaced."""
    wants: frozenset[type[Message]]
    """Messages of other processes that are passed on to it."""
    observes: frozenset[str] = frozenset()
    """Kinds of the Observations that it sends."""
    fifo_source: str = ""
    """Source of the FifoLines that it sends."""
    programs: re.Pattern[str] | None = None
    """Form of the ids of the programs that it may have run."""
    facts: tuple[type, ...] = ()
    """Kinds of facts that it may have them run for."""

    @cached_property
    def wanted_kinds(self) -> frozenset[int]:
        """As the headers of frames have them."""
        return frozenset(kind.KIND for kind in self.wants)

    def takes(self, message: Message) -> bool:
        """A message of another process is passed on to it: of programs the end of its own."""
        match message:
            case messages.Notified(program=program):
                return self._may_have_run(program) and type(message) in self.wants
            case _:
                return type(message) in self.wants

    def _may_have_run(self, program: str) -> bool:
        return self.programs is not None and self.programs.fullmatch(program) is not None

    def check(self, message: Message) -> None:
        """Raises BadFrame: the process may not send that.

        Of a program this looks at the form of the id and at the kind of the fact. Whether the configuration holds the
        program, and whether the fact fits it, the runner decides, which has the configuration.
        """
        if type(message) not in self.sends and type(message) not in _OF_EVERY_CHILD:
            raise BadFrame(f"the {self.name} process may not send {type(message).__name__}")
        match message:
            case messages.Notify(program=program) if not self._may_have_run(program):
                raise BadFrame(f"the {self.name} process may not have {program[:100]!r} run")
            case messages.Notify(fact=fact) if not isinstance(fact, self.facts):
                raise BadFrame(f"the {self.name} process may not have a program run for {type(fact).__name__}")
            case messages.Observation(kind=kind) if kind not in self.observes:
                raise BadFrame(f"the {self.name} process may not send observations of {kind[:100]!r}")
            case messages.Event(kind=kind) if kind in _EVENTS_OF_PARENT:
                raise BadFrame(f"the {self.name} process may not send events of {kind}")
            case messages.FifoLine(source=source) if source != self.fifo_source:
                raise BadFrame(f"the {self.name} process may not write lines of {source}")
            case _:
                pass
