"""The two files that speak with the operator about reloads: one orders a moment, one exists while files are read."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kad.linux.files.inotify import FolderWatch
from kad.linux.refused import Refused
from kad.model.daemon import WatchdogSlice
from kad.shared.log import Logger
from kad.watchdog.reload_time import BadTime, is_daily, is_time, moment
from kad.watchdog.selector_loop import SelectorLoop

_LONGEST_WAIT = 60.0
"""Seconds: the wall clock may be set meanwhile."""


class ReloadTriggers:
    """reload_time_file with reload_repeat, and reload_file."""

    def __init__(self, loop: SelectorLoop, log: Logger, runtime_directory: Path, on_due: Callable[[], None]) -> None:
        """`on_due` is called at the moment for which a reload was ordered."""
        self._loop = loop
        self._log = log
        self._runtime_directory = runtime_directory
        self._on_due = on_due
        self._words = WatchdogSlice()
        self._folder: FolderWatch | None = None
        self._at: datetime | None = None

    def follow(self, words: WatchdogSlice) -> None:
        """Another configuration is in force."""
        changed = words.reload_time_file != self._words.reload_time_file
        self._words = words
        if changed:
            self._watch(words.reload_time_file)
        self._read()

    def begin(self) -> None:
        """Files are being read: nobody should change them."""
        if self._words.reload_file is not None:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(self._marker(), flags, 0o644))
            except OSError as error:
                self._log.warning(f"{self._marker()}: {error.strerror}")

    def end(self) -> None:
        """The files were read."""
        if self._words.reload_file is not None:
            with suppress(OSError):
                found = self._marker().lstat()
                # Another file has come to have this name: what has a content is not the marker.
                if stat.S_ISREG(found.st_mode) and not found.st_size:
                    self._marker().unlink()

    @property
    def deadline(self) -> float | None:
        """Monotonic: when fall_due() must look again."""
        if self._at is None:
            return None
        wait = (self._at - datetime.now().astimezone()).total_seconds()
        return time.monotonic() + min(max(wait, 0.0), _LONGEST_WAIT)

    def fall_due(self) -> None:
        """Reload when the moment has come."""
        if self._at is None or datetime.now().astimezone() < self._at:
            return
        self._at = None
        path = Path(str(self._words.reload_time_file))
        with suppress(OSError):
            text = path.read_text()
            if is_time(text) and not (self._words.reload_repeat and is_daily(text)):
                path.unlink()
        self._log.info(f"{path} ordered a reload for now")
        self._on_due()
        self._read()

    def _marker(self) -> Path:
        return Path(self._words.reload_file or self._runtime_directory / "keepalived.reload")

    def _watch(self, path: str | None) -> None:
        if self._folder is not None:
            self._loop.unwatch(self._folder.fileno())
            self._folder.close()
            self._folder = None
        if path is None:
            return
        try:
            self._folder = FolderWatch(str(Path(path).parent))
        except Refused as refused:
            self._log.error(f"reload_time_file: {refused}")
            return
        self._loop.watch(self._folder.fileno(), self._notice)

    def _notice(self) -> None:
        if self._folder is not None and Path(str(self._words.reload_time_file)).name in self._folder.names():
            self._read()

    def _read(self) -> None:
        self._at = None
        if self._words.reload_time_file is None:
            return
        try:
            text = Path(self._words.reload_time_file).read_text()
            self._at = moment(text, datetime.now().astimezone())
        except FileNotFoundError:
            return
        except (OSError, BadTime, UnicodeDecodeError) as error:
            self._log.warning(f"{self._words.reload_time_file}: {error}")
            return
        when = f"at {self._at:%Y-%m-%d %H:%M:%S}" if self._at else "never: that moment is past"
        self._log.info(f"{self._words.reload_time_file} orders a reload {when}")
