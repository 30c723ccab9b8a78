"""What a configuration has that can be tracked: by kind and name, with the weight that each has by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kad.config.diagnostics import Place
from kad.config.slice_context import SliceContext
from kad.model.tracking import Weight
from kad.tracking.block_words import BfdBlock, FileBlock, ProcessBlock
from kad.tracking.codes import TrackCode


class Named(Protocol):
    """A block with a name."""

    @property
    def name(self) -> str: ...


class Blocks(Protocol):
    """The blocks of a file that define what can be tracked."""

    @property
    def vrrp_script(self) -> Sequence[Named]: ...
    @property
    def track_file(self) -> Sequence[FileBlock]: ...
    @property
    def vrrp_track_process(self) -> Sequence[ProcessBlock]: ...
    @property
    def bfd_instance(self) -> Sequence[BfdBlock]: ...


def weights(file: Blocks, context: SliceContext) -> dict[str, dict[str, Weight]]:
    """By kind and name; what is wrong with the others is reported. Of two with one name the first counts."""
    scripts = context.scripts.items()
    found = {"script": {name: Weight(number=one.weight, reverse=one.reverse) for name, one in scripts}}
    for kind, word, blocks in (
        ("file", "file", file.track_file),
        ("process", "process", file.vrrp_track_process),
        ("bfd", "neighbor_ip", file.bfd_instance),
    ):
        found[kind] = _of_kind(kind, word, blocks, context)
    for block in file.bfd_instance:
        if block.name not in context.sessions or (block.checker and not block.vrrp):
            found["bfd"].pop(block.name, None)
    return found


def _of_kind(
    kind: str, word: str, blocks: Sequence[FileBlock | ProcessBlock | BfdBlock], context: SliceContext
) -> dict[str, Weight]:
    known: dict[str, Weight] = {}
    scope = context.scope
    for block in blocks:
        place = scope.places.of(block)
        if getattr(block, word) is None:
            remark = TrackCode.TRACKED_WITHOUT_WORD(name=block.name, word=word)
            scope.report.warning(place, remark, proposal=f"add {word}")
        elif block.name in known:
            scope.report.warning(place, TrackCode.TRACKED_DEFINED_TWICE(name=block.name))
        else:
            known[block.name] = block.weight or Weight(number=1 if kind == "file" else 0)
    return known


def definitions(file: Blocks, context: SliceContext) -> dict[tuple[str, str], Place]:
    """Where each is defined first, by kind and name."""
    kinds: dict[str, Sequence[Named]] = {
        "script": file.vrrp_script,
        "file": file.track_file,
        "process": file.vrrp_track_process,
        "bfd": file.bfd_instance,
    }
    found: dict[tuple[str, str], Place] = {}
    for kind, blocks in kinds.items():
        for each in blocks:
            found.setdefault((kind, each.name), context.scope.places.of(each))
    return found
