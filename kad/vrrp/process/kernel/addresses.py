"""Virtual addresses on and off their interfaces, a few at a time, and back when somebody took them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from kad.child.multiplexer import Mux
from kad.linux.netlink import virtual_addresses
from kad.linux.netlink.address import Address
from kad.linux.netlink.network_table import Network
from kad.linux.netlink.virtual_addresses import Placed, Refusals
from kad.model.vrrp import VirtualAddress, VrrpInstance
from kad.shared.log import Logger
from kad.vrrp.events import State
from kad.vrrp.kernel_calls import KernelCall, call_of_addresses
from kad.vrrp.process.address_placement import Layout, addresses_of, lay_out, surfaces
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.retries import Retries, of_instance

_AT_ONCE = 32
"""Addresses a request: the kernel works about a millisecond on them, inside the call."""

_ADDING = frozenset({KernelCall.ADD_ADDRESS, KernelCall.ADD_IMPOSSIBLE_ADDRESS})

_Names = frozenset[tuple[str, int]]


class Holding:
    """The only writer of addresses."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        network: Network,
        at: Callable[[float, Callable[[], object]], None],
        put_back: Callable[[Instance], None],
        retries: Retries,
    ) -> None:
        """`put_back` is asked to hold and announce what somebody removed; `at` calls back at a moment."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._put_back = put_back
        self._retries = retries
        self._left: dict[str, Refusals] = {}
        """Addresses that the kernel did not remove, by instance."""

    def layout(self, instance: Instance) -> Layout:
        """Where its addresses go now."""
        found = surfaces(instance.configuration, self._network)
        known = instance.layout
        if known is None or known.surfaces != found:
            known = instance.layout = lay_out(instance.configuration, found)
        return known

    def hold(self, instance: Instance) -> Iterator[None]:
        """Every address that is configured is there; several steps where there are many."""
        self._log.debug(f"({instance.name}) setting VIPs.")
        layout = self.layout(instance)
        for address, device in layout.homeless:
            self._log.error(f"({instance.name}) cannot add {address}: interface {device} does not exist")
        instance.placed = layout.placed
        instance.refused = {}
        for start in range(0, len(layout.placed), _AT_ONCE):
            refusals = virtual_addresses.hold(self._network, layout.placed[start : start + _AT_ONCE])
            instance.refused.update({(each.address, each.index): error for each, error in refusals})
            if not self._is_known_refused(instance):
                self._complain(instance, "adding", refusals)
            yield
        self._judge(instance)

    def release(self, instance: Instance) -> Iterator[None]:
        """No address of it is there, wherever it was put."""
        self._log.debug(f"({instance.name}) removing VIPs.")
        before, instance.placed = instance.placed, ()
        if not self._retries.is_refused(KernelCall.ADD_ADDRESS, of_instance(instance.name)):
            # What brought it into FAULT stays known until the kernel takes it.
            instance.refused = {}
            self._retries.drop(KernelCall.ADD_IMPOSSIBLE_ADDRESS, of_instance(instance.name))
        now = self.layout(instance).placed
        return self._release_in_steps(instance, before if before is now else (*before, *now))

    def change(self, instance: Instance, old: VrrpInstance) -> tuple[Iterator[None], Iterator[None] | None]:
        """After a reload: what must go before the new addresses come, and what goes afterwards, if anything does.

        An address that is only written differently goes first; one that is no longer wanted goes when the others
        are there. Those that stay are not touched.
        """
        instance.layout = None
        instance.refused = {}
        for call in _ADDING:
            self._retries.drop(call, of_instance(old.name))
        new = instance.configuration
        kept = {(each, each.device or new.own_interface) for each in instance.addresses}
        pairs = {(each.address, each.prefix) for each, _ in kept}
        held = addresses_of(old) if instance.router.holds_addresses else ()
        gone = [each for each in held if (each, each.device or old.own_interface) not in kept]
        superseded = [each for each in gone if (each.address, each.prefix) in pairs]
        rest = [each for each in gone if (each.address, each.prefix) not in pairs]
        return self._release_these(instance, old, superseded), self._release_these(
            instance, old, rest
        ) if rest else None

    def _release_these(
        self, instance: Instance, old: VrrpInstance, addresses: Iterable[VirtualAddress]
    ) -> Iterator[None]:
        configuration = msgspec.structs.replace(old, virtual_addresses=tuple(addresses), excluded_addresses=())
        placed = lay_out(configuration, surfaces(configuration, self._network)).placed
        return self._release_in_steps(instance, placed)

    def _release_in_steps(self, instance: Instance, placed: Sequence[Placed]) -> Iterator[None]:
        left: Refusals = []
        for start in range(0, len(placed), _AT_ONCE):
            refusals = virtual_addresses.release(self._network, placed[start : start + _AT_ONCE])
            left += refusals
            self._complain(instance, "removing", refusals)
            yield
        if left:
            self._leave(instance, left)

    def _complain(self, instance: Instance, doing: str, refusals: Refusals) -> None:
        for each, error in refusals:
            self._log.error(f"({instance.name}) {doing} {self._where(each)}: {os.strerror(error)}")

    def _where(self, placed: Placed) -> str:
        link = self._network.link_at(placed.index)
        return f"{placed.address}/{placed.prefix}{f' on {link.name}' if link is not None else ''}"

    # what the kernel refuses

    def _is_known_refused(self, instance: Instance) -> bool:
        return any(self._retries.is_refused(call, of_instance(instance.name)) for call in _ADDING)

    def _judge(self, instance: Instance) -> None:
        """What follows from the addresses that the kernel did not take just now."""
        object = of_instance(instance.name)
        refused = [each for each in self.layout(instance).placed if (each.address, each.index) in instance.refused]
        if not refused:
            for call in _ADDING:
                self._retries.accepted(call, object)
            return
        errors = [instance.refused[each.address, each.index] for each in refused]
        call = call_of_addresses(errors, len(self.layout(instance).placed) - len(refused))
        tracked = {(each.address, each.prefix) for each in instance.addresses if not each.no_track}
        if all((each.address, each.prefix) not in tracked for each in refused):
            call = KernelCall.ADD_IMPOSSIBLE_ADDRESS
        for other in _ADDING - {call}:
            self._retries.drop(other, object)
        what = f"to add {self._where(refused[0])}{_and_more(len(refused))}"
        self._retries.refused(call, object, what, errors[0], partial(self._try_again, instance))

    def _try_again(self, instance: Instance) -> None:
        """The refused addresses once more; a router that is no MASTER does not keep them."""
        state = instance.router.state
        if instance.removed or state is State.STOP:
            return
        refused = [each for each in self.layout(instance).placed if (each.address, each.index) in instance.refused]
        holds = instance.router.holds_addresses
        if not holds and state is not State.FAULT:
            instance.refused = {}
            return
        do = virtual_addresses.hold if holds else virtual_addresses.probe
        still: dict[tuple[str, int], int] = {}
        for start in range(0, len(refused), _AT_ONCE):
            found = do(self._network, refused[start : start + _AT_ONCE])
            still |= {(each.address, each.index): error for each, error in found}
        instance.refused = still
        self._judge(instance)
        if holds and len(still) < len(refused):
            self._put_back(instance)

    def _leave(self, instance: Instance, left: Refusals) -> None:
        """The kernel did not remove these: they stay on a host that may not have them."""
        self._left[instance.name] = left
        placed, error = left[0]
        what = f"to remove {self._where(placed)}{_and_more(len(left))}"
        again = partial(self._release_left, instance)
        self._retries.refused(KernelCall.REMOVE_ADDRESS, of_instance(instance.name), what, error, again)

    def _release_left(self, instance: Instance) -> None:
        """Those that are not held again."""
        kept = {(each.address, each.index) for each in instance.placed} if instance.router.holds_addresses else set()
        left = [each for each, _ in self._left.pop(instance.name, []) if (each.address, each.index) not in kept]
        refusals = virtual_addresses.release(self._network, left)
        if refusals:
            self._leave(instance, refusals)
        else:
            self._retries.accepted(KernelCall.REMOVE_ADDRESS, of_instance(instance.name))

    def insist(self) -> None:
        """At the end: once more for all that the kernel did not remove."""
        for left in self._left.values():
            virtual_addresses.release(self._network, [each for each, _ in left])

    # the guard

    def notice(self, lost: Iterable[Address], instances: Iterable[Instance]) -> list[Instance]:
        """Put back what somebody took; the instances that cannot keep their addresses."""
        return [instance for instance, names in self.robbed(lost, instances) if not self._defend(instance, names)]

    def robbed(self, lost: Iterable[Address], instances: Iterable[Instance]) -> Iterator[tuple[Instance, str]]:
        """Addresses went while we are MASTER, so somebody took them: from which instances, and which ones."""
        gone = frozenset((each.address, each.prefix, each.index) for each in lost)
        for instance in instances:
            if not instance.router.holds_addresses:
                continue
            # What was on another interface before a reload, or on one that is gone, was not taken from here.
            here = {(each.address, each.prefix, each.index) for each in self.layout(instance).placed}
            if mine := {each[:2] for each in gone & here} & _tracked(instance):
                yield instance, ", ".join(f"{address}/{prefix}" for address, prefix in sorted(mine))

    def _defend(self, instance: Instance, names: str) -> bool:
        now = self._mux.now()
        again_at = instance.guard.lost(now)
        if again_at is None:
            self._log.error(f"({instance.name}) somebody removes {names} again and again: giving up")
            return False
        if again_at <= now:
            self._log.warning(f"({instance.name}) somebody removed {names}: putting it back")
            self._put_back(instance)
        else:
            self._log.warning(f"({instance.name}) somebody removed {names}: back in {again_at - now:.1f} s")
            self._at(again_at, partial(self._put_back, instance))
        return True


def _tracked(instance: Instance) -> _Names:
    return frozenset((each.address, each.prefix) for each in instance.addresses if not each.no_track)


def _and_more(count: int) -> str:
    return f" and {count - 1} more" if count > 1 else ""
