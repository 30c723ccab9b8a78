"""The guest is what the other tests take it for: Debian's kernel, its ip_vs, and nodes with tables of their own."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.vm]

CONFIGURATION = """
virtual_server 192.0.2.1 80 {
    lb_algo wlc
    lb_kind NAT
    protocol TCP
    real_server 127.0.0.1 81 {
        weight 3
    }
}
"""


def test_the_kernel_is_debians_and_has_ip_vs() -> None:
    subprocess.run(["modprobe", "ip_vs"], check=True)
    assert "Debian" in platform.version()
    assert Path("/proc/net/ip_vs").exists()


def test_keepalived_programs_the_table_of_its_node_alone() -> None:
    with Lab(observed=False) as lab:
        one, two = lab.node("one", {}), lab.node("two", {})
        lab.start_keepalived(one, CONFIGURATION).wait_log("Gained quorum", 30)
        assert one.run("ipvsadm", "-S", "-n").stdout.splitlines() == [
            "-A -t 192.0.2.1:80 -s wlc",
            "-a -t 192.0.2.1:80 -r 127.0.0.1:81 -m -w 3",
        ]
        assert two.run("ipvsadm", "-S", "-n").stdout == ""
