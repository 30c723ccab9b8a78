"""What kad removes itself is never said to have been removed by somebody: not in the log, the journal or `--why`."""

from __future__ import annotations

import re
import time
from functools import partial

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP, MORE, OTHER = "10.77.0.100", "10.77.0.101", "10.78.0.100"
ROUTE = "192.0.2.0/24 via 10.77.0.2"
MAC = "02:00:00:00:00:51"
Pair = tuple[Lab, Node, Node]

FOREIGN = r"[Ss]omebody|giving up|in FAULT|FAULT STATE"


def text(
    device: str = "", addresses: tuple[str, ...] = (f"{VIP}/24", f"{MORE}/24"), routes: tuple[str, ...] = ()
) -> str:
    blocks = [device]
    if routes:
        blocks.append("virtual_routes {\n" + "\n".join(routes) + "\n}")
    return global_defs("vrrp_garp_master_repeat 1") + instance(addresses=addresses, more="\n".join(blocks))


STEPS = {
    "a device of its own": text("use_vmac vrrp.51"),
    "another name of the device": text("use_vmac wide.51"),
    "another MAC of the device": text(f"use_vmac wide.51 {MAC}"),
    "routes by it": text("use_vmac vrrp.51", routes=(f"{ROUTE} dev vrrp.51",)),
    "the same routes by another": text("use_vmac wide.51", routes=(f"{ROUTE} dev wide.51",)),
    "no device of its own": text(routes=(f"{ROUTE} dev eth0 src {VIP}",)),
    "another prefix and label": text(addresses=(f"{VIP}/25 label eth0:1", f"{MORE}/24")),
    "another interface": text(addresses=(f"{VIP}/25 label eth0:1", f"{MORE}/24 dev eth1")),
    "other addresses": text(addresses=(f"{OTHER}/24 dev eth1", f"{VIP}/24")),
    "IPv6 by a device of its own": text("use_vmac vrrp.51\n virtual_ipaddress_excluded {\n 2001:db8::51/64\n }"),
    "IPv6 by a device of another name": text("use_vmac wide.51\n virtual_ipaddress_excluded {\n 2001:db8::51/64\n }"),
    "nothing special": text(),
}


def _holds(node: Node, wanted: set[str]) -> bool:
    return wanted <= node.watch.held()


def test_what_a_reload_removes(pair: Pair) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24", lan="other")
    for name in ("all", "eth0", "default"):
        a.set_sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "0")
    daemon = lab.start_kad(a, text())
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    for what, configuration in STEPS.items():
        moment = daemon.reload(configuration)
        daemon.wait_log("Reload complete", since=moment)
        wanted = set(re.findall(r"^ +(10\.[0-9.]+)/", configuration, re.MULTILINE))
        lab.hub.until(partial(_holds, a, wanted), 5, f"{what}: {wanted}")
        # What the kernel says of the removals is read by now.
        lab.hub.never(lambda: False, 0.2, "")
    lines = [line.text for line in daemon.logged(FOREIGN, since=begin)]
    events = str(daemon.dump("events")).split("}")
    why = a.kad("--why").stdout.splitlines()
    assert [line for line in (*lines, *events, *why) if re.search(FOREIGN, line)] == []
    assert not [advert for advert in lab.wire.adverts(node="a", since=begin) if advert.priority == 0]
    # Somebody else is named all the same.
    a.run("ip", "addr", "del", f"{MORE}/24", "dev", "eth0")
    daemon.wait_log(f"somebody removed {MORE}/24: putting it back", since=begin)
