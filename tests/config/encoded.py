"""All that the processes make of their slices before they ask the kernel: a value that has no place there ends here."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from itertools import islice
from typing import Any, cast

import msgspec

from kad.analyzer.process import Analysis
from kad.checker.checker_slice import CheckerSlice
from kad.checker.checks.bfd import BfdCheck
from kad.checker.checks.file import FileCheck
from kad.checker.checks.http import HttpCheck
from kad.checker.checks.misc import MiscCheck
from kad.checker.http_check import HttpConversation, request
from kad.checker.tls import Contexts
from kad.ipvs.service import Service
from kad.linux.files.sysctl import interface_setting
from kad.linux.netlink import ipvs
from kad.linux.netlink.address import encode_add
from kad.linux.netlink.link import Link
from kad.linux.netlink.nftables import Chain, Table, encode_table
from kad.linux.netlink.socket import Netlink
from kad.linux.netlink.virtual_link import encode_ipvlan, encode_macvlan
from kad.linux.refused import Refused
from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.check_socket import Exhausted, Unreachable, datagram, is_six
from kad.linux.sockets.ip_header import ipv4_header, ipv6_header
from kad.linux.sockets.ndisc import unsolicited_advertisement
from kad.linux.sockets.sendmmsg import sockaddr_in, sockaddr_in6
from kad.linux.sockets.vrrp_socket import size
from kad.model import secret
from kad.model.ipvs import IpvsSlice
from kad.model.ipvs_table import SyncDaemonSettings, TimeoutSettings
from kad.model.vrrp import VrrpInstance, VrrpSlice
from kad.vrrp.process.address_placement import lay_out, surfaces
from tests.unit.vrrp.clockwork import link

MAC = bytes.fromhex("020000000001")


class Everywhere:
    """A network in which every interface is there."""

    def link(self, name: str) -> Link:
        return link(name, 1)


def encode(analysis: Analysis) -> None:
    """Raises whatever an encoder raises; what the kernel would say of it is not asked."""
    if "vrrp" in analysis.slices:
        _vrrp(secret.decode(analysis.slices["vrrp"], VrrpSlice))
    if "ipvs" in analysis.slices:
        _ipvs(secret.decode(analysis.slices["ipvs"], IpvsSlice))
    if "checker" in analysis.slices:
        _checker(secret.decode(analysis.slices["checker"], CheckerSlice))


def _vrrp(configured: VrrpSlice) -> None:
    for instance in configured.instances:
        lay_out(instance, surfaces(instance, cast(Any, Everywhere())))
        _speak(instance)
        for device in instance.devices:
            if device.mac is not None:
                encode_macvlan(device.name, 1, bytes.fromhex(device.mac.replace(":", "")), group=device.group or 0)
            else:
                encode_ipvlan(device.name, 1, device.mode, group=device.group or 0)
            if device.address is not None:
                encode_add(1, device.address, device.prefix)
    for static in configured.static_addresses:
        address = static.address
        frame = unsolicited_advertisement(MAC, address.address, router=True) if ":" in address.address else None
        assert frame or gratuitous_arp(MAC, address.address)
        encode_add(1, address.address, address.prefix, label=address.label, preferred_lft=address.preferred_lft)
    _sized(sum(instance.receive_buffer for instance in configured.instances))
    buffers = configured.netlink
    with closing(Netlink.open()) as netlink:
        netlink.size(buffers.commands, forced=buffers.commands_forced)
        netlink.size(buffers.events, forced=buffers.events_forced)
    filtering = configured.filtering
    encode_table(Table(family=4, name=filtering.table, sets=(), chains=(_chain(filtering.priority),)))


def _speak(instance: VrrpInstance) -> None:
    """What its adverts are sent with, and the settings of its interfaces."""
    for destination in (instance.multicast_group, *(peer.address for peer in instance.unicast_peers)):
        if instance.family == 4:
            ipv4_header(instance.source_address or "192.0.2.1", destination, 20, instance.unicast_ttl, 1)
            sockaddr_in(destination)
        else:
            ipv6_header(instance.source_address or "fe80::1", destination, 20, instance.unicast_ttl)
            sockaddr_in6(destination, 1)
    for name in {instance.interface, instance.own_interface, *(device.base for device in instance.devices)}:
        with suppress(Refused):
            interface_setting(4, name, "promote_secondaries")


def _ipvs(configured: IpvsSlice) -> None:
    for each in configured.virtual_servers:
        service = Service(each)
        for key in islice(service.service_keys(), 3):
            ipvs.add_service(key, service.settings(key))
            for server, settings in service.destinations(key.port).items():
                ipvs.add_destination(key, server, settings)
    if daemon := configured.sync_daemon:
        fields = {name: getattr(daemon, name) for name in ("interface", "id", "maxlen", "group", "port", "ttl")}
        ipvs.start_daemon(SyncDaemonSettings(state="master", **fields))
    if timeouts := configured.timeouts:
        ipvs.set_timeouts(TimeoutSettings(timeouts.tcp, timeouts.tcpfin, timeouts.udp))
    if marking := configured.marking:
        encode_table(Table(family=4, name=marking.table, sets=(), chains=(_chain(marking.priority),)))


def _checker(configured: CheckerSlice) -> None:
    contexts = Contexts(configured.credentials)
    for check in (check for server in configured.servers for check in server.checks):
        if isinstance(check, FileCheck | BfdCheck | MiscCheck):
            continue
        # The address of nobody: not even the kernel of this host is asked for a way to it.
        connection = msgspec.structs.replace(
            check.connection, address="::1" if is_six(check.connection) else "127.0.0.1"
        )
        with suppress(Unreachable, Exhausted):
            datagram(connection).close()
        if isinstance(check, HttpCheck):
            for url in check.urls:
                request(url, check.protocol)
                HttpConversation(url, check.protocol)
                if check.tls is not None:
                    contexts.layer(check.tls, url).begin()


def _chain(priority: int) -> Chain:
    return Chain(name="in", rules=(), hook=1, priority=priority)


def _sized(wanted: int) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        size(sock, wanted)
