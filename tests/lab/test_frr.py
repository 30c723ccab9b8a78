"""A third peer: FRR's vrrpd, which follows the RFCs to the letter, with its own virtual MACs."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import pytest

from tests.lab.frr import Vrrpd, Zebra, macvlan, missing
from tests.lab.lab import Lab, Node
from tests.lab.test_ipv6 import speak_ipv6
from tests.lab.texts import global_defs, instance

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(missing()), reason=f"the lab needs {', '.join(missing())}"),
]


class Case(NamedTuple):
    """One virtual router, and how kad speaks for it."""

    vrid: int
    family: int
    version: int
    device: str = ""

    @property
    def address(self) -> str:
        """The one that is asked for."""
        return f"10.77.1.{self.vrid}" if self.family == 4 else f"2001:db8::1:{self.vrid:x}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """With their prefixes, in the order of the adverts."""
        return (f"{self.address}/32",) if self.family == 4 else (f"fe80::1:{self.vrid:x}/64", f"{self.address}/64")

    @property
    def virtual_mac(self) -> str:
        """RFC 9568 7.3."""
        return f"00:00:5e:00:0{1 if self.family == 4 else 2}:{self.vrid:02x}"

    @property
    def interval(self) -> float:
        return 1.0 if self.version == 2 else 0.1


CASES = (Case(51, 4, 2), Case(52, 4, 3), Case(52, 6, 3), Case(53, 4, 3, "use_vmac"), Case(53, 6, 3, "use_vmac"))
ALL = frozenset(case.address for case in CASES)
FAST = frozenset(case.address for case in CASES if case.version == 3)


class Peer(Protocol):
    """A host and its daemon."""

    node: Node

    def start(self) -> None:
        """Take part in the election of every case, with the priority of this host."""

    def stop(self) -> None:
        """End in good order."""

    def mac(self, case: Case) -> str:
        """What answers for the case's address while this host is MASTER."""

    def complaints(self) -> list[object]:
        """Cases whose adverts were not accepted, while the other one is MASTER."""


Builder = Callable[[Lab, Node, int], Peer]
"""With the priority."""


class KadPeer:
    """Some of its virtual routers have their own MACs, some that of eth0."""

    def __init__(self, lab: Lab, node: Node, priority: int) -> None:
        self._lab, self.node = lab, node
        self._text = global_defs() + "".join(
            instance(
                f"VI_{case.vrid}_{case.family}",
                vrid=case.vrid,
                priority=priority,
                version=case.version,
                advert_int=case.interval,
                addresses=case.addresses,
                more=case.device,
            )
            for case in CASES
        )

    def start(self) -> None:
        self._daemon = self._lab.start_kad(self.node, self._text)
        self._daemon.wait_log("Entering BACKUP STATE")

    def stop(self) -> None:
        self._daemon.send(signal.SIGTERM)

    def mac(self, case: Case) -> str:
        (link,) = self.node.ip("link", "show", "eth0")
        return case.virtual_mac if case.device else str(link["address"])

    def complaints(self) -> list[object]:
        return [each for each in self._daemon.dump("vrrp")["instances"] if each["discarded"]]


class FrrPeer:
    """Each of its virtual routers has an interface with its MAC and addresses, made before vrrpd runs."""

    def __init__(self, lab: Lab, node: Node, priority: int) -> None:
        self._lab, self.node = lab, node
        # Addresses stay on interfaces without carrier: no other one answers for them, nor names them when it asks.
        node.set_sysctl("net.ipv4.conf.all.arp_ignore", "1")
        node.set_sysctl("net.ipv4.conf.all.arp_announce", "2")
        lines = []
        for case in CASES:
            source = [f"fe80::2:{case.vrid:x}/64"] if case.family == 6 else []
            macvlan(node, case.vrid, case.family, [*case.addresses, *source])
            word = "ip" if case.family == 4 else "ipv6"
            lines += [
                f"vrrp {case.vrid} version {case.version}",
                f"vrrp {case.vrid} priority {priority}",
                f"vrrp {case.vrid} advertisement-interval {case.interval * 1000:.0f}",
                *(f"vrrp {case.vrid} {word} {address.partition('/')[0]}" for address in case.addresses),
            ]
        self._text = "\n ".join(["interface eth0", *lines]) + "\n"
        lab.began(Zebra(lab.hub, node))

    def start(self) -> None:
        self._daemon = daemon = self._lab.began(Vrrpd(self._lab.hub, self.node, self._text))
        self._lab.hub.until(daemon.routers, 3, lambda: f"vrrpd answers\n{daemon.log}")

    def stop(self) -> None:
        self._daemon.send(signal.SIGTERM)

    def mac(self, case: Case) -> str:
        return case.virtual_mac

    def complaints(self) -> list[object]:
        shown = self._daemon.routers()
        return [case for case in CASES if shown[case.vrid, case.family]["stats"]["adverRx"] == 0]


