"""From the words about scripts, FIFOs and mail, and from what is tracked, to what the runner is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from kad.config.notification_words import FifoWords, MailGlobals
from kad.config.slice_context import SliceContext
from kad.model.runner import Fifo, Mailing, RunnerSlice, VrrpScript
from kad.model.tracking import TrackedFile, TrackedProcess
from kad.runner.keywords.codes import RunnerCode
from kad.runner.keywords.fifo_words import to_fifos
from kad.runner.keywords.mail_words import to_mailing
from kad.runner.keywords.program_subjects import with_subjects
from kad.runner.keywords.script_words import ScriptBlock, to_script
from kad.tracking.block_words import FileBlock, ProcessBlock, to_file, to_process
from kad.tracking.item_words import TrackLine


class HasFifo(Protocol):
    """Words among which a FIFO is."""

    @property
    def fifo(self) -> FifoWords: ...


class Globals(HasFifo, Protocol):
    """The words of global_defs that speak of FIFOs and mail."""

    @property
    def mail(self) -> MailGlobals: ...
    @property
    def vrrp(self) -> HasFifo: ...
    @property
    def ipvs_fifo(self) -> FifoWords: ...


class Tracks(Protocol):
    """What an instance or a group tracks."""

    @property
    def track_script(self) -> Sequence[TrackLine]: ...


class Tracking(Protocol):
    """A vrrp_instance or a vrrp_sync_group."""

    @property
    def tracks(self) -> Tracks: ...


class Blocks(Protocol):
    """The part of a file that the runner acts on."""

    @property
    def vrrp_script(self) -> Sequence[ScriptBlock]: ...
    @property
    def vrrp_track_process(self) -> Sequence[ProcessBlock]: ...
    @property
    def track_file(self) -> Sequence[FileBlock]: ...
    @property
    def vrrp_instance(self) -> Sequence[Tracking]: ...
    @property
    def vrrp_sync_group(self) -> Sequence[Tracking]: ...
    @property
    def defaults(self) -> Globals: ...


def scripts(file: Blocks, context: SliceContext) -> dict[str, VrrpScript]:
    """By name; of two with one name the first counts."""
    tracked = {line.name for each in (*file.vrrp_instance, *file.vrrp_sync_group) for line in each.tracks.track_script}
    scope = context.scope
    made: dict[str, VrrpScript | None] = {}
    for block in file.vrrp_script:
        if block.name in made:
            scope.report.warning(scope.places.of(block), RunnerCode.SCRIPT_DEFINED_TWICE(name=block.name))
        else:
            made[block.name] = to_script(block, context.programs, scope, tracked=block.name in tracked)
    return {name: script for name, script in made.items() if script is not None}


def fifos(file: Blocks, context: SliceContext) -> tuple[Fifo, ...]:
    """Those that can be made."""
    defaults = file.defaults
    words = {"": defaults.fifo, "vrrp_": defaults.vrrp.fifo, "lvs_": defaults.ipvs_fifo}
    allowed = {
        prefix: each for prefix, each in words.items() if (f"{prefix}notify_fifo", "") not in context.refused_files
    }
    return to_fifos(allowed, context.daemon.umask, context.programs, context.scope)


def mailing(file: Blocks, context: SliceContext) -> Mailing | None:
    """None: no mail is sent."""
    return to_mailing(file.defaults.mail, context.daemon.router_id, context.scope)


def slice(file: Blocks, context: SliceContext) -> RunnerSlice | None:
    """What the other processes need of the runner; None: they need nothing."""
    vrrp, checker = context.vrrp, context.checker
    items = {(item.kind, item.name) for instance in vrrp.instances for item in instance.tracks} if vrrp else set()
    if checker is not None:
        checks = (check for server in checker.servers for check in server.checks)
        items |= {check.followed for check in checks if check.followed is not None}
    processes, files = _tracked(file, context)
    sources = ("vrrp" if vrrp is not None else "", "lvs" if context.ipvs is not None else "")
    made = RunnerSlice(
        programs=with_subjects(context.programs.made, vrrp, context.services, checker),
        scripts=tuple(script for name, script in context.scripts.items() if ("script", name) in items),
        processes=tuple(process for process in processes if ("process", process.name) in items),
        files=tuple(each for each in files if ("file", each.name) in items),
        fifos=tuple(fifo for fifo in context.fifos if set(sources) & set(fifo.sources)),
        mailing=context.mailing,
        process_events_buffer=context.daemon.process_events_buffer,
    )
    is_needed = vrrp is not None or (
        checker is not None and (made.programs or made.files or made.fifos or made.mailing)
    )
    return made if is_needed else None


def _tracked(file: Blocks, context: SliceContext) -> tuple[list[TrackedProcess], list[TrackedFile]]:
    """All that can be watched; of two with one name the first counts."""
    processes: dict[str, TrackedProcess] = {}
    for process in file.vrrp_track_process:
        if process.process is not None and process.name not in processes:
            processes[process.name] = to_process(process, context.scope)
    files: dict[str, TrackedFile] = {}
    for block in file.track_file:
        if block.file is not None and block.name not in files:
            tracked = to_file(block, context.scope)
            if ("init_file", block.name) in context.refused_files:
                tracked = msgspec.structs.replace(tracked, initial=None)
            files[block.name] = tracked
    return list(processes.values()), list(files.values())
