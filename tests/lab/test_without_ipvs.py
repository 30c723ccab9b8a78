"""On a kernel without IPVS virtual servers are not served, and an instance with an address of one takes no part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(Path("/proc/net/ip_vs").exists(), reason="this kernel has IPVS"),
]

VIP, OTHER = "10.77.0.100", "10.77.0.101"
WORDS = "lb_algo rr\n lb_kind DR\n protocol TCP"
BALANCED = f"virtual_server {VIP} 80 {{\n {WORDS}\n real_server 10.77.0.50 80 {{\n }}\n}}\n"
FAILURE = "this kernel has no IPVS: the module ip_vs is neither loaded nor can it be"
INSTANCES = instance() + instance("VI_2", vrid=52, addresses=(f"{OTHER}/24",))


def test_an_instance_with_an_address_of_a_virtual_server_is_in_fault_and_says_why(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs() + INSTANCES + BALANCED)
    daemon.wait_log(f"{FAILURE}; the virtual servers are not served")
    cause = f"virtual_server {VIP} is not served: {FAILURE}"
    daemon.wait_log(re.escape(f"(VI_1) Entering FAULT STATE: {cause}"))
    daemon.wait_log(r"\(VI_2\) Entering MASTER STATE")
    told = daemon.ask("--status")
    problems, lines = told.stdout.splitlines()[:2], told.stdout.splitlines()[2:]
    assert problems[0] == f"CRITICAL: virtual servers are not served: {FAILURE}" or problems[0].startswith(
        f"CRITICAL: VI_1: in FAULT: {cause}, since "
    )
    assert sorted(problem[:30] for problem in problems) == [
        "CRITICAL: VI_1: in FAULT: virt",
        "CRITICAL: virtual servers are ",
    ]
    assert [line.split(" since ")[0] for line in lines[:2]] == ["VI_1: FAULT", "VI_2: MASTER"]
    assert lines[2] == f"virtual_server {VIP} 80: not served ({FAILURE})"
    assert told.returncode == 2
    assert f"because {FAILURE}" in daemon.ask("--why", "VI_1").stdout
    lab.stays(OTHER, a, 0.3)
    assert lab.holders(VIP) == set()
    # What is no longer served needs no IPVS.
    daemon.reload(global_defs() + INSTANCES)
    lab.wait_holder(VIP, a, seconds=5)
    assert daemon.ask("--status").returncode == 0


def test_ipvs_required_no_goes_on_as_master_and_what_is_not_served_is_said(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs("ipvs_required no") + instance() + BALANCED)
    daemon.wait_log(f"{FAILURE}; the virtual servers are not served")
    daemon.wait_log("Entering MASTER STATE")
    told = daemon.ask("--status")
    problem, line, service = told.stdout.splitlines()
    assert problem == f"CRITICAL: virtual servers are not served: {FAILURE}"
    assert line.startswith("VI_1: MASTER since ")
    assert service == f"virtual_server {VIP} 80: not served ({FAILURE})"
    assert told.returncode == 2
    ipvs = daemon.dump()["ipvs"]
    assert (ipvs["served"], ipvs["failure"]) == (False, FAILURE)
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
    # The default again: the address is given up, and the process that is replaced knows why.
    daemon.reload(global_defs() + instance() + BALANCED)
    daemon.wait_log("Entering FAULT STATE")
    lab.wait_holder(VIP, seconds=3)
