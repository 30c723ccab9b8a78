"""What exporters read of keepalived's JSON and data files: kad's are those of the real keepalived, field by field."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

ROUTES = """virtual_routes {
        198.51.100.0/24 dev eth0
        198.51.101.0/24 via 10.77.0.9 dev eth0 metric 100
        src 10.77.0.100 198.51.102.7/24 via 10.77.0.9 dev eth0 table 100 scope link
        blackhole 198.51.103.0/24
        198.51.104.0/24 nexthop via 10.77.0.9 dev eth0 weight 2 nexthop via 10.77.0.10 dev eth0
        2001:db8:1::/64 via fe80::1 dev eth0
        198.51.106.7 via 10.77.0.9 or 10.77.0.10 dev eth0
        default via 10.77.0.9 dev eth0 table 101 no_track
        append 198.51.107.0/24 dev eth0 mtu lock 1400 advmss 1300 initcwnd 10 hoplimit 9 window 9 quickack 1
        198.51.108.0/24 dev eth0 rtt 300ms rttvar 3s rto_min 500ms features ecn realms 3/4 tos 16 onlink
        198.51.109.0/24 dev eth0 no_track protocol 99 reordering 4 cwnd lock 7 ssthresh 8 initrwnd 5 realms 4
        2001:db8:2::/64 via fe80::1 dev eth0 pref low expires 100 fastopen_no_cookie 1
        198.51.110.0/24 via 10.77.0.9 dev eth0 encap ip id 7 dst 10.9.0.1 src 10.9.0.2 tos 4 ttl 9
    }
    virtual_rules {
        from 10.77.0.0/24 table 100 priority 200
        to 198.51.100.0/24 iif eth0 lookup 100
        not from 10.1.0.0/16 fwmark 1/255 oif eth0 goto 30000 priority 210
        from 2001:db8::/32 iif eth0 uidrange 1-9 ipproto tcp sport 1-2 dport 80-81 table 100 no_track
        from 10.2.0.0/16 blackhole
        from 10.3.0.9 realms 3/4 suppress_prefixlength 0 tunnel-id 4 table 100 tos 16
    }"""
TEXT = (
    global_defs("vrrp_garp_master_refresh 9")
    + instance("VI_1", vrid=51, state="MASTER", addresses=("10.77.0.100/24",), more=ROUTES)
    + instance("VI_2", vrid=52, addresses=("10.77.0.101/24",), more="garp_lower_prio_delay 3")
    + instance("VI_3", vrid=53, addresses=("10.77.0.102/24",), more="garp_master_delay 4\n garp_master_repeat 2")
    + instance("VI_4", vrid=54, state="MASTER", addresses=("10.77.0.103/24",), more="nopreempt")
)
OTHER = instance("VI_2", vrid=52, priority=150, addresses=("10.77.0.101/24",))
TIMES = {"last_transition"}
"""Moments of the one run and of the other."""
DIFFERENT = ("Last transition", "Master down timer", "Fault = ")
"""Lines of kad's data file that are another moment's, or its own."""


def written(lab: Lab, daemon: Daemon, node: Node) -> tuple[list[dict[str, Any]], list[str]]:
    """The instances of the JSON file, and the lines about instances in the data file."""
    folder = "/run/kad" if daemon.program == "kad" else "/tmp"
    found = []
    for number, name in ((signal.SIGRTMIN + 2, "keepalived.json"), (signal.SIGUSR1, "keepalived.data")):
        node.ask("rm", "-f", f"{folder}/{name}")
        daemon.send(number)

        def whole(name: str = name) -> str | None:
            done = node.ask("cat", f"{folder}/{name}")
            text = done.stdout
            return text if done.returncode == 0 and text.rstrip().endswith(("]", "false", "0")) else None

        found.append(lab.hub.until(whole, 8, name))
    data = found[1].partition("------< VRRP Topology >------")[2].partition("------<")[0]
    return [each["data"] for each in json.loads(found[0])], data.splitlines()


def run(program: str) -> list[tuple[list[dict[str, Any]], list[str]]]:
    """What the daemon writes while it is MASTER, BACKUP beside another one, alone again, and in FAULT."""
    with Lab(observed=False) as lab:
        a, b = (lab.node(name, {"eth0": f"10.77.0.{number}/24"}) for number, name in ((1, "a"), (2, "b")))
        other = lab.start_keepalived(b, OTHER)
        other.wait_log("Entering MASTER STATE")
        daemon = lab.start(program, a, TEXT)
        for name in ("VI_1", "VI_3", "VI_4"):
            daemon.wait_log(rf"\({name}\) Entering MASTER STATE")
        daemon.wait_log(r"\(VI_2\) Entering BACKUP STATE")
        found = [written(lab, daemon, a)]
        other.stop()
        daemon.wait_log(r"\(VI_2\) Entering MASTER STATE")
        found.append(written(lab, daemon, a))
        lab.link_down(a)
        daemon.wait_log(r"\(VI_4\) Entering FAULT STATE")
        found.append(written(lab, daemon, a))
        return found


def test_the_files_are_keepalived_s_field_by_field() -> None:
    theirs, ours = (run(program) for program in BOTH)
    for (their_json, their_lines), (our_json, our_lines) in zip(theirs, ours, strict=True):
        assert [each["iname"] for each in our_json] == ["VI_1", "VI_2", "VI_3", "VI_4"]
        for their, our in zip(their_json, our_json, strict=True):
            assert {key: our.get(key) for key in their if key not in TIMES} == {
                key: their[key] for key in their if key not in TIMES
            }
        missing = [line for line in our_lines if line not in their_lines and not line.strip().startswith(DIFFERENT)]
        assert missing == []
    # What is asked of the values, in numbers.
    master, alone, fault = ([data for data, _ in ours][place] for place in range(3))
    assert [each["master_priority"] for each in master] == [0, 150, 0, 0]
    assert [each["master_priority"] for each in alone] == [0, 150, 0, 0]
    assert [each["wantstate"] for each in master] == [2, 1, 2, 2]
    assert [each["wantstate"] for each in alone] == [2, 2, 2, 2]
    assert [each["wantstate"] for each in fault] == [3, 3, 3, 3]
    assert [each["garp_lower_prio_delay"] for each in master] == [1, 3, 1, 1]
    assert master[0]["vroutes"][:2] == [
        "prepend 198.51.100.0/24 dev eth0 proto 18",
        "prepend 198.51.101.0/24 via inet 10.77.0.9 dev eth0 proto 18 metric 100",
    ]
