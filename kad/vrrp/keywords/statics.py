"""The words of the top level for interfaces, and for addresses, routes and rules that are always there."""

import difflib
from collections.abc import Collection
from typing import Annotated

import msgspec

from kad.config.build import Scope
from kad.config.keyword import Block, Head, block, entries, keyword
from kad.config.tree import Complaint, Place
from kad.config.values import seconds, text, texts
from kad.vrrp.keywords import StaticAddress
from kad.vrrp.keywords.addresses import AddressLine, address_line
from kad.vrrp.keywords.devices import InterfaceDelay, Linkbeat, interface_delay, linkbeat
from kad.vrrp.keywords.routes import RouteLine, RuleLine, route_line, rule_line


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
    interface: Annotated[str | None, keyword(text("IFNAME"), "an interface of the group")] = None
    interfaces: Annotated[
        tuple[tuple[str, ...], ...], entries(texts("IFNAME"), "interfaces of the group", may_be_empty=False)
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
        block(GarpGroupBlock, "interfaces that announce in turn", collected=True, effect=False),
    ] = ()
    linkbeat_interfaces: Annotated[
        tuple[Linkbeat, ...], entries(linkbeat(), "interfaces that are asked each second", effect=False)
    ] = ()
    interface_up_down_delays: Annotated[
        tuple[InterfaceDelay, ...],
        entries(interface_delay(), "changes of a link count after this time", effect=False),
    ] = ()


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

    def addresses(self, default_interface: str) -> tuple[StaticAddress, ...]:
        """static_ipaddress; an address without dev is on the default interface."""
        found: dict[StaticAddress, None] = {}
        dependents = self.dependents
        for index, line in enumerate(self._words.static_ipaddress):
            place = self._scope.places.of(self._words, "static_ipaddress", index)
            device = line.address.device
            if device is None:
                device = default_interface
                self._interface(device, place)
            if line.address.use_vmac:
                text = f"static_ipaddress: {line.address.address}: use_vmac is for virtual addresses; it is ignored"
                self._scope.report.warning(place, text)
            address = msgspec.structs.replace(line.address, device=device, use_vmac=False)
            found[StaticAddress(address=address, dependents=dependents.get(line.track_group or "", ()))] = None
        return tuple(found)

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
                    self._scope.report.warning(place, f"there is no track_group {group}")
        for word in ("linkbeat_interfaces", "interface_up_down_delays"):
            for index, line in enumerate(getattr(self._words, word)):
                place = self._scope.places.of(self._words, word, index)
                self._interface(line.name, place, Complaint.HOST)
        for announcing in self._words.garp_group:
            self._announcing(announcing)

    def _interface(self, name: str | None, place: Place, klass: Complaint = Complaint.GENERAL) -> None:
        known = self._scope.host.interfaces
        if name is not None and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            self._scope.report.warning(
                place,
                f"there is no interface {name} on this host",
                proposal=f"did you mean {near[0]}?" if near else "",
                klass=klass,
                about_host=True,
            )

    def _has_members(self, block: TrackGroupBlock) -> bool:
        unknown = [name for line in block.group for name in line if name not in self._instances]
        place = self._scope.places.of(block, "group")
        for name in unknown:
            self._scope.report.warning(place, f"{block.name}: there is no vrrp_instance {name}")
        return len(unknown) < sum(map(len, block.group))

    def _announcing(self, block: GarpGroupBlock) -> None:
        if block.garp_interval is None and block.gna_interval is None:
            text = "the garp_group has neither garp_interval nor gna_interval; it is ignored"
            self._scope.report.warning(self._scope.places.of(block), text, proposal="add garp_interval SECONDS")
        self._interface(block.interface, self._scope.places.of(block, "interface"))
        for index, line in enumerate(block.interfaces):
            for name in line:
                self._interface(name, self._scope.places.of(block, "interfaces", index))
