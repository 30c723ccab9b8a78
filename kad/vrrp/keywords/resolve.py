"""From the words about virtual routers to what the vrrp process is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from kad.config.notification_words import MailGlobals
from kad.config.slice_context import ServedAddresses, SliceContext
from kad.model.vrrp import Filtering, VrrpInstance, VrrpSlice
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.instance_words import InstanceBlock
from kad.vrrp.keywords.iproute2_names import Names
from kad.vrrp.keywords.resolve_all import Routers
from kad.vrrp.keywords.resolve_routes import Routings
from kad.vrrp.keywords.static_words import Statics, StaticWords


class RootWords(Protocol):
    """The words of the top level that speak of interfaces."""

    @property
    def linkbeat_use_polling(self) -> bool: ...


class Globals(Protocol):
    """The words of global_defs that speak of instances."""

    @property
    def vrrp(self) -> VrrpGlobals: ...
    @property
    def mail(self) -> MailGlobals: ...


class Blocks(Protocol):
    """The part of a file that speaks of virtual routers."""

    @property
    def root(self) -> RootWords: ...
    @property
    def statics(self) -> StaticWords: ...
    @property
    def vrrp_instance(self) -> Sequence[InstanceBlock]: ...
    @property
    def vrrp_sync_group(self) -> Sequence[GroupBlock]: ...
    @property
    def defaults(self) -> Globals: ...


class ResolvedRouters:
    """All virtual routers of a configuration, and what is there whatever their state is."""

    def __init__(self, whole: VrrpSlice, sync_interfaces: Mapping[str, str]) -> None:
        self._whole = whole
        self.sync_interfaces = sync_interfaces
        """By name of a vrrp_instance: where it says that the IPVS sync daemon speaks."""
        self.ids: Mapping[str, int] = {each.name: each.virtual_router_id for each in whole.instances}

    @property
    def filtering(self) -> Filtering:
        return self._whole.filtering

    def slice(self, served: ServedAddresses | None, *, feeds_fifo: bool) -> VrrpSlice:
        """All of them, whether or not their process is wanted."""

        def with_served(instance: VrrpInstance) -> VrrpInstance:
            addresses = (*instance.virtual_addresses, *instance.excluded_addresses)
            address = served.first_of(each.address for each in addresses) if served is not None else ""
            return msgspec.structs.replace(instance, served_address=address) if address else instance

        instances = tuple(map(with_served, self._whole.instances))
        return msgspec.structs.replace(self._whole, instances=instances, feeds_fifo=feeds_fifo)


def routers(file: Blocks, context: SliceContext) -> ResolvedRouters:
    """The instances that can run; what is wrong with the others is reported."""
    words, defaults, scope = file.statics, file.defaults, context.scope
    default_interface = context.daemon.default_interface
    names = Names(scope.host.files, *context.daemon.iproute_directories)
    routings = Routings(names, context.encode_route, context.encode_rule, scope)
    statics = Statics(words, [block.name for block in file.vrrp_instance], scope)
    static_routing = routings.static(words, words.static_routes, words.static_rules, statics.dependents)
    mail = defaults.mail
    made = Routers(
        defaults.vrrp,
        bool(mail.smtp_alert_vrrp if mail.smtp_alert_vrrp is not None else mail.smtp_alert),
        context.weights,
        context.programs,
        routings,
        scope,
        default_interface=default_interface,
        defined=context.definitions,
    ).slice(file.vrrp_instance, file.vrrp_sync_group)
    made = msgspec.structs.replace(
        made,
        static_addresses=statics.addresses(default_interface, made.instances),
        static_routing=static_routing,
        garp_groups=statics.garp_groups(),
        link_delays=statics.delays(made.instances),
        polled_links=statics.polled(_polled(file, made)),
    )
    statics.judge()
    said = ((block.name, block.devices.lvs_sync_daemon_interface) for block in file.vrrp_instance)
    return ResolvedRouters(made, {name: interface for name, interface in said if interface})


def slice(file: Blocks, context: SliceContext) -> VrrpSlice | None:
    """All instances, static addresses and routes; None: there are none, or they are not wanted."""
    if context.routers is None or not context.wants_vrrp:
        return None
    made = context.routers.slice(context.served_addresses, feeds_fifo=context.feeds_fifo("vrrp"))
    return made if made.instances or made.static_addresses or made.static_routing else None


def _polled(file: Blocks, vrrp: VrrpSlice) -> Iterator[str]:
    """Interfaces whose link is asked for because an instance, or the old global word, says so."""
    is_global = file.root.linkbeat_use_polling
    asking = {block.name for block in file.vrrp_instance if block.devices.linkbeat_use_polling}
    yield from (each.interface for each in vrrp.instances if is_global or each.name in asking)
    if is_global:
        yield from (item.name for each in vrrp.instances for item in each.tracks if item.kind == "interface")
