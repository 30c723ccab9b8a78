"""All virtual routers of a configuration: what they track, what they run, their groups, and their conflicts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kad.config.build import Scope
from kad.config.command import Command
from kad.config.diagnostics import Place
from kad.config.keyword import Block
from kad.config.process_words import NetlinkWords, placement
from kad.config.programs import Programs
from kad.config.remark import Remark
from kad.model.tracking import TrackItem, Weight, counts_as_fault
from kad.model.vrrp import OWNER_PRIORITY, NetlinkBuffers, SyncGroup, VirtualAddress, VrrpInstance, VrrpSlice
from kad.tracking.item_words import TrackLine
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.instance_words import InstanceBlock, NotifyWords, TrackWords
from kad.vrrp.keywords.lint import Consistency, Subnets
from kad.vrrp.keywords.resolve_devices import VirtualDevices, filtering
from kad.vrrp.keywords.resolve_instance import InstanceResolver
from kad.vrrp.keywords.resolve_routes import Routings

WATCHED = frozenset(("interface", "script", "process", "file", "bfd"))
"""Kinds of tracked things that kad watches."""
BLOCKS = {"script": "vrrp_script", "file": "track_file", "process": "vrrp_track_process", "bfd": "bfd_instance"}


_Speakers = dict[tuple[int, int], list[tuple[InstanceBlock, frozenset[str], str]]]
"""Who uses a VRID, by family and number, with the unicast peers and the interface of each."""


def _at_home(instance: VrrpInstance, interface: str) -> VrrpInstance:
    """Addresses that name no interface are on this one."""

    def place(addresses: tuple[VirtualAddress, ...]) -> tuple[VirtualAddress, ...]:
        return tuple(msgspec.structs.replace(each, device=each.device or interface) for each in addresses)

    return msgspec.structs.replace(
        instance,
        virtual_addresses=place(instance.virtual_addresses),
        excluded_addresses=place(instance.excluded_addresses),
    )


def _buffers(words: NetlinkWords) -> NetlinkBuffers:
    return NetlinkBuffers(
        commands=words.cmd_rcv_bufs or None,
        commands_forced=bool(words.cmd_rcv_bufs_force),
        events=words.monitor_rcv_bufs or None,
        events_forced=bool(words.monitor_rcv_bufs_force),
    )


def _unweighted(items: Iterable[TrackItem]) -> tuple[TrackItem, ...]:
    """What is tracked where no weight counts."""
    resolved = (msgspec.structs.replace(item, weight=0) if counts_as_fault(item) else item for item in items)
    return tuple(item for item in resolved if not item.weight)


class Routers:
    """Resolves every vrrp_instance and vrrp_sync_group of one configuration."""

    def __init__(
        self,
        defaults: VrrpGlobals,
        smtp_alert: bool,
        weights: Mapping[str, Mapping[str, Weight]],
        programs: Programs,
        routings: Routings,
        scope: Scope,
        *,
        default_interface: str,
        defined: Mapping[tuple[str, str], Place] | None = None,
    ) -> None:
        """`defined`: where what can be tracked is defined, by kind and name."""
        self._defaults = defaults
        self._smtp_alert = smtp_alert
        self._default_interface = default_interface
        self._defined = defined or {}
        self._weights = weights
        self._make = programs
        self._routings = routings
        self._scope = scope
        self._say_for_themselves: frozenset[str] = frozenset()
        """Instances with a notify_priority_changes of their own, which goes before that of their group."""
        self._grouped: dict[str, str] = {}
        """The sync group of each instance that is in one."""

    def slice(self, blocks: Sequence[InstanceBlock], groups: Sequence[GroupBlock]) -> VrrpSlice:
        """All of them; what cannot run has been said and is left out."""
        made: dict[str, VrrpInstance] = {}
        seen: _Speakers = {}
        devices, subnets = VirtualDevices(self._defaults, self._scope), Subnets(self._scope)
        self._say_for_themselves = frozenset(
            block.name for block in blocks if block.notify_priority_changes is not None
        )
        for block in blocks:
            resolver = InstanceResolver(block, self._defaults, self._scope)
            tracks = self._tracks(block, block.tracks, block.protocol.interface)
            instance = resolver.resolve(tracks, self._notifies(block), self._smtp_alert)
            if instance is not None:
                if not instance.interface:
                    instance = _at_home(instance, self._default_interface)
                self._tell_conflict(instance, block, seen)
                Consistency(block, self._scope, subnets).judge(instance)
                if instance.priority == OWNER_PRIORITY:
                    instance = msgspec.structs.replace(instance, tracks=_unweighted(instance.tracks))
                routes, rules = self._routings.of_instance(block.name, block, block.virtual_routes, block.virtual_rules)
                made[instance.name] = msgspec.structs.replace(
                    devices.equip(instance, block), routes=routes, rules=rules
                )
        subnets.report()
        self._tell_shared_addresses(blocks, made)
        synced = [group for block in groups if (group := self._group(block, made)) is not None]
        defaults = self._defaults
        return VrrpSlice(
            instances=tuple(made.values()),
            groups=tuple(synced),
            filtering=filtering(defaults),
            netlink=_buffers(defaults.netlink),
            startup_delay=defaults.vrrp_startup_delay or 0.0,
            delay_after_boot=defaults.vrrp_delay_after_boot or 0.0,
            log_unknown_vrids=defaults.log_unknown_vrids,
            restore_addresses=defaults.vrrp_restore_addresses is not False,
            fifo_states_on_reload=defaults.fifo_write_vrrp_states_on_reload,
            **placement(defaults.process, self._scope),
        )

    def _tell_conflict(self, instance: VrrpInstance, block: InstanceBlock, seen: _Speakers) -> None:
        """Unless no peer speaks to both, nobody could tell for which of two routers of one VRID an advert is."""
        peers = frozenset(peer.address for peer in instance.unicast_peers)
        others = seen.setdefault((instance.family, instance.virtual_router_id), [])
        for other, theirs, interface in others:
            apart = interface and instance.interface and interface != instance.interface
            if not apart and (peers & theirs or not (peers or theirs)):
                code = VrrpCode.SAME_VIRTUAL_ROUTER_ID_ON if instance.interface else VrrpCode.SAME_VIRTUAL_ROUTER_ID
                figures = {"name": block.name, "other": other.name, "number": instance.virtual_router_id}
                more = {"interface": instance.interface} if instance.interface else {}
                self._scope.report.error(
                    self._scope.places.find("virtual_router_id", block, block.protocol),
                    code(**figures, **more),
                    proposal="give one of them another number",
                )
                break
        others.append((block, peers, instance.interface))

    def _tell_shared_addresses(self, blocks: Sequence[InstanceBlock], made: Mapping[str, VrrpInstance]) -> None:
        holders: dict[tuple[str, str], str] = {}
        for block in blocks:
            if block.name not in made:
                continue
            for index, address in enumerate(made[block.name].virtual_addresses):
                device = address.device or made[block.name].own_interface
                holder = holders.setdefault((device, address.address), block.name)
                if holder != block.name:
                    place = self._scope.places.of(block, "virtual_ipaddress", index)
                    self._scope.report.note(
                        place, VrrpCode.ADDRESS_OF_OTHER_INSTANCE(address=address.address, holder=holder).of(block.name)
                    )

    def _notifies(self, block: InstanceBlock) -> tuple[str, ...]:
        commands = block.notifies.commands()
        if block.notify_deleted is not None and block.notify_deleted.text:
            commands["notify_deleted"] = block.notify_deleted
        if block.notify_master_rx_lower_pri is not None:
            commands["notify_master_rx_lower_pri"] = block.notify_master_rx_lower_pri
        return self._keep(block, block.name, block.notifies, commands)

    def _keep(self, block: Block, owner: str, words: NotifyWords, commands: Mapping[str, Command]) -> tuple[str, ...]:
        kept = []
        for name, command in commands.items():
            place = self._scope.places.find(name, block, words)
            program = self._make.make(command, f"{owner}/{name}", place)
            if program is not None:
                kept.append(name)
        return tuple(kept)

    def _tracks(
        self, block: InstanceBlock | GroupBlock, words: TrackWords, own_interface: str | None
    ) -> tuple[TrackItem, ...]:
        items: dict[tuple[str, str], TrackItem] = {}
        lines_of = {"interface": words.track_interface, "script": words.track_script, "file": words.track_file}
        lines_of |= {"process": words.track_process, "bfd": words.track_bfd}
        for kind, lines in lines_of.items():
            for index, line in enumerate(lines):
                place = self._scope.places.of(words, f"track_{kind}", index)
                if (kind, line.name) in items:
                    self._warn(place, block, VrrpCode.LISTED_TWICE(name=line.name))
                elif self._is_trackable(kind, line.name, own_interface, block, place):
                    items[kind, line.name] = self._item(kind, line)
        return tuple(item for item in items.values() if item.kind in WATCHED)

    def _is_trackable(
        self, kind: str, name: str, own_interface: str | None, block: InstanceBlock | GroupBlock, place: Place
    ) -> bool:
        """Say what is wrong with the name; True when it is tracked all the same."""
        if kind == "interface":
            if name == own_interface:
                self._warn(place, block, VrrpCode.TRACKS_OWN_INTERFACE(name=name))
                return False
            if name not in self._scope.host.interfaces:
                self._scope.tell_absent(name, place, block.name)
            return True
        if name in self._weights[kind]:
            at = self._defined.get((kind, name))
            if at is not None and at.file == place.file and at.line > place.line:
                remark = VrrpCode.DEFINED_BELOW(kind=BLOCKS[kind], name=name).of(block.name)
                self._scope.report.note(place, remark, proposal="move its block above this one")
            return True
        near = difflib.get_close_matches(name, self._weights[kind], n=1)
        self._warn(place, block, VrrpCode.TRACKED_NOT_FOUND(kind=BLOCKS[kind], name=name), near)
        return False

    def _warn(
        self,
        place: Place,
        block: InstanceBlock | GroupBlock,
        remark: Remark,
        near: Sequence[str] = (),
    ) -> None:
        proposal = f"did you mean {near[0]}?" if near else ""
        self._scope.report.warning(place, remark.of(block.name), proposal=proposal)

    def _item(self, kind: str, line: TrackLine) -> TrackItem:
        own = self._weights[kind].get(line.name, Weight()) if kind in self._weights else Weight()
        weight = line.weight if line.weight is not None else own.number
        reverse = line.reverse if line.reverse is not None else own.reverse
        return TrackItem(kind=kind, name=line.name, weight=weight, reverse=reverse)

    def _group(self, block: GroupBlock, made: dict[str, VrrpInstance]) -> SyncGroup | None:
        place = self._scope.places.of(block, "group")
        members: list[str] = []
        for at, name in ((at, name) for at, line in enumerate(block.group) for name in line):
            if name not in made:
                near = difflib.get_close_matches(name, made, n=1)
                where = self._scope.places.of(block, "group", at).about(name)
                self._warn(where, block, VrrpCode.NO_SUCH_INSTANCE(name=name), near)
            elif name in self._grouped:
                where = self._scope.places.of(block, "group", at).about(name)
                self._warn(where, block, VrrpCode.IN_OTHER_GROUP(name=name, group=self._grouped[name]))
            else:
                members.append(name)
                self._grouped[name] = block.name
        if not members:
            self._warn(place, block, VrrpCode.SYNC_GROUP_WITHOUT_MEMBER())
            return None
        if len(members) == 1:
            self._warn(place, block, VrrpCode.GROUP_WITH_ONE_MEMBER(member=members[0]))
        if len({made[name].state for name in members}) > 1:
            states = ", ".join(f"{name} {made[name].state}" for name in members)
            remark = VrrpCode.GROUP_STATES_DIFFER(states=states).of(block.name)
            self._scope.report.note(place, remark)
        own = self._tracks(block, block.tracks, None)
        if any(made[name].priority == OWNER_PRIORITY for name in members) and any(item.weight for item in own):
            self._warn(place, block, VrrpCode.GROUP_MEMBER_OWNS(owner=OWNER_PRIORITY))
            own = tuple(msgspec.structs.replace(item, weight=0) for item in own)
        for name in members:
            made[name] = self._joined(made[name], block, own)
        return SyncGroup(
            name=block.name,
            members=tuple(members),
            notifies=self._keep(block, f"group:{block.name}", block.notifies, block.notifies.commands()),
            tracking_weight=block.sync_group_tracking_weight,
            smtp_alert=block.smtp_alert if block.smtp_alert is not None else self._smtp_alert,
        )

    def _joined(self, instance: VrrpInstance, block: GroupBlock, own: tuple[TrackItem, ...]) -> VrrpInstance:
        """The member with what the group tracks; its own weights count only where the group says so."""
        tracks = list(instance.tracks)
        if not block.sync_group_tracking_weight:
            weighted = [item.name for item in tracks if item.weight and not counts_as_fault(item)]
            if weighted:
                self._scope.report.warning(
                    self._scope.places.of(block).about(instance.name),
                    VrrpCode.GROUP_WEIGHT_IGNORED(group=block.name, names=" ".join(weighted)).of(instance.name),
                    proposal="add sync_group_tracking_weight",
                )
            for name in (item.name for item in tracks if counts_as_fault(item)):
                remark = VrrpCode.GROUP_WEIGHT_IS_ZERO(group=block.name, name=name).of(instance.name)
                place = self._scope.places.of(block).about(f"{instance.name} {name}")
                self._scope.report.warning(place, remark, proposal="write weight 0, or sync_group_tracking_weight")
            tracks = list(_unweighted(tracks))
        known = {(item.kind, item.name) for item in tracks}
        for item in own:
            if item.kind == "interface" and (item.kind, item.name) in known:
                remark = VrrpCode.GROUP_TRACKS_AS_WELL(group=block.name, name=item.name).of(instance.name)
                place = self._scope.places.of(block.tracks, "track_interface").about(f"{instance.name} {item.name}")
                self._scope.report.warning(place, remark, proposal=f"remove {item.name} from one of them")
        tracks += (item for item in own if (item.kind, item.name) not in known)
        tells = instance.notify_priority_changes
        if block.notify_priority_changes is not None and instance.name not in self._say_for_themselves:
            tells = block.notify_priority_changes
        return msgspec.structs.replace(instance, tracks=tuple(tracks), notify_priority_changes=tells)
