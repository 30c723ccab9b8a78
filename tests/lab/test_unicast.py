"""Whom a router with unicast peers listens to, and what it sends to each: keepalived and kad are asked by hand."""

from __future__ import annotations

import socket
import time
from collections import Counter
from ipaddress import ip_address
from typing import Any

import pytest

from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_ipv6 import speak_ipv6
from tests.lab.texts import BOTH, global_defs, instance
from tests.lab.wire import Advert
from tests.unit.vrrp.packets import Packet, v3

pytestmark = pytest.mark.lab

PLAIN, CHECKED, LIMITED, AUTO, NEVER, ALWAYS = 1, 2, 3, 4, 5, 6
WORDS = {
    PLAIN: "unicast_ttl 64",
    CHECKED: "check_unicast_src",
    NEVER: "old_unicast_checksum never",
    ALWAYS: "old_unicast_checksum",
}
PEERS = {LIMITED: "10.77.0.2 min_ttl 100 max_ttl 200\n 10.77.0.3"}
OLD = "224.0.0.18"
"""What the checksum of version 3 once covered, whoever the advert was sent to."""
Pair = tuple[Lab, Node, Node]


def vip(vrid: int) -> str:
    return f"10.77.0.10{vrid}"


def packet(vrid: int, priority: int, **changes: object) -> Packet:
    """An advert of 10.77.0.2 to 10.77.0.1, unless said otherwise."""
    fields: dict[str, object] = {
        "virtual_router_id": vrid,
        "priority": priority,
        "interval": 10,
        "addresses": (ip_address(vip(vrid)).packed,),
        "destination": "10.77.0.1",
    }
    return v3(**(fields | changes))


class Subject:
    """a, and whoever speaks to it from b."""

    def __init__(self, pair: Pair, program: str, *vrids: int) -> None:
        self._lab, a, self._b = pair
        self._b.run("ip", "addr", "add", "10.77.0.3/24", "dev", "eth0")
        text = global_defs("vrrp_garp_master_repeat 1")
        for vrid in vrids:
            peers = PEERS.get(vrid, "10.77.0.2\n 10.77.0.3")
            more = f"unicast_src_ip 10.77.0.1\n unicast_peer {{\n {peers}\n }}\n {WORDS.get(vrid, '')}"
            text += instance(f"VI_{vrid}", vrid=vrid, addresses=(f"{vip(vrid)}/24",), more=more)
        self.a = a
        self.daemon: Daemon = self._lab.start(program, a, text)
        for vrid in vrids:
            self._lab.wait_holder(vip(vrid), a, seconds=5)

    def hears(self, vrid: int, **changes: object) -> bool:
        """Whether it yields to an advert of priority 200 like that."""
        self._lab.wait_holder(vip(vrid), self.a, seconds=2)
        said = packet(vrid, 200, **changes)
        before = self._lab.wire.wait_advert(node="a", vrid=vrid, seconds=2)
        with self._b.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as speaker:
            speaker.sendto(said.datagram, (said.destination, 0))
        heard = self._lab.wire.wait_advert(node="b", vrid=vrid, since=before.time, seconds=1)

        def decided() -> bool:
            """It moved, or went on for three intervals: what was on its way already decides nothing."""
            said = self._lab.wire.adverts(node="a", vrid=vrid, since=heard.time)
            return bool(self._lab.moves(vip(vrid), heard.time)) or len(said) >= 3 * 2

        self._lab.hub.until(decided, 1, "it yields or goes on")
        return bool(self._lab.moves(vip(vrid), heard.time))

    def sent(self, vrid: int) -> list[Advert]:
        """What it says next to each of its peers."""
        first = self._lab.wire.wait_advert(node="a", vrid=vrid, seconds=1)
        self._lab.wire.wait_advert(node="a", vrid=vrid, seconds=1, since=first.time, count=2)
        return self._lab.wire.adverts(node="a", vrid=vrid, since=first.time)[:2]


def rule(said: Advert) -> str:
    """The destination that its checksum covers."""
    for covered in (said.destination, OLD):
        right = packet(said.vrid, 100, source=said.source, destination=said.destination, pseudo_destination=covered)
        if said.packet[20:] == right.message:
            return covered
    return "something else"


@pytest.mark.parametrize("program", BOTH)
def test_who_counts_and_what_each_peer_gets(pair: Pair, program: str) -> None:
    subject = Subject(pair, program, PLAIN, CHECKED)
    one, other = subject.sent(PLAIN)
    assert [(said.source, said.destination, said.ttl) for said in (one, other)] == [
        ("10.77.0.1", "10.77.0.2", 64),
        ("10.77.0.1", "10.77.0.3", 64),
    ]
    assert [rule(said) for said in (one, other)] == ["10.77.0.2", "10.77.0.3"]
    assert subject.hears(PLAIN, source="10.77.0.9")
    assert subject.hears(PLAIN, ttl=3)
    assert not subject.hears(CHECKED, source="10.77.0.9")
    for peer in ("10.77.0.2", "10.77.0.3"):
        assert subject.hears(CHECKED, source=peer)
    if program == "kad":
        subject.daemon.wait_log(r"\(VI_2\) advert from 10.77.0.9 discarded: its sender is no configured peer")
        subject.daemon.wait_log(r"\(VI_1\) adverts of 10.77.0.9 count, which is no unicast_peer: check_unicast_src")
        # Its interval is 40 s: for so long it is MASTER.
        assert subject.hears(PLAIN, source="10.77.0.9", interval=4000)
        assert isinstance(subject.daemon, Kad)
        status = subject.daemon.ask("--status")
        assert "VI_1: 10.77.0.9 is MASTER, and no unicast_peer: check_unicast_src refuses its adverts" in status.stdout
        assert status.returncode == 1


