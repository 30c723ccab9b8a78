"""Another host says that it has a virtual address, and how several interfaces take turns in announcing."""

from __future__ import annotations

import socket
import time
from itertools import pairwise

import pytest

from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.ndisc import unsolicited_advertisement
from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP, VIP6 = "10.77.0.100", "2001:db8::100"
MAC = bytes.fromhex("020000000099")
Pair = tuple[Lab, Node, Node]


def say(node: Node, *frames: bytes) -> None:
    with node.socket(socket.AF_PACKET, socket.SOCK_RAW) as speaker:
        speaker.bind(("eth0", 0))
        for each in frames:
            speaker.send(each)


def excluded(address: str) -> str:
    return f"virtual_ipaddress_excluded {{\n {address}/64\n }}"


def test_a_claimed_address_is_announced_again_and_the_split_is_reported(pair: Pair) -> None:
    lab, a, b = pair
    a.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
    daemon = lab.start_kad(a, global_defs() + instance(more=f"{excluded(VIP6)}\n garp_master_repeat 1"))
    for address in (VIP, VIP6):
        lab.wire.wait_announcements(2, seconds=6, node="a", address=address)
    begin = time.time()
    # What is asked by others, and what they say of their own addresses, claims nothing.
    say(b, gratuitous_arp(MAC, "10.77.0.2"), gratuitous_arp(MAC, VIP), unsolicited_advertisement(MAC, VIP6))
    for address in (VIP, VIP6):
        (again,) = lab.wire.wait_announcements(1, seconds=3, node="a", address=address, since=begin)
        assert 0.45 < again.time - begin < 1.0
    daemon.wait_log(f"{MAC.hex(':')} claims {VIP} too", since=begin)
    weaker = pdu("10.77.0.2", version=3, vrid=51, priority=1, addresses=(VIP,), interval=10)
    for _ in range(2):
        say(b, frame(ipv4(weaker, "10.77.0.2"), "02:00:00:00:00:02"))
        lab.wire.wait_advert(node="a", seconds=1, count=2)
    daemon.wait_log("10.77.0.2 is MASTER too", since=begin)
    (found,) = daemon.dump("vrrp")["instances"]
    assert found["splits"]["now"]["with"] == "10.77.0.2"
    # They give up, and the split has a length.
    farewell = pdu("10.77.0.2", version=3, vrid=51, priority=0, addresses=(VIP,), interval=10)
    say(b, frame(ipv4(farewell, "10.77.0.2"), "02:00:00:00:00:02"))
    daemon.wait_log(r"two MASTERs for \d\.\d+ s, 10.77.0.2 was the other one: 10.77.0.2 gave up", since=begin)
    (found,) = daemon.dump("vrrp")["instances"]
    assert found["splits"]["count"] == 1
    assert 0.1 < found["splits"]["seconds"] < 5.0


GARP_GROUPS = """
garp_group {
    garp_interval 0.2
    gna_interval 0.1
    interfaces {
        eth0
        eth1
    }
}
garp_group {
    garp_interval 0.1
    interface eth2
}
"""
TURNS = [((0, 1), 4, 0.2), ((0, 1), 6, 0.1), ((2,), 4, 0.1), ((2,), 6, 0.0), ((3,), 4, 0.15), ((3,), 6, 0.0)]
"""Which interfaces take turns, in which family, and the seconds from one message to the next."""


def test_a_garp_group_takes_turns(lab: Lab) -> None:
    """keepalived 2.2.7 forgets the rest of a queue that two interfaces share."""
    a = lab.node("a", {})
    text = global_defs("vrrp_garp_interval 0.15") + GARP_GROUPS
    for number in range(4):
        lab.add_interface(a, f"eth{number}", f"10.7{number}.0.1/24", lan=f"lan{number}")
        a.set_sysctl(f"net.ipv6.conf.eth{number}.disable_ipv6", "0")
        more = f"garp_master_repeat 3\n garp_master_delay 0\n {excluded(f'fd00:7{number}::100')}"
        address = (f"10.7{number}.0.100/24",)
        text += instance(f"VI_{number}", interface=f"eth{number}", vrid=number + 1, addresses=address, more=more)
    lab.start_kad(a, text)
    lab.wire.wait_announcements(24, seconds=8, node="a", since=0)
    for numbers, family, distance in TURNS:
        addresses = [f"fd00:7{number}::100" if family == 6 else f"10.7{number}.0.100" for number in numbers]
        seen = [each for each in lab.wire.announcements() if each.address in addresses]
        assert sorted(each.address for each in seen) == sorted(3 * addresses)
        gaps = sorted(later.time - sooner.time for sooner, later in pairwise(seen))
        # A loaded machine may be late once.
        assert distance - 0.01 < gaps[0], (numbers, family, gaps)
        assert gaps[-2] < distance + 0.05, (numbers, family, gaps)
