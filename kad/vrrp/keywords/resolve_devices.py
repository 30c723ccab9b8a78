"""Which macvlans and ipvlans the instances of a configuration have: names, hardware addresses, what goes on them."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import msgspec

from kad.config.build import Scope
from kad.config.remark import Remark
from kad.config.values import LONGEST_INTERFACE_NAME, UNSIGNED, family_of
from kad.model.vrrp import Filtering, VirtualAddress, VirtualDevice
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.device_words import Vmac
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.instance_outline import InstanceOutline
from kad.vrrp.keywords.instance_words import InstanceBlock

_PREFIX = "vrrp"
_MOST_NUMBERED = 1_000_000
_GROUPS = "/etc/iproute2/group"
_VIRTUAL_MACS = {4: "00:00:5e:00:01", 6: "00:00:5e:00:02"}
"""RFC 9568 7.3, less the last byte, which is the VRID."""


def filtering(defaults: VrrpGlobals) -> Filtering:
    """What the words about nftables say together."""
    return Filtering(
        table=defaults.nftables or "keepalived",
        priority=-1 if defaults.nftables_priority is None else defaults.nftables_priority,
        by_index=defaults.nftables_ifindex,
        counters=defaults.nftables_counters,
        igmp=not defaults.disable_local_igmp,
    )


class InstanceDevices(NamedTuple):
    """The devices of one instance, and its addresses on them."""

    name: str
    """Of the instance."""
    interface: str
    device: VirtualDevice | None
    transmits_by_base: bool
    further_devices: tuple[VirtualDevice, ...]
    source_address: str | None
    virtual_addresses: tuple[VirtualAddress, ...]
    excluded_addresses: tuple[VirtualAddress, ...]

    @property
    def own_interface(self) -> str:
        """Where addresses are that name no other interface."""
        return self.device.name if self.device is not None else self.interface


class VirtualDevices:
    """Gives each instance its devices; no two get the same name, and none that of a foreign interface."""

    def __init__(self, defaults: VrrpGlobals, scope: Scope) -> None:
        self._prefix = defaults.vmac_prefix or _PREFIX
        self._address_prefix = defaults.vmac_addr_prefix or self._prefix
        self._scope = scope
        self._made: dict[str, VirtualDevice] = {}

    def equip(self, instance: InstanceOutline, block: InstanceBlock) -> InstanceDevices:
        """The devices of the instance, and its addresses on them."""
        words = block.devices
        device, transmits_by_base = None, False
        if not instance.interface and (words.use_vmac is not None or words.use_ipvlan is not None):
            word = "use_vmac" if words.use_vmac is not None else "use_ipvlan"
            self._warn(block, word, VrrpCode.DEVICE_NEEDS_INTERFACE(word=word), "add interface IFNAME")
        elif words.use_vmac is not None:
            device = self._macvlan(instance, block, words.use_vmac)
            transmits_by_base = self._transmits_by_base(instance, block)
        elif words.use_ipvlan is not None:
            device = self._ipvlan(instance, block)
        further: dict[str, VirtualDevice] = {}

        def place(addresses: tuple[VirtualAddress, ...]) -> tuple[VirtualAddress, ...]:
            return tuple(self._place(address, device, instance, block, further) for address in addresses)

        virtual, excluded = place(instance.virtual_addresses), place(instance.excluded_addresses)
        own_interface = device.name if device is not None else instance.interface
        names = {each.device or own_interface for each in (*virtual, *excluded) if ":" in each.address}

        def with_ipv6(device: VirtualDevice) -> VirtualDevice:
            is_allowed = instance.family == 6 or device.name in names
            return msgspec.structs.replace(device, ipv6=True) if is_allowed else device

        return InstanceDevices(
            name=instance.name,
            interface=instance.interface,
            device=with_ipv6(device) if device is not None else None,
            transmits_by_base=transmits_by_base,
            further_devices=tuple(map(with_ipv6, further.values())),
            source_address=instance.source_address or (device.address if device is not None else None),
            virtual_addresses=virtual,
            excluded_addresses=excluded,
        )

    def _warn(self, block: InstanceBlock, word: str, remark: Remark, proposal: str = "") -> None:
        place = self._scope.places.find(word, block.devices, block)
        self._scope.report.warning(place, remark.of(block.name), proposal=proposal)

    def _macvlan(self, instance: InstanceOutline, block: InstanceBlock, said: Vmac) -> VirtualDevice:
        mac = _virtual_mac(instance)
        if said.mac is not None and instance.strict:
            self._warn(block, "use_vmac", VrrpCode.STRICT_NEEDS_VIRTUAL_MAC())
        elif said.mac is not None:
            octets = [f"{int(octet, 16):02x}" for octet in said.mac.split(":")]
            mac = ":".join([*octets, f"{instance.virtual_router_id:02x}"][:6])
        device = VirtualDevice(
            name=self._name(instance, block, "use_vmac", said.name, self._prefix, mac),
            base=instance.interface,
            family=instance.family,
            mac=mac,
            group=self._group(block, "use_vmac", said.group),
        )
        self._made[device.name] = device
        return device

    def _transmits_by_base(self, instance: InstanceOutline, block: InstanceBlock) -> bool:
        asked = block.devices.vmac_xmit_base
        if instance.unicast_peers:
            if not asked:
                self._warn(block, "use_vmac", VrrpCode.UNICAST_LEAVES_BY_INTERFACE(), "add vmac_xmit_base")
            return True
        if asked and instance.strict:
            self._warn(block, "vmac_xmit_base", VrrpCode.STRICT_IGNORES_XMIT_BASE())
            return False
        return asked

    def _ipvlan(self, instance: InstanceOutline, block: InstanceBlock) -> VirtualDevice:
        said = block.devices.use_ipvlan
        assert said is not None
        address = said.address
        if address is not None and family_of(address) != instance.family:
            remark = VrrpCode.SOURCE_OF_OTHER_FAMILY(address=address, family=instance.family)
            self._warn(block, "use_ipvlan", remark)
            address = None
        device = VirtualDevice(
            name=self._name(instance, block, "use_ipvlan", said.name, self._prefix, None),
            base=instance.interface,
            family=instance.family,
            mode=said.mode or "bridge",
            group=self._group(block, "use_ipvlan", said.group),
            address=address,
            prefix=said.prefix or 32,
        )
        self._made[device.name] = device
        return device

    def _place(
        self,
        address: VirtualAddress,
        device: VirtualDevice | None,
        instance: InstanceOutline,
        block: InstanceBlock,
        further: dict[str, VirtualDevice],
    ) -> VirtualAddress:
        """The address with the interface that it goes to, which may be a macvlan of its own."""
        base = address.device or instance.interface
        if device is not None and base in (instance.interface, device.name):
            return msgspec.structs.replace(address, device=None) if address.device is not None else address
        if address.use_vmac or (block.devices.use_vmac_addr and base != instance.interface):
            return self._on_macvlan(address, base, instance, block, further)
        return address

    def _on_macvlan(
        self,
        address: VirtualAddress,
        base: str,
        instance: InstanceOutline,
        block: InstanceBlock,
        further: dict[str, VirtualDevice],
    ) -> VirtualAddress:
        mac = _virtual_mac(instance)
        known = next((each for each in self._made.values() if (each.base, each.mac) == (base, mac)), None)
        if known is None:
            name = self._name(instance, block, "use_vmac_addr", None, self._address_prefix, mac)
            known = VirtualDevice(name=name, base=base, family=instance.family, mac=mac)
            self._made[name] = known
        further[known.name] = known
        return msgspec.structs.replace(address, device=known.name)

    def _name(
        self, instance: InstanceOutline, block: InstanceBlock, word: str, wish: str | None, prefix: str, mac: str | None
    ) -> str:
        if wish is not None:
            if self._is_free(wish, mac, exactly=False):
                return wish
            self._warn(block, word, VrrpCode.DEVICE_NAME_TAKEN(wish=wish))
        number = instance.virtual_router_id
        names = [f"{prefix}.{number}", *([f"{prefix}6.{number}"] if instance.family == 6 else [])]
        more = (f"{begin}{at}.{number}" for begin in (prefix, _PREFIX) for at in range(1, _MOST_NUMBERED))
        return next(name for name in itertools.chain(names, more) if self._is_free(name, mac))

    def _is_free(self, name: str, mac: str | None, *, exactly: bool = True) -> bool:
        """Nobody has it, or the interface that has it is what an earlier life made for this very use."""
        if name in self._made or len(name.encode()) > LONGEST_INTERFACE_NAME:
            return False
        found = self._scope.host.interfaces.get(name)
        if found is None:
            return True
        if mac is None:
            return found.kind == "ipvlan"
        return found.kind == "macvlan" and (found.mac == mac or not exactly)

    def _group(self, block: InstanceBlock, word: str, text: str | None) -> int | None:
        if text is None:
            return None
        if text.isdecimal() and int(text) <= UNSIGNED:
            return int(text)
        try:
            lines = self._scope.host.files.read(_GROUPS).decode(errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            number, *names = line.partition("#")[0].split()[:2] or [""]
            if names == [text] and number.isdecimal() and int(number) <= UNSIGNED:
                return int(number)
        self._warn(block, word, VrrpCode.NO_SUCH_LINK_GROUP(text=text, unsigned=UNSIGNED, groups=_GROUPS))
        return None


def _virtual_mac(instance: InstanceOutline) -> str:
    return f"{_VIRTUAL_MACS[instance.family]}:{instance.virtual_router_id:02x}"
