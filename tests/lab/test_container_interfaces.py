"""Interfaces of a container, whose lower device is in another namespace: kad and keepalived elect and take over."""

from __future__ import annotations

import time

import pytest

from tests.lab.container import Container, container, give
from tests.lab.lab import Lab
from tests.lab.test_vmac import neighbour, on
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

ROWS = {
    # The index that the card has on the host, without and with a virtual MAC, and another index.
    "10.77.0.101": {"interface": "wan0"},
    "10.77.0.102": {"interface": "wan0", "more": "use_vmac"},
    "10.78.0.103": {"interface": "wan1"},
    "10.78.0.104": {"interface": "wan1", "more": "use_vmac"},
}


def text(priority: int) -> str:
    return global_defs() + "".join(
        instance(f"VI_{vrid}", vrid=vrid, priority=priority, addresses=(f"{address}/24",), advert_int=0.3, **words)
        for vrid, (address, words) in enumerate(ROWS.items(), start=51)
    )


def made(lab: Lab, name: str, number: int) -> Container:
    found = container(lab, name)
    found.node.run("ip", "link", "set", "lo", "up")
    give(found, "wan0", f"10.77.0.{number}/24", same=True)
    give(found, "wan1", f"10.78.0.{number}/24", same=False)
    return found


@pytest.mark.parametrize("program", BOTH)
def test_a_container_is_master_and_yields_and_returns(lab: Lab, program: str) -> None:
    a, b = made(lab, "a", 1), made(lab, "b", 2)
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    client.run("ip", "addr", "add", "10.78.0.9/24", "dev", "eth0")
    daemon = lab.start(program, a.node, text(150))
    for address in ROWS:
        lab.wait_holder(address, a.node, seconds=8)
    other = lab.start_keepalived(b.node, text(100))
    for vrid in range(51, 55):
        other.wait_log(rf"\(VI_{vrid}\) Entering BACKUP STATE", 8)
    assert [on(a.node, address) for address in ROWS] == [{"wan0"}, {"vrrp.52"}, {"wan1"}, {"vrrp.54"}]
    for vrid, address in enumerate(ROWS, start=51):
        lab.wire.wait_advert(node="ah", vrid=vrid, seconds=3)
        lab.wire.wait_announcements(1, node="ah", address=address, seconds=3)
        assert client.ask("ping", "-c1", "-W2", address).returncode == 0
    if program == "kad":
        assert neighbour(client, "10.77.0.102") == "00:00:5e:00:01:34"
        assert not daemon.logged("making it anew|somebody|ended by signal")
        assert daemon.ask("--status").returncode == 0

    lab.link_down(a.host)
    for address in ROWS:
        lab.wait_holder(address, b.node, seconds=5)
    healed = time.time()
    lab.heal(a.host)
    for address in ROWS:
        lab.wait_holder(address, a.node, seconds=5)
        lab.wire.wait_announcements(1, node="ah", address=address, seconds=3, since=healed)
    assert [on(a.node, address) for address in ROWS] == [{"wan0"}, {"vrrp.52"}, {"wan1"}, {"vrrp.54"}]
