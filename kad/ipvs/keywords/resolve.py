"""From the words about virtual servers to what the ipvs process is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from kad.config.notification_words import MailGlobals
from kad.config.slice_context import ServedBlock, ServerChecks, SliceContext
from kad.ipvs.keywords.codes import IpvsCode
from kad.ipvs.keywords.line_values import ServerName
from kad.ipvs.keywords.required_words import ServedAddresses
from kad.ipvs.keywords.resolve_fields import to_marking, to_sync_daemon, to_timeouts
from kad.ipvs.keywords.resolve_services import Destination, Service, ServiceResolver
from kad.ipvs.keywords.service_words import IpvsGlobals, ServiceGroupBlock
from kad.ipvs.keywords.sysctl_advice import Prerequisites
from kad.model.ipvs import IpvsSlice, RealServer


class Globals(Protocol):
    """The words of global_defs that speak of virtual servers."""

    @property
    def ipvs(self) -> IpvsGlobals: ...
    @property
    def mail(self) -> MailGlobals: ...


class Blocks(Protocol):
    """The part of a file that speaks of virtual servers."""

    @property
    def virtual_server(self) -> Sequence[Service]: ...
    @property
    def virtual_server_group(self) -> Sequence[ServiceGroupBlock]: ...
    @property
    def defaults(self) -> Globals: ...


def group_addresses(file: Blocks, context: SliceContext) -> dict[str, tuple[str, ...]]:
    """Of each virtual_server_group, by name; a group without members is reported."""
    for group in file.virtual_server_group:
        if not group.members:
            place, remark = context.scope.places.of(group), IpvsCode.GROUP_WITHOUT_MEMBER(name=group.name)
            context.scope.report.warning(place, remark, proposal="add IP PORT")
    return {
        name: tuple(str(msgspec.structs.replace(member, port=0)) for member in group.members if member.first)
        for name, group in _groups(file).items()
    }


def services(file: Blocks, context: SliceContext) -> tuple[ServedBlock, ...]:
    """What each virtual_server has become; what is wrong with it is reported, with what is wrong with its checks."""
    mail = file.defaults.mail
    resolver = ServiceResolver(
        context.scope,
        context.programs,
        _groups(file),
        mail.smtp_alert if mail.smtp_alert_checker is None else mail.smtp_alert_checker,
        file.defaults.ipvs.nftables_ipvs is not None,
        context.mailing is not None,
    )
    return tuple(_served(file, context, resolver, Prerequisites(context.scope)))


def served_addresses(file: Blocks, context: SliceContext) -> ServedAddresses | None:
    """The addresses that an instance holds only while IPVS serves them."""
    if not (context.services and context.wants_checker) or file.defaults.ipvs.ipvs_required is False:
        return None
    return ServedAddresses(context.services)


def slice(file: Blocks, context: SliceContext) -> IpvsSlice | None:
    """All services; None: there are none, or they are not wanted."""
    routers, words, scope = context.routers, file.defaults.ipvs, context.scope
    if not (context.services and context.wants_checker) or routers is None:
        return None
    line = words.lvs_sync_daemon
    if line is not None and line.instance is not None and line.instance not in routers.ids:
        remark = IpvsCode.SYNC_DAEMON_FOLLOWS_NOTHING(instance=line.instance)
        scope.report.note(scope.places.of(words, "lvs_sync_daemon"), remark)
    return IpvsSlice(
        virtual_servers=tuple(context.services),
        timeouts=to_timeouts(words.lvs_timeouts),
        flush=words.lvs_flush,
        flush_on_stop=words.lvs_flush_on_stop or "",
        sync_daemon=to_sync_daemon(line, routers.ids, routers.sync_interfaces),
        marking=to_marking(words, routers.filtering, scope),
        init_notifies=bool(words.rs_init_notifies),
        feeds_fifo=context.feeds_fifo("lvs"),
    )


def _groups(file: Blocks) -> dict[str, ServiceGroupBlock]:
    """Those with members; of two with one name the first counts."""
    groups: dict[str, ServiceGroupBlock] = {}
    for group in file.virtual_server_group:
        if group.members:
            groups.setdefault(group.name, group)
    return groups


def _served(
    file: Blocks, context: SliceContext, resolver: ServiceResolver, prerequisites: Prerequisites
) -> Iterator[ServedBlock]:
    for index, block in enumerate(file.virtual_server):
        service = resolver.resolve(block)
        checks = context.checks.of_service(index) if context.checks is not None else ()
        if service is None:
            yield ServedBlock()
            continue
        is_checked = any(each.checks for each in checks)
        prerequisites.look(service, context.scope.places.of(block), is_checked=is_checked)
        real_servers = tuple(_real_servers(resolver.servers, block.real_server, checks))
        found = tuple(real for real in real_servers if real is not None)
        yield ServedBlock(msgspec.structs.replace(service, real_servers=found), real_servers)


def _real_servers(
    kept: dict[ServerName, RealServer], blocks: Sequence[Destination], checks: Sequence[ServerChecks]
) -> Iterator[RealServer | None]:
    """What each real_server has become; the first of two with one name counts."""
    left = dict(kept)
    for block, found in zip(blocks, checks, strict=True):
        real = left.pop(block.name, None)
        yield msgspec.structs.replace(real, alpha=found.alpha) if real is not None else None
