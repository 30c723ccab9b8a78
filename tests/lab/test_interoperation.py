"""Every transport, version, authentication and virtual MAC that keepalived 2.2.7 knows, all in one pair of daemons."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import PAIRS, global_defs, instance
from tests.lab.wire import Advert

pytestmark = pytest.mark.lab

HOSTS = {"a": ("10.77.0.1", "2001:db8::1", "fe80::1"), "b": ("10.77.0.2", "2001:db8::2", "fe80::2")}


class Case(NamedTuple):
    """One virtual router; its VRID tells it apart."""

    vrid: int
    family: int
    version: int
    unicast: bool
    authentication: str
    device: str

    @property
    def address(self) -> str:
        """The one that only this router has."""
        return f"10.77.1.{self.vrid}" if self.family == 4 else f"2001:db8::1:{self.vrid:x}"

    def text(self, node: str, priority: int) -> str:
        """Its vrrp_instance on that node."""
        (peer,) = HOSTS.keys() - {node}
        place = 0 if self.family == 4 else 1
        lines = [self.device]
        if self.unicast:
            lines += [f"unicast_src_ip {HOSTS[node][place]}", f"unicast_peer {{\n {HOSTS[peer][place]}\n }}"]
        if self.authentication:
            lines.append(f"authentication {{\n auth_type {self.authentication}\n auth_pass secret{self.vrid}\n }}")
        return instance(
            f"VI_{self.vrid}",
            vrid=self.vrid,
            priority=priority,
            state="MASTER" if priority == 255 else "BACKUP",
            version=self.version,
            advert_int=1 if self.version == 2 else 0.2,
            addresses=(f"{self.address}/32",)
            if self.family == 4
            else (f"fe80::1:{self.vrid:x}/64", f"{self.address}/64"),
            more="\n    ".join(lines),
        )


def cases() -> Iterator[Case]:
    """What goes together: PASS and AH are of version 2 alone, and unicast with a virtual MAC leaves by the base."""
    vrids = itertools.count(1)
    for family, version in ((4, 2), (4, 3), (6, 3)):
        for unicast in (False, True):
            devices = ("", "use_vmac", "use_vmac\n    vmac_xmit_base")
            for authentication in ("", "PASS", "AH") if version == 2 else ("",):
                for device in devices:
                    if not (unicast and device == "use_vmac"):
                        yield Case(next(vrids), family, version, unicast, authentication, device)


CASES = list(cases())


def configuration(node: str, priority: int) -> str:
    return global_defs("vrrp_garp_master_repeat 1") + "".join(case.text(node, priority) for case in CASES)


@pytest.fixture
def hosts(lab: Lab) -> tuple[Node, Node]:
    """a and b, with IPv4 and IPv6."""
    nodes = []
    for name, (four, six, local) in HOSTS.items():
        node = lab.node(name, {"eth0": f"{four}/16"})
        node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
        for address in (six, local):
            node.run("ip", "addr", "add", f"{address}/64", "dev", "eth0", "nodad")
        nodes.append(node)
    return nodes[0], nodes[1]


def masked(advert: Advert) -> str:
    """The packet without what counts on from packet to packet: identification, flow label, AH's number and digest."""
    packet = bytearray(advert.packet)
    if packet[0] >> 4 == 6:
        packet[1:4] = bytes((packet[1] & 0xF0, 0, 0))
        if packet[24] != 0xFF:
            # keepalived leaves the hop limit of unicast to the kernel; RFC 9568 5.1.2.3 wants 255.
            packet[7] = 0
        return packet.hex()
    packet[4:6] = packet[10:12] = bytes(2)
    if packet[9] == 51:
        packet[28:44] = bytes(16)
    return packet[:20].hex() + " " + packet[20:].hex()


def first_adverts(lab: Lab, node: Node, program: str) -> dict[Case, tuple[str, str]]:
    """MAC and packet of each router that the program is the owner of."""
    begin = time.time()
    daemon = lab.start(program, node, configuration(node.name, 255))

    def heard() -> dict[int, Advert]:
        adverts = lab.wire.adverts(node=node.name, since=begin, priority=255)
        return {advert.vrid: advert for advert in reversed(adverts)}

    lab.hub.until(
        lambda: len(heard()) == len(CASES), 8, lambda: f"{program}: nothing of {set(range(1, 26)) - heard().keys()}"
    )
    daemon.stop()
    return {case: (heard()[case.vrid].mac, masked(heard()[case.vrid])) for case in CASES}


def test_adverts_are_equal_byte_by_byte(lab: Lab, hosts: tuple[Node, Node]) -> None:
    theirs = first_adverts(lab, hosts[0], "keepalived")
    ours = first_adverts(lab, hosts[0], "kad")
    assert len(theirs) == 25
    different = {case: (theirs[case], ours[case]) for case in CASES if theirs[case] != ours[case]}
    assert different == {}


@pytest.mark.parametrize(("first", "second"), PAIRS[1:3])
def test_one_yields_to_the_other_and_takes_over_from_it(
    lab: Lab, hosts: tuple[Node, Node], first: str, second: str
) -> None:
    a, b = hosts
    one = lab.start(first, a, configuration("a", 255))
    begin = time.time()
    addresses = {case.address for case in CASES}
    lab.hub.until(lambda: addresses <= a.watch.held(), 5, lambda: f"not on a: {addresses - a.watch.held()}")
    # Version 2 waits for three seconds: whom this one does not understand, it would replace by then.
    two = lab.start(second, b, configuration("b", 254))
    two.wait_log("Entering BACKUP STATE")
    lab.hub.never(lambda: addresses & b.watch.held(), 3.3, "b yields to each")
    assert {advert.node for advert in lab.wire.adverts(since=begin)} == {"a"}
    one.send(signal.SIGTERM)
    lab.hub.until(lambda: addresses <= b.watch.held(), 3, lambda: f"not on b: {addresses - b.watch.held()}")
    one.wait_exit()
    assert not addresses & a.watch.held()
