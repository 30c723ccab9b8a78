"""What an operator asks of sockets and of the host's reports: kad does with it what keepalived does."""

from __future__ import annotations

import ctypes
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced, told
from tests.lab.texts import BOTH, instance

pytestmark = pytest.mark.lab

_PIDFD_GETFD = 438
VRRP, RTNETLINK = 112, 0
VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
SIZES = """global_defs {
    vrrp_rx_bufs_policy ADVERT
    vrrp_rx_bufs_multiplier 100
    vrrp_netlink_cmd_rcv_bufs 300000
    vrrp_netlink_cmd_rcv_bufs_force true
    vrrp_netlink_monitor_rcv_bufs 100000
}
"""


def receive_buffers(pid: int, family: int, protocol: int) -> list[int]:
    """Bytes that the kernel grants each such socket of a process, twice what was asked for; asked of copies of them."""
    found = []
    pidfd = os.pidfd_open(pid)
    for number in map(int, os.listdir(f"/proc/{pid}/fd")):
        copy = ctypes.CDLL(None).syscall(_PIDFD_GETFD, pidfd, number, 0)
        with suppress(OSError), socket.socket(fileno=os.dup(copy)) as opened:
            if (opened.family, opened.proto) == (family, protocol):
                found.append(opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        with suppress(OSError):
            os.close(copy)
    os.close(pidfd)
    return sorted(found)


def reports(node: Node) -> str:
    return str(node.inside(Path("/proc/sys/net/ipv4/igmp_link_local_mcast_reports").read_text)).strip()


def test_receive_buffers_are_as_large_as_they_are_asked_for(lab: Lab) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24"})
    second = {"vrid": 52, "addresses": ("10.77.0.101", "10.77.0.102")}
    daemon = lab.start_kad(a, SIZES + instance() + instance("VI_2", **second))
    daemon.wait_log(r"\(VI_2\) Entering BACKUP STATE")
    child = daemon.child("vrrp")
    # A hundred adverts of either (RFC 9568 5, with the IPv4 header): 32 and 36 bytes.
    assert receive_buffers(child, socket.AF_INET, VRRP) == [13600]
    assert receive_buffers(child, socket.AF_NETLINK, RTNETLINK) == [200000, 600000]
    other = "global_defs {\n vrrp_rx_bufs_policy MTU\n}\n"
    daemon.reload(other + instance() + instance("VI_2", more="kernel_rx_buf_size 7000", **second))
    # Three times the MTU for one, and what the other one says.
    lab.hub.until(lambda: receive_buffers(child, socket.AF_INET, VRRP) == [23000], 3, lambda: daemon.log)
    assert receive_buffers(child, socket.AF_NETLINK, RTNETLINK) == [2 << 20, 2 << 20]
    daemon.reload(instance())
    lab.hub.until(lambda: receive_buffers(child, socket.AF_INET, VRRP) == [8 << 20], 3, lambda: daemon.log)


def test_unicast_on_a_vrf_or_a_reason_why_not(pair: Pair) -> None:
    lab, a, b = pair
    more = "unicast_src_ip {}\n unicast_peer {{\n {} \n}}\n vrf blue"
    words = {"addresses": ("10.77.0.100/24 dev eth0",), "priority": 255, "state": "MASTER"}
    text = instance(more=more.format("10.77.0.1", "10.77.0.2"), **words).replace("interface eth0", "")
    if a.ask("ip", "link", "add", "blue", "type", "vrf", "table", "10").returncode != 0:
        # This kernel has no VRF.
        daemon = lab.start_kad(a, text)
        daemon.wait_log("there is no VRF blue on this host")
        daemon.wait_log("Entering FAULT STATE.*interface blue does not exist")
        return
    for words_of_ip in (("link", "set", "blue", "up"), ("link", "set", "eth0", "master", "blue")):
        a.run("ip", *words_of_ip)
    lab.start_kad(a, text).wait_log("Entering MASTER STATE")
    other = lab.start_kad(b, instance(priority=100, more=more.format("10.77.0.2", "10.77.0.1").replace("vrf blue", "")))
    other.wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, 1)
    lab.hub.until(lambda: told(other)["statistics"]["advert_rcvd"] > 3, 3, lambda: other.log)


@pytest.mark.parametrize("program", BOTH)
def test_no_group_is_reported_while_that_is_asked_for(lab: Lab, program: str) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24"})
    plain = instance(priority=255, state="MASTER", more="use_vmac")
    quiet = "global_defs {\n disable_local_igmp\n}\n" + plain
    assert reports(a) == "1"
    daemon = lab.start(program, a, quiet)
    daemon.wait_log("Entering MASTER STATE")
    assert reports(a) == "0"
    assert "igmp" not in a.run("nft", "list", "ruleset").stdout
    if isinstance(daemon, Kad):
        replaced(lab, daemon, "vrrp", kill(daemon, "vrrp")[0])
        daemon.reload(plain)
        lab.hub.until(lambda: reports(a) == "1", 3, lambda: daemon.log)
        daemon.reload(quiet)
        lab.hub.until(lambda: reports(a) == "0", 3, lambda: daemon.log)
    assert daemon.stop() == 0
    assert reports(a) == "1"
