"""A file full of words that no kernel has room for: the daemon does the rest of it, and no process falls."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

CONFIGURATION = """
global_defs {
    dynamic_interfaces
    vrrp_netlink_cmd_rcv_bufs 3000000000
    vrrp_netlink_monitor_rcv_bufs 3000000000
}
static_ipaddress {
    fe80::7%eth0/64 dev eth0
    10.77.0.70 dev ..
    10.77.0.71/24 dev eth0 preferred_lft 99999999999
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 200
    advert_int 1
    kernel_rx_buf_size 2000000000
    mcast_src_ip fe80::2
    use_vmac group 99999999999
    promote_secondaries
    virtual_ipaddress {
        fe80::9
        fe80::1%eth0/64
        fd00::9/64 dev a/b
        fd00::10/64 preferred_lft 99999999999
    }
    virtual_routes {
        2001:db8::/64 via fe80::1%eth0 dev eth0
        198.51.100.0/24 dev eth0 encap ip id 5 dst 192.0.2.3 flags 70000
        198.51.101.0/24 dev eth0 rtt 200s
    }
    virtual_rules {
        fwmark 0x1ffffffff table 5 preference 7
        from 192.0.2.0/24 goto 2000 preference 0100
    }
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    priority 200
    kernel_rx_buf_size 2000000000
    use_ipvlan v2 2001:db8::5/64
    virtual_ipaddress {
        10.77.0.100/24
    }
}
vrrp_instance VI_3 {
    interface eth0
    virtual_router_id 53
    priority 200
    mcast_src_ip fe80::2%eth0
    kernel_rx_buf_size 2000000000
    virtual_ipaddress {
        10.77.0.101/24
    }
}
vrrp_instance VI_4 {
    interface eth0/1
    virtual_router_id 54
    virtual_ipaddress {
        10.77.0.102/24
    }
}
"""


def test_the_rest_of_the_file_is_done(lab: Lab) -> None:
    node = lab.node("a", {"eth0": "10.77.0.9/24"})
    kad = lab.start_kad(node, CONFIGURATION)
    for address in ("fe80::9", "fd00::10", "10.77.0.71", "10.77.0.101"):
        lab.wait_holder(address, node, seconds=10)
    assert kad.logged("Traceback") == []
    assert kad.logged("ended|died|crash") == []
    for address in ("fe80::1", "fd00::9", "10.77.0.70", "10.77.0.102"):
        assert lab.holders(address) == set()
