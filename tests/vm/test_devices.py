"""Bonds, ipvlans, VLANs and VRFs, in a kernel that has them, also of a container, beside keepalived."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.lab.container import Container, container, give
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


CONTAINER = {
    "10.77.0.101": {"interface": "wan0"},
    "10.77.0.102": {"interface": "wan0", "more": "use_ipvlan vrrp.52 10.77.0.{own}/24"},
    "10.78.0.103": {"interface": "wan1"},
    "10.79.0.104": {"interface": "wan2"},
    "10.79.0.105": {"interface": "wan2", "more": "use_vmac"},
    "10.80.0.106": {"interface": "bond9", "more": "use_vmac"},
}
"""wan0 is an ipvlan with the index of the card below it, wan1 one with another index, wan2 a VLAN of that card."""


def in_container(priority: int, own: int) -> str:
    return global_defs() + "".join(
        instance(
            f"VI_{vrid}",
            vrid=vrid,
            priority=priority,
            advert_int=0.5,
            addresses=(f"{address}/24",),
            **{key: value.replace("{own}", str(own)) for key, value in words.items()},
        )
        for vrid, (address, words) in enumerate(CONTAINER.items(), start=51)
    )


def made(lab: Lab, name: str, number: int) -> Container:
    found = container(lab, name)
    give(found, "wan0", f"10.77.0.{number}/24", kind=("ipvlan", "mode", "l2"), same=True)
    give(found, "wan1", f"10.78.0.{number}/24", kind=("ipvlan", "mode", "l2"), same=False)
    give(found, "wan2", f"10.79.0.{number}/24", kind=("vlan", "id", "5"), same=False)
    lab.add_interface(found.node, "eth3", "", lan="bond")
    for words in (
        "link set lo up",
        "link set eth3 down",
        "link add bond9 type bond mode active-backup miimon 50",
        "link set eth3 master bond9",
        "link set bond9 up",
        f"addr add 10.80.0.{number}/24 dev bond9",
    ):
        found.node.run("ip", *words.split())
    return found


def test_interfaces_of_a_container_serve_as_under_keepalived() -> None:
    subprocess.run(["modprobe", "-a", "bonding", "ipvlan", "8021q"], check=True)
    with Lab() as lab:
        a, b = made(lab, "a", 1), made(lab, "b", 2)
        client = lab.node("c", {"eth0": "10.77.0.9/24"})
        lab.add_interface(client, "eth1", "10.80.0.9/24", lan="bond")
        client.run("ip", "addr", "add", "10.78.0.9/24", "dev", "eth0")
        client.run("ip", "link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", "5")
        client.run("ip", "addr", "add", "10.79.0.9/24", "dev", "eth0.5")
        client.run("ip", "link", "set", "eth0.5", "up")
        kad = lab.start_kad(a.node, in_container(200, 21))
        for address in CONTAINER:
            lab.wait_holder(address, a.node, seconds=15)
        keepalived = lab.start_keepalived(b.node, in_container(100, 22))
        for vrid in range(51, 57):
            keepalived.wait_log(rf"\(VI_{vrid}\) Entering BACKUP STATE", 15)
        placed = [["wan0"], ["vrrp.52"], ["wan1"], ["wan2"], ["vrrp.55"], ["vrrp.56"]]
        assert [on(a.node, address) for address in CONTAINER] == placed
        for address in CONTAINER:
            lab.hub.until(lambda address=address: client.ask("ping", "-c1", "-W1", address).returncode == 0, 8, address)
        assert not kad.logged("making it anew|somebody|refuses")
        assert kad.ask("--status").returncode == 0

        # keepalived on its own side puts the address below an ipvlan.
        for node in (a.host, a.node):
            lab.link_down(node)
        for address in CONTAINER:
            lab.wait_holder(address, b.node, seconds=8)
        for node in (a.host, a.node):
            lab.heal(node)
        for address in CONTAINER:
            lab.wait_holder(address, a.node, seconds=8)
        assert [on(a.node, address) for address in CONTAINER] == placed


def test_another_name_of_the_devices_keeps_the_role() -> None:
    """This kernel renames no interface that is on: the old device goes before the new one is switched on."""
    with Lab() as lab:
        a, b = lab.node("a", {"eth0": "10.77.0.1/24"}), lab.node("b", {"eth0": "10.77.0.2/24"})
        text = {
            prefix: global_defs(f"vmac_prefix {prefix}")
            + "".join(
                instance(f"VI_{vrid}", vrid=vrid, priority=150, advert_int=1, addresses=(address,), more="use_vmac")
                for vrid, address in enumerate(("10.77.0.151/24", "10.77.0.152/24", "10.77.0.153/24"), start=51)
            )
            for prefix in ("vrrp", "rt")
        }
        kad = lab.start_kad(a, text["vrrp"])
        for number in (151, 152, 153):
            lab.wait_holder(f"10.77.0.{number}", a, seconds=15)
        other = lab.start_keepalived(b, text["vrrp"].replace("priority 150", "priority 100"))
        other.wait_log(r"\(VI_53\) Entering BACKUP STATE", 15)
        moment = kad.reload(text["rt"])
        for vrid, number in enumerate((151, 152, 153), start=51):
            address = f"10.77.0.{number}"
            lab.hub.until(lambda address=address, vrid=vrid: on(a, address) == [f"rt.{vrid}"], 10, address)
            advert = lab.wire.wait_advert(node="a", vrid=vrid, seconds=5, since=time.time())
            assert advert.mac == f"00:00:5e:00:01:{vrid:02x}"
        assert not kad.logged("Entering|somebody|refuse", since=moment)
        assert not other.logged("Entering MASTER", since=moment)
        assert kad.ask("--status").returncode == 0
