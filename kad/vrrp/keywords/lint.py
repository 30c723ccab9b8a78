"""What a vrrp_instance says that cannot be meant so: words that contradict each other, and advice."""

from __future__ import annotations

import ipaddress

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.remark import Remark
from kad.model.tracking import counts_as_fault
from kad.model.vrrp import OWNER_PRIORITY
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.instance_outline import InstanceOutline
from kad.vrrp.keywords.instance_words import InstanceBlock


class Subnets:
    """Addresses that no other host of the LAN would look for there; one note for each interface, at the first one."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._foreign: dict[tuple[str, str], list[tuple[Place, str, str]]] = {}

    def look(self, instance: InstanceOutline, block: InstanceBlock) -> None:
        """Remember those of one instance."""
        for index, address in enumerate(instance.virtual_addresses):
            device = self._scope.host.interfaces.get(address.device or instance.interface)
            if device is None:
                continue
            networks = dict.fromkeys(ipaddress.ip_interface(text).network for text in device.addresses)
            own = [network for network in networks if network.version == instance.family]
            wanted = ipaddress.ip_address(address.address)
            if own and not wanted.is_link_local and not any(wanted in network for network in own):
                where = (device.name, " ".join(map(str, own)))
                place = self._scope.places.of(block, "virtual_ipaddress", index)
                self._foreign.setdefault(where, []).append((place, block.name, str(wanted)))

    def report(self) -> None:
        """After the last instance."""
        for (device, networks), found in self._foreign.items():
            (place, name, first), *others = found
            code = VrrpCode.FOREIGN_NETWORKS if others else VrrpCode.FOREIGN_NETWORK
            figures = {"more": len(others)} if others else {}
            remark = code(address=first, device=device, networks=networks, **figures)
            self._scope.report.note(place, remark.of(name), about_host=True)


class Consistency:
    """Looks at one block and at what came of it; nothing here changes the instance."""

    def __init__(self, block: InstanceBlock, scope: Scope, subnets: Subnets) -> None:
        self._block = block
        self._scope = scope
        self._subnets = subnets

    def judge(self, instance: InstanceOutline) -> None:
        """Say all that is odd about the instance."""
        self._devices(instance)
        self._silence(instance)
        self._first_address(instance)
        self._subnets.look(instance, self._block)
        self._weights(instance)
        self._priority(instance)

    def _warn(self, word: str, remark: Remark, proposal: str = "") -> None:
        place = self._scope.places.find(word, self._block, self._block.devices, self._block.protocol)
        self._scope.report.warning(place, remark.of(self._block.name), proposal=proposal)

    def _note(self, word: str, remark: Remark, proposal: str = "", index: int = -1, about_host: bool = False) -> None:
        if index >= 0:
            place = self._scope.places.of(self._block, word, index)
        else:
            place = self._scope.places.find(word, self._block, self._block.protocol)
        self._scope.report.note(place, remark.of(self._block.name), proposal=proposal, about_host=about_host)

    def _devices(self, instance: InstanceOutline) -> None:
        devices, said = self._block.devices, self._block.protocol
        if devices.vrf is not None and said.interface is not None:
            self._warn("vrf", VrrpCode.VRF_WITH_INTERFACE())
        if devices.vmac_xmit_base and devices.use_vmac is None and not devices.use_vmac_addr:
            self._warn("vmac_xmit_base", VrrpCode.XMIT_BASE_WITHOUT_VMAC(), "add use_vmac")
        if devices.use_ipvlan is not None:
            if devices.use_vmac is not None:
                self._warn("use_ipvlan", VrrpCode.IPVLAN_WITH_VMAC())
            elif instance.family == 4 and devices.use_ipvlan.address is None and instance.interface:
                consequence = "" if instance.source_address else "; without one the instance is in FAULT"
                remark = VrrpCode.IPVLAN_WITHOUT_ADDRESS(consequence=consequence)
                self._warn("use_ipvlan", remark, "write use_ipvlan ADDRESS/PREFIX")
        if said.owner_ignore_adverts and instance.priority != OWNER_PRIORITY:
            remark = VrrpCode.OWNER_IGNORE_WITHOUT_OWNER(priority=instance.priority, owner=OWNER_PRIORITY)
            self._note("owner_ignore_adverts", remark)
        if said.native_ipv6 and any("." in line.address.address for line in self._block.virtual_ipaddress):
            remark = VrrpCode.NATIVE_IPV6_WITH_IPV4(family=instance.family)
            self._warn("native_ipv6", remark)

    def _first_address(self, instance: InstanceOutline) -> None:
        """RFC 9568 5.2.9 (erratum 8300)."""
        if instance.family == 4 or not instance.virtual_addresses:
            return
        address = instance.virtual_addresses[0].address
        if ipaddress.ip_address(address).is_link_local:
            return
        remark = VrrpCode.FIRST_ADDRESS_NOT_LINK_LOCAL(address=address)
        if instance.strict:
            self._warn("virtual_ipaddress", remark, "put a link-local address first")
        else:
            self._note("virtual_ipaddress", remark, "put a link-local address first", index=0)

    def _silence(self, instance: InstanceOutline) -> None:
        """Strict mode takes packets for the addresses from nobody, which few expect."""
        if (
            not instance.strict
            or instance.accept
            or instance.priority == OWNER_PRIORITY
            or not instance.virtual_addresses
        ):
            return
        first, *others = [address.address for address in instance.virtual_addresses]
        addresses = f"{first} and {len(others)} more" if others else first
        remedy = "add accept" if instance.version == 3 else "leave out vrrp_strict, or use version 3 and add accept"
        self._note(
            "strict_mode",
            VrrpCode.STRICT_IS_SILENT(addresses=addresses),
            proposal=remedy,
        )

    def _weights(self, instance: InstanceOutline) -> None:
        for item in instance.tracks:
            if not item.weight:
                continue
            word = f"track_{item.kind}"
            index = next(
                (at for at, line in enumerate(getattr(self._block.tracks, word)) if line.name == item.name), None
            )
            if index is None:
                continue
            place = self._scope.places.of(self._block.tracks, word, index)
            if instance.priority == OWNER_PRIORITY:
                taken = "counts as 0" if counts_as_fault(item) else "changes nothing"
                remark = VrrpCode.WEIGHT_OF_OWNER(name=item.name, taken=taken, owner=OWNER_PRIORITY).of(
                    self._block.name
                )
                self._scope.report.warning(place, remark, proposal="write weight 0, or another priority")
                continue
            useless: Remark | None = None
            if item.weight > 0 and instance.priority == OWNER_PRIORITY - 1:
                useless = VrrpCode.WEIGHT_CANNOT_RAISE(name=item.name, owner=OWNER_PRIORITY - 1)
            elif item.weight < 0 and instance.priority == 1:
                useless = VrrpCode.WEIGHT_CANNOT_LOWER(name=item.name)
            if useless is not None:
                self._scope.report.note(place, useless.of(self._block.name))

    def _priority(self, instance: InstanceOutline) -> None:
        said = self._block.protocol
        if said.state == "MASTER" and said.priority is None:
            self._note(
                "state",
                VrrpCode.MASTER_WITHOUT_PRIORITY(owner=OWNER_PRIORITY),
                "add priority 100, or another one, if it does not own them",
            )
        elif said.state == "BACKUP" and instance.priority == OWNER_PRIORITY and not instance.strict:
            self._note("state", VrrpCode.OWNER_WITH_STATE_BACKUP(owner=OWNER_PRIORITY))
        if said.preempt and said.nopreempt:
            self._note("nopreempt", VrrpCode.PREEMPT_AND_NOPREEMPT())
        if not instance.preempt and instance.preempt_delay:
            self._note("preempt_delay", VrrpCode.PREEMPT_DELAY_WITHOUT_EFFECT())
