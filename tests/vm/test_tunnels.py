"""Routes of a VRF, and by MPLS and ILA, are in a kernel that has them what they are under the real keepalived."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.vm]

ROUTES = """
    198.51.1.0/24 encap mpls 100/200 via 10.77.0.2 dev eth0
    198.51.2.0/24 encap mpls 16 via inet 10.77.0.2 dev eth0 ttl-propagate enabled
    198.51.3.0/24 vrf red dev eth1
    198.51.4.0/24 vrf red via 10.78.0.9 dev eth1
    198.51.5.0/24 dev red
    blackhole 198.51.6.0/24 vrf red
    2001:db8:51:1::/64 encap mpls 100 via fe80::7 dev eth0
    2001:db8:51:2::/64 vrf red dev eth1
    2001:db8:51:3:2000::7 encap ila a:b:c:d via fe80::7 dev eth0
"""
RULES = """
    l3mdev preference 900
    inet6 all l3mdev preference 901
"""
EXPECTED = """
unicast 198.51.3.0/24 dev eth1 table 70 proto keepalived scope global
unicast 198.51.4.0/24 via 10.78.0.9 dev eth1 table 70 proto keepalived scope global
blackhole 198.51.6.0/24 table 70 proto keepalived scope global
unicast 198.51.1.0/24 encap mpls 100/200 via 10.77.0.2 dev eth0 table main proto keepalived scope global
unicast 198.51.2.0/24 encap mpls 16 via 10.77.0.2 dev eth0 table main proto keepalived scope global
unicast 198.51.5.0/24 dev red table main proto keepalived scope global
900: from all lookup [l3mdev-table] proto keepalived
unicast 2001:db8:51:2::/64 dev eth1 table 70 proto keepalived scope global metric 1024 pref medium
unicast 2001:db8:51:1::/64 encap mpls 100 via fe80::7 dev eth0 table main proto keepalived scope global metric 1024 \
pref medium
unicast 2001:db8:51:3:2000::7 encap ila a:b:c:d csum-mode no-action ident-type use-format hook-type output \
via fe80::7 dev eth0 table main proto keepalived scope global metric 1024 pref medium
901: from all lookup [l3mdev-table] proto keepalived
"""
BEYOND = """
    198.51.7.0/24 nexthop via 10.77.0.2 dev eth0 encap mpls 16/17/18 nexthop via 10.77.0.3 dev eth0 weight 3
"""
"""keepalived 2.2.7 takes two labels at most, and leaves the tunnels of nexthops away."""
MORE = """unicast 198.51.7.0/24 table main proto keepalived scope global \
nexthop encap mpls 16/17/18 via 10.77.0.2 dev eth0 weight 1 nexthop via 10.77.0.3 dev eth0 weight 3"""


def held(node: Node) -> list[str]:
    """Routes and rules of keepalived's protocol, in the order of the kernel."""
    words = [(family, *more) for family in ("-4", "-6") for more in (("route", "show", "table", "all"), ("rule",))]
    told = "\n".join(node.run("ip", "-details", *each).stdout.replace("\n\t", " ") for each in words)
    return [" ".join(line.split()) for line in told.splitlines() if "proto keepalived" in line]


def test_they_are_what_they_are_under_keepalived() -> None:
    subprocess.run(["modprobe", "-a", "vrf", "mpls_iptunnel", "ila"], check=True)
    with Lab(observed=False) as lab:
        node = lab.node("one", {"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24"})
        node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
        for words in ("link add red type vrf table 70", "link set red up", "link set eth1 master red"):
            node.run("ip", *words.split())

        def text(more: str = "") -> str:
            routing = f"virtual_routes {{\n{ROUTES}{more}}}\nvirtual_rules {{\n{RULES}}}"
            return global_defs() + instance(priority=255, state="MASTER", advert_int=0.5, more=routing)

        def under(daemon: Daemon) -> list[str]:
            last = "901: from all lookup [l3mdev-table] proto keepalived"
            lab.hub.until(lambda: last in held(node), 20, lambda: daemon.log)
            found = held(node)
            daemon.stop(30)
            assert held(node) == []
            return found

        expected = EXPECTED.strip().splitlines()
        assert under(lab.start_keepalived(node, text())) == expected
        found = under(lab.start_kad(node, text(BEYOND)))
        assert [each for each in found if each != MORE] == expected
        assert MORE in found
