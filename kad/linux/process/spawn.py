"""Programs of the operator: started without a fork of ours, told apart by pidfd, killed by group."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from errno import ECHILD, EINVAL, ENOEXEC, EPERM
from pathlib import Path
from typing import NamedTuple

from kad.linux.process.process import pidfd_open
from kad.linux.refused import Refused, refusing
from kad.model.program_end import Exited, Killed, ProcessEnd

SHELL = "/bin/sh"
_SETPRIV = "/usr/bin/setpriv"
_STATUSES_OF_SETPRIV = (1, 126, 127)
"""Of its own failure: the identity, a program that cannot be executed, one that is not there."""
_BEGINNING = 128
"""Bytes in which a program has a zero byte and a text has none."""
_WITHHELD = ("IFS", "LD_PRELOAD", "LD_LIBRARY_PATH")
_SETTABLE_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class Spawned(NamedTuple):
    """A running program: leader of a process group of its own. Whoever spawned it closes the descriptors."""

    pid: int
    pidfd: int
    """Readable once the program has ended; then reap() it."""
    output_fd: int | None
    """Non-blocking end of the pipe that standard output and error write to; None where they go nowhere."""
    lacks_interpreter: bool = False
    """The file does not say what reads it (`#!`), so that /bin/sh does."""
    through_setpriv: bool = False
    """Another program changes the identity first, and ends in place of a program that cannot be executed."""


class Identity(NamedTuple):
    """Whom a program runs as."""

    user: str
    uid: int
    gid: int


def identity(user: str | None, group: str | None) -> Identity:
    """Of names or numbers; None is our own user, or the user's own group. Raises LookupError for unknown ones."""
    if user is None:
        name, uid, gid = str(os.geteuid()), os.geteuid(), os.getegid()
    elif user.isdecimal():
        uid = int(user)
        with suppress(KeyError):
            user = pwd.getpwuid(uid).pw_name
        name, gid = user, _own_group(uid)
    else:
        entry = pwd.getpwnam(user)
        name, uid, gid = user, entry.pw_uid, entry.pw_gid
    if group is not None:
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    return Identity(name, uid, gid)


def spawn(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    user: str | None = None,
    group: str | None = None,
    supplementary_groups: bool = False,
    output: bool = False,
    dies_with_us: bool = False,
) -> Spawned:
    """Start a program with default signals, standard input from /dev/null, and its output in a pipe or nowhere.

    With `dies_with_us` it gets TERM when this process dies (where the host has setpriv). A text file without `#!` is
    read by /bin/sh, whoever runs it. Raises Refused: no such program, unknown user, no right to become that user; what
    another user cannot execute is known only at its end (`why_not_executed`).
    """
    who = _known_identity(user, group)
    before = _by_setpriv(who, supplementary_groups, dies_with_us)
    allowed = {name: value for name, value in environment.items() if name not in _WITHHELD}
    read_end, write_end = _output(output)
    lacks_interpreter = bool(before) and is_text_without_interpreter(argv[0])
    try:
        try:
            pid, pidfd = _start([*before, *argv], allowed, write_end)
        except Refused as refused:
            if refused.errno != ENOEXEC or not is_text_without_interpreter(argv[0]):
                raise
            lacks_interpreter = True
            pid, pidfd = _start([SHELL, shutil.which(argv[0]) or argv[0], *argv[1:]], allowed, write_end)
    except Refused:
        if read_end is not None:
            os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return Spawned(pid, pidfd, read_end, lacks_interpreter, bool(before))


def is_text_without_interpreter(path: str) -> bool:
    """Whether /bin/sh reads the file when it is executed: it has no `#!`, and no zero byte as programs have."""
    begin = beginning_of(shutil.which(path) or path)
    return begin is not None and not begin.startswith(b"#!") and b"\0" not in begin


def beginning_of(path: str) -> bytes | None:
    """The first bytes of a regular file; None: it is none, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        return os.read(descriptor, _BEGINNING) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def why_not_executed(spawned: Spawned, end: ProcessEnd, output: str) -> str | None:
    """What setpriv said when it could not become the user or execute the program; None: the program itself ended so.

    setpriv's name stands first in what it prints in every language.
    """
    is_its_own = spawned.through_setpriv and isinstance(end, Exited) and end.status in _STATUSES_OF_SETPRIV
    if not is_its_own or not output.startswith("setpriv: "):
        return None
    return output.strip().removeprefix("setpriv: ")


def _start(argv: list[str], environment: Mapping[str, str], output: int) -> tuple[int, int]:
    try:
        with refusing(f"starting {argv[0]}"):
            pid = os.posix_spawnp(
                argv[0],
                argv,
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ),
                setpgroup=0,
                setsigmask=(),
                setsigdef=_SETTABLE_SIGNALS,
            )
    except ValueError as error:  # a NUL inside an argument or variable
        raise Refused(f"starting {argv[0]}", EINVAL) from error
    try:
        # Nobody else reaps the program, so the number is still its own.
        return pid, pidfd_open(pid)
    except Refused:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def kill_group(pid: int, signal_number: int) -> bool:
    """Signal the program and what it started in its group; False when nothing of it is left."""
    try:
        os.killpg(pid, signal_number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise Refused(f"signal to process group {pid}", EPERM) from error
    return True


def reap(pidfd: int) -> ProcessEnd | None:
    """How the program ended; None while it runs. Does not close the pidfd."""
    try:
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError as error:
        raise Refused("reaping a program", ECHILD) from error
    if ended is None:
        return None
    return Exited(ended.si_status) if ended.si_code == os.CLD_EXITED else Killed(ended.si_status)


def reap_strangers(own: Collection[int]) -> None:
    """Bury what ended and was left to this process, as to process 1, but none of its own children."""
    with suppress(OSError):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for pid in map(int, children):
            if pid not in own:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def _own_group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _known_identity(user: str | None, group: str | None) -> Identity:
    try:
        return identity(user, group)
    except LookupError as error:
        raise Refused(f"user {user} group {group}", EPERM) from error


def _by_setpriv(who: Identity, supplementary_groups: bool, dies_with_us: bool) -> list[str]:
    """What stands before the program: setpriv costs an exec, but changes identity without a fork of Python."""
    death = ["--pdeathsig", "TERM"] if dies_with_us and os.access(_SETPRIV, os.X_OK) else []
    if (who.uid, who.gid) == (os.geteuid(), os.getegid()):
        return [_SETPRIV, *death, "--"] if death else []
    groups = "--init-groups" if supplementary_groups else "--clear-groups"
    # The first keeps its capabilities until it executes something: only the second finds what the user may execute.
    return [_SETPRIV, f"--reuid={who.user}", f"--regid={who.gid}", groups, "--", _SETPRIV, *death, "--"]


def _output(wanted: bool) -> tuple[int | None, int]:
    with refusing("pipe for a program's output"):
        if not wanted:
            return None, os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        return read_end, write_end
