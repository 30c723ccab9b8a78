"""What files of real hosts hold, run: a namespace of its own, masks behind addresses, addresses listed twice."""

from __future__ import annotations

import pwd
import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


def test_a_file_with_net_namespace_does_not_start_and_is_no_reload(pair: Pair) -> None:
    lab, a, _ = pair
    text = "net_namespace nosuchns\n" + router(priority=255, state="MASTER")
    refused = lab.start_kad(a, text)
    assert refused.wait_exit() == 2
    said = [line.text for line in refused.lines if "net_namespace" in line.text]
    assert any("addresses and services would be those of another network namespace" in one for one in said), said
    assert lab.holders(VIP) == set()

    daemon = lab.start_kad(a, router(priority=255, state="MASTER"))
    lab.wait_holder(VIP, a, seconds=5)
    daemon.rewrite(text)
    begin = time.time()
    asked = daemon.ask("--reload")
    assert asked.returncode != 0, asked
    assert "net_namespace" in asked.stdout + asked.stderr
    assert daemon.dump()["generation"] == 1
    assert lab.moves(VIP, begin) == []


@pytest.mark.parametrize("other", ["keepalived", "kad"])
def test_masks_behind_the_addresses_of_unicast(pair: Pair, other: str) -> None:
    """Nothing is multicast, and one of two is MASTER."""
    lab, a, b = pair

    def text(own: str, peer: str, priority: int) -> str:
        more = f"unicast_src_ip {own}/24\n    unicast_peer {{\n        {peer}/24\n    }}"
        return router(priority=priority, more=more)

    begin = time.time()
    lab.start_kad(a, text("10.77.0.1", "10.77.0.2", 200))
    lab.start(other, b, text("10.77.0.2", "10.77.0.1", 100))
    lab.wait_holder(VIP, a, seconds=8)
    lab.stays(VIP, a, 1.0)
    sent = lab.wire.adverts(since=begin)
    assert {advert.destination for advert in sent if advert.node == "a"} == {"10.77.0.2"}
    assert {advert.destination for advert in sent} <= {"10.77.0.1", "10.77.0.2"}


def test_addresses_that_are_listed_twice_are_advertised_as_by_keepalived(pair: Pair) -> None:
    """keepalived refuses an advert with another count; in the kernel each address is once, and stays."""
    lab, a, b = pair
    addresses = (f"{VIP}/24", f"{VIP}/24 label eth0:1", "10.77.0.101/24 label eth0:2", "10.77.0.101/24 label eth0:3")
    daemon = lab.start_kad(a, router(priority=200, addresses=addresses))
    peer = lab.start_keepalived(b, router(priority=100, addresses=addresses))
    lab.wait_holder(VIP, a, seconds=8)
    begin = time.time()
    lab.stays(VIP, a, 1.5)
    assert lab.moves(VIP, begin) == []
    assert {advert.node for advert in lab.wire.adverts(since=begin)} == {"a"}
    of_kad = lab.wire.adverts(node="a")[-1]
    assert sorted(of_kad.addresses) == [VIP, VIP, "10.77.0.101", "10.77.0.101"]
    held = a.run("ip", "-4", "-o", "addr", "show", "dev", "eth0").stdout.splitlines()
    assert sum(f" {VIP}/24" in line for line in held) == 1
    assert sum(" 10.77.0.101/24" in line and "eth0:2" in line for line in held) == 1
    assert not any("eth0:3" in line for line in held)
    assert not peer.logged("invalid ip number count|expected|not present"), peer.log
    daemon.stop()
    lab.wait_holder(VIP, b, seconds=8)
    of_keepalived = lab.wire.adverts(node="b")[-1]
    assert sorted(of_keepalived.addresses) == sorted(of_kad.addresses)


def test_with_security_and_without_a_user_root_runs_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    if any(entry.pw_name == "keepalived_script" for entry in pwd.getpwall()):
        pytest.skip("needs a host without user keepalived_script")
    script = a.write("check.sh", "#!/bin/sh\ntouch /run/was-run\nexit 1\n", 0o755)
    text = global_defs("enable_script_security").replace("script_user root\n", "\n")
    text += f'vrrp_script check {{\n script "/etc/keepalived/{script.name}"\n interval 1\n}}\n'
    text += instance(more=f"track_script {{\n check\n }}\n notify /etc/keepalived/{script.name}")
    daemon = lab.start_kad(a, text)
    lab.wait_holder(VIP, a, seconds=8)
    lab.stays(VIP, a, 1.5)
    assert a.ask("ls", "/run/was-run").returncode != 0
    assert daemon.logged("enable_script_security without script_user needs a user keepalived_script")
