"""A FIFO of ours: made, written without waiting, and gone without taking the last lines along."""

from __future__ import annotations

import array
import fcntl
import os
import select
import stat
import termios
from contextlib import suppress
from errno import ENOTSUP

from kad.linux.process.spawn import identity
from kad.linux.refused import Refused, refusing

_MOST_HELD = 64


class Pipe:
    """Open for reading and writing, so that no reader is needed; what is not read yet waits in the kernel."""

    def __init__(self, path: str, *, mode: int, user: str | None, group: str | None) -> None:
        """Make the FIFO, or open the one that is there. Raises Refused: another file, no folder, unknown user."""
        self.path = path
        self.made = _make(path)
        """It was not there before."""
        with refusing(f"FIFO {path}"):
            # O_NONBLOCK first of all: a device or a socket of that name must not hold us.
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not stat.S_ISFIFO(os.fstat(self._fd).st_mode):
                raise Refused(f"{path} is no FIFO", ENOTSUP)
            if self.made:
                self.give_to(mode=mode, user=user, group=group)
        except Refused:
            os.close(self._fd)
            if self.made:
                os.unlink(path)
            raise

    def fileno(self) -> int:
        return self._fd

    def give_to(self, *, mode: int, user: str | None, group: str | None) -> None:
        """Set owner and mode; raises Refused."""
        try:
            who = identity(user, group)
        except LookupError as error:
            raise Refused(f"FIFO {self.path}: user {user} group {group}", ENOTSUP) from error
        with refusing(f"FIFO {self.path}"):
            os.fchmod(self._fd, mode)
            os.fchown(self._fd, who.uid, who.gid)

    def write(self, data: bytes) -> int:
        """Bytes that were taken; 0 when there is no room. Raises Refused."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)  # after listen_to_readers(): nobody is left to read it
        except OSError as error:
            raise Refused(f"FIFO {self.path}", error.errno or 0) from error

    def unread(self) -> int:
        """Bytes that wait for a reader."""
        count = array.array("i", [0])
        with refusing(f"FIFO {self.path}"):
            fcntl.ioctl(self._fd, termios.FIONREAD, count)
        return count[0]

    def is_in_place(self) -> bool:
        """The path still leads here."""
        try:
            there = os.lstat(self.path)
        except OSError:
            return False
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def listen_to_readers(self) -> None:
        """Be no reader any more; has_reader() tells the truth from now on. Raises Refused."""
        with refusing(f"FIFO {self.path}"):
            writing = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.close(self._fd)
        self._fd = writing

    def has_reader(self) -> bool:
        """After listen_to_readers(): some process has it open for reading."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return not any(events & select.POLLERR for _, events in poll.poll(0))

    def close(self, *, remove: bool) -> None:
        """Let go of it; the file goes too where that is asked, unless the path leads elsewhere by now."""
        if remove and self.is_in_place():
            with suppress(OSError):
                os.unlink(self.path)
        os.close(self._fd)


class HeldFifos:
    """FIFOs that somebody else writes to, kept open: what is not read yet outlives the writer."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}

    def hold(self, path: str) -> None:
        """The FIFO that is there now, and no longer one that was there before.

        Another file is not opened at all: opening a device can have effects.
        """
        self.let_go(path)
        if len(self._descriptors) >= _MOST_HELD:
            return
        with suppress(OSError, ValueError):  # ValueError: a NUL in the path
            place = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if stat.S_ISFIFO(os.fstat(place).st_mode):
                    flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
                    self._descriptors[path] = os.open(f"/proc/self/fd/{place}", flags)
            finally:
                os.close(place)

    def let_go(self, path: str) -> None:
        """Its readers find the end of file once the writer is gone too."""
        descriptor = self._descriptors.pop(path, -1)
        if descriptor >= 0:
            os.close(descriptor)


def _make(path: str) -> bool:
    """False when something of that name is there already; raises Refused."""
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise Refused(f"FIFO {path}", error.errno or 0) from error
    return True
