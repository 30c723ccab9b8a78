"""Unicast without an interface: adverts go where routes lead, are heard wherever they arrive, and no link is missed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP, VIP6 = "10.77.0.100", "2001:db8::100"
OWN = {"a": "192.0.2.1", "b": "192.0.2.2"}
OWN6 = {"a": "2001:db8:1::1", "b": "2001:db8:1::2"}


def text(name: str, peer: str, priority: int) -> str:
    """keepalived 2.2.7 documents this and refuses it: Unknown interface!"""
    found = global_defs("default_interface eth0")
    for own, vrid, address in ((OWN, 51, f"{VIP}/24"), (OWN6, 52, f"{VIP6}/64 dev eth1")):
        more = f"unicast_src_ip {own[name]}\n unicast_peer {{\n {own[peer]}\n }}\n track_src_ip"
        made = instance(f"VI_{vrid}", vrid=vrid, priority=priority, advert_int=0.2, addresses=(address,), more=more)
        found += made.replace("    interface eth0\n", "")
    return found


def lead(node: Node, number: int, other: int, way: str) -> None:
    """Its own address is on no LAN, and what goes to the other one leaves by eth0 or by eth1."""
    node.set_sysctl("net.ipv4.conf.all.rp_filter", "0")
    for name in ("lo", "eth0", "eth1"):
        node.set_sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "0")
        node.set_sysctl(f"net.ipv4.conf.{name}.rp_filter", "0")
    node.run("ip", "link", "set", "lo", "up")
    lan = 7 if way == "eth0" else 8
    for network, prefix in ((f"192.0.2.{number}", 32), (f"2001:db8:1::{number}", 128)):
        node.run("ip", "addr", "add", f"{network}/{prefix}", "dev", "lo")
    for each in (7, 8):
        node.run("ip", "addr", "add", f"2001:db8:{each}::{number}/64", "dev", f"eth{each - 7}", "nodad")
    node.run("ip", "route", "add", f"192.0.2.{other}", "via", f"10.7{lan}.0.{other}", "dev", way)
    node.run("ip", "-6", "route", "add", f"2001:db8:1::{other}", "via", f"2001:db8:{lan}::{other}", "dev", way)


def test_two_hosts_that_hear_one_another_by_different_ways(lab: Lab) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24"})
    b = lab.node("b", {"eth0": "10.77.0.2/24"})
    for number, node in enumerate((a, b), start=1):
        lab.add_interface(node, "eth1", f"10.78.0.{number}/24", lan="other")
    lead(a, 1, 2, "eth0")
    lead(b, 2, 1, "eth1")
    first: Kad = lab.start_kad(a, text("a", "b", 150))
    for address in (VIP, VIP6):
        lab.wait_holder(address, a, seconds=5)
    lab.start_kad(b, text("b", "a", 100)).wait_log(r"\(VI_52\) Entering BACKUP STATE")
    for address in (VIP, VIP6):
        lab.wait_holder(address, a, seconds=2)
    lab.stays(VIP, a, 0.8)
    (on_default,) = a.ip("addr", "show", "to", VIP)
    (on_other,) = a.ip("addr", "show", "to", VIP6)
    assert (on_default["ifname"], on_other["ifname"]) == ("eth0", "eth1")
    assert {(each.source, each.destination) for each in lab.wire.adverts(node="a")} == {
        (OWN["a"], OWN["b"]),
        (OWN6["a"], OWN6["b"]),
    }

    # A crash is healed, and no link is missed.
    begin = time.time()
    os.kill(first.child("vrrp"), signal.SIGKILL)
    lab.wire.wait_advert(node="a", vrid=51, seconds=2, since=begin)
    lab.stays(VIP, a, 0.5)
    # Nothing of a arrives at b; what b says comes by the other way, and a contradicts it.
    lab.cut(a, "eth0")
    lab.wait_holder(VIP, a, b, seconds=2)
    first.wait_log(f"VI_51.* {OWN['b']} is MASTER too")
    first.wait_log(f"VI_52.* {OWN6['b']} is MASTER too")
    lab.heal(a, "eth0")
    lab.wait_holder(VIP, a, seconds=2)
    lab.wait_holder(VIP6, a, seconds=2)

    a.run("ip", "addr", "del", f"{OWN['a']}/32", "dev", "lo")
    first.wait_log(f"Entering FAULT STATE.*source address {OWN['a']} is not on this host")
    lab.wait_holder(VIP, b, seconds=2)
    a.run("ip", "addr", "add", f"{OWN['a']}/32", "dev", "lo")
    lab.wait_holder(VIP, a, seconds=2)
    assert first.stop() == 0
    lab.wait_holder(VIP, b, seconds=2)
