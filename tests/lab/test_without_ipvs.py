"""On a kernel without IPVS virtual servers are not served, which is said wherever somebody looks; VRRP goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import router

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(Path("/proc/net/ip_vs").exists(), reason="this kernel has IPVS"),
]

VIP = "10.77.0.100"
WORDS = "lb_algo rr\n lb_kind DR\n protocol TCP"
BALANCED = f"virtual_server {VIP} 80 {{\n {WORDS}\n real_server 10.77.0.50 80 {{\n }}\n}}\n"


def test_what_is_not_served_is_said_and_vrrp_goes_on(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router() + BALANCED)
    failure = "this kernel has no IPVS: the module ip_vs is neither loaded nor can it be"
    daemon.wait_log(f"{failure}; the virtual servers are not served")
    daemon.wait_log("Entering MASTER STATE")
    told = daemon.ask("--status")
    problem, instance, service = told.stdout.splitlines()
    assert problem == f"CRITICAL: virtual servers are not served: {failure}"
    assert instance.startswith("VI_1: MASTER since ")
    assert service == f"virtual_server {VIP} 80: not served ({failure})"
    assert told.returncode == 2
    ipvs = daemon.dump()["ipvs"]
    assert (ipvs["served"], ipvs["failure"]) == (False, failure)
    drained = daemon.ask("--drain", f"{VIP}:80", "10.77.0.50:80", "--timeout", "never")
    assert drained.stdout == (
        f"real_server 10.77.0.50 80 of virtual_server {VIP} 80 gets no new connections;"
        " it leaves when it has none, however long that takes\n"
    )
    assert daemon.dump()["ipvs"]["virtual_servers"][0]["real_servers"][0]["drain"]["ends_in"] is None
    unknown = daemon.ask("--drain", "192.0.2.1:80", "10.77.0.50:80")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        f"kad: there is no virtual_server 192.0.2.1:80; there are: {VIP} 80\n",
    )
    assert daemon.ask("--undrain", f"{VIP}:80", "10.77.0.50:80").stdout.endswith(" serves again\n")
    lab.stays(VIP, a, 0.3)
