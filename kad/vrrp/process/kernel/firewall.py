"""What nftables do for VRRP: packets to addresses that accept none are dropped, reports leave with no virtual MAC."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Container, Iterable

from kad.child.multiplexer import Mux
from kad.linux.netlink.network_table import Network
from kad.linux.netlink.nftables import (
    ARP,
    HOOK_ARP_INPUT,
    HOOK_INPUT,
    HOOK_OUTPUT,
    META_IIF,
    META_IIFNAME,
    META_L4PROTO,
    META_OIF,
    META_OIFNAME,
    TYPE_ETHERNET,
    TYPE_ICMPV6,
    TYPE_IFINDEX,
    TYPE_IFNAME,
    TYPE_IPV4,
    TYPE_IPV6,
    Chain,
    NamedSet,
    Nftables,
    NftablesMonitor,
    Table,
    accept,
    among,
    because,
    drop,
    duplicate,
    encode_change,
    encode_removal,
    encode_table,
    equals,
    go_to,
    masked,
    meta,
    payload,
    rule,
)
from kad.linux.refused import Refused
from kad.model.vrrp import OWNER_PRIORITY, Filtering, VirtualDevice, VrrpInstance, VrrpSlice
from kad.shared.log import Logger
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.address_placement import addresses_of
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.retries import HOST, Retries
from kad.vrrp.restore_backoff import AddressGuard

_IGMP, _ICMPV6 = b"\x02", b"\x3a"
_SOLICITATION, _ADVERTISEMENT, _ROUTER_SOLICITATION = b"\x87", b"\x88", b"\x85"
_GROUP_REPORTS = (b"\x83", b"\x84", b"\x8f")
"""Multicast Listener Report and Done of version 1 (RFC 2710), and Report of version 2 (RFC 3810)."""
_LINK_LOCAL, _LINK_LOCAL_MASK = bytes.fromhex("fe80") + bytes(14), bytes.fromhex("ffc0") + bytes(14)
_INTERFACE_NAME = 16
_FAMILIES = {4: "ip", 6: "ip6", ARP: "arp"}


class Firewall:
    """The only writer of rules. A table is there while an instance needs it."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        network: Network,
        at: Callable[[float, Callable[[], object]], None],
        tell: Callable[[str, str, str], None],
        retries: Retries,
    ) -> None:
        """`at` calls back at a moment; `tell` takes what is for the journal: kind, object, sentence."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._tell = tell
        self._retries = retries
        self._monitor: NftablesMonitor | None = None
        self._guard = AddressGuard()
        self._nftables: Nftables | None = None
        self._filtering = Filtering()
        self._devices: list[VirtualDevice] = []
        self._silent: dict[Instance, None] = {}
        """Those that hold addresses at which they accept nothing."""
        self._tables: dict[int, Table | None] = {}
        """As they were last put in place, by family."""
        self._restricts: dict[int, bool] = {4: False, 6: False}
        self._refusal: Refused | None = None
        """The last one."""

    def arrange(
        self,
        filtering: Filtering,
        instances: Iterable[Instance],
        devices: Iterable[VirtualDevice],
        resumed: Container[str],
    ) -> None:
        """The tables that these need, and no others; `resumed` names instances of an earlier life that held theirs."""
        if filtering.table != self._filtering.table:
            self.remove()
        self._filtering = filtering
        self._devices = list(devices)
        restricted = [each for each in instances if is_restricted(each.configuration)]
        self._silent = {each: None for each in restricted if each.router.holds_addresses or each.name in resumed}
        addresses = [address for each in restricted for address in addresses_of(each.configuration)]
        self._restricts = {
            4: any(":" not in each.address for each in addresses),
            6: any(":" in each.address for each in addresses),
        }
        self._put()

    def follow(self) -> None:
        """Interfaces are others now."""
        self._put()

    def silence(self, instance: Instance) -> None:
        """Before it holds its addresses: nothing that is sent to them is accepted, where that is asked for."""
        if is_restricted(instance.configuration):
            self._silent[instance] = None
            self._put()

    def unsilence(self, instance: Instance) -> None:
        """It holds them no longer."""
        if instance in self._silent:
            del self._silent[instance]
            self._put()

    def remove(self) -> None:
        """No table of ours is left."""
        self._devices, self._silent, self._restricts = [], {}, {4: False, 6: False}
        self._put()

    def sweep(self, configuration: VrrpSlice) -> None:
        """Remove what an earlier life with this configuration made."""
        if any(is_restricted(each) or each.devices for each in configuration.instances):
            for family in _FAMILIES:
                self._commit(encode_removal(family, configuration.filtering.table))

    def _put(self) -> None:
        self._refusal = None
        for family in _FAMILIES:
            wanted, known = self._table(family), self._tables.get(family)
            if wanted == known:
                continue
            if wanted is None:
                if self._commit(encode_removal(family, self._filtering.table)):
                    self._tables[family] = None
                continue
            change = encode_change(known, wanted) if known is not None else None
            # Where that fails, somebody else changed the table: it is replaced whole, in one step.
            done = (change is not None and self._commit(change, quietly=True)) or self._commit(encode_table(wanted))
            self._tables[family] = wanted if done else None
        self._judge(self._refusal)
        self._look_after()

    def _commit(self, requests: list[bytes], quietly: bool = False) -> bool:
        try:
            if self._nftables is None:
                self._nftables = Nftables()
            self._nftables.commit(requests)
        except Refused as refused:
            if not quietly:
                self._refusal = refused
            return False
        return True

    def _judge(self, refused: Refused | None) -> None:
        """What follows from what the kernel did not put in place just now."""
        call = KernelCall.DROP_PACKETS if any(self._restricts.values()) else KernelCall.FILTER_REPORTS
        for other in {KernelCall.DROP_PACKETS, KernelCall.FILTER_REPORTS} - {call}:
            self._retries.drop(other, HOST)
        if refused is None:
            self._retries.accepted(call, HOST)
            return
        if self._retries.refused(call, HOST, "to filter packets by nftables", refused.errno, self._put):
            self._log.error(f"not every packet is filtered that should be, nftables refuse: {because(refused)}")

    # the guard

    def _look_after(self) -> None:
        """Others are watched for as long as there is something that they could take."""
        needed = any(self._tables.values())
        if needed and self._monitor is None and self._nftables is not None:
            try:
                self._monitor = NftablesMonitor(self._nftables.port)
            except Refused as refused:
                what = "to tell who changes nftables"
                if self._retries.refused(KernelCall.WATCH_FILTERS, HOST, what, refused.errno, self._look_after):
                    self._log.error(f"changes of nftables by others are not noticed: {because(refused)}")
            else:
                self._retries.accepted(KernelCall.WATCH_FILTERS, HOST)
                self._mux.watch(self._monitor.fileno(), self._read, "reading what the kernel says of nftables")
        elif not needed and self._monitor is not None:
            self._mux.unwatch(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None

    def _read(self) -> None:
        if self._monitor is None:
            return
        told = self._monitor.read()
        kept = [family for family, table in self._tables.items() if table is not None]
        lost = [family for family in kept if told is None or (family, self._filtering.table) in told]
        # Known as lost at once: whatever changes meanwhile puts it back as well.
        self._tables |= dict.fromkeys(lost)
        if told is None:
            self._put()
        elif lost:
            self._defend(lost)

    def _defend(self, lost: Iterable[int]) -> None:
        now = self._mux.now()
        names = ", ".join(f"{_FAMILIES[family]} {self._filtering.table}" for family in lost)
        text = f"somebody emptied or deleted what nftables have in table {names}"
        again_at = self._guard.lost(now)
        self._tell("firewall", f"nftables/{self._filtering.table}", text)
        if again_at is None:
            again_at = self._guard.may_try_again_at()
            self._log.error(f"{text}, again and again: giving up for {again_at - now:.0f} s")
        elif again_at <= now:
            self._log.warning(f"{text}: putting it back")
            self._put()
            return
        else:
            self._log.warning(f"{text}: back in {again_at - now:.1f} s")
        self._at(again_at, self._put)

    # what is in a table

    def _table(self, family: int) -> Table | None:
        if family == ARP:
            return self._arp_table()
        sets: list[NamedSet] = []
        output: list[bytes] = []
        chains: list[Chain] = []
        reports = self._reports(family)
        if reports:
            sets += [reports] if family == 4 else [reports, _keys_of(reports)]
            output += self._filter_reports(family)
        if self._restricts[family]:
            sets += self._silent_addresses(family)
            chains += self._chains_of_addresses(family, output)
        elif output:
            chains.append(self._hooked("out", HOOK_OUTPUT, output))
        if not chains:
            return None
        return Table(family=family, name=self._filtering.table, sets=tuple(sets), chains=tuple(chains))

    def _arp_table(self) -> Table | None:
        """What another router announces with a virtual MAC is a question, and the answer would bear that MAC too."""
        macs = {
            bytes.fromhex(device.mac.replace(":", "")): b""
            for device in self._devices
            if device.mac is not None and device.family == 4
        }
        if not macs:
            return None
        virtual = NamedSet(name="vmac_addresses", types=(TYPE_ETHERNET,), length=6, elements=macs)
        sender = self._rule(payload(8, 6), among(virtual.name), drop())
        chain = self._hooked("in", HOOK_ARP_INPUT, [sender])
        return Table(family=ARP, name=self._filtering.table, sets=(virtual,), chains=(chain,))

    def _hooked(self, name: str, hook: int, rules: list[bytes]) -> Chain:
        return Chain(name=name, hook=hook, priority=self._filtering.priority, rules=tuple(rules))

    def _rule(self, *expressions: bytes) -> bytes:
        return rule(*expressions, counted=self._filtering.counters)

    def _reports(self, family: int) -> NamedSet | None:
        """Index of each macvlan and of the interface that it is on."""
        if family == 4 and not self._filtering.igmp:
            return None
        pairs: dict[bytes, bytes] = {}
        for device in self._devices:
            link, base = self._network.link(device.name), self._network.link(device.base)
            if device.mac is not None and link is not None and base is not None and (family == 4 or device.ipv6):
                pairs[_index(link.index)] = _index(base.index)
        if not pairs:
            return None
        return NamedSet(name="vmac_map", types=(TYPE_IFINDEX,), length=4, elements=pairs, data_type=TYPE_IFINDEX)

    def _filter_reports(self, family: int) -> list[bytes]:
        """Group reports of a macvlan leave by its base instead: a switch must not learn the virtual MAC from them."""
        by_base = (among("vmac_map", register=2, value_register=2), duplicate(address_register=1, device_register=2))
        if family == 4:
            igmp = (payload(9, 1), equals(_IGMP), payload(16, 4), meta(META_OIF, register=2))
            return [self._rule(*igmp, *by_base, drop())]
        icmpv6 = (meta(META_L4PROTO), equals(_ICMPV6), payload(0, 1, transport=True))
        reports = [
            self._rule(*icmpv6, equals(kind), payload(24, 16), meta(META_OIF, register=2), *by_base, drop())
            for kind in _GROUP_REPORTS
        ]
        solicitation = (*icmpv6, equals(_ROUTER_SOLICITATION), meta(META_OIF, register=2))
        return [*reports, self._rule(*solicitation, among("vmac_set", register=2), drop())]

    def _silent_addresses(self, family: int) -> list[NamedSet]:
        plain: dict[bytes, bytes] = {}
        local: dict[bytes, bytes] = {}
        for instance in self._silent:
            for each in addresses_of(instance.configuration):
                if (":" in each.address) != (family == 6):
                    continue
                packed = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, each.address)
                if family == 4 or not _is_link_local(packed):
                    plain[packed] = b""
                elif interface := self._interface(each.device or instance.configuration.own_interface):
                    local[packed + interface] = b""
        if family == 4:
            return [NamedSet(name="vips", types=(TYPE_IPV4,), length=4, elements=plain)]
        kind, length = (TYPE_IFINDEX, 4) if self._filtering.by_index else (TYPE_IFNAME, _INTERFACE_NAME)
        discovery = {_SOLICITATION: b"", _ADVERTISEMENT: b""}
        return [
            NamedSet(name="vips", types=(TYPE_IPV6,), length=16, elements=plain),
            NamedSet(name="neighbor-discovery", types=(TYPE_ICMPV6,), length=1, elements=discovery, constant=True),
            NamedSet(name="vips_link_local", types=(TYPE_IPV6, kind), length=16 + length, elements=local),
        ]

    def _interface(self, name: str) -> bytes:
        if not self._filtering.by_index:
            return name.encode().ljust(_INTERFACE_NAME, b"\0")
        link = self._network.link(name)
        return _index(link.index) if link is not None else b""

    def _chains_of_addresses(self, family: int, output: list[bytes]) -> list[Chain]:
        """In and out, the first rules of the latter given; neighbour discovery goes on, or nobody would find us."""
        by_index = self._filtering.by_index
        if family == 4:
            out = [*output, self._rule(payload(12, 4), among("vips"), drop())]
            into = [self._rule(payload(16, 4), among("vips"), drop())]
            return [self._hooked("out", HOOK_OUTPUT, out), self._hooked("in", HOOK_INPUT, into)]
        discovery = self._rule(
            payload(6, 1), equals(_ICMPV6), payload(0, 1, transport=True), among("neighbor-discovery"), accept()
        )
        chains: list[Chain] = []
        ways: tuple[tuple[str, int, int, int, list[bytes]], ...] = (
            ("out", HOOK_OUTPUT, 8, META_OIF if by_index else META_OIFNAME, output),
            ("in", HOOK_INPUT, 24, META_IIF if by_index else META_IIFNAME, []),
        )
        for name, _, offset, interface, _ in ways:
            local = (payload(offset, 16), meta(interface, register=2), among("vips_link_local"), drop())
            chains.append(Chain(name=f"{name}_link_local", rules=(self._rule(*local),)))
        for name, hook, offset, _, before in ways:
            local = (payload(offset, 16), masked(_LINK_LOCAL_MASK), equals(_LINK_LOCAL), go_to(f"{name}_link_local"))
            rules = [*before, discovery, rule(*local), self._rule(payload(offset, 16), among("vips"), drop())]
            chains.append(self._hooked(name, hook, rules))
        return chains


def _keys_of(reports: NamedSet) -> NamedSet:
    elements = dict.fromkeys(reports.elements, b"")
    return NamedSet(name="vmac_set", types=reports.types, length=reports.length, elements=elements)


def is_restricted(configuration: VrrpInstance) -> bool:
    """A router that does not own its addresses and must not accept packets to them (RFC 9568 6.1, Accept_Mode)."""
    return not configuration.accept and configuration.priority != OWNER_PRIORITY


def _is_link_local(packed: bytes) -> bool:
    return packed[0] == 0xFE and packed[1] & 0xC0 == 0x80


def _index(number: int) -> bytes:
    return struct.pack("=I", number)
