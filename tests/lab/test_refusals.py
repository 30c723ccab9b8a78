"""What the kernel refuses to a running daemon: the other host has the address meanwhile, and the status says why."""

from __future__ import annotations

import errno
import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_vmac import VIRTUAL_MAC, links, on
from tests.lab.texts import global_defs, instance, router
from tests.lab.wrapped import start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
NEWADDR, NEWROUTE = 20, 24


def twelve(prefix: str, priority: int, **words: float) -> str:
    """VRIDs 51 to 62, each with a virtual MAC."""
    return global_defs(f"vmac_prefix {prefix}") + "".join(
        instance(
            f"VI_{vrid}",
            vrid=vrid,
            priority=priority,
            addresses=(f"10.77.0.{50 + vrid}/24",),
            more="use_vmac",
            **words,  # type: ignore[arg-type]
        )
        for vrid in range(51, 63)
    )


def test_another_name_of_twelve_devices_keeps_the_role(pair: Pair) -> None:
    lab, a, b = pair
    addresses = [f"10.77.0.{50 + vrid}" for vrid in range(51, 63)]
    daemon = lab.start_kad(a, twelve("vrrp", 150, advert_int=0.3))
    for address in addresses:
        lab.wait_holder(address, a, seconds=8)
    other = lab.start_keepalived(b, twelve("vrrp", 100, advert_int=0.3))
    for vrid in range(51, 63):
        other.wait_log(rf"\(VI_{vrid}\) Entering BACKUP STATE", 8)
    moment = daemon.reload(twelve("rt", 150, advert_int=0.3))
    daemon.wait_log("Reload complete", since=moment)
    lab.hub.until(lambda: set(links(a)) == {f"rt.{vrid}" for vrid in range(51, 63)}, 3, "the new names")
    lab.hub.until(lambda: {link["operstate"] for link in links(a).values()} == {"UP"}, 3, "all are up")
    assert [on(a, address) for address in addresses] == [{f"rt.{vrid}"} for vrid in range(51, 63)]
    # As many adverts as there were: none is late by an interval.
    for vrid in range(51, 63):
        for _ in range(4):
            advert = lab.wire.wait_advert(node="a", vrid=vrid, seconds=2, since=time.time())
            assert advert.mac == f"00:00:5e:00:01:{vrid:02x}"
    assert not daemon.logged("Entering|somebody|refuse", since=moment)
    assert not other.logged("Entering MASTER", since=moment)
    assert daemon.ask("--status").returncode == 0


def test_what_bears_the_virtual_mac_already_is_a_fault_until_it_is_gone(pair: Pair) -> None:
    lab, a, b = pair
    left = f"ip link add left link eth0 address {VIRTUAL_MAC} type macvlan mode private"
    a.run("sh", "-c", f"{left} && ip link set left up")
    other = lab.start_keepalived(b, router(priority=100, more="use_vmac"))
    lab.wait_holder(VIP, b, seconds=5)
    daemon = lab.start_kad(a, router(priority=150, more="use_vmac"))
    daemon.wait_log("Entering FAULT STATE.*cannot switch on vrrp.51: Address already in use")
    status = daemon.ask("--status")
    assert status.returncode == 2
    assert "the kernel refuses to switch on vrrp.51: Address already in use" in status.stdout
    lab.stays(VIP, b, 1)
    a.run("ip", "link", "del", "left")
    lab.wait_holder(VIP, a, seconds=5)
    assert on(a) == {"vrrp.51"}
    assert daemon.ask("--status").returncode == 0
    other.wait_log("Entering BACKUP STATE")


def test_the_other_host_has_the_address_that_the_kernel_refuses_here(pair: Pair) -> None:
    lab, a, b = pair
    refused = a.files / "run" / "refused"
    route = "virtual_routes {\n 198.51.100.0/24 via 10.77.0.9 dev eth0\n}"
    daemon = start_wrapped(lab, a, router(priority=150, more=route), refusing=True)
    lab.wait_holder(VIP, a, seconds=5)
    other = lab.start_keepalived(b, router(priority=100))
    other.wait_log("Entering BACKUP STATE")
    # An address is refused from now on, which shows when it is taken away.
    refused.write_text(f"{NEWADDR} {errno.ENOBUFS}\n")
    a.run("ip", "addr", "del", f"{VIP}/24", "dev", "eth0")
    lab.wait_holder(VIP, b, seconds=3)
    status = daemon.ask("--status")
    text = f"the kernel refuses to add {VIP}/24 on eth0: No buffer space available"
    assert (status.returncode, text in status.stdout, "VI_1: FAULT" in status.stdout) == (2, True, True)
    # It is not tried at the cost of the other one.
    lab.stays(VIP, b, 4)
    refused.write_text(f"{NEWROUTE} {errno.ENOMEM}\n")
    lab.wait_holder(VIP, a, seconds=15)
    status = daemon.ask("--status")
    assert status.returncode == 2
    assert "the kernel refuses to add the route 198.51.100.0/24" in status.stdout
    assert a.ip("route", "show", "198.51.100.0/24") == []
    refused.unlink()
    lab.hub.until(lambda: a.ip("route", "show", "198.51.100.0/24"), 12, "the route is there")
    assert daemon.ask("--status").returncode == 0
    lab.stays(VIP, a, 0.5)
