"""Links that flap, links that are asked, and sources that go: what the real daemon makes of them."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

CONFIGURATION = """
global_defs {
    vrrp_version 3
}
interface_up_down_delays {
    eth1 0.5 0.2
}
linkbeat_interfaces {
    eth2
    eth0 IOCTL
}
vrrp_instance DELAYED {
    interface eth1
    virtual_router_id 51
    state MASTER
    priority 255
    advert_int 0.3
    virtual_ipaddress {
        10.78.0.100/24
    }
}
vrrp_instance POLLED {
    interface eth2
    virtual_router_id 52
    state MASTER
    priority 255
    advert_int 0.3
    virtual_ipaddress {
        10.79.0.100/24
    }
}
vrrp_instance TRACKING {
    interface eth0
    virtual_router_id 53
    state MASTER
    priority 255
    advert_int 0.3
    mcast_src_ip 10.77.0.9
    track_src_ip
    virtual_ipaddress {
        10.77.0.100/24
    }
    virtual_ipaddress_excluded {
        10.78.0.99/24 dev eth1
        10.79.0.99/24 dev eth2 no_track
    }
}
"""


def test_links_and_sources(lab: Lab) -> None:
    node = lab.node("a", {"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24", "eth2": "10.79.0.1/24"})
    node.run("ip", "address", "add", "10.77.0.9/24", "dev", "eth0")
    kad = lab.start_kad(node, CONFIGURATION)
    for name in ("DELAYED", "POLLED", "TRACKING"):
        kad.wait_log(rf"\({name}\) Entering MASTER STATE", 20)
    assert kad.logged("eth2 is asked each second by ETHTOOL")
    assert kad.logged("eth0 is asked each second by IOCTL")
    # Shorter than the delay: nothing happens.
    lab.link_down(node, "eth1")
    kad.wait_log("eth1 is down, which counts in 0.5 s", 3)
    lab.heal(node, "eth1")
    lab.hub.never(lambda: kad.logged("FAULT"), 0.8, "a flap is no fault")
    # Longer: both that need the interface are in FAULT, and back when it has been up for its time.
    lab.link_down(node, "eth1")
    kad.wait_log(r"\(DELAYED\) Entering FAULT STATE: interface eth1 is down", 3)
    kad.wait_log(r"\(TRACKING\) Entering FAULT STATE: interface eth1 of the address 10.78.0.99 is down", 3)
    healed = time.time()
    lab.heal(node, "eth1")
    for name in ("DELAYED", "TRACKING"):
        kad.wait_log(rf"\({name}\) Entering MASTER STATE", 4, since=healed)
    # The interface itself is asked.
    lab.link_down(node, "eth2")
    kad.wait_log(r"\(POLLED\) Entering FAULT STATE: interface eth2 is down", 3)
    assert not kad.logged(r"\(TRACKING\) .*FAULT", since=healed)
    # The source goes and comes.
    node.run("ip", "address", "del", "10.77.0.9/24", "dev", "eth0")
    gone = kad.wait_log(r"\(TRACKING\) Entering FAULT STATE: source address 10.77.0.9 is not on this host", 3).time
    node.run("ip", "address", "add", "10.77.0.9/24", "dev", "eth0")
    kad.wait_log(r"\(TRACKING\) Entering MASTER STATE", 4, since=gone)
