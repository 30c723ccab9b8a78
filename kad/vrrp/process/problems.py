"""What is wrong with an instance now, as typed values for status and the dump."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.model.problem import Problem, ProblemKind
from kad.vrrp.events import State
from kad.vrrp.kernel_calls import CONSEQUENCES, KernelRefusal
from kad.vrrp.process.instance import Instance
from kad.vrrp.split_brain import Split


class Clocks(NamedTuple):
    """One moment by both clocks, in seconds."""

    unix: float
    monotonic: float

    def to_unix(self, moment: float) -> float:
        """The UNIX time of a monotonic moment."""
        return self.unix - (self.monotonic - moment)


def problems_of(
    instance: Instance, network: Network, is_up: Callable[[Link], bool], clocks: Clocks
) -> Iterator[Problem]:
    name, router = instance.name, instance.router
    match router.state:
        case State.INIT:
            detail = "; ".join(sorted(router.pending)) or "startup delay"
            yield Problem(kind=ProblemKind.NOT_STARTED, object=name, detail=detail, since=instance.since)
        case State.FAULT:
            detail = "; ".join(sorted(router.faults)) or instance.reason
            yield Problem(kind=ProblemKind.FAULT, object=name, detail=detail, since=instance.since)
    peers = {peer.address for peer in instance.configuration.unicast_peers}
    if router.state is State.BACKUP and peers and router.master is not None and router.master.source not in peers:
        yield Problem(kind=ProblemKind.MASTER_NO_PEER, object=name, peer=router.master.source)
    if (split := instance.split) is not None:
        yield _of_split(name, split, instance.configuration.advertisement_interval, clocks)
    for refusal in instance.refusals.current():
        yield Problem(
            kind=ProblemKind.ADVERTS_REFUSED,
            object=name,
            peer=refusal.peer or "further routers",
            detail=refusal.text,
            since=clocks.to_unix(refusal.since),
        )
    if not router.holds_addresses:
        return
    for device in _devices(instance):
        link = network.link(device)
        if link is None or not is_up(link):
            yield Problem(kind=ProblemKind.DEVICE_DOWN, object=name, detail=device)


def problems_of_refusals(object: str, refusals: Iterable[KernelRefusal]) -> list[Problem]:
    """What the kernel refuses for an object now."""
    return [
        Problem(kind=CONSEQUENCES[each.call].problem, object=object, detail=each.detail, since=each.since)
        for each in refusals
    ]


def missing_addresses(instance: Instance, network: Network) -> list[Problem]:
    """Addresses of a MASTER that are not there; nothing must wait to be done."""
    layout = instance.layout
    if not instance.router.holds_addresses or layout is None:
        return []
    missing = [each.address for each in layout.placed if not network.has(each)]
    missing += [address for address, _ in layout.homeless]
    return [Problem(kind=ProblemKind.ADDRESS_MISSING, object=instance.name, detail=each) for each in missing]


def _of_split(name: str, split: Split, interval: float, clocks: Clocks) -> Problem:
    """Another MASTER by its adverts, or a host that was seen to announce an address; `interval` is that of our own."""
    since = clocks.to_unix(split.since)
    if split.adverts > 1 and clocks.monotonic < split.advertises_until(interval):
        return Problem(kind=ProblemKind.TWO_MASTERS, object=name, peer=split.advertiser, since=since)
    return Problem(kind=ProblemKind.ADDRESS_CLAIMED, object=name, peer=split.other, since=since)


def _devices(instance: Instance) -> list[str]:
    """Every device that carries its adverts or its addresses, once."""
    configuration = instance.configuration
    names = [configuration.speaks_on, configuration.own_interface]
    names += [address.device or configuration.own_interface for address in instance.addresses]
    return [name for name in dict.fromkeys(names) if name]
