"""Bonds, ipvlans and VRFs, which need a kernel that has them: kad with them is what keepalived is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance, router

pytestmark = [pytest.mark.lab, pytest.mark.vm]

VIP = "10.77.0.100"


@pytest.fixture(scope="module", autouse=True)
def modules() -> None:
    subprocess.run(["modprobe", "-a", "bonding", "ipvlan", "vrf"], check=True)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


def on(node: Node, address: str = VIP) -> set[str]:
    """Interfaces of the node that have the address."""
    held = node.ip("addr", "show", "to", f"{address}/32")
    return {link["ifname"] for link in held if link.get("addr_info")}


def test_a_bond_is_asked_by_mii_whether_one_of_its_ports_has_a_link(lab: Lab) -> None:
    nodes = {program: lab.node(program, {}) for program in BOTH}
    for program, node in nodes.items():
        lab.add_interface(node, "eth0", "10.77.0.1/24", lan=program)
        lab.add_interface(node, "eth1", "", lan=program)
        node.run("ip", "link", "set", "eth1", "down")
        node.run("ip", "link", "add", "bond9", "type", "bond", "mode", "active-backup", "miimon", "50")
        node.run("ip", "link", "set", "eth1", "master", "bond9")
        node.run("ip", "link", "set", "bond9", "up")
        tracking = "track_interface {\n bond9 weight -10\n}"
        beats = "linkbeat_interfaces {\n bond9\n}\n"
        lab.start(program, node, global_defs() + beats + instance(advert_int=0.5, more=tracking))
    for node in nodes.values():
        lab.wire.wait_advert(node=node.name, priority=100, seconds=20)
    cut = time.time()
    for node in nodes.values():
        lab.link_down(node, "eth1")
    for node in nodes.values():
        lab.wire.wait_advert(node=node.name, priority=90, since=cut, seconds=5)
    healed = time.time()
    for node in nodes.values():
        lab.heal(node, "eth1")
    for node in nodes.values():
        lab.wire.wait_advert(node=node.name, priority=100, since=healed, seconds=5)
    assert "bond9 is asked each second by MII" in next(each.log for each in lab.daemons if each.node.name == "kad")


@pytest.mark.parametrize(("program", "device"), [("keepalived", "eth0"), ("kad", "vrrp.51")])
def test_an_ipvlan_speaks_from_its_address(lab: Lab, program: str, device: str) -> None:
    """keepalived leaves the virtual addresses on the interface below."""
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    words = "use_ipvlan vrrp.51 10.77.0.4/24"
    daemon = lab.start(program, node, router(priority=200, version=3, advert_int=0.2, more=words))
    lab.wait_holder(VIP, node, seconds=10)
    assert on(node) == {device}
    assert on(node, "10.77.0.4") == {"vrrp.51"}
    assert lab.wire.wait_advert(node="a", seconds=2).source == "10.77.0.4"
    (eth0,) = node.ip("link", "show", "eth0")
    lab.hub.until(lambda: client.ask("ping", "-c1", "-W1", VIP).returncode == 0, 5, "it answers")
    assert client.ip("neigh", "show", VIP)[0]["lladdr"] == eth0["address"]
    daemon.stop(10)
    assert {link["ifname"] for link in node.ip("link")} == {"lo", "eth0"}


@pytest.mark.parametrize(
    ("first", "second", "more", "device"),
    [
        pytest.param("keepalived", "kad", "", "eth0", id="keepalived-kad"),
        pytest.param("kad", "keepalived", "", "eth0", id="kad-keepalived"),
        pytest.param("kad", "kad", "use_vmac", "vrrp.51", id="kad-kad-vmac"),
    ],
)
def test_routers_in_a_vrf_hear_one_another_and_take_over(
    lab: Lab, first: str, second: str, more: str, device: str
) -> None:
    a, b = lab.node("a", {"eth0": "10.77.0.1/24"}), lab.node("b", {"eth0": "10.77.0.2/24"})
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    for node in (a, b):
        for words in ("link add red type vrf table 70", "link set red up", "link set eth0 master red"):
            node.run("ip", *words.split())
    one = lab.start(first, a, router(priority=200, advert_int=0.2, more=more))
    lab.wait_holder(VIP, a, seconds=10)
    two = lab.start(second, b, router(priority=100, advert_int=0.2, more=more))
    two.wait_log("Entering BACKUP STATE", 10)
    lab.stays(VIP, a, 1.5)
    lab.hub.until(lambda: client.ask("ping", "-c1", "-W1", VIP).returncode == 0, 5, "it answers")
    (route,) = a.ip("route", "show", "table", "70", "type", "local", VIP)
    assert route["dev"] == device
    one.kill()
    lab.hub.until(lambda: "b" in lab.holders(VIP), 5, "the other one takes over")
    assert two.stop(10) == 0
    assert "b" not in lab.holders(VIP)