def served(node: Node) -> frozenset[str]:
    """Which of the addresses this node answers for: those on interfaces that have a carrier."""
    up = (link for link in node.ip("addr") if link["operstate"] == "UP")
    return ALL & {held["local"] for link in up for held in link["addr_info"]}


def wait_at(lab: Lab, there: Node, elsewhere: Node, seconds: float, addresses: frozenset[str] = ALL) -> None:
    """These addresses at one of the two, and none of them at the other."""
    lab.hub.until(
        lambda: served(there) >= addresses and not served(elsewhere) & addresses,
        seconds,
        lambda: f"{there.name}: {set(served(there))}, {elsewhere.name}: {set(served(elsewhere))}",
    )


def asked(client: Node, peer: Peer, *, told: bool) -> None:
    """The client is answered from each address, by the right MAC; told: of which it heard before it had to ask."""
    if not told:
        client.run("ip", "neigh", "flush", "dev", "eth0")
    for case in CASES:
        client.run("ping", "-c1", "-W2", case.address)
        (entry,) = client.ip("neigh", "show", case.address)
        assert (case.address, entry["lladdr"]) == (case.address, peer.mac(case))


def heard(lab: Lab, node: Node, since: float) -> dict[Case, list[float]]:
    """When that node sent adverts of each case."""
    adverts = lab.wire.adverts(node=node.name, since=since)
    said = {case: (case.vrid, case.family) for case in CASES}
    return {case: [each.time for each in adverts if (each.vrid, each.packet[0] >> 4) == said[case]] for case in CASES}


@pytest.mark.parametrize(("first", "second"), [(KadPeer, FrrPeer), (FrrPeer, KadPeer)], ids=["kad-frr", "frr-kad"])
def test_frr_and_kad_take_over_from_each_other(lab: Lab, first: Builder, second: Builder) -> None:
    a, b, client = (lab.node(name, {"eth0": f"10.77.0.{number}/16"}) for number, name in enumerate("abc", start=1))
    for number, node in enumerate((a, b, client), start=1):
        node.set_sysctl("net.ipv6.conf.default.disable_ipv6", "0")
        speak_ipv6(node, f"fe80::{number}/64", f"2001:db8::{number}/64")
    strong, weak = first(lab, a, 150), second(lab, b, 100)
    begin = time.time()
    strong.start()
    weak.start()
    # In version 2 the weak one would be MASTER 0.2 s after the strong one, did it not understand it.
    wait_at(lab, a, b, 4)
    lab.hub.never(lambda: lab.wire.adverts(node="b", since=begin), 0.5, "b yields to each")
    asked(client, strong, told=True)
    assert weak.complaints() == []
    # Silent death: three intervals and 156/256 of one more; FRR counts in hundredths of a second.
    lab.cut(a)
    begin = time.time()
    lab.hub.until(lambda: served(b) == ALL, 4, lambda: f"b: {served(b)}")
    lab.hub.until(lambda: all(heard(lab, b, begin).values()), 1, "adverts of b for each")
    for case in CASES:
        last = max(at for at in heard(lab, a, 0.0)[case] if at <= begin)
        # FRR misses its own first advert over IPv6: the interface that it leaves by is not up yet.
        assert 3.59 * case.interval < heard(lab, b, begin)[case][0] - last < 3.7 * case.interval + 0.5
    asked(client, weak, told=True)
    # And the return: FRR says nothing when it yields, so kad may not know that there were two.
    lab.heal(a)
    wait_at(lab, a, b, 2)
    asked(client, strong, told=False)
    # An orderly stop is followed after the skew alone.
    begin = time.time()
    strong.stop()
    wait_at(lab, b, a, 2)
    assert len(lab.wire.adverts(node="a", priority=0, since=begin)) == len(CASES)
    asked(client, weak, told=True)
    # A higher priority that comes back preempts.
    strong.start()
    wait_at(lab, a, b, 2, FAST)
