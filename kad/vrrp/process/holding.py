"""Virtual addresses on and off their interfaces, a few at a time, and back when somebody took them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from kad.linux import placement
from kad.linux.address import Address
from kad.linux.network import Network
from kad.linux.placement import Placed, Refusals
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.keywords import VirtualAddress, VrrpInstance
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.layout import Layout, addresses_of, lay_out, surfaces

_AT_ONCE = 32
"""Addresses a request: the kernel works about a millisecond on them, inside the call."""

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
    ) -> None:
        """`put_back` is asked to hold and announce what somebody removed; `at` calls back at a moment."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._put_back = put_back

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
            refusals = placement.hold(self._network, layout.placed[start : start + _AT_ONCE])
            instance.refused.update({(each.address, each.index): reason for each, reason in refusals})
            self._complain(instance, "adding", refusals)
            yield

    def release(self, instance: Instance) -> Iterator[None]:
        """No address of it is there, wherever it was put."""
        self._log.debug(f"({instance.name}) removing VIPs.")
        before, instance.placed, instance.refused = instance.placed, (), {}
        now = self.layout(instance).placed
        return self._release_in_steps(instance, before if before is now else (*before, *now))

    def change(self, instance: Instance, old: VrrpInstance) -> tuple[Iterator[None], Iterator[None] | None]:
        """After a reload: what must go before the new addresses come, and what goes afterwards, if anything does.

        An address that is only written differently goes first; one that is no longer wanted goes when the others
        are there. Those that stay are not touched.
        """
        instance.layout = None
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
        for start in range(0, len(placed), _AT_ONCE):
            self._complain(instance, "removing", placement.release(self._network, placed[start : start + _AT_ONCE]))
            yield

    def _complain(self, instance: Instance, doing: str, refusals: Refusals) -> None:
        for each, reason in refusals:
            link = self._network.link_at(each.index)
            where = f" on {link.name}" if link is not None else ""
            self._log.error(f"({instance.name}) {doing} {each.address}/{each.prefix}{where}: {reason}")

    # the guard

    def notice(self, lost: Iterable[Address], instances: Iterable[Instance]) -> list[Instance]:
        """Put back what somebody took; the instances that cannot keep their addresses."""
        return [instance for instance, names in self.robbed(lost, instances) if not self._defend(instance, names)]

    def robbed(self, lost: Iterable[Address], instances: Iterable[Instance]) -> Iterator[tuple[Instance, str]]:
        """Addresses went while we are MASTER, so somebody took them: from which instances, and which ones."""
        names = frozenset((each.address, each.prefix) for each in lost)
        for instance in instances:
            if instance.router.holds_addresses and (mine := names & _tracked(instance)):
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
