"""The course's HA nginx: script strings as the notes write them move the address; each change is notified once."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node

pytestmark = pytest.mark.lab

COURSE = Path(__file__).parent / "configurations" / "course" / "ha-nginx.conf"
ADDRESS = "10.1.0.93"
DOWN = 3.7
NGINX = """
worker_processes 1;
pid /run/nginx.pid;
error_log /run/nginx-error.log;
events {}
http { access_log off; server { listen 80; return 200 "here\\n"; } }
"""
RECORD = '#!/bin/bash\necho "$@" >> /run/notified\n'


@pytest.fixture
def nodes(lab: Lab) -> tuple[Node, Node]:
    """Two nodes with the course's interfaces, each with an nginx and a notify script that writes down its words."""
    made = []
    for number in (1, 2):
        node = lab.node(f"node{number}", {"eno16777736": f"10.1.0.{number}/16", "eno33554960": f"10.2.0.{number}/16"})
        node.write("notify.sh", RECORD, 0o755)
        node.write("nginx.conf", NGINX)
        start_nginx(node)
        made.append(node)
    return made[0], made[1]


def start_nginx(node: Node) -> None:
    node.run("nginx", "-c", "/etc/keepalived/nginx.conf")


def notified(node: Node) -> list[str]:
    try:
        return node.read_run("notified").splitlines()
    except FileNotFoundError:
        return []


def backup_of(text: str) -> str:
    return text.replace("state MASTER", "state BACKUP").replace("priority 100", "priority 98")


def without_scripts(text: str) -> str:
    """keepalived gives script strings no shell, so it is given none."""
    kept, depth = [], 0
    for line in text.splitlines():
        if line.startswith("vrrp_script") or line.strip() == "track_script {":
            depth = 1
        elif depth and "}" in line:
            depth = 0
        elif not depth:
            kept.append(line)
    return "\n".join(kept) + "\n"


def test_the_address_follows_nginx_and_the_down_file(lab: Lab, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    text = COURSE.read_text()
    lab.start_kad(one, text)
    lab.wait_holder(ADDRESS, one, seconds=8)
    lab.start_kad(two, backup_of(text))
    lab.stays(ADDRESS, one, DOWN)
    assert notified(one) == ["backup", "master"]
    assert notified(two) == ["backup"]
    assert two.inside(lambda: urllib.request.urlopen(f"http://{ADDRESS}/", timeout=2).read()) == b"here\n"

    one.run("nginx", "-c", "/etc/keepalived/nginx.conf", "-s", "quit")
    # Two runs must fail, a second apart; the loser's priority is then 95 < 98.
    lab.wait_holder(ADDRESS, two, seconds=8)
    assert lab.wire.wait_advert(node="node2", seconds=2).priority == 98
    start_nginx(one)
    lab.wait_holder(ADDRESS, one, seconds=8)

    (one.files / "etc" / "down").touch()
    lab.wait_holder(ADDRESS, two, seconds=8)
    (one.files / "etc" / "down").unlink()
    lab.wait_holder(ADDRESS, one, seconds=8)
    lab.hub.until(lambda: len(notified(one)) >= 6, 2, lambda: f"six notifications: {notified(one)}")
    assert notified(one) == ["backup", "master", "backup", "master", "backup", "master"]

    lab.link_down(one, "eno33554960")
    lab.wait_holder(ADDRESS, two, seconds=8)
    lab.hub.until(lambda: "fault" in notified(one), 2, "the fault is notified")
    lab.heal(one, "eno33554960")
    lab.wait_holder(ADDRESS, one, seconds=8)
    lab.hub.until(lambda: len(notified(one)) >= 9, 2, lambda: f"nine notifications: {notified(one)}")
    assert notified(one)[6:] == ["fault", "backup", "master"]


def test_beside_a_keepalived_that_tracks_no_script(lab: Lab, nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    text = COURSE.read_text()
    lab.start_kad(one, text)
    lab.start_keepalived(two, without_scripts(backup_of(text)))
    lab.wait_holder(ADDRESS, one, seconds=8)
    (one.files / "etc" / "down").touch()
    lab.wait_holder(ADDRESS, two, seconds=8)
    (one.files / "etc" / "down").unlink()
    lab.wait_holder(ADDRESS, one, seconds=8)
    lab.stays(ADDRESS, one, DOWN)


def test_what_kad_checks_itself_is_a_note(nodes: tuple[Node, Node]) -> None:
    one, _ = nodes
    one.write("kad.conf", COURSE.read_text())
    done: subprocess.CompletedProcess[str] = one.kad("-t", "-f", "/etc/keepalived/kad.conf")
    said = [line for line in (done.stdout + done.stderr).splitlines() if "checked natively" in line]
    assert [line.partition("kad.conf:")[2].partition(":")[0] for line in said] == ["15", "21"]
