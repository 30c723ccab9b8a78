"""Macvlans and ipvlans of instances: they are there while they are wanted, and the host is as it was afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from kad.child.multiplexer import Mux
from kad.linux.files.sysctl import interface_setting, set_interface_setting
from kad.linux.files.temporary_sysctls import BorrowedSettings, Setting
from kad.linux.netlink.address import ALREADY_THERE, encode_add
from kad.linux.netlink.link import Elsewhere, Link
from kad.linux.netlink.network_table import Change, LinkChanged, Network
from kad.linux.netlink.virtual_link import (
    LONGEST_ALIAS,
    MACVLAN_MODE_PRIVATE,
    encode_alias,
    encode_delete,
    encode_delete_group,
    encode_group,
    encode_ipvlan,
    encode_macvlan,
    encode_rename,
    encode_up,
)
from kad.linux.refused import Refused
from kad.model.vrrp import VirtualDevice, VrrpInstance
from kad.shared.log import Logger
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.retries import HOST, Retries, of_interface
from kad.vrrp.restore_backoff import AddressGuard

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


_CALLS = frozenset({KernelCall.MAKE_DEVICE, KernelCall.SWITCH_ON_DEVICE})


class _Lack(NamedTuple):
    """Why a device is not there, or not on."""

    call: KernelCall
    what: str
    """What the call was for."""
    errno: int
    text: str


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
        retries: Retries,
        keep_pace: Callable[[], None],
    ) -> None:
        """`at` calls back at a moment; `keep_pace` is called in the midst of much work."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._wanted: dict[str, VirtualDevice] = {}
        self._prepared: dict[str, int] = {}
        """Index of each that was found in order, or put in order."""
        self._guards: dict[str, AddressGuard] = {}
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, str] = {}
        self._placements: dict[str, _Placement] = {}
        """Where the kernel put each that was made here, and on which base."""
        self._borrowed = BorrowedSettings()
        self._unset: set[str] = set()
        """Devices that lack a setting, a note or their own address: they are prepared once more."""
        self._retries = retries
        self._keep_pace = keep_pace

    @property
    def wanted(self) -> list[VirtualDevice]:
        return list(self._wanted.values())

    def want(self, devices: Sequence[VirtualDevice]) -> None:
        """From now on these too; what is no longer wanted stays until let_go(), unless it is in the way."""
        doomed: dict[str, int] = {}
        for device in devices:
            if (old := self._wanted.get(device.name)) != device:
                if old is not None and not self._is_in_order(device):
                    doomed[device.name] = self._prepared.get(device.name, 0)
                self._prepared.pop(device.name, None)
                self._wanted[device.name] = device
        self._make_way(devices, doomed)
        self.bring_about()

    def _make_way(self, devices: Sequence[VirtualDevice], doomed: dict[str, int]) -> None:
        """A device that is only named anew keeps its place and its addresses; one that is in the way of another goes.

        No two macvlans on one interface may have the same MAC, and no two ipvlans the same address.
        """
        names = {device.name for device in devices}
        going = {_identity(each): each for name, each in self._wanted.items() if name not in names}
        for device in devices:
            old = going.get(_identity(device))
            if old is None or old.name not in self._prepared or old.name in doomed:
                continue
            if self._rename(old, device):
                del going[_identity(device)]
                del self._wanted[old.name]
                self._forget(old.name)
            else:
                doomed[old.name] = self._prepared.pop(old.name)
                del self._wanted[old.name]
                self._forget(old.name)
        if doomed:
            self._unmake(doomed)
            self._network.catch_up()

    def _rename(self, old: VirtualDevice, device: VirtualDevice) -> bool:
        """Whether the old device bears the name of the new one now."""
        if msgspec.structs.replace(old, name=device.name) != device or self._network.link(device.name) is not None:
            return False
        index = self._prepared[old.name]
        if self._network.request([encode_rename(index, device.name)])[0]:
            return False
        self._log.info(f"{old.name} is {device.name} now")
        del self._prepared[old.name]
        self._prepared[device.name] = index
        if (placement := self._placements.pop(old.name, None)) is not None:
            self._placements[device.name] = placement
        self._network.catch_up()
        return True

    def _is_in_order(self, device: VirtualDevice) -> bool:
        """Whether what has its name can stay."""
        link, base = self._network.link(device.name), self._network.link(device.base)
        return link is None or link.kind != _kind(device) or base is None or self._is_as_wanted(link, device, base)

    def _forget(self, name: str) -> None:
        """It is wanted no longer."""
        self._failures.pop(name, None)
        self._unset.discard(name)
        self._placements.pop(name, None)
        self._retries.forget(of_interface(name))

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
            self._forget(name)
        self._unmake({name: self._prepared.pop(name, 0) for name in gone})
        self._give_back()

    def _give_back(self) -> None:
        self._settle_settings(HOST, self._borrowed.give_back(self._is_needed), self._give_back)

    def lack(self, configuration: VrrpInstance) -> str:
        """Why the instance has no device of its own; empty when it has, or needs none."""
        name = configuration.own_interface
        if configuration.device is None:
            return ""
        if failure := self._failures.get(name):
            return failure
        if self._network.link(name) is not None or name in self._prepared:
            # The network may know by now that it went; notice() is told next, and makes another one.
            return ""
        return f"interface {name} does not exist"

    def notice(self, changes: Iterable[Change]) -> bool:
        """Put right what somebody else changed; whether anything here was concerned."""
        concerned = False
        for change in changes:
            if not isinstance(change, LinkChanged):
                continue
            old, new = change.old, change.new
            # What went or was switched off may have been in the way.
            concerned = concerned or (bool(self._failures) and old is not None and (new is None or not new.enabled))
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
                self._retries.forget(of_interface(device.name))
            elif self._not_before.get(device.name, 0.0) <= now:
                self._settle(device, self._have(device, base))
                # The kernel may take long for each of many.
                self._keep_pace()
        if self._wanted:
            self._network.catch_up()

    def _settle(self, device: VirtualDevice, lack: _Lack | None) -> None:
        """Note what is known of it now."""
        object = of_interface(device.name)
        if lack is None:
            self._failures.pop(device.name, None)
            for call in _CALLS:
                self._retries.accepted(call, object)
            return
        if lack.text != self._failures.get(device.name):
            self._log.error(lack.text)
        self._failures[device.name] = lack.text
        if self._not_before.get(device.name, 0.0) > self._mux.now():
            # The kernel refuses nothing: it comes back later.
            return
        for call in _CALLS - {lack.call}:
            self._retries.drop(call, object)
        self._retries.refused(lack.call, object, lack.what, lack.errno, self.bring_about, reason=lack.text)

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
            self._retries.tell(of_interface(link.name))

    def _have(self, device: VirtualDevice, base: Link) -> _Lack | None:
        """The device is there, as it should be, and on; or why not."""
        link = self._network.link(device.name)
        kind = _kind(device)
        make = partial(_Lack, KernelCall.MAKE_DEVICE, f"to make the {kind} {device.name} on {base.name}")
        if link is not None and link.kind != kind:
            return make(errno.EEXIST, f"interface {device.name} is there already, and it is no {kind}")
        if link is not None and not self._is_as_wanted(link, device, base):
            # One that was found in order here was changed since; another one may be of an earlier configuration.
            if self._prepared.pop(device.name, None) == link.index and not self._may_make_anew(device):
                return make(errno.EEXIST, self._failures[device.name])
            self._log.info(f"{device.name} is not as it should be: making it anew")
            self._network.request([encode_delete(link.index)])
            link = None
        if link is None:
            refusal = self._make(device, base)
            if refusal == errno.EOPNOTSUPP:
                return make(refusal, f"cannot make {device.name}: this kernel has no {kind}")
            if refusal:
                text = f"cannot make the {kind} {device.name} on {base.name}: {os.strerror(refusal)}"
                return make(refusal, text)
            self._log.info(f"Success creating VMAC interface {device.name} on {base.name}")
            self._network.catch_up()
            link = self._network.link(device.name)
            if link is None:
                return make(errno.ENODEV, f"{device.name} was made, and is gone")
            # The kernel puts a macvlan on a macvlan onto the interface below that one, and an ipvlan likewise.
            self._placements[device.name] = _Placement(base.index, link.lower, link.lower_elsewhere)
        if self._prepared.get(device.name) != link.index or device.name in self._unset:
            self._prepare(device, link)
        if device.address is not None and (refusal := self._address(device, link)):
            text = f"cannot add {device.address} to {device.name}: {os.strerror(refusal)}"
            return make(refusal, text)
        return self._switch_on(device, link)

    def _switch_on(self, device: VirtualDevice, link: Link) -> _Lack | None:
        refusal = 0 if link.enabled else self._network.request([encode_up(link.index)])[0]
        if refusal == errno.ENODEV:
            self._network.catch_up()
        if not refusal or self._network.link_at(link.index) is None:
            # One that is gone by now is missed when that is told.
            return None
        text = f"cannot switch on {device.name}: {os.strerror(refusal)}"
        return _Lack(KernelCall.SWITCH_ON_DEVICE, f"to switch on {device.name}", refusal, text)

    def _address(self, device: VirtualDevice, link: Link) -> int:
        """An ipvlan speaks from an address of its own; the errno with which the kernel refuses it."""
        assert device.address is not None
        if any(each.address == device.address for each in self._network.addresses(link.index)):
            return 0
        refusal = self._network.request([encode_add(link.index, device.address, device.prefix)])[0]
        return 0 if refusal == ALREADY_THERE else refusal

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
        again = device.name in self._unset
        self._prepared[device.name] = link.index
        self._unset.discard(device.name)
        if link.alias.split()[:1] == [_MARK] and not again:
            self._borrowed.remember(link.alias.split()[1:])
            if link.enabled:
                return
        self._borrow(device)
        refusals: list[Refused] = []
        alias = " ".join([_MARK, *self._borrowed.words(self._concerns(device), LONGEST_ALIAS - len(_MARK))])
        if alias != link.alias and (refusal := self._network.request([encode_alias(link.index, alias)])[0]):
            refusals.append(Refused(f"the note on {device.name}", refusal))
        refusals += self._borrowed.apply()
        if device.mac is not None:
            refusals += _set(4, device.name, _OWN_SETTINGS[device.family])
            refusals += _set(6, device.name, _SPEAKS_IPV6 if device.ipv6 else {"disable_ipv6": "1"})
        if refusals:
            self._unset.add(device.name)
        self._settle_settings(of_interface(device.name), refusals, self.bring_about)

    def _settle_settings(self, object: str, refusals: Sequence[Refused], again: Callable[[], object]) -> None:
        if not refusals:
            self._retries.accepted(KernelCall.SET_DEVICE, object)
            return
        more = f" and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        if self._retries.refused(KernelCall.SET_DEVICE, object, f"{refusals[0].what}{more}", refusals[0].errno, again):
            for refused in refusals:
                self._log.warning(str(refused))

    def _unmake(self, indices: dict[str, int]) -> None:
        links = [self._network.link(name) for name in indices]
        ours = [link for link in links if link is not None and link.index == indices[link.name]]
        if not ours:
            return
        left = self._delete(ours)
        for link in ours:
            if link not in left:
                self._log.info(f"Success removing VMAC interface {link.name}")
        if left:
            self._leave(left)

    def _delete(self, links: Sequence[Link]) -> dict[Link, int]:
        """Together; those that the kernel did not delete, and why."""
        if len(links) == 1:
            refusals = self._network.request([encode_delete(links[0].index)])
        else:
            requests = [encode_group(link.index, _DOOMED) for link in links] + [encode_delete_group(_DOOMED)]
            refusals = self._network.request(requests)[-1:] * len(links)
        return {
            link: refusal
            for link, refusal in zip(links, refusals, strict=True)
            if refusal not in (0, errno.ENODEV) or (refusal and self._is_there(link))
        }

    def _is_there(self, link: Link) -> bool:
        self._network.catch_up()
        return self._network.link_at(link.index) is not None

    def _leave(self, left: dict[Link, int]) -> None:
        """The kernel did not delete these."""
        for link, refusal in left.items():
            again = partial(self._delete_again, link)
            if self._retries.refused(
                KernelCall.REMOVE_DEVICE, of_interface(link.name), f"to remove {link.name}", refusal, again
            ):
                self._log.error(f"cannot remove {link.name}: {os.strerror(refusal)}")

    def _delete_again(self, link: Link) -> None:
        now = self._network.link_at(link.index)
        if now is None or self._prepared.get(now.name) == now.index:
            return
        if left := self._delete([now]):
            self._leave(left)
        else:
            self._retries.accepted(KernelCall.REMOVE_DEVICE, of_interface(link.name))

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


def _set(family: int, interface: str, settings: dict[str, str]) -> list[Refused]:
    """Give the interface these settings; what the kernel refused of those that are not so already."""
    refusals = []
    for name, value in settings.items():
        try:
            set_interface_setting(family, interface, name, value)
        except Refused as refused:
            if refused.errno != errno.ENOENT and not _is_set(family, interface, name, value):
                refusals.append(refused)
    return refusals


def _is_set(family: int, interface: str, name: str, value: str) -> bool:
    with suppress(Refused):
        return interface_setting(family, interface, name) == value
    return False


def _identity(device: VirtualDevice) -> tuple[str, str | None]:
    """What no two devices have at a time: a MAC on an interface, or an address on it."""
    return device.base, device.mac or device.address or f"{device.name} alone"


def _kind(device: VirtualDevice) -> str:
    return "ipvlan" if device.mac is None else "macvlan"
