"""From the words about virtual routers to what the vrrp process is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from kad.config.notification_words import MailGlobals
from kad.config.process_words import NetlinkWords, placement
from kad.config.slice_context import ServedAddresses, SliceContext
from kad.model.vrrp import NetlinkBuffers, VrrpInstance, VrrpSlice
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.instance_words import InstanceBlock
from kad.vrrp.keywords.iproute2_names import Names
from kad.vrrp.keywords.resolve_all import RouterResolver
from kad.vrrp.keywords.resolve_devices import filtering
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

    def __init__(self, file: Blocks, context: SliceContext) -> None:
        words, scope = file.statics, context.scope
        self._file = file
        self._defaults = file.defaults.vrrp
        names = Names(scope.host.files, *context.daemon.iproute_directories)
        routings = Routings(names, context.encode_route, context.encode_rule, scope)
        self._statics = Statics(words, [block.name for block in file.vrrp_instance], scope)
        static_routes = routings.static(words, words.static_routes, words.static_rules, self._statics.dependents)
        mail = file.defaults.mail
        smtp_alert = mail.smtp_alert_vrrp if mail.smtp_alert_vrrp is not None else mail.smtp_alert
        self._routers = RouterResolver(self._defaults, routings, context, smtp_alert=bool(smtp_alert))
        self._routers.resolve(file.vrrp_instance, file.vrrp_sync_group)
        parts = self._routers.parts.values()
        self._placement = placement(self._defaults.process, scope)
        self._static_addresses = self._statics.addresses(
            context.daemon.default_interface, [each.devices for each in parts]
        )
        self._static_routes = static_routes
        self._garp_groups = self._statics.garp_groups()
        self._delays = self._statics.delays([each.outline for each in parts])
        self._statics.judge()
        self.ids = {each.outline.name: each.outline.virtual_router_id for each in parts}
        self.filtering = filtering(self._defaults)

    @property
    def sync_interfaces(self) -> dict[str, str]:
        """By name of a vrrp_instance: where it says that the IPVS sync daemon speaks."""
        said = ((block.name, block.devices.lvs_sync_daemon_interface) for block in self._file.vrrp_instance)
        return {name: interface for name, interface in said if interface}

    def slice(self, served: ServedAddresses | None, *, feeds_fifo: bool) -> VrrpSlice:
        """All of them, whether or not their process is wanted."""
        defaults = self._defaults
        instances = tuple(self._routers.build(served))
        return VrrpSlice(
            instances=instances,
            groups=self._routers.groups,
            static_addresses=self._static_addresses,
            static_routing=self._static_routes,
            link_delays=self._delays,
            polled_links=self._statics.polled(_polled(self._file, instances)),
            garp_groups=self._garp_groups,
            filtering=self.filtering,
            netlink=_buffers(defaults.netlink),
            startup_delay=defaults.vrrp_startup_delay or 0.0,
            delay_after_boot=defaults.vrrp_delay_after_boot or 0.0,
            log_unknown_vrids=defaults.log_unknown_vrids,
            restore_addresses=defaults.vrrp_restore_addresses is not False,
            feeds_fifo=feeds_fifo,
            fifo_states_on_reload=defaults.fifo_write_vrrp_states_on_reload,
            **self._placement,
        )


def routers(file: Blocks, context: SliceContext) -> ResolvedRouters:
    """The instances that can run; what is wrong with the others is reported."""
    return ResolvedRouters(file, context)


def slice(file: Blocks, context: SliceContext) -> VrrpSlice | None:
    """All instances, static addresses and routes; None: there are none, or they are not wanted."""
    if context.routers is None or not context.wants_vrrp:
        return None
    made = context.routers.slice(context.served_addresses, feeds_fifo=context.feeds_fifo("vrrp"))
    return made if made.instances or made.static_addresses or made.static_routing else None


def _polled(file: Blocks, instances: Sequence[VrrpInstance]) -> Iterator[str]:
    """Interfaces whose link is asked for because an instance, or the old global word, says so."""
    is_global = file.root.linkbeat_use_polling
    asking = {block.name for block in file.vrrp_instance if block.devices.linkbeat_use_polling}
    yield from (each.interface for each in instances if is_global or each.name in asking)
    if is_global:
        yield from (item.name for each in instances for item in each.tracks if item.kind == "interface")


def _buffers(words: NetlinkWords) -> NetlinkBuffers:
    return NetlinkBuffers(
        commands=words.cmd_rcv_bufs or None,
        commands_forced=bool(words.cmd_rcv_bufs_force),
        events=words.monitor_rcv_bufs or None,
        events_forced=bool(words.monitor_rcv_bufs_force),
    )