def test_a_peer_has_to_be_as_near_as_it_is_said_to_be(pair: Pair) -> None:
    """kad alone: keepalived 2.2.7 does not know the words."""
    subject = Subject(pair, "kad", LIMITED)
    assert not subject.hears(LIMITED, ttl=99)
    assert not subject.hears(LIMITED, ttl=201)
    assert subject.hears(LIMITED, ttl=100)
    assert subject.hears(LIMITED, ttl=200)
    # The limits are that peer's alone, and the source is looked at all the same.
    assert subject.hears(LIMITED, ttl=201, source="10.77.0.3")
    assert not subject.hears(LIMITED, ttl=100, source="10.77.0.9")
    subject.daemon.wait_log(r"\(VI_3\) advert from 10.77.0.2 discarded: ")


@pytest.mark.parametrize("program", BOTH)
def test_the_old_checksum_is_recognized_and_answered(pair: Pair, program: str) -> None:
    subject = Subject(pair, program, AUTO, NEVER, ALWAYS)
    assert [rule(said) for said in subject.sent(AUTO)] == ["10.77.0.2", "10.77.0.3"]
    assert [rule(said) for said in subject.sent(ALWAYS)] == [OLD, OLD]
    assert not subject.hears(NEVER, pseudo_destination=OLD)
    assert not subject.hears(NEVER, checksum=0x1234)
    assert not subject.hears(AUTO, checksum=0x1234)
    assert subject.hears(NEVER)
    assert subject.hears(AUTO, pseudo_destination=OLD)
    assert [rule(said) for said in subject.sent(NEVER)] == ["10.77.0.2", "10.77.0.3"]
    if program == "kad":
        # keepalived 2.2.7 makes a wrong one for the first of two peers from then on, and refuses the right one.
        assert [rule(said) for said in subject.sent(AUTO)] == [OLD, OLD]
        subject.daemon.wait_log(r"\(VI_4\) 10.77.0.2 uses the old unicast checksum")
        for vrid in (AUTO, ALWAYS):
            assert subject.hears(vrid)


@pytest.mark.parametrize(
    ("vrid", "changes", "why"),
    [
        pytest.param(LIMITED, {"ttl": 99}, "TTL", id="ttl"),
        pytest.param(NEVER, {"pseudo_destination": OLD}, "checksum", id="checksum"),
    ],
)
def test_the_log_says_why_a_peer_does_not_count(pair: Pair, vrid: int, changes: dict[str, Any], why: str) -> None:
    subject = Subject(pair, "kad", vrid)
    assert not subject.hears(vrid, **changes)
    subject.daemon.wait_log(rf"advert from 10.77.0.2 discarded: .*{why}", 0.2)


SOURCES = {
    "10.77.0.1": ("10.77.0.101/24", "unicast_peer {\n 10.77.0.2\n }"),
    "10.77.0.20": ("10.77.0.102/24", "unicast_src_ip 10.77.0.20\n unicast_peer {\n 10.77.0.2\n }"),
    "fe80::1": ("fe80::100/64", "unicast_peer {\n fe80::2\n }"),
    "10.77.0.40": ("10.77.0.104/24", "mcast_src_ip 10.77.0.40"),
    "10.77.0.50": (
        "10.77.0.105/24",
        "unicast_src_ip 10.77.0.50\n unicast_peer {\n 10.77.0.2\n }\n track_file {\n fault\n }",
    ),
}
"""What a router speaks from: its virtual address and its words; only one of them speaks to the group."""


@pytest.mark.parametrize("program", BOTH)
def test_a_router_with_peers_that_is_out_of_fault_says_first_where_it_speaks_from(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    speak_ipv6(a, "fe80::1/64")
    for source in ("10.77.0.20", "10.77.0.40", "10.77.0.50"):
        a.run("ip", "addr", "add", f"{source}/24", "dev", "eth0")
    a.write("fault", "0\n")
    text = global_defs("vrrp_garp_master_repeat 1") + "track_file fault {\n file /etc/keepalived/fault\n weight 0\n}\n"
    for vrid, (virtual, more) in enumerate(SOURCES.values(), start=1):
        text += instance(f"VI_{vrid}", vrid=vrid, addresses=(virtual,), more=f"garp_master_delay 0\n {more}")
    daemon = lab.start(program, a, text)

    def said(since: float, *sources: str) -> Counter[str]:
        """Those of the sources that were announced before the addresses of the routers that speak from these."""
        first = {}
        for source in sources:
            virtual = SOURCES[source][0].partition("/")[0]
            first[source] = lab.wire.wait_announcements(1, address=virtual, seconds=8, since=since)[0].time
        found = [each for each in lab.wire.announcements(since=since) if each.address in SOURCES]
        assert all(each.time < first[each.address] for each in found)
        return Counter(each.address for each in found)

    assert said(0, *SOURCES) == {}
    begin = time.time()
    lab.link_down(a)
    lab.wait_holder("10.77.0.105", seconds=2)
    lab.heal(a)
    assert said(begin, *SOURCES) == {"10.77.0.1": 1, "10.77.0.20": 1, "fe80::1": 1, "10.77.0.50": 1}
    for line in ("ARP for 10.77.0.20", "NA for fe80::1"):
        daemon.wait_log(f"sending gratuitous {line}", since=begin)
    begin = time.time()
    a.write("fault", "1\n")
    daemon.wait_log("Entering FAULT STATE", since=begin)
    a.write("fault", "0\n")
    assert said(begin, "10.77.0.50") == {"10.77.0.50": 1}
