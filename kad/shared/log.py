"""The log: keepalived's phrases to syslog, console or file; a full pipe costs a line, never a wait."""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass, field
from enum import IntEnum

from kad.model import escaping
from kad.shared.output import to_error

_LARGEST_LINE = 4000
"""Below PIPE_BUF, so that a line is written whole or not at all."""
_CONTINUED = "    "
"""Stands before each further line of a text."""
FACILITIES = {"user": 1, "daemon": 3, **{f"local{number}": 16 + number for number in range(8)}}


class Level(IntEnum):
    """syslog's severities (RFC 5424 6.2.1)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True)
class Destination:
    """Where lines go, as the command line says."""

    console: bool = False
    syslog: bool = True
    file: str | None = None
    facility: int = FACILITIES["daemon"]
    detail: bool = False


@dataclass
class Logger:
    """One process's log; `dropped` counts lines that nobody could take in time."""

    ident: str
    destination: Destination
    dropped: int = 0
    _syslog: socket.socket | None = field(default=None, repr=False)
    _file: int | None = field(default=None, repr=False)

    def named(self, ident: str) -> Logger:
        """The same destination under the ident of another process."""
        return Logger(ident, self.destination)

    def error(self, text: str) -> None:
        self.write(Level.ERROR, text)

    def warning(self, text: str) -> None:
        self.write(Level.WARNING, text)

    def notice(self, text: str) -> None:
        self.write(Level.NOTICE, text)

    def info(self, text: str) -> None:
        self.write(Level.INFO, text)

    def debug(self, text: str) -> None:
        if self.destination.detail:
            self.write(Level.DEBUG, text)

    def write(self, level: Level, text: str) -> None:
        """One line or several; never blocks, never raises.

        What others wrote may be in the text: nothing of it commands a terminal, and no line but the first stands at
        the margin, where it could pass for one of kad's own.
        """
        for line in f"\n{_CONTINUED}".join(escaping.lines(text).rstrip("\n").split("\n")).split("\n"):
            if self.destination.console:
                self._write_descriptor(2, line)
            if self.destination.file is not None:
                self._write_file(line)
            if self.destination.syslog:
                self._write_syslog(level, line)

    def _write_descriptor(self, descriptor: int, line: str) -> None:
        # The console is shared with whoever started us, so it must not be made non-blocking: ask before writing.
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        now = time.time()
        stamp = time.strftime("%a %b %e %H:%M:%S", time.localtime(now)) + f".{int(now * 1e6) % 1000000:06d}"
        data = f"{stamp} {self.ident}[{os.getpid()}]: {line}".encode(errors="replace")[:_LARGEST_LINE] + b"\n"
        try:
            if any(events & select.POLLOUT for _, events in poll.poll(0)):
                os.write(descriptor, data)
            else:
                self.dropped += 1
        except OSError:
            self.dropped += 1

    def open(self) -> None:
        """Open the file now: a process that gives up its privileges may not be able to do it later."""
        if self._file is None and self.destination.file is not None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                self._file = os.open(str(self.destination.file), flags, 0o640)
            except OSError as error:
                to_error(f"cannot write the log file {self.destination.file}: {error.strerror}\n")
                self._file = -1

    def _write_file(self, line: str) -> None:
        self.open()
        if self._file is not None and self._file >= 0:
            self._write_descriptor(self._file, line)

    def _write_syslog(self, level: Level, line: str) -> None:
        data = f"<{self.destination.facility * 8 + level}>{self.ident}[{os.getpid()}]: {line}"
        try:
            if self._syslog is None:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                connection.setblocking(False)
                connection.connect("/dev/log")
                self._syslog = connection
            self._syslog.send(data.encode(errors="replace")[:_LARGEST_LINE])
        except OSError:
            if self._syslog is not None:
                self._syslog.close()
                self._syslog = None
            self.dropped += 1
