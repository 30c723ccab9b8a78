"""What the runner is given: programs by id, and the scripts, processes and files that someone tracks."""

from __future__ import annotations

import msgspec

from kad.model.notification import Subject
from kad.model.tracking import Probe, TrackedFile, TrackedProcess


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One command line of the configuration; only the runner ever executes it."""

    id: str
    """`OBJECT/KEYWORD`; the object is an instance, `group:NAME`, or `script:NAME`."""
    text: str
    """As written, for the log."""
    argv: tuple[str, ...]
    """What execve gets; a shell string is (shell, "-c", text)."""
    shell: bool = False
    user: str | None = None
    """None: the user of the daemon."""
    group: str | None = None
    supplementary_groups: bool = False
    """It is also in the other groups of its user."""
    subject: Subject | None = None
    """What it belongs to, of those programs that other processes have run; it is run for remarks of that alone."""
    probe: Probe | None = None
    """What kad asks itself, instead of running it."""
    is_secured: bool = False
    """enable_script_security: as root it is run only while root alone can change what is run."""


class VrrpScript(msgspec.Struct, frozen=True, kw_only=True):
    """A program that is run again and again, and whose exit status is a value."""

    name: str
    program: Program
    interval: float = 1.0
    """Seconds from one start to the next."""
    timeout: float = 1.0
    """Seconds after which the program is signalled and counts as failed."""
    weight: int = 0
    reverse: bool = False
    rise: int = 1
    """Successes in a row needed to go up."""
    fall: int = 1
    """Failures in a row needed to go down."""
    init_fail: bool = False
    immediate: bool = False
    """A bad answer of a probe counts as soon as it is known, whatever `fall` says."""
    impossible: str = ""
    """Why it can never run: it has failed then, from the beginning."""


class Fifo(msgspec.Struct, frozen=True, kw_only=True):
    """A FIFO that gets events line by line, and the program that reads it."""

    path: str
    sources: tuple[str, ...]
    """vrrp, lvs: whose events it gets."""
    mode: int = 0o600
    user: str | None = None
    """Who owns it; None: the user of the daemon."""
    group: str | None = None
    script: Program | None = None
    """Started with the path behind its own arguments."""


class Mailing(msgspec.Struct, frozen=True, kw_only=True):
    """Whom alerts are sent to, and through which server."""

    server: str
    port: int = 25
    timeout: float = 30.0
    """Seconds for the connection and for each answer."""
    helo: str
    sender: str
    recipients: tuple[str, ...]
    router_id: str
    """Stands before each subject."""
    faults: bool = True
    """False: nobody is told of FAULT."""


class RunnerSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the runner needs of the configuration."""

    programs: tuple[Program, ...] = ()
    """Every program that other processes have run, each with its subject."""
    scripts: tuple[VrrpScript, ...] = ()
    """Only those that an instance or a group tracks."""
    processes: tuple[TrackedProcess, ...] = ()
    """Only those that somebody tracks."""
    files: tuple[TrackedFile, ...] = ()
    """Only those that somebody tracks."""
    process_events_buffer: int = 0
    """Bytes of process events that may wait; 0: as many as kad thinks fit."""
    fifos: tuple[Fifo, ...] = ()
    mailing: Mailing | None = None
