"""Bonds, ipvlans and VRFs, in a kernel that has them: kad and keepalived hear one another there and take over."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.vm]

IN_VRF, VMAC_IN_VRF, ON_IPVLAN, ON_ETH0 = "10.78.0.100", "10.78.0.102", "10.79.0.100", "10.77.0.100"
ADDRESSES = (IN_VRF, VMAC_IN_VRF, ON_IPVLAN, ON_ETH0)


def text(priority: int, own: str) -> str:
    """One instance in a VRF, one with a virtual MAC there, one on an ipvlan with `own`, one that tracks a bond."""
    beats = "linkbeat_interfaces {\n bond9\n}\n"
    said: dict[str, dict[str, str]] = {
        IN_VRF: {"interface": "eth1"},
        VMAC_IN_VRF: {"interface": "eth1", "more": "use_vmac"},
        ON_IPVLAN: {"interface": "eth2", "more": f"use_ipvlan vrrp.53 {own}/24"},
        ON_ETH0: {"more": "track_interface {\n bond9 weight -10\n}"},
    }
    return (
        global_defs()
        + beats
        + "".join(
            instance(f"VI_{vrid}", vrid=vrid, priority=priority, advert_int=0.3, addresses=(f"{address}/24",), **words)
            for vrid, (address, words) in enumerate(said.items(), start=51)
        )
    )


def equip(lab: Lab, node: Node, number: int) -> None:
    """eth0; eth1 in the VRF red; eth2; and bond9, whose only port is eth3."""
    for name, network in (("eth0", "10.77"), ("eth1", "10.78"), ("eth2", "10.79")):
        lab.add_interface(node, name, f"{network}.0.{number}/24", lan=name)
    lab.add_interface(node, "eth3", "", lan=f"bond-{node.name}")
    for words in (
        "link add red type vrf table 70",
        "link set red up",
        "link set eth1 master red",
        "link set eth3 down",
        "link add bond9 type bond mode active-backup miimon 50",
        "link set eth3 master bond9",
        "link set bond9 up",
    ):
        node.run("ip", *words.split())


def on(node: Node, address: str) -> list[str]:
    """Interfaces of the node that have the address."""
    held = node.ip("addr", "show", "to", f"{address}/32")
    return [link["ifname"] for link in held if link.get("addr_info")]


def test_where_the_kernel_has_them_they_are_what_they_are_under_keepalived() -> None:
    subprocess.run(["modprobe", "-a", "bonding", "ipvlan", "vrf"], check=True)
    with Lab() as lab:
        a, b, client = lab.node("a", {}), lab.node("b", {}), lab.node("c", {})
        for number, node in enumerate((a, b), start=1):
            equip(lab, node, number)
        for name, network in (("eth0", "10.77"), ("eth1", "10.78"), ("eth2", "10.79")):
            lab.add_interface(client, name, f"{network}.0.9/24", lan=name)
        kad = lab.start_kad(a, text(200, "10.79.0.4"))
        for address in ADDRESSES:
            lab.wait_holder(address, a, seconds=15)
        keepalived = lab.start_keepalived(b, text(195, "10.79.0.5"))
        for vrid in range(51, 55):
            keepalived.wait_log(rf"\(VI_{vrid}\) Entering BACKUP STATE", 10)
        assert [on(a, address) for address in ADDRESSES] == [["eth1"], ["vrrp.52"], ["vrrp.53"], ["eth0"]]
        (route,) = a.ip("route", "show", "table", "70", "type", "local", VMAC_IN_VRF)
        assert route["dev"] == "vrrp.52"
        assert lab.wire.wait_advert(node="a", vrid=53, seconds=2).source == "10.79.0.4"
        for address in ADDRESSES:
            lab.hub.until(lambda address=address: client.ask("ping", "-c1", "-W1", address).returncode == 0, 5, address)

        assert "bond9 is asked each second by MII" in kad.log
        cut = time.time()
        lab.link_down(a, "eth3")
        lab.wire.wait_advert(node="a", vrid=54, priority=190, since=cut, seconds=5)
        lab.wait_holder(ON_ETH0, b, seconds=5)
        lab.heal(a, "eth3")
        lab.wait_holder(ON_ETH0, a, seconds=5)
        # Nobody was MASTER in vain: each hears the other.
        assert lab.moves(IN_VRF, cut) == []
        kad.kill()
        lab.hub.until(lambda: all("b" in lab.holders(address) for address in ADDRESSES), 10, "the other one takes over")
        # keepalived leaves the addresses below the ipvlan.
        assert [on(b, address) for address in ADDRESSES] == [["eth1"], ["vrrp.52"], ["eth2"], ["eth0"]]
