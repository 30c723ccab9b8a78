"""The files that a configuration has kad write, create or remove: none may be a file that serves something else."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from kad.analyzer.language import File, GlobalsBlock
from kad.config.build import Scope
from kad.config.codes import ConfigCode
from kad.config.diagnostics import Complaint, Place


class WrittenFile(NamedTuple):
    """One keyword that names such a file."""

    keyword: str
    path: str
    """As written."""
    place: Place
    owner: str = ""
    """The block that it is in, where there may be several."""


def written_files(file: File, defaults: GlobalsBlock, scope: Scope) -> Iterator[WrittenFile]:
    """Every file of this configuration that kad writes, creates or removes; what is only read is none."""
    reloading, daemon = defaults.daemon.reloading, defaults.daemon
    for block, keyword in (
        (reloading, "reload_check_config"),
        (reloading, "reload_time_file"),
        (reloading, "reload_file"),
        (daemon, "watchdog_device"),
    ):
        if path := getattr(block, keyword):
            yield WrittenFile(keyword, path, scope.places.of(block, keyword))
    for prefix, words in (("", defaults.fifo), ("vrrp_", defaults.vrrp.fifo), ("lvs_", defaults.ipvs_fifo)):
        if words.notify_fifo is not None:
            place = scope.places.of(words, "notify_fifo")
            yield WrittenFile(f"{prefix}notify_fifo", words.notify_fifo[0], place)
    for tracked in file.track_file:
        if tracked.file is not None and tracked.init_file is not None:
            yield WrittenFile("init_file", tracked.file, scope.places.of(tracked, "init_file"), tracked.name)


def foreign_files(
    written: Iterable[WrittenFile], read: Iterable[str], own: Mapping[str, str], scope: Scope
) -> frozenset[tuple[str, str]]:
    """Which of them kad must leave alone, as (keyword, owner); a warning says so of each.

    `read`: the files of the configuration. `own`: what each file is that the daemon has for itself, by its path.
    """
    resolve = scope.host.files.resolve
    daemon_files = {resolve(path): what for path, what in own.items()}
    configuration = {resolve(path) for path in read}
    refused: set[tuple[str, str]] = set()
    first: dict[str, WrittenFile] = {}
    for each in written:
        path = resolve(posixpath.join(scope.host.cwd, each.path))
        name = f"track_file {each.owner}: {each.keyword}" if each.owner else each.keyword
        other = first.setdefault(path, each)
        if path in configuration:
            remark = ConfigCode.FILE_IS_CONFIGURATION(name=name, path=each.path)
        elif path in daemon_files:
            remark = ConfigCode.FILE_IS_THE_DAEMONS(name=name, path=each.path, what=daemon_files[path])
        elif not _go_together(other, each):
            remark = ConfigCode.FILE_FOR_TWO_KEYWORDS(name=name, path=each.path, other=other.keyword)
        else:
            continue
        refused.add((each.keyword, each.owner))
        # keepalived writes into it, or removes it, without a word.
        proposal = "name a file that serves nothing else"
        scope.report.warning(each.place, remark.then("it is ignored"), proposal=proposal, klass=Complaint.NONE)
    return frozenset(refused)


def tell_own_configuration(read: Iterable[str], own: Mapping[str, str], scope: Scope) -> None:
    """Report an error where a file of the configuration is one that the daemon writes for itself."""
    resolve = scope.host.files.resolve
    taken = {resolve(path): what for path, what in own.items()}
    for path in read:
        if what := taken.get(resolve(path)):
            scope.report.error(Place(path), ConfigCode.CONFIGURATION_IS_THE_DAEMONS(what=what))


def _go_together(one: WrittenFile, other: WrittenFile) -> bool:
    """Whether they are one, or two of a kind: those of a FIFO are judged where FIFOs are made."""
    return one == other or _kind(one) == _kind(other)


def _kind(written: WrittenFile) -> str:
    return "notify_fifo" if written.keyword.endswith("notify_fifo") else written.keyword
