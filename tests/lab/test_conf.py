"""Every shipped configuration is parsed without a complaint, and does what its comments promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT

pytestmark = pytest.mark.lab

CONF = PROJECT / "conf"
SHIPPED = sorted(CONF.glob("*.conf"))
FIRST, SECOND = "192.0.2.100", "192.0.2.200"
STAYS = 3.7
"""Seconds: longer than a standby waits for a master."""
NGINX = "pid /run/nginx.pid; error_log /run/error.log; events {} http { access_log off; server { listen 80; } }\n"


def shipped(name: str) -> str:
    """The text; a node of the lab has a folder of its own for keepalived only."""
    return (CONF / name).read_text().replace("/etc/kad/", "/etc/keepalived/")


@pytest.fixture
def nodes(lab: Lab) -> tuple[Node, Node]:
    """node1 and node2, with everything that the shipped configurations speak of."""
    made = []
    for number in (1, 2):
        node = lab.node(f"node{number}", {"eth0": f"192.0.2.{number}/24"})
        script = (CONF / "notify.sh").read_text().replace("logger -t kad-notify", "echo >>/run/notified")
        node.write("notify.sh", script, 0o755)
        made.append(node)
    return made[0], made[1]


def start(lab: Lab, nodes: tuple[Node, Node], pair: str) -> tuple[Kad, Kad]:
    first, second = (
        lab.start_kad(node, shipped(f"{pair}-node{number}.conf")) for number, node in enumerate(nodes, start=1)
    )
    return first, second


def test_there_is_a_pair_of_each_kind() -> None:
    pairs = ("dual-master", "ha-nginx", "nopreempt", "single-master")
    assert [path.name for path in SHIPPED] == [f"{pair}-node{number}.conf" for pair in pairs for number in (1, 2)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_no_complaint(nodes: tuple[Node, Node], path: Path) -> None:
    nodes[0].write("kad.conf", shipped(path.name))
    done = nodes[0].kad("-t", "-f", "/etc/keepalived/kad.conf")
    assert done.returncode == 0, done.stderr
    assert ": warning: " not in done.stderr
    assert ": error: " not in done.stderr


def test_single_master(lab: Lab, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    start(lab, nodes, "single-master")
    lab.wait_holder(FIRST, one, seconds=8)
    lab.stays(FIRST, one, STAYS)
    lab.cut(one)
    lab.hub.until(lambda: FIRST in two.watch.held(), 6, "node2 takes over")
    lab.heal(one)
    lab.wait_holder(FIRST, one, seconds=6)
    lab.stays(FIRST, one, STAYS)


def test_dual_master(lab: Lab, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    _, second = start(lab, nodes, "dual-master")
    lab.wait_holder(FIRST, one, seconds=8)
    lab.wait_holder(SECOND, two, seconds=8)
    lab.stays(SECOND, two, STAYS)
    second.kill()
    lab.cut(two)
    lab.hub.until(lambda: {FIRST, SECOND} <= one.watch.held(), 6, "node1 survives for both")


def test_nopreempt(lab: Lab, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    first = lab.start_kad(one, shipped("nopreempt-node1.conf"))
    lab.wait_holder(FIRST, one, seconds=8)
    lab.start_kad(two, shipped("nopreempt-node2.conf")).wait_log("Entering BACKUP STATE")
    assert first.stop() == 0
    lab.wait_holder(FIRST, two, seconds=6)
    lab.start_kad(one, shipped("nopreempt-node1.conf"))
    lab.stays(FIRST, two, 2 * STAYS)


def test_ha_nginx(lab: Lab, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    for node in nodes:
        node.write("nginx.conf", NGINX)
        node.run("nginx", "-c", "/etc/keepalived/nginx.conf")
    start(lab, nodes, "ha-nginx")
    lab.wait_holder(FIRST, one, seconds=8)
    one.run("nginx", "-c", "/etc/keepalived/nginx.conf", "-s", "stop")
    lab.wait_holder(FIRST, two, seconds=8)
    one.run("nginx", "-c", "/etc/keepalived/nginx.conf")
    lab.wait_holder(FIRST, one, seconds=8)
    (one.files / "etc" / "down").touch()
    lab.wait_holder(FIRST, two, seconds=8)
    lab.hub.until(lambda: "is now backup" in one.read_run("notified").splitlines()[-1], 3, "the notification")
    lines = one.read_run("notified").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"node1 is now {state}" for state in ("backup", "master", "backup", "master", "backup")
    ]
    assert lines[-1].endswith("advert from 192.0.2.2 priority 90 > 80")
