"""Tracked files: what number stands in each, told when it changes."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass

from kad.linux.files.own_files import Foreign, refuse_configuration
from kad.model.tracking import TrackedFile
from kad.runner.process.file_monitor import Folders
from kad.shared.log import Logger
from kad.shared.messages import Message, Observation
from kad.tracking.file import READ_BYTES, number_of


@dataclass(slots=True)
class Watched:
    """A file and the number in it."""

    tracked: TrackedFile
    changed: Callable[[], None]
    value: int = 0
    since: float = 0.0
    """UNIX time at which the value last changed."""
    reason: str = ""


class Files:
    """All tracked files of a configuration."""

    def __init__(self, say: Callable[[Message], None], log: Logger, folders: Folders) -> None:
        self._say = say
        self._log = log
        self._folders = folders
        self._files: dict[str, Watched] = {}

    def configure(self, wanted: tuple[TrackedFile, ...], earlier: dict[str, Observation], *, starting: bool) -> None:
        """Watch these alone; files are made only when the daemon starts."""
        configured = {tracked.name: tracked for tracked in wanted}
        for name, watched in list(self._files.items()):
            if name not in configured:
                self._remove(name)
            elif watched.tracked.path != configured[name].path:
                self._folders.unwatch(watched.tracked.path, watched.changed)
                del self._files[name]
            else:
                watched.tracked = configured[name]
        for name, tracked in configured.items():
            if name not in self._files:
                if starting and name not in earlier:
                    self._make(tracked)
                self._add(tracked, earlier.get(name))

    def stop(self) -> None:
        """Nothing is watched any more."""
        for name in list(self._files):
            self._remove(name)

    def snapshot(self) -> list[dict[str, object]]:
        blind = self._folders.blind()
        return [
            {
                "name": watched.tracked.name,
                "path": watched.tracked.path,
                "value": watched.value,
                "since": watched.since,
                "reason": watched.reason,
                "changes_seen_by": "looking each second" if watched.tracked.path in blind else "events",
            }
            for watched in self._files.values()
        ]

    def _add(self, tracked: TrackedFile, earlier: Observation | None) -> None:
        watched = Watched(tracked, lambda: self._look(watched), since=time.time())
        self._files[tracked.name] = watched
        self._folders.watch(tracked.path, watched.changed)
        value, watched.reason = _content(tracked)
        watched.value = value or 0
        if earlier is not None and earlier.value == watched.value:
            watched.since = earlier.since
        self._tell(watched)

    def _remove(self, name: str) -> None:
        watched = self._files.pop(name)
        self._folders.unwatch(watched.tracked.path, watched.changed)
        self._say(
            Observation(
                kind="file", name=name, value=None, since=time.time(), reason="no longer configured", deleted=True
            )
        )

    def _look(self, watched: Watched) -> None:
        value, reason = _content(watched.tracked)
        if value is None:
            self._log.warning(f"track_file {watched.tracked.name}: {reason}; it still counts as {watched.value}")
        elif value != watched.value:
            watched.value, watched.reason, watched.since = value, reason, time.time()
            self._log.info(f"track_file {watched.tracked.name}: {reason}")
            self._tell(watched)

    def _tell(self, watched: Watched) -> None:
        name, value, since, reason = watched.tracked.name, watched.value, watched.since, watched.reason
        self._say(Observation(kind="file", name=name, value=value, since=since, reason=reason))

    def _make(self, tracked: TrackedFile) -> None:
        """Write the initial number, following no link that somebody else may have laid."""
        if tracked.initial is None or (os.path.lexists(tracked.path) and not tracked.overwrite):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            refuse_configuration(tracked.path)
        except Foreign as foreign:
            self._log.error(f"track_file {tracked.name}: {foreign}: not written")
            return
        try:
            with os.fdopen(os.open(tracked.path, flags, 0o666), "w") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    self._log.error(f"track_file {tracked.name}: {tracked.path} is no plain file: not written")
                    return
                file.truncate()
                file.write(f"{tracked.initial}\n")
        except OSError as error:
            self._log.error(f"track_file {tracked.name}: {tracked.path} cannot be written: {error.strerror}")


def _content(tracked: TrackedFile) -> tuple[int | None, str]:
    """The number, None where there is one that means nothing, and a sentence about it."""
    path = tracked.path
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            number = number_of(os.read(descriptor, READ_BYTES))
        finally:
            os.close(descriptor)
    except BlockingIOError:
        return 0, f"{path} is no plain file: 0"
    except FileNotFoundError:
        return 0, f"there is no {path}: 0"
    except OSError as error:
        return 0, f"{path}: {error.strerror}: 0"
    if number is None:
        return None, f"{path} holds a number beyond 32 bits"
    return number, f"{path} says {number}"
