"""Static addresses, routes and rules with a track_group: who is in FAULT without them, and what brings them back."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from functools import partial

import pytest

from tests.lab.lab import Lab
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

GROUPS = {
    "BY_ADDRESS": ("ADDRESS",),
    "BY_ROUTE": ("ROUTE", "EITHER"),
    "BY_RULE": ("RULE", "EITHER"),
    "UNTRACKED": ("UNTRACKED",),
}
VRIDS = {"ADDRESS": 1, "ROUTE": 2, "RULE": 3, "EITHER": 4, "UNTRACKED": 5}
STATICS = """
static_ipaddress {
    10.90.0.1/24 dev eth1 track_group BY_ADDRESS
}
static_routes {
    198.18.1.0/24 via 10.79.0.9 dev eth2 track_group BY_ROUTE
    198.18.2.0/24 dev eth4
    198.18.3.0/24 dev eth4 no_track track_group UNTRACKED
}
static_rules {
    iif eth3 table 31 preference 801 track_group BY_RULE
    from 198.18.0.1 table 32 preference 802
    iif eth4 table 33 preference 803 no_track track_group UNTRACKED
}
"""
TEXT = "".join(
    (
        global_defs("dynamic_interfaces allow_if_changes"),
        *(f"track_group {name} {{\n group {{\n {' '.join(names)}\n }}\n}}\n" for name, names in GROUPS.items()),
        STATICS,
        *(instance(name, vrid=vrid, addresses=(f"10.77.1.{vrid}",)) for name, vrid in VRIDS.items()),
    )
)
ADDRESS, ROUTE = "10.90.0.1", "198.18.1.0/24"
UNTRACKED = frozenset({"198.18.3.0/24", "803"})
EVERYTHING = frozenset({ADDRESS, ROUTE, "198.18.2.0/24", "801", "802"}) | UNTRACKED


class Host:
    """A node on a LAN of its own, its daemon, and what is watched there."""

    def __init__(self, lab: Lab, program: str) -> None:
        self._lab = lab
        self.node = lab.node(program, {})
        for number in range(5):
            self.plug(number)
        self.daemon = lab.start(program, self.node, TEXT)

    def plug(self, number: int) -> None:
        self._lab.add_interface(self.node, f"eth{number}", f"10.{77 + number}.0.1/24", lan=self.node.name)

    def lose_carrier(self, *numbers: int) -> None:
        for number in numbers:
            self._lab.link_down(self.node, f"eth{number}")

    def heal(self, *numbers: int) -> None:
        for number in numbers:
            self._lab.heal(self.node, f"eth{number}")

    def ip(self, words: str) -> None:
        self.node.run("ip", *words.split())

    def kernel(self) -> set[str]:
        """The static things that are there."""
        found = {line.split()[0] for line in self.node.run("ip", "route").stdout.splitlines()}
        found |= {line.split(":")[0] for line in self.node.run("ip", "rule").stdout.splitlines()}
        return (found | self.node.watch.held()) & EVERYTHING

    def lacks(self, *instances: str, gone: Set[str] = frozenset()) -> None:
        """Just these come to be without address, and this to be not in the kernel."""
        wanted = {f"10.77.1.{vrid}" for name, vrid in VRIDS.items() if name not in instances}

        def so() -> bool:
            held = {address for address in self.node.watch.held() if address.startswith("10.77.1.")}
            return held == wanted and self.node.watch.caught_up() and self.kernel() == EVERYTHING - gone

        self._lab.hub.until(so, 3, lambda: f"{self.node.name}: {self.node.watch.held()} {self.kernel()}")

    def said_farewell(self, *instances: str, since: float) -> None:
        for name in instances:
            self.daemon.wait_log(rf"\({name}\) Entering FAULT STATE", since=since)
            self._lab.wire.wait_advert(node=self.node.name, vrid=VRIDS[name], priority=0, since=since, seconds=1)

    def moved(self, since: float, instances: set[str]) -> None:
        """The addresses of these alone came or went."""
        moves = {event.address for event in self.node.watch.events if event.time >= since}
        assert {name for name, vrid in VRIDS.items() if f"10.77.1.{vrid}" in moves} == instances


class Hosts:
    """One a program: all is done to both, and does the same to both."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._hosts = [Host(lab, program) for program in BOTH]

    def each(self, do: Callable[[Host], object]) -> float:
        """When it began."""
        begin = time.time()
        for host in self._hosts:
            do(host)
        return begin

    def lack(self, *instances: str, gone: Set[str] = frozenset()) -> None:
        self.each(lambda host: host.lacks(*instances, gone=gone))

    def moved(self, since: float, *instances: str) -> None:
        """The addresses of these alone came or went."""
        self.each(lambda host: host.moved(since, set(instances)))

    def depend(self, number: int, *instances: str, carried: Set[str] = frozenset(), lost: Set[str]) -> None:
        """These, on an interface that is set down, which takes along what it carried, and then is gone altogether."""
        name = f"eth{number}"
        begin = self.each(lambda host: host.ip(f"link set {name} down"))
        self.lack(*instances, gone=carried)
        self.each(lambda host: host.ip(f"link set {name} up"))
        self.lack()
        self.each(lambda host: self._lab.remove_interface(host.node, name))
        self.lack(*instances, gone=lost)
        self.each(lambda host: host.plug(number))
        self.lack()
        self.moved(begin, *instances)


def test_what_depends_on_static_things_goes_and_comes_with_their_interface(lab: Lab) -> None:
    hosts = Hosts(lab)
    hosts.lack()
    # The carrier: what is in the kernel stays there. Nobody depends on what is not tracked.
    begin = hosts.each(lambda host: host.lose_carrier(1, 2, 3, 4))
    hosts.lack("ADDRESS", "ROUTE", "RULE", "EITHER")
    hosts.each(lambda host: host.said_farewell("ADDRESS", "ROUTE", "RULE", "EITHER", since=begin))
    hosts.each(lambda host: host.heal(1, 3, 4))
    # Who depends on two waits for the second.
    hosts.lack("ROUTE", "EITHER")
    hosts.each(lambda host: host.heal(2))
    hosts.lack()
    hosts.depend(1, "ADDRESS", lost={ADDRESS})
    hosts.depend(2, "ROUTE", "EITHER", carried={ROUTE}, lost={ROUTE})
    hosts.depend(3, "RULE", "EITHER", lost=set())


def test_what_somebody_takes_away_is_put_back_and_nobody_moves(lab: Lab) -> None:
    hosts = Hosts(lab)
    hosts.lack()
    begin = time.time()
    for words in (
        "route del 198.18.1.0/24",
        "route del 198.18.2.0/24",
        "rule del preference 801",
        "rule del preference 802",
        "address del 10.90.0.1/24 dev eth1",
    ):
        hosts.each(partial(Host.ip, words=words))
        hosts.lack()
    # What is not tracked stays away.
    hosts.each(lambda host: host.ip("route del 198.18.3.0/24"))
    hosts.each(lambda host: host.ip("rule del preference 803"))
    hosts.lack(gone=UNTRACKED)
    hosts.each(lambda host: lab.hub.never(lambda: host.kernel() & UNTRACKED, 0.2, "nobody cares"))
    hosts.moved(begin)
