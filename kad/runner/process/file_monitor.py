"""Files whose coming, changing and going is heard of: by inotify, and by a look each second where that is blind."""

from __future__ import annotations

import os
from collections.abc import Callable

from kad.child.multiplexer import Moment, Mux
from kad.linux.files.inotify import FolderWatches, changes_unseen
from kad.linux.refused import Refused
from kad.shared.log import Logger

_LOOK_EVERY = 1.0
"""Seconds: for folders that are not there yet, and for file systems that other hosts change."""
_MOST_LINKS = 40
"""As many as the kernel follows."""


class Folders:
    """Paths of single files; `changed` is called when something happened to one, and whatever that was."""

    def __init__(self, mux: Mux, log: Logger) -> None:
        self._mux = mux
        self._log = log
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._places: dict[str, tuple[tuple[str, str], ...]] = {}
        """Of each path: the folders and names that it goes through at its end, links followed."""
        self._watches: FolderWatches | None = None
        self._refused = ""
        self._timer: Moment | None = None

    def watch(self, path: str, changed: Callable[[], None]) -> None:
        """Call when the file comes, changes or goes."""
        self._listeners.setdefault(path, []).append(changed)
        self._arrange()

    def unwatch(self, path: str, changed: Callable[[], None]) -> None:
        """The counterpart of watch()."""
        self._listeners[path].remove(changed)
        if not self._listeners[path]:
            del self._listeners[path]
        self._arrange()

    def close(self) -> None:
        """Let go of everything."""
        self._listeners.clear()
        self._arrange()

    def blind(self) -> list[str]:
        """Paths whose changes are found by looking."""
        watched = self._watches.folders if self._watches is not None else set()
        return sorted(
            path
            for path, places in self._places.items()
            if any(folder not in watched or changes_unseen(folder) for folder, _ in places)
        )

    def _arrange(self) -> None:
        """Watch exactly the folders that matter now."""
        self._places = {path: _places(path) for path in self._listeners}
        wanted = {folder for places in self._places.values() for folder, _ in places}
        if wanted and self._watches is None:
            self._open()
        if self._watches is not None:
            for folder in self._watches.folders - wanted:
                self._watches.remove(folder)
            for folder in wanted - self._watches.folders:
                self._add(self._watches, folder)
            if not wanted:
                self._close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.blind():
            self._timer = self._mux.at(self._mux.now() + _LOOK_EVERY, self._look)

    def _open(self) -> None:
        try:
            self._watches = FolderWatches()
        except Refused as refused:
            self._complain(refused)
            return
        self._mux.watch(self._watches.fileno(), self._hear, "hearing of files")

    def _close(self) -> None:
        if self._watches is not None:
            self._mux.unwatch(self._watches.fileno())
            self._watches.close()
            self._watches = None

    def _add(self, watches: FolderWatches, folder: str) -> None:
        try:
            watches.add(folder, links=True)
        except Refused as refused:
            if os.path.isdir(folder):
                self._complain(refused)

    def _complain(self, refused: Refused) -> None:
        if str(refused) != self._refused:
            self._refused = str(refused)
            self._log.warning(f"Files are looked at each second: {refused}")

    def _hear(self) -> None:
        if self._watches is None:
            return
        changed: set[str] = set()
        for change in self._watches.changes():
            for path, places in self._places.items():
                for folder, name in places:
                    if folder == change.folder and change.name in (None, name):
                        changed.add(path)
        self._call(changed)

    def _look(self) -> None:
        self._timer = None
        self._call(set(self.blind()))

    def _call(self, paths: set[str]) -> None:
        if not paths:
            return
        listeners = [listener for path in sorted(paths) for listener in self._listeners.get(path, ())]
        self._arrange()
        for listener in listeners:
            listener()


def _places(path: str) -> tuple[tuple[str, str], ...]:
    """Folder and name of the file, and of each symbolic link on the way to it."""
    found: list[tuple[str, str]] = []
    here, rest = "/", os.path.abspath(path).split("/")
    while rest:
        name = rest.pop(0)
        if name == "..":
            here = os.path.dirname(here)
        elif name not in ("", "."):
            current = os.path.join(here, name)
            target = _link(current) if len(found) < _MOST_LINKS else None
            if target is not None:
                found.append((here, name))
                here, rest = "/" if target.startswith("/") else here, [*target.split("/"), *rest]
                continue
            if not any(rest):
                found.append((here, name))
            here = current
    return tuple(dict.fromkeys(found))


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None
