"""The course's ipvs-dr.conf as it stands: two directors with kad, two real servers with nginx, and a client."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import Namespaces
from tests.lab.test_course import COURSE
from tests.vm.customer import Customer

pytestmark = [pytest.mark.lab, pytest.mark.vm(guest="directors")]

INTERFACE = "eno16777736"
ADDRESS = "172.16.3.100"
SERVICE = f"{ADDRESS}:80"
TEXT = (COURSE / "ipvs-dr.conf").read_text()
WHOLE = [
    f"-A -t {SERVICE} -s rr",
    f"-a -t {SERVICE} -r 172.16.3.20:80 -g -w 1",
    f"-a -t {SERVICE} -r 172.16.3.30:80 -g -w 2",
]
OUT = 3 + 3 * 3 + 3
"""Seconds: delay_loop, three retries with delay_before_retry each, and what the emulation takes."""
NGINX = """
worker_processes 1;
pid /run/nginx.pid;
error_log /run/nginx-error.log;
events {}
http { access_log off; server { listen 80; return 200 "NAME\\n"; } }
"""


@dataclass
class Site:
    lab: Lab
    directors: tuple[Kad, Kad]
    """The first is MASTER."""
    client: Node
    real: Node
    """That of weight 1."""

    def start_nginx(self) -> None:
        self.real.run("nginx", "-c", "/etc/keepalived/nginx.conf")

    def wait_table(self, director: Namespaces, wanted: list[str], seconds: float) -> None:
        self.lab.hub.until(lambda: saved(director) == wanted, seconds, lambda: f"{wanted}, not {saved(director)}")

    def wait_master(self, director: Namespaces) -> None:
        """It alone of the directors holds the address."""

        def alone() -> bool:
            return self.lab.holders(ADDRESS) & {each.node.name for each in self.directors} == {director.name}

        self.lab.hub.until(alone, 10, lambda: f"{director.name} is MASTER, not {self.lab.holders(ADDRESS)}")

    def wait_connections(self, director: Namespaces) -> int:
        """How many are counted; the kernel adds them up every 2 s."""
        return self.lab.hub.until(lambda: connections(director), 5, "connections are counted")

    def wait_sync_daemon(self, director: Namespaces, wanted: str) -> None:
        def seen() -> bool:
            return wanted in director.run("ipvsadm", "-L", "--daemon").stdout

        self.lab.hub.until(seen, 10, lambda: f"{wanted} on {director.name}")


def saved(node: Namespaces) -> list[str]:
    return [line.strip() for line in node.run("ipvsadm", "-S", "-n").stdout.splitlines()]


def connections(node: Namespaces) -> int:
    """That the service has had since it is in the table."""
    lines = node.run("ipvsadm", "-L", "-n", "--stats", "--exact").stdout.splitlines()
    [line] = [line for line in lines if SERVICE in line]
    return int(line.split()[2])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab(observed=False) as lab:
        one, two = (lab.node(f"director{n}", {INTERFACE: f"172.16.3.{n}/16"}) for n in (1, 2))
        first = lab.start_kad(one, TEXT)
        reals = [lab.node(f"real{n}", {INTERFACE: f"172.16.3.{n}/16"}) for n in (20, 30)]
        client = lab.node("client", {INTERFACE: "172.16.3.50/16"})
        for real in reals:
            # Whoever asks for the address is to be answered by the director alone.
            real.set_sysctl("net.ipv4.conf.all.arp_ignore", "1")
            real.set_sysctl("net.ipv4.conf.all.arp_announce", "2")
            real.run("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
            real.write("nginx.conf", NGINX.replace("NAME", real.name))
            real.run("nginx", "-c", "/etc/keepalived/nginx.conf")
        first.wait_log("Entering BACKUP STATE", 30)
        second = lab.start_kad(two, TEXT)
        site = Site(lab, (first, second), client, reals[0])
        site.wait_master(one)
        second.wait_log("Startup complete", 30)
        for director in (one, two):
            site.wait_table(director, WHOLE, 10)
        yield site


def test_both_real_servers_answer(site: Site) -> None:
    with Customer(site.client, ADDRESS) as customer:
        time.sleep(1)
    assert {answer.text for answer in customer.answers} == {"real20", "real30"}
    answers = [answer.text for answer in customer.answers]
    # rr asks them in turn, whatever their weights.
    assert all(before != after for before, after in itertools.pairwise(answers))


def test_a_real_server_that_dies_is_out_after_its_retries_and_comes_back(site: Site) -> None:
    with Customer(site.client, ADDRESS) as customer:
        site.real.run("nginx", "-c", "/etc/keepalived/nginx.conf", "-s", "stop")
        died = time.time()
        without = [WHOLE[0], WHOLE[2]]
        for director in site.directors:
            site.wait_table(director.node, without, OUT)
        out = time.time()
        assert out - died <= OUT
        time.sleep(0.5)
        served = time.time()
        site.start_nginx()
        for director in site.directors:
            site.wait_table(director.node, WHOLE, 5)
    assert customer.unanswered() != []
    assert customer.unanswered(since=out) == []
    assert {answer.text for answer in customer.answers if out <= answer.when < served} == {"real30"}


def test_what_somebody_clears_is_healed_and_said_and_what_is_not_ours_stays(site: Site) -> None:
    master = site.directors[0]
    master.node.run("ipvsadm", "-C")
    master.node.run("ipvsadm", "-A", "-t", "203.0.113.9:99", "-s", "lc")
    site.wait_table(master.node, [*WHOLE, "-A -t 203.0.113.9:99 -s lc"], 10)
    master.wait_log("somebody else changed it: had to add the service", 5)
    master.node.run("ipvsadm", "-D", "-t", "203.0.113.9:99")


def test_a_real_server_is_drained_and_serves_again(site: Site) -> None:
    master = site.directors[0]
    done = master.ask("--drain", f"{ADDRESS} 80", "172.16.3.20 80", "--timeout", "3")
    assert done.returncode == 0, done.stderr
    assert saved(master.node) == [WHOLE[0], WHOLE[1].replace("-w 1", "-w 0"), WHOLE[2]]
    site.wait_table(master.node, [WHOLE[0], WHOLE[2]], 6)
    assert master.ask("--undrain", f"{ADDRESS} 80", "172.16.3.20 80").returncode == 0
    site.wait_table(master.node, WHOLE, 2)


def test_the_ipvs_child_is_killed_and_no_entry_is_lost(site: Site) -> None:
    master = site.directors[0]
    with Customer(site.client, ADDRESS) as customer:
        before, killed = site.wait_connections(master.node), time.time()
        os.kill(master.child("ipvs"), signal.SIGKILL)
        master.wait_log("virtual servers: 1, of them new", 20, since=killed)
        # An entry that was made anew would count from 0.
        assert connections(master.node) >= before
    assert saved(master.node) == WHOLE
    assert customer.unanswered() == []


def test_sync_daemons_follow_the_instance(site: Site) -> None:
    text = f"global_defs {{\n    lvs_sync_daemon {INTERFACE} VI_1\n}}\n{TEXT}"
    for director in site.directors:
        director.reload(text)
    for director, state in zip(site.directors, ("master", "backup"), strict=True):
        # The id is that of the instance.
        site.wait_sync_daemon(director.node, f"{state} sync daemon (mcast={INTERFACE}, syncid=66,")


def test_all_of_kad_is_killed_and_no_entry_is_lost(site: Site) -> None:
    """The other director becomes MASTER meanwhile, and stays it."""
    master, backup = site.directors
    with Customer(site.client, ADDRESS) as customer:
        before = site.wait_connections(master.node)
        master.kill()
        assert saved(master.node) == WHOLE
        again = site.lab.start_kad(site.lab.nodes[master.node.name], master.configuration.read_text())
        again.wait_log("virtual servers: 1, of them new", 30)
        assert connections(master.node) >= before
        site.wait_master(backup.node)
    assert saved(master.node) == WHOLE
    assert customer.longest_wait() < 3
    site.directors = backup, again
    site.wait_sync_daemon(backup.node, "master sync daemon")
    site.wait_sync_daemon(again.node, "backup sync daemon")


def test_the_master_dies_and_the_service_goes_on(site: Site) -> None:
    master, backup = site.directors
    with Customer(site.client, ADDRESS) as customer:
        site.lab.cut(site.lab.nodes[master.node.name])
        backup.wait_log("Entering MASTER STATE", 10)
        customer.wait_answered()
    # master_down_interval is 3 * 1 + (256 - 95) / 256.
    assert 2 < customer.longest_wait() < 3.7 + 3
    assert customer.answers[-1].text
    assert saved(backup.node) == WHOLE
    site.wait_sync_daemon(backup.node, "master sync daemon")
