"""nftables_ipvs: the table of IPVS and the rules of nftables are those of keepalived, and outlive crashes of kad."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.daemons import Kad, Keepalived
from tests.lab.lab import Lab, Node
from tests.vm import tables
from tests.vm.farm import Farm, allow_ipv6

pytestmark = [pytest.mark.lab, pytest.mark.vm(guest="directors")]

PORT = Farm.PORT
FOREIGN = "203.0.113.9:99"
GROUPS = f"""
virtual_server_group one {{
    192.0.2.1 {PORT}
    192.0.2.10-12 {PORT}
    198.51.100.1 443
}}
virtual_server_group leaving {{
    192.0.2.2 53
}}
virtual_server_group six {{
    2001:db8::1 {PORT}
    2001:db8::10-12 {PORT}
}}
virtual_server_group mixed {{
    192.0.2.30 {PORT}
    fwmark 55
}}
"""
CHANGED = GROUPS.replace("192.0.2.1 ", "192.0.2.7 ").replace("192.0.2.10-12", "192.0.2.11-13")
EVERY_PORT = GROUPS.replace("198.51.100.1 443", "192.0.2.14 0")


def _service(group: str, protocol: str = "TCP", address: str = "10.77.0.11", kind: str = "NAT") -> str:
    words = f"lb_algo rr\nlb_kind {kind}\nprotocol {protocol}"
    return f"virtual_server group {group} {{\n{words}\nreal_server {address} {PORT} {{\n}}\n}}\n"


ONE, UDP, LEAVING = _service("one"), _service("one", "UDP", kind="DR"), _service("leaving", "SCTP")
SIX, MIXED = _service("six", address="fd00:77::11"), _service("mixed")


def text(groups: str, *services: str, words: str = "nftables_ipvs") -> str:
    globals = "\n".join(("script_user root", "enable_script_security", words))
    return f"global_defs {{\n{globals}\n}}\n{groups}{''.join(services)}"


@dataclass
class Site:
    lab: Lab
    theirs: Node
    ours: Node
    client: Node
    keepalived: Keepalived
    kad: Kad

    def wait_same(self) -> None:
        """Both kernels have been told the same."""

        def same() -> bool:
            return tables.read(self.theirs) == tables.read(self.ours) and rules(self.theirs) == rules(self.ours)

        self.lab.hub.until(same, 3, self.difference)

    def wait_changed(self, before: list[Any]) -> None:
        """Neither has the rules of before any more."""
        nodes = (self.theirs, self.ours)
        self.lab.hub.until(lambda: all(rules(node) != before for node in nodes), 4, self.difference)

    def difference(self) -> str:
        both = (self.theirs, self.ours)
        return "\n".join(f"{node.name}: {services(node)} {json.dumps(rules(node))}" for node in both)

    def ask(self, address: str) -> None:
        """A client gets its connection; raises OSError."""
        with self.client.socket(socket.AF_INET, socket.SOCK_STREAM) as asking:
            asking.settimeout(5)
            # The farm answers through the director.
            asking.bind(("198.51.100.9", 0))
            asking.connect((address, PORT))


def services(node: Node) -> list[str]:
    return [line.strip() for line in node.run("ipvsadm", "-S", "-n").stdout.splitlines()]


def rules(node: Node) -> list[Any]:
    """Everything that nftables have, without numbers that the kernel gave, elements in order."""
    found = []
    for each in json.loads(node.run("nft", "-j", "list", "ruleset").stdout)["nftables"]:
        ((kind, what),) = each.items()
        if kind == "metainfo":
            continue
        del what["handle"]
        if kind == "map":
            what["elem"] = sorted(map(json.dumps, what["elem"]))
        found.append({kind: what})
    return sorted(found, key=json.dumps)


def handles(node: Node) -> list[str]:
    listed = node.run("nft", "-a", "list", "ruleset").stdout.splitlines()
    return [line.strip() for line in listed if "# handle" in line]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr"], check=True)
    with Lab(observed=False) as lab:
        farm = Farm(lab)
        theirs, ours = (lab.node(name, {"eth0": f"10.77.0.{at}/24"}) for at, name in ((2, "theirs"), (3, "ours")))
        for at, node in ((2, theirs), (3, ours)):
            allow_ipv6(node, f"fd00:77::{at}/64")
        client = lab.node("client", {"eth0": "10.77.0.50/24"})
        client.run("ip", "addr", "add", "198.51.100.9/32", "dev", "lo")
        ways = ((client, "192.0.2.0/24", 3), (ours, "198.51.100.9", 50), (farm.node, "198.51.100.9", 3))
        for node, towards, by in ways:
            node.run("ip", "route", "add", towards, "via", f"10.77.0.{by}")
        ours.set_sysctl("net.ipv4.ip_forward", "1")
        for last in (11, 14):
            ours.run("ip", "addr", "add", f"192.0.2.{last}/32", "dev", "lo")
        written = text(GROUPS, ONE, UDP, LEAVING, SIX, MIXED)
        site = Site(lab, theirs, ours, client, lab.start_keepalived(theirs, written), lab.start_kad(ours, written))
        site.kad.wait_log("Startup complete", 20)
        yield site
        farm.close()


def test_services_and_rules_are_those_of_keepalived(site: Site) -> None:
    site.wait_same()
    assert [line for line in services(site.ours) if line.startswith("-A")] == [
        f"-A -t 192.0.2.30:{PORT} -s rr",
        *(f"-A -f {mark} -s rr" for mark in (55, 1000, 1001, 1002)),
        "-A -f 1003 -6 -s rr",
    ]
    assert "-a -f 1001 -r 10.77.0.11:0 -g -w 1" in services(site.ours)
    # TCP, UDP and SCTP at IPv4, TCP at IPv6.
    assert len([each for each in rules(site.ours) if "map" in each]) == 4
    site.ask("192.0.2.11")


def test_a_reload_changes_elements_and_no_mark(site: Site) -> None:
    before, there = handles(site.ours), rules(site.ours)
    for daemon in (site.kad, site.keepalived):
        daemon.reload(text(CHANGED, ONE, UDP, LEAVING, SIX, MIXED))
    site.wait_changed(there)
    site.wait_same()
    assert handles(site.ours) == before
    site.ask("192.0.2.11")


def test_what_somebody_else_deletes_comes_back(site: Site) -> None:
    there = rules(site.ours)
    site.ours.run("nft", "delete", "table", "ip", "keepalived_ipvs")
    site.lab.hub.until(lambda: rules(site.ours) == there, 4, site.difference)
    assert site.kad.logged("somebody emptied or deleted what nftables have in table ip keepalived_ipvs")


def test_a_crash_of_the_process_changes_nothing(site: Site) -> None:
    before = services(site.ours), rules(site.ours)
    begun = len(site.kad.lines)
    os.kill(site.kad.child("ipvs"), signal.SIGKILL)

    def serves() -> bool:
        return any("virtual servers: 5" in line.text for line in site.kad.lines[begun:])

    site.lab.hub.until(serves, 5, lambda: f"another ipvs process\n{site.kad.log}")
    assert (services(site.ours), rules(site.ours)) == before


def test_a_life_after_the_death_of_all_keeps_the_marks(site: Site) -> None:
    site.kad.kill()
    words = "nftables_ipvs\nnftables_ipvs_priority -7\nlvs_flush_on_stop"
    site.kad = site.lab.start_kad(site.ours, text(EVERY_PORT, UDP, SIX, MIXED, ONE, words=words))
    site.kad.wait_log("Startup complete", 20)
    # Whoever had a mark has it: also the one that stands last now.
    assert [line for line in services(site.ours) if line.startswith("-A -f 1")] == [
        "-A -f 1000 -s rr -p 360",
        "-A -f 1001 -s rr -p 360",
        "-A -f 1003 -6 -s rr",
    ]
    assert "priority filter - 7" in site.ours.run("nft", "list", "ruleset").stdout
    # Where the group names no port, every one is served.
    site.ask("192.0.2.14")


def test_a_reload_without_the_word_serves_by_address(site: Site) -> None:
    site.kad.reload(text(GROUPS, ONE, SIX, MIXED, words="lvs_flush_on_stop"))

    def by_address() -> bool:
        found = tables.read(site.ours)
        return f"TCP 192.0.2.11:{PORT}" in found and "FWM 1000" not in found

    site.lab.hub.until(by_address, 5, site.difference)
    assert rules(site.ours) == []
    site.ask("192.0.2.11")
    site.kad.reload(text(GROUPS, ONE, SIX, MIXED, words="lvs_flush_on_stop\nnftables_ipvs other"))
    site.lab.hub.until(lambda: not by_address(), 5, site.difference)
    assert {each["table"]["name"] for each in rules(site.ours) if "table" in each} == {"other"}
    site.ask("192.0.2.11")


def test_a_stop_leaves_nothing(site: Site) -> None:
    site.ours.run("ipvsadm", "-A", "-t", FOREIGN, "-s", "rr")
    for daemon in (site.kad, site.keepalived):
        assert daemon.stop(20) == 0
    # lvs_flush_on_stop takes what is foreign too.
    assert services(site.ours) == services(site.theirs) == []
    assert rules(site.ours) == rules(site.theirs) == []
