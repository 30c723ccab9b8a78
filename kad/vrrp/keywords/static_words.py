"""The words of the top level for interfaces, and for addresses, routes and rules that are always there."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Protocol

import msgspec

from kad.config.build import Scope
from kad.config.diagnostics import Complaint, Place
from kad.config.keyword import Block, Head, block, entries, keyword
from kad.config.values import interface_name, interface_names, seconds, text, texts
from kad.model.link_monitoring import InterfaceDelay, Linkbeat
from kad.model.vrrp import GarpGroup, StaticAddress, VirtualAddress
from kad.vrrp.keywords.address_words import AddressLine, address_line, identity
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.device_words import interface_delay, linkbeat
from kad.vrrp.keywords.instance_outline import InstanceOutline
from kad.vrrp.keywords.route_words import RouteLine, RuleLine, route_line, rule_line


class TrackGroupBlock(Block, frozen=True, kw_only=True):
    """track_group NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    group: Annotated[
        tuple[tuple[str, ...], ...], entries(texts("VRRP INSTANCE"), "its members", may_be_empty=False)
    ] = ()


class GarpGroupBlock(Block, frozen=True, kw_only=True):
    """garp_group { }"""

    garp_interval: Annotated[
        float | None, keyword(seconds(0.000001, 4294.967295), "between two ARP messages on all of them", default="0")
    ] = None
    gna_interval: Annotated[
        float | None, keyword(seconds(0.000001, 4294.967295), "between two NA messages on all of them", default="0")
    ] = None
    interface: Annotated[str | None, keyword(interface_name(), "an interface of the group")] = None
    interfaces: Annotated[
        tuple[tuple[str, ...], ...], entries(interface_names(), "interfaces of the group", may_be_empty=False)
    ] = ()


class StaticWords(Block, frozen=True, kw_only=True):
    """What is there whatever the state of the instances is."""

    track_group: Annotated[
        tuple[TrackGroupBlock, ...],
        block(
            TrackGroupBlock,
            "instances that static addresses depend on",
            collected=True,
            unique=True,
            missing=Complaint.GENERAL,
        ),
    ] = ()
    static_ipaddress: Annotated[
        tuple[AddressLine, ...], entries(address_line(), "addresses that are always there")
    ] = ()
    static_routes: Annotated[tuple[RouteLine, ...], entries(route_line(), "routes that are always there")] = ()
    static_rules: Annotated[tuple[RuleLine, ...], entries(rule_line(), "rules that are always there")] = ()
    garp_group: Annotated[
        tuple[GarpGroupBlock, ...],
        block(GarpGroupBlock, "interfaces that announce in turn", collected=True),
    ] = ()
    linkbeat_interfaces: Annotated[
        tuple[Linkbeat, ...], entries(linkbeat(), "interfaces whose link is polled each second")
    ] = ()
    interface_up_down_delays: Annotated[
        tuple[InterfaceDelay, ...],
        entries(interface_delay(), "changes of a link count after this time"),
    ] = ()


class AddressHolder(Protocol):
    """An instance with its addresses on the interfaces that they go to."""

    @property
    def name(self) -> str: ...
    @property
    def interface(self) -> str: ...
    @property
    def virtual_addresses(self) -> tuple[VirtualAddress, ...]: ...
    @property
    def excluded_addresses(self) -> tuple[VirtualAddress, ...]: ...


