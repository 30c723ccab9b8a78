"""What the runner is given: programs by id, and the scripts that someone tracks."""

from __future__ import annotations

import msgspec


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


class RunnerSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the runner needs of the configuration."""

    programs: tuple[Program, ...] = ()
    """Every notify program of instances and groups."""
    scripts: tuple[VrrpScript, ...] = ()
    """Only those that an instance or a group tracks."""
