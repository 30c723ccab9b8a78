"""Whatever somebody does to the addresses and interfaces of a MASTER is noticed at once, and mended where it can be."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_crash import told
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
MANY = [f"10.77.1.{number}" for number in range(1, 13)]
SOON = 0.25
"""Seconds that a machine with other work may add to the few milliseconds of an idle one."""
Pair = tuple[Lab, Node, Node]


def remove(node: Node, address: str) -> float:
    """By hand; the moment."""
    moment = time.time()
    node.run("ip", "addr", "del", address, "dev", "eth0")
    return moment


def test_what_somebody_deletes_is_put_back_until_that_is_hopeless(pair: Pair) -> None:
    lab, a, b = pair
    addresses = tuple(f"{address}/32" for address in MANY)
    daemon = lab.start_kad(a, router(priority=150, addresses=addresses))
    lab.wait_holder(MANY[-1], a, seconds=5)
    other = lab.start_kad(b, router(priority=100, addresses=addresses))
    other.wait_log("Entering BACKUP STATE")
    begin = time.time()
    for address in MANY[:3]:
        moment = remove(a, f"{address}/32")
        lab.hub.until(lambda address=address, since=moment: len(lab.moves(address, since)) == 2, 2, "it comes back")
        gone, back = lab.moves(address, moment)
        assert (gone.added, back.added) == (False, True)
        assert back.time - gone.time < SOON
        lab.wire.wait_announcements(1, seconds=1, node="a", address=address, since=moment)
        daemon.wait_log(rf"\(VI_1\) somebody removed {address}/32: putting it back", since=moment)
    # The fourth in a minute waits: 0.1 s.
    moment = remove(a, f"{MANY[3]}/32")
    lab.hub.until(lambda: len(lab.moves(MANY[3], moment)) == 2, 2, "it comes back")
    gone, back = lab.moves(MANY[3], moment)
    assert 0.09 < back.time - gone.time < 0.1 + SOON
    lab.stays(MANY[0], a, 0.3)
    assert not lab.wire.adverts(node="a", priority=0, since=begin)
    assert not lab.wire.adverts(node="b", since=begin)
    assert not daemon.logged("Entering", since=begin)
    # With the eleventh somebody means it, and the other host serves.
    for address in MANY[4:11]:
        remove(a, f"{address}/32")
    lab.wait_holder(MANY[0], b, seconds=2)
    daemon.wait_log("somebody removes .* again and again: giving up")
    assert told(daemon)["faults"] == ["its addresses are removed again and again by somebody else"]
    assert a.watch.held().isdisjoint(MANY)
    assert any("somebody removed 10.77.1.1" in event["text"] for event in daemon.dump("events"))
    lab.stays(MANY[0], b, 0.5)


@pytest.mark.parametrize("program", ["kad", "keepalived"])
def test_keepalived_s_answer_where_the_operator_wants_it(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    words = ("vrrp_restore_addresses no",) if program == "kad" else ()
    daemon = lab.start(program, a, global_defs(*words) + instance(advert_int=0.3))
    lab.wait_holder(VIP, a, seconds=5)
    moment = remove(a, f"{VIP}/24")
    daemon.wait_log(r"\(VI_1\) Entering BACKUP STATE", since=moment)
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=moment)
    daemon.wait_log(r"\(VI_1\) Entering MASTER STATE", since=moment)
    lab.wait_holder(VIP, a, seconds=2)


def test_whatever_happens_to_the_interface_the_address_finds_its_place(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, router(priority=150))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=100)).wait_log("Entering BACKUP STATE")

    def suffers(*commands: str, said: str, elsewhere: bool = True) -> float:
        """These words of ip put the instance into FAULT, which says so."""
        moment = time.time()
        for command in commands:
            a.run("ip", *command.split())
        line = daemon.wait_log(rf"\(VI_1\) Entering FAULT STATE: {said}", since=moment)
        assert line.time - moment < SOON + 0.1 * len(commands)
        if elsewhere:
            lab.wait_holder(VIP, b, seconds=2)
        return moment

    # A flush: the address that adverts are sent from is gone too.
    suffers("addr flush dev eth0", said="interface eth0 has no IPv4 address to send from")
    a.run("ip", "addr", "add", "10.77.0.1/24", "brd", "+", "dev", "eth0")
    lab.wait_holder(VIP, a, seconds=2)

    # Switched off and on, as by a network manager that starts again.
    suffers("link set eth0 down", "addr flush dev eth0", said="interface eth0 is down")
    daemon.wait_log("Netlink reports eth0 down: it is switched off")
    a.run("ip", "link", "set", "eth0", "up")
    a.run("ip", "addr", "add", "10.77.0.1/24", "brd", "+", "dev", "eth0")
    lab.wait_holder(VIP, a, seconds=2)

    # Another name, and the old one again: the address is left on neither.
    moment = suffers("link set eth0 down", "link set eth0 name eth9", "link set eth9 up", said="interface eth0 ")
    daemon.wait_log("Netlink reports eth0 renamed to eth9", since=moment)
    assert told(daemon)["faults"] == ["interface eth0 does not exist"]
    a.run("ip", "link", "set", "eth9", "down")
    a.run("ip", "link", "set", "eth9", "name", "eth0")
    a.run("ip", "link", "set", "eth0", "up")
    lab.wait_holder(VIP, a, seconds=2)

    # Pulled out, and another one put in; no keyword asks for that.
    moment = time.time()
    lab.remove_interface(a, "eth0")
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE: interface eth0 ", since=moment)
    lab.wait_holder(VIP, b, seconds=2)
    lab.add_interface(a, "eth0", "10.77.0.1/24")
    lab.wait_holder(VIP, a, seconds=2)
    lab.stays(VIP, a, 0.5)


def test_what_the_kernel_could_not_tell_is_looked_at(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, router(priority=255, state="MASTER", advert_int=1))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=100, advert_int=1)).wait_log("Entering BACKUP STATE")
    vrrp, family = daemon.child("vrrp"), daemon.family()
    # It sleeps for as long as nobody misses it; more happens than the kernel keeps for it.
    lab.wire.wait_advert(node="a", seconds=2)
    begin = time.time()
    os.kill(vrrp, signal.SIGSTOP)
    batch = "".join(
        f"addr {word} 10.99.{n // 250}.{n % 250}/32 dev lo\n" for n in range(1500) for word in ("add", "del")
    )
    a.run("ip", "-batch", "-", input=batch)
    remove(a, f"{VIP}/24")
    os.kill(vrrp, signal.SIGCONT)
    lab.hub.until(lambda: VIP in a.watch.held(), 1, "the address is back")
    daemon.wait_log(rf"somebody removed {VIP}/24", since=begin)
    lab.stays(VIP, a, 0.5)
    assert daemon.dump("vrrp")["counters"]["netlink_overruns"] >= 1
    assert daemon.family() == family
    assert not daemon.logged("Entering", since=begin)
    # It follows as before.
    a.run("ip", "link", "set", "eth0", "down")
    lab.wait_holder(VIP, b, seconds=3)


def test_interfaces_and_addresses_may_come_late(lab: Lab) -> None:
    a = lab.node("a", {})
    source = "mcast_src_ip 10.77.0.7\ntrack_src_ip"
    text = global_defs() + instance() + instance("VI_2", vrid=52, addresses=("10.77.0.102/24",), more=source)
    daemon = lab.start_kad(a, text)
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE: interface eth0 does not exist")
    daemon.wait_log("Startup complete")
    lab.add_interface(a, "eth0", "")
    daemon.wait_log("Netlink reports eth0 created")
    lab.hub.never(lambda: lab.wire.adverts() or lab.holders(VIP), 0.5, "a router without address speaks")
    assert told(daemon)["faults"] == ["interface eth0 has no IPv4 address to send from"]
    a.run("ip", "addr", "add", "10.77.0.1/24", "brd", "+", "dev", "eth0")
    lab.wait_holder(VIP, a, seconds=2)
    assert told(daemon, "VI_2")["faults"] == ["source address 10.77.0.7 is not on this host"]
    moment = time.time()
    a.run("ip", "addr", "add", "10.77.0.7/24", "dev", "eth0")
    lab.wait_holder("10.77.0.102", a, seconds=2)
    assert lab.wire.wait_advert(vrid=52, seconds=1, since=moment).source == "10.77.0.7"
    # It goes as it came.
    remove(a, "10.77.0.7/24")
    daemon.wait_log(r"\(VI_2\) Entering FAULT STATE: source address 10.77.0.7 is not on this host", since=moment)
    lab.wait_holder("10.77.0.102", seconds=2)
    lab.stays(VIP, a, 0.5)