class Statics:
    """Judges the names in them: interfaces of this host, instances, track groups."""

    def __init__(self, words: StaticWords, instances: Collection[str], scope: Scope) -> None:
        self._words = words
        self._instances = instances
        self._scope = scope

    @property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """Instances by track_group."""
        return {
            group.name: tuple(name for line in group.group for name in line if name in self._instances)
            for group in self._words.track_group
        }

    def addresses(self, default_interface: str, instances: Iterable[AddressHolder]) -> tuple[StaticAddress, ...]:
        """static_ipaddress; an address without dev is on the default interface, and none is a virtual one."""
        virtual = {
            (address.address, address.device or each.interface): each.name
            for each in instances
            for address in (*each.virtual_addresses, *each.excluded_addresses)
        }
        found: dict[tuple[str, str, int], StaticAddress] = {}
        dependents = self.dependents
        for index, line in enumerate(self._words.static_ipaddress):
            place = self._scope.places.of(self._words, "static_ipaddress", index)
            device = line.address.device
            if device is None:
                device = default_interface
                self._interface(device, place, Complaint.HOST)
            if line.address.use_vmac:
                remark = VrrpCode.STATIC_USE_VMAC(address=line.address.address)
                self._scope.report.warning(place, remark)
            owner = virtual.get((line.address.address, device))
            if owner is not None:
                remark = VrrpCode.STATIC_ADDRESS_IS_VIRTUAL(address=line.address.address, owner=owner)
                self._scope.report.note(place, remark)
                continue
            address = msgspec.structs.replace(line.address, device=device, use_vmac=False)
            same = identity(address, device)
            if same in found:
                self._scope.report.note(place, VrrpCode.STATIC_ADDRESS_TWICE(address=found[same].address.address))
                continue
            found[same] = StaticAddress(address=address, dependents=dependents.get(line.track_group or "", ()))
        return tuple(found.values())

    def delays(self, instances: Sequence[InstanceOutline]) -> tuple[InterfaceDelay, ...]:
        """interface_up_down_delays, each not so long that a peer would presume the instance dead."""
        found = {}
        for index, line in enumerate(self._words.interface_up_down_delays):
            limits = [
                (each.down_timer_adverts - 1) * each.advertisement_interval
                for each in instances
                if each.interface == line.name and each.track_primary
            ]
            limit = min(limits, default=line.down)
            if line.down > limit:
                place = self._scope.places.of(self._words, "interface_up_down_delays", index)
                remark = VrrpCode.DELAY_TOO_LONG(down=line.down, limit=limit).of(line.name)
                self._scope.report.note(place, remark)
            found[line.name] = msgspec.structs.replace(line, down=min(line.down, limit))
        return tuple(found.values())

    def polled(self, used: Iterable[str]) -> tuple[Linkbeat, ...]:
        """linkbeat_interfaces, and what linkbeat_use_polling adds."""
        said = {line.name: line for line in self._words.linkbeat_interfaces}
        return tuple(({name: Linkbeat(name=name) for name in used} | said).values())

    def judge(self) -> None:
        """Say which names are unknown."""
        groups = [group.name for group in self._words.track_group if self._has_members(group)]
        for word in ("static_ipaddress", "static_routes", "static_rules"):
            for index, line in enumerate(getattr(self._words, word)):
                place = self._scope.places.of(self._words, word, index)
                if isinstance(line, AddressLine):
                    device, group = line.address.device, line.track_group
                else:
                    device, group = line.options.get("dev", "oif", "iif"), line.options.get("track_group")
                self._interface(device, place)
                if group is not None and group not in groups:
                    self._scope.report.warning(place, VrrpCode.NO_SUCH_TRACK_GROUP(group=group))
        for word in ("linkbeat_interfaces", "interface_up_down_delays"):
            for index, line in enumerate(getattr(self._words, word)):
                place = self._scope.places.of(self._words, word, index)
                self._interface(line.name, place, Complaint.HOST)
        for announcing in self._words.garp_group:
            self._announcing(announcing)

    def garp_groups(self) -> tuple[GarpGroup, ...]:
        """Those that can have an effect; an interface is in the first one that names it."""
        groups: list[GarpGroup] = []
        taken: set[str] = set()
        for words in self._words.garp_group:
            named = [words.interface] if words.interface is not None else []
            named += [name for line in words.interfaces for name in line]
            twice = [name for name, count in Counter(named).items() if count > 1]
            for name in [*twice, *(name for name in named if name in taken)]:
                place = self._scope.places.of(words).about(name)
                self._scope.report.warning(place, VrrpCode.IN_OTHER_GARP_GROUP(name=name))
            own = tuple(dict.fromkeys(name for name in named if name not in taken))
            taken.update(own)
            if own and (words.garp_interval or words.gna_interval):
                groups.append(
                    GarpGroup(
                        interfaces=own,
                        garp_interval=words.garp_interval or 0.0,
                        gna_interval=words.gna_interval or 0.0,
                    )
                )
        return tuple(groups)

    def _interface(self, name: str | None, place: Place, klass: Complaint = Complaint.GENERAL) -> None:
        if name is not None and name not in self._scope.host.interfaces:
            self._scope.tell_absent(name, place, klass=klass)

    def _has_members(self, block: TrackGroupBlock) -> bool:
        lines = enumerate(block.group)
        unknown = [(at, name) for at, line in lines for name in line if name not in self._instances]
        for at, name in unknown:
            place = self._scope.places.of(block, "group", at).about(name)
            self._scope.report.warning(place, VrrpCode.NO_SUCH_INSTANCE(name=name).of(block.name))
        return len(unknown) < sum(map(len, block.group))

    def _announcing(self, block: GarpGroupBlock) -> None:
        if block.garp_interval is None and block.gna_interval is None:
            remark = VrrpCode.GARP_GROUP_WITHOUT_INTERVAL()
            self._scope.report.warning(self._scope.places.of(block), remark, proposal="add garp_interval SECONDS")
        self._interface(block.interface, self._scope.places.of(block, "interface"))
        for index, line in enumerate(block.interfaces):
            for name in line:
                self._interface(name, self._scope.places.of(block, "interfaces", index))
