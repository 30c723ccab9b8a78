"""The sync groups of a configuration: their members, and what each member has of its group."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.programs import Programs
from kad.config.remark import Remark
from kad.model.tracking import TrackItem, counts_as_fault
from kad.model.vrrp import OWNER_PRIORITY, SyncGroup
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.resolve_notifies import notifies_of_group
from kad.vrrp.keywords.resolve_tracks import TrackResolver, unweighted


class Member(Protocol):
    """An instance that may be in a group."""

    @property
    def state(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def tracks(self) -> tuple[TrackItem, ...]:
        """Its own, as far as they count."""


class Membership(NamedTuple):
    """What a member has because of its group."""

    tracks: tuple[TrackItem, ...]
    """Its own and those of the group."""
    notify_priority_changes: bool | None
    """None: the group does not say."""


class GroupResolver:
    """Resolves every vrrp_sync_group of one configuration; an instance is in the first one that names it."""

    def __init__(
        self,
        members: Mapping[str, Member],
        tracks: TrackResolver,
        programs: Programs,
        scope: Scope,
        *,
        smtp_alert: bool,
    ) -> None:
        self._members = members
        self._tracks = tracks
        self._programs = programs
        self._scope = scope
        self._smtp_alert = smtp_alert
        self._group_of: dict[str, str] = {}
        self.memberships: dict[str, Membership] = {}
        """By name of the instance."""

    def resolve(self, blocks: Sequence[GroupBlock]) -> tuple[SyncGroup, ...]:
        """Those with members; what is wrong with them is reported."""
        return tuple(group for block in blocks if (group := self._group(block)) is not None)

    def _group(self, block: GroupBlock) -> SyncGroup | None:
        place = self._scope.places.of(block, "group")
        names = self._names(block)
        if not names:
            self._warn(place, block, VrrpCode.SYNC_GROUP_WITHOUT_MEMBER())
            return None
        if len(names) == 1:
            self._warn(place, block, VrrpCode.GROUP_WITH_ONE_MEMBER(member=names[0]))
        if len({self._members[name].state for name in names}) > 1:
            states = ", ".join(f"{name} {self._members[name].state}" for name in names)
            remark = VrrpCode.GROUP_STATES_DIFFER(states=states).of(block.name)
            self._scope.report.note(place, remark)
        own = self._tracks.resolve(block.name, block.tracks, None)
        if any(self._members[name].priority == OWNER_PRIORITY for name in names) and any(item.weight for item in own):
            self._warn(place, block, VrrpCode.GROUP_MEMBER_OWNS(owner=OWNER_PRIORITY))
            own = tuple(msgspec.structs.replace(item, weight=0) for item in own)
        for name in names:
            tracks = self._joined(name, block, own)
            self.memberships[name] = Membership(tracks, block.notify_priority_changes)
        return SyncGroup(
            name=block.name,
            members=tuple(names),
            notifies=notifies_of_group(block, self._programs, self._scope),
            tracking_weight=block.sync_group_tracking_weight,
            smtp_alert=block.smtp_alert if block.smtp_alert is not None else self._smtp_alert,
        )

    def _names(self, block: GroupBlock) -> list[str]:
        names: list[str] = []
        for at, name in ((at, name) for at, line in enumerate(block.group) for name in line):
            if name not in self._members:
                near = difflib.get_close_matches(name, self._members, n=1)
                where = self._scope.places.of(block, "group", at).about(name)
                self._warn(where, block, VrrpCode.NO_SUCH_INSTANCE(name=name), near)
            elif name in self._group_of:
                where = self._scope.places.of(block, "group", at).about(name)
                self._warn(where, block, VrrpCode.IN_OTHER_GROUP(name=name, group=self._group_of[name]))
            else:
                names.append(name)
                self._group_of[name] = block.name
        return names

    def _joined(self, name: str, block: GroupBlock, own: tuple[TrackItem, ...]) -> tuple[TrackItem, ...]:
        """What the member tracks with the group; its own weights count only where the group says so."""
        tracks = self._members[name].tracks
        if not block.sync_group_tracking_weight:
            weighted = [item.name for item in tracks if item.weight and not counts_as_fault(item)]
            if weighted:
                self._scope.report.warning(
                    self._scope.places.of(block).about(name),
                    VrrpCode.GROUP_WEIGHT_IGNORED(group=block.name, names=" ".join(weighted)).of(name),
                    proposal="add sync_group_tracking_weight",
                )
            for item in tracks:
                if counts_as_fault(item):
                    remark = VrrpCode.GROUP_WEIGHT_IS_ZERO(group=block.name, name=item.name).of(name)
                    place = self._scope.places.of(block).about(f"{name} {item.name}")
                    self._scope.report.warning(place, remark, proposal="write weight 0, or sync_group_tracking_weight")
            tracks = unweighted(tracks)
        known = {(item.kind, item.name) for item in tracks}
        for item in own:
            if item.kind == "interface" and (item.kind, item.name) in known:
                remark = VrrpCode.GROUP_TRACKS_AS_WELL(group=block.name, name=item.name).of(name)
                place = self._scope.places.of(block.tracks, "track_interface").about(f"{name} {item.name}")
                self._scope.report.warning(place, remark, proposal=f"remove {item.name} from one of them")
        return (*tracks, *(item for item in own if (item.kind, item.name) not in known))

    def _warn(self, place: Place, block: GroupBlock, remark: Remark, near: Sequence[str] = ()) -> None:
        proposal = f"did you mean {near[0]}?" if near else ""
        self._scope.report.warning(place, remark.of(block.name), proposal=proposal)
