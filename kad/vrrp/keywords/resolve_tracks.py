"""What instances and sync groups track: each thing once, with the weight that counts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.remark import Remark
from kad.model.tracking import TrackItem, Weight, counts_as_fault
from kad.tracking.item_words import TrackLine
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.instance_words import TrackWords

WATCHED = frozenset(("interface", "script", "process", "file", "bfd"))
"""Kinds of tracked things that kad watches."""
BLOCKS = {"script": "vrrp_script", "file": "track_file", "process": "vrrp_track_process", "bfd": "bfd_instance"}


def unweighted(items: Iterable[TrackItem]) -> tuple[TrackItem, ...]:
    """What is tracked where no weight counts."""
    resolved = (msgspec.structs.replace(item, weight=0) if counts_as_fault(item) else item for item in items)
    return tuple(item for item in resolved if not item.weight)


class TrackResolver:
    """Resolves the track_ blocks of one configuration."""

    def __init__(
        self,
        weights: Mapping[str, Mapping[str, Weight]],
        definitions: Mapping[tuple[str, str], Place],
        scope: Scope,
    ) -> None:
        """`definitions`: where what can be tracked is defined, by kind and name."""
        self._weights = weights
        self._definitions = definitions
        self._scope = scope

    def resolve(self, owner: str, words: TrackWords, own_interface: str | None) -> tuple[TrackItem, ...]:
        """What the instance or group of that name tracks; what cannot be tracked is reported."""
        items: dict[tuple[str, str], TrackItem] = {}
        lines_of = {"interface": words.track_interface, "script": words.track_script, "file": words.track_file}
        lines_of |= {"process": words.track_process, "bfd": words.track_bfd}
        for kind, lines in lines_of.items():
            for index, line in enumerate(lines):
                place = self._scope.places.of(words, f"track_{kind}", index)
                if (kind, line.name) in items:
                    self._warn(place, owner, VrrpCode.LISTED_TWICE(name=line.name))
                elif self._is_trackable(kind, line.name, own_interface, owner, place):
                    items[kind, line.name] = self._item(kind, line)
        return tuple(item for item in items.values() if item.kind in WATCHED)

    def _is_trackable(self, kind: str, name: str, own_interface: str | None, owner: str, place: Place) -> bool:
        """Report what is wrong with the name; True when it is tracked all the same."""
        if kind == "interface":
            if name == own_interface:
                self._warn(place, owner, VrrpCode.TRACKS_OWN_INTERFACE(name=name))
                return False
            if name not in self._scope.host.interfaces:
                self._scope.tell_absent(name, place, owner)
            return True
        if name in self._weights[kind]:
            at = self._definitions.get((kind, name))
            if at is not None and at.file == place.file and at.line > place.line:
                remark = VrrpCode.DEFINED_BELOW(kind=BLOCKS[kind], name=name).of(owner)
                self._scope.report.note(place, remark, proposal="move its block above this one")
            return True
        near = difflib.get_close_matches(name, self._weights[kind], n=1)
        self._warn(place, owner, VrrpCode.TRACKED_NOT_FOUND(kind=BLOCKS[kind], name=name), near)
        return False

    def _item(self, kind: str, line: TrackLine) -> TrackItem:
        own = self._weights[kind].get(line.name, Weight()) if kind in self._weights else Weight()
        weight = line.weight if line.weight is not None else own.number
        reverse = line.reverse if line.reverse is not None else own.reverse
        return TrackItem(kind=kind, name=line.name, weight=weight, reverse=reverse)

    def _warn(self, place: Place, owner: str, remark: Remark, near: Sequence[str] = ()) -> None:
        proposal = f"did you mean {near[0]}?" if near else ""
        self._scope.report.warning(place, remark.of(owner), proposal=proposal)
