"""Macvlans and ipvlans of instances: they are there while they are wanted, and the host is as it was afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from kad.linux.address import ALREADY_THERE, encode_add
from kad.linux.borrowed_settings import BorrowedSettings, Setting
from kad.linux.link import Elsewhere, Link
from kad.linux.network import Change, LinkChanged, Network
from kad.linux.refused import Refused
from kad.linux.sysctl import set_interface_setting
from kad.linux.virtual_link import (
    LONGEST_ALIAS,
    MACVLAN_MODE_PRIVATE,
    encode_alias,
    encode_delete,
    encode_delete_group,
    encode_group,
    encode_ipvlan,
    encode_macvlan,
    encode_up,
)
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.guard import AddressGuard
from kad.vrrp.keywords import VirtualDevice, VrrpInstance

_MARK = "kad"
"""How the alias of what this daemon made begins; the settings that it borrowed follow."""
_OFF_BEFORE_GONE = 0.03
"""Seconds that the kernel may take between the two."""
_DOOMED = 0x6B6164
"""The group of interfaces that go together."""
_OWN_SETTINGS = {
    4: {"arp_ignore": "1", "accept_local": "1", "rp_filter": "0", "promote_secondaries": "1"},
    6: {"arp_ignore": "1"},
}
"""IPv4 settings of a macvlan, by the family of its instance."""
_SPEAKS_IPV6 = {"addr_gen_mode": "1", "autoconf": "0", "accept_ra": "0", "disable_ipv6": "0"}
"""IPv6 settings of a macvlan: it makes no address of its own, and speaks IPv6 though new interfaces do not."""


class _Placement(NamedTuple):
    """A device on the interface that was asked for, and what the kernel says is below it."""

    base: int
    lower: int
    lower_elsewhere: Elsewhere | None = None


class Devices:
    """The only maker of interfaces. It compares what is there with what is wanted, however often it is asked."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        network: Network,
        at: Callable[[float, Callable[[], object]], None],
        read_network: Callable[[], object],
    ) -> None:
        """`at` calls back at a moment; `read_network` is called soon after the network became another one."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._read_network = read_network
        self._wanted: dict[str, VirtualDevice] = {}
        self._prepared: dict[str, int] = {}
        """Index of each that was found in order, or put in order."""
        self._guards: dict[str, AddressGuard] = {}
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, str] = {}
        self._placements: dict[str, _Placement] = {}
        """Where the kernel put each that was made here, and on which base."""
        self._borrowed = BorrowedSettings(self._warn_once)
        self._warned: set[str] = set()

    @property
    def wanted(self) -> list[VirtualDevice]:
        return list(self._wanted.values())

    def want(self, devices: Iterable[VirtualDevice]) -> None:
        """From now on these too; what is no longer wanted stays until let_go()."""
        for device in devices:
            if self._wanted.get(device.name) != device:
                self._prepared.pop(device.name, None)
                self._wanted[device.name] = device
        self.bring_about()

    def adopt(self, devices: Iterable[VirtualDevice]) -> None:
        """Know what an earlier life made of these, and what it borrowed; make nothing."""
        for device in devices:
            link = self._network.link(device.name)
            if link is not None and link.kind == _kind(device) and link.alias.split()[:1] == [_MARK]:
                self._wanted[device.name] = device
                self._prepared[device.name] = link.index
                self._borrowed.remember(link.alias.split()[1:])

    def let_go(self, kept: Iterable[VirtualDevice] = ()) -> None:
        """Only these are wanted; the others are unmade, and what was borrowed for them is given back."""
        kept_names = {device.name for device in kept}
        gone = [name for name in self._wanted if name not in kept_names]
        for name in gone:
            del self._wanted[name]
            self._failures.pop(name, None)
        self._unmake({name: self._prepared.pop(name, 0) for name in gone})
        self._borrowed.give_back(self._is_needed)

    def lack(self, configuration: VrrpInstance) -> str:
        """Why the instance has no device of its own; empty when it has, or needs none."""
        name = configuration.own_interface
        if configuration.device is None or self._network.link(name) is not None:
            return ""
        if name in self._prepared:
            # The network knows by now that it went; notice() is told next, and makes another one.
            return ""
        return self._failures.get(name) or f"interface {name} does not exist"

    def notice(self, changes: Iterable[Change]) -> bool:
        """Put right what somebody else changed; whether anything here was concerned."""
        concerned = False
        for change in changes:
            if not isinstance(change, LinkChanged):
                continue
            old, new = change.old, change.new
            names = {link.name for link in (old, new) if link is not None}
            concerned = concerned or any({device.name, device.base} & names for device in self._wanted.values())
            if old is not None and self._prepared.get(old.name) == old.index:
                if new is None or new.name != old.name:
                    del self._prepared[old.name]
                    self._lose(self._wanted[old.name], "removed")
                elif old.enabled and not new.enabled:
                    # One that is being removed is switched off first.
                    again_at = self._not_before[old.name] = self._mux.now() + _OFF_BEFORE_GONE
                    self._at(again_at, partial(self._switch_on_again, new))
        if concerned:
            self.bring_about()
        return concerned

    def bring_about(self) -> None:
        """Every wanted device is there and on, as far as the kernel allows."""
        now = self._mux.now()
        for device in self._wanted.values():
            base = self._network.link(device.base)
            if base is None:
                self._failures.pop(device.name, None)
            elif self._not_before.get(device.name, 0.0) <= now:
                failure = self._have(device, base)
                if failure and failure != self._failures.get(device.name):
                    self._log.error(failure)
                self._failures[device.name] = failure
        if self._wanted and self._network.catch_up():
            self._at(now, self._read_network)

    # one device

    def _lose(self, device: VirtualDevice, what: str) -> None:
        """Somebody did that to it; it comes back, but no faster than it is worth."""
        if self._network.link(device.base) is None:
            return
        guard, now = self._guards.setdefault(device.name, AddressGuard()), self._mux.now()
        again_at = guard.lost(now)
        if again_at is None:
            again_at = guard.may_try_again_at()
            self._log.error(f"somebody {what} {device.name} again and again: giving up for {again_at - now:.0f} s")
        elif again_at <= now:
            self._log.warning(f"somebody {what} {device.name}: putting it right")
        else:
            self._log.warning(f"somebody {what} {device.name}: back in {again_at - now:.1f} s")
        self._not_before[device.name] = again_at
        if again_at > now:
            self._failures[device.name] = f"somebody {what} {device.name}"
            self._at(again_at, self.bring_about)

    def _switch_on_again(self, link: Link) -> None:
        now = self._network.link_at(link.index)
        if now is not None and not now.enabled and link.name in self._wanted:
            self._lose(self._wanted[link.name], "switched off")
            self.bring_about()

    def _have(self, device: VirtualDevice, base: Link) -> str:
        """The device is there, as it should be, and on; why not, in words."""
        link = self._network.link(device.name)
        kind = _kind(device)
        if link is not None and link.kind != kind:
            return f"interface {device.name} is there already, and it is no {kind}"
        if link is not None and not self._is_as_wanted(link, device, base):
            # One that was found in order here was changed since; another one may be of an earlier configuration.
            if self._prepared.pop(device.name, None) == link.index and not self._may_make_anew(device):
                return self._failures[device.name]
            self._log.info(f"{device.name} is not as it should be: making it anew")
            self._network.request([encode_delete(link.index)])
            link = None
        if link is None:
            refusal = self._make(device, base)
            if refusal == errno.EOPNOTSUPP:
                return f"cannot make {device.name}: this kernel has no {kind}"
            if refusal:
                return f"cannot make the {kind} {device.name} on {base.name}: {os.strerror(refusal)}"
            self._log.info(f"Success creating VMAC interface {device.name} on {base.name}")
            self._network.catch_up()
            link = self._network.link(device.name)
            if link is None:
                return f"{device.name} was made, and is gone"
            # The kernel puts a macvlan on a macvlan onto the interface below that one, and an ipvlan likewise.
            self._placements[device.name] = _Placement(base.index, link.lower, link.lower_elsewhere)
        if self._prepared.get(device.name) != link.index:
            self._prepare(device, link)
        refusal = 0 if link.enabled else self._network.request([encode_up(link.index)])[0]
        # One that is gone by now is missed when that is told.
        return "" if refusal in (0, errno.ENODEV) else f"cannot switch on {device.name}: {os.strerror(refusal)}"

    def _is_as_wanted(self, link: Link, device: VirtualDevice, base: Link) -> bool:
        found = _Placement(base.index, link.lower, link.lower_elsewhere)
        right = [_Placement(base.index, base.index), self._placements.get(device.name)]
        if base.kind == link.kind:
            right.append(_Placement(base.index, base.lower, base.lower_elsewhere))
        if found not in right or device.group not in (None, link.group):
            return False
        return device.mac is None or (link.mac.hex(":") == device.mac and link.mode == MACVLAN_MODE_PRIVATE)

    def _may_make_anew(self, device: VirtualDevice) -> bool:
        """Whether it is made anew now; if not, it is tried later."""
        self._lose(device, "changed")
        return self._not_before.get(device.name, 0.0) <= self._mux.now()

    def _make(self, device: VirtualDevice, base: Link) -> int:
        group = base.group if device.group is None else device.group
        if device.mac is None:
            request = encode_ipvlan(device.name, base.index, device.mode, group=group)
        else:
            above = self._network.link_at(base.master)
            vrf = above.index if above is not None and above.kind == "vrf" else 0
            mac = bytes.fromhex(device.mac.replace(":", ""))
            request = encode_macvlan(device.name, base.index, mac, group=group, master=vrf)
        return self._network.request([request])[0]

    def _prepare(self, device: VirtualDevice, link: Link) -> None:
        """Settings before it is switched on; what they were is written down first, on the device itself."""
        self._prepared[device.name] = link.index
        if link.alias.split()[:1] == [_MARK]:
            self._borrowed.remember(link.alias.split()[1:])
            if link.enabled:
                return
        self._borrow(device)
        alias = " ".join([_MARK, *self._borrowed.words(self._concerns(device), LONGEST_ALIAS - len(_MARK))])
        if alias != link.alias:
            self._network.request([encode_alias(link.index, alias)])
        self._borrowed.apply()
        if device.mac is not None:
            self._set(4, device.name, _OWN_SETTINGS[device.family])
            self._set(6, device.name, _SPEAKS_IPV6 if device.ipv6 else {"disable_ipv6": "1"})
        if device.address is not None:
            refusal = self._network.request([encode_add(link.index, device.address, device.prefix)])[0]
            if refusal not in (0, ALREADY_THERE):
                self._warn_once(f"adding {device.address} to {device.name}: {os.strerror(refusal)}")

    def _unmake(self, indices: dict[str, int]) -> None:
        links = [self._network.link(name) for name in indices]
        ours = [link for link in links if link is not None and link.index == indices[link.name]]
        if len(ours) == 1:
            requests = [encode_delete(ours[0].index)]
        else:
            requests = [encode_group(link.index, _DOOMED) for link in ours] + [encode_delete_group(_DOOMED)]
        refusal = self._network.request(requests)[-1] if ours else 0
        for link in ours:
            if refusal in (0, errno.ENODEV):
                self._log.info(f"Success removing VMAC interface {link.name}")
            else:
                self._log.error(f"cannot remove {link.name}: {os.strerror(refusal)}")

    # settings

    def _borrow(self, device: VirtualDevice) -> None:
        """The base answers no ARP for addresses of the device, and no filter of the host applies to the device."""
        if device.mac is None or device.family != 4:
            return
        self._borrowed.borrow(Setting(device.base, "arp_ignore"), 1)
        self._borrowed.borrow(Setting(device.base, "arp_filter"), 1)
        # Answers may leave by the base; the question who has the client must not name the base's MAC with the address.
        self._borrowed.borrow(Setting(device.base, "arp_announce"), 2)
        everywhere = self._borrowed.value(Setting("all", "rp_filter"))
        if everywhere:
            # The greater of this value and an interface's own applies; so it moves to each of them but the devices.
            others = [link.name for link in self._network.links() if link.name not in self._wanted]
            for name in ("default", *others):
                self._borrowed.borrow(Setting(name, "rp_filter"), everywhere)
            self._borrowed.borrow_zero(Setting("all", "rp_filter"))

    def _concerns(self, device: VirtualDevice) -> Callable[[Setting], bool]:
        return lambda setting: setting.name == "rp_filter" or setting.interface == device.base

    def _is_needed(self, setting: Setting) -> bool:
        bases = {device.base for device in self._wanted.values() if device.mac is not None and device.family == 4}
        return bool(bases) if setting.name == "rp_filter" else setting.interface in bases

    def _set(self, family: int, interface: str, settings: dict[str, str]) -> None:
        for name, value in settings.items():
            try:
                set_interface_setting(family, interface, name, value)
            except Refused as refused:
                if refused.errno != errno.ENOENT:
                    self._warn_once(str(refused))

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._log.warning(text)


def _kind(device: VirtualDevice) -> str:
    return "ipvlan" if device.mac is None else "macvlan"
