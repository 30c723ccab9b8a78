"""All virtual routers of a configuration: each instance with its devices and routes, their conflicts, their groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kad.config.slice_context import ServedAddresses, SliceContext
from kad.model.vrrp import OWNER_PRIORITY, SyncGroup, VrrpInstance
from kad.vrrp.keywords.build_instance import InstanceBuilder, InstanceParts
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.instance_outline import InstanceOutline
from kad.vrrp.keywords.instance_words import InstanceBlock
from kad.vrrp.keywords.lint import Consistency, Subnets
from kad.vrrp.keywords.resolve_devices import VirtualDevices
from kad.vrrp.keywords.resolve_groups import GroupResolver, Membership
from kad.vrrp.keywords.resolve_instance import InstanceResolver
from kad.vrrp.keywords.resolve_notifies import notifies_of_instance
from kad.vrrp.keywords.resolve_routes import Routings
from kad.vrrp.keywords.resolve_tracks import TrackResolver, unweighted

_UsersOfIds = dict[tuple[int, int], list[tuple[InstanceBlock, frozenset[str], str]]]
"""Who uses a VRID, by family and number, with the unicast peers and the interface of each."""


class RouterResolver:
    """Resolves every vrrp_instance, then every vrrp_sync_group; what cannot run is reported and left out."""

    def __init__(self, defaults: VrrpGlobals, routings: Routings, context: SliceContext, *, smtp_alert: bool) -> None:
        """`smtp_alert`: what holds where an instance or a group does not say."""
        self._defaults = defaults
        self._routings = routings
        self._context = context
        self._scope = context.scope
        self._smtp_alert = smtp_alert
        self._tracks = TrackResolver(context.weights, context.definitions, context.scope)
        self._users: _UsersOfIds = {}
        self._devices = VirtualDevices(defaults, context.scope)
        self._subnets = Subnets(context.scope)
        self._memberships: Mapping[str, Membership] = {}
        self.parts: dict[str, InstanceParts] = {}
        """By name of the instance."""
        self.groups: tuple[SyncGroup, ...] = ()

    def resolve(self, blocks: Sequence[InstanceBlock], groups: Sequence[GroupBlock]) -> None:
        """Fill `parts` and `groups`."""
        for block in blocks:
            parts = self._instance(block)
            if parts is not None:
                self.parts[block.name] = parts
        self._subnets.report()
        self._tell_shared_addresses(blocks)
        resolver = GroupResolver(
            self.parts, self._tracks, self._context.programs, self._scope, smtp_alert=self._smtp_alert
        )
        self.groups = resolver.resolve(groups)
        self._memberships = resolver.memberships

    def build(self, served: ServedAddresses | None) -> Iterator[VrrpInstance]:
        """The instances, once: what each is built of is let go. `served`: the addresses that need IPVS."""
        builder = InstanceBuilder(self._defaults, self._scope, smtp_alert=self._smtp_alert)
        for name in list(self.parts):
            parts = self.parts.pop(name)
            needed = served.first_of(_addresses(parts.outline)) if served is not None else ""
            yield builder.build(parts, self._memberships.get(name), needed)

    def _instance(self, block: InstanceBlock) -> InstanceParts | None:
        tracks = self._tracks.resolve(block.name, block.tracks, block.protocol.interface)
        notifies = notifies_of_instance(block, self._context.programs, self._scope)
        outline = InstanceResolver(block, self._defaults, self._scope).outline(
            tracks, self._context.daemon.default_interface
        )
        if outline is None:
            return None
        self._tell_conflict(outline, block)
        Consistency(block, self._scope, self._subnets).judge(outline)
        devices = self._devices.equip(outline, block)
        return InstanceParts(
            block=block,
            outline=outline,
            tracks=unweighted(tracks) if outline.priority == OWNER_PRIORITY else tracks,
            notifies=notifies,
            devices=devices,
            routing=self._routings.of_instance(block.name, block, block.virtual_routes, block.virtual_rules),
        )

    def _tell_conflict(self, instance: InstanceOutline, block: InstanceBlock) -> None:
        """Unless no peer sends to both, an advert could be for either of two routers of one VRID."""
        peers = frozenset(peer.address for peer in instance.unicast_peers)
        others = self._users.setdefault((instance.family, instance.virtual_router_id), [])
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

    def _tell_shared_addresses(self, blocks: Sequence[InstanceBlock]) -> None:
        holders: dict[tuple[str, str], str] = {}
        for block in blocks:
            if block.name not in self.parts:
                continue
            devices = self.parts[block.name].devices
            for index, address in enumerate(devices.virtual_addresses):
                device = address.device or devices.own_interface
                holder = holders.setdefault((device, address.address), block.name)
                if holder != block.name:
                    place = self._scope.places.of(block, "virtual_ipaddress", index)
                    self._scope.report.note(
                        place, VrrpCode.ADDRESS_OF_OTHER_INSTANCE(address=address.address, holder=holder).of(block.name)
                    )


def _addresses(outline: InstanceOutline) -> Iterator[str]:
    yield from (each.address for each in outline.virtual_addresses)
    yield from (each.address for each in outline.excluded_addresses)
