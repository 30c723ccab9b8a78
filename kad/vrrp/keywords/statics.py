"""The words of the top level that speak of interfaces and of addresses, routes and rules that are always there."""

from typing import Annotated

from kad.config.keyword import Block, Head, block, entries, keyword
from kad.config.tree import Complaint
from kad.config.values import seconds, text, texts
from kad.vrrp.keywords.addresses import AddressLine, address_line
from kad.vrrp.keywords.devices import InterfaceDelay, Linkbeat, interface_delay, linkbeat
from kad.vrrp.keywords.routes import RouteLine, RuleLine, route_line, rule_line


class TrackGroupBlock(Block, frozen=True, kw_only=True):
    """track_group NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    group: Annotated[tuple[tuple[str, ...], ...], entries(texts("VRRP INSTANCE"), "its members")] = ()


class GarpGroupBlock(Block, frozen=True, kw_only=True):
    """garp_group { }"""

    garp_interval: Annotated[
        float | None, keyword(seconds(0.000001, 4294.967295), "between two ARP messages on all of them", default="0")
    ] = None
    gna_interval: Annotated[
        float | None, keyword(seconds(0.000001, 4294.967295), "between two NA messages on all of them", default="0")
    ] = None
    interface: Annotated[str | None, keyword(text("IFNAME"), "an interface of the group")] = None
    interfaces: Annotated[tuple[tuple[str, ...], ...], entries(texts("IFNAME"), "interfaces of the group")] = ()


class StaticWords(Block, frozen=True, kw_only=True):
    """What is there whatever the state of the instances is."""

    track_group: Annotated[
        tuple[TrackGroupBlock, ...],
        block(
            TrackGroupBlock,
            "instances that static addresses depend on",
            collected=True,
            unique=True,
            effect=False,
            missing=Complaint.GENERAL,
        ),
    ] = ()
    static_ipaddress: Annotated[
        tuple[AddressLine, ...], entries(address_line(), "addresses that are always there", effect=False)
    ] = ()
    static_routes: Annotated[
        tuple[RouteLine, ...], entries(route_line(), "routes that are always there", effect=False)
    ] = ()
    static_rules: Annotated[
        tuple[RuleLine, ...], entries(rule_line(), "rules that are always there", effect=False)
    ] = ()
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
