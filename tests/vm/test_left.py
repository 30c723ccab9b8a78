"""What kad left in the kernel when all of it was killed goes with the next life, whatever that one serves itself."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.lab import Lab
from tests.lab.texts import router

pytestmark = [pytest.mark.lab, pytest.mark.vm(guest="directors")]

SERVED = """
global_defs {
    lvs_sync_daemon eth0
}
virtual_server 192.0.2.1 80 {
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.50 81 {
    }
}
"""
FOREIGN = "-A -t 203.0.113.9:99 -s lc"


def test_a_next_life_without_virtual_servers_takes_away_what_the_killed_one_had() -> None:
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr", "ip_vs_lc"], check=True)
    with Lab(observed=False) as lab:
        node = lab.node("one", {"eth0": "10.77.0.1/24"})

        def saved() -> list[str]:
            return [line.strip() for line in node.run("ipvsadm", "-S", "-n").stdout.splitlines()]

        first = lab.start_kad(node, router() + SERVED)
        lab.hub.until(lambda: len(saved()) == 2, 10, "the service is in the table")
        node.run("ipvsadm", *FOREIGN.split())
        first.kill()
        assert len(saved()) == 3
        second = lab.start_kad(node, router())
        second.wait_log("Startup complete", 20)
        lab.hub.until(lambda: saved() == [FOREIGN] or None, 10, lambda: f"only what is foreign, not {saved()}")
        assert node.run("ipvsadm", "-L", "--daemon").stdout == ""

        def has_left() -> bool:
            return second.dump()["processes"].keys() == {"watchdog", "vrrp", "runner"}

        lab.hub.until(has_left, 10, "the ipvs process leaves")
        assert second.stop(20) == 0
        assert saved() == [FOREIGN]
