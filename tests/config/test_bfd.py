"""What bfd_instance becomes, and who follows it."""

from __future__ import annotations

import msgspec
import pytest

from kad.analyzer.process import Analysis
from kad.checker.checker_slice import CheckerSlice
from kad.checker.checks.bfd import BfdCheck
from kad.model.bfd import BfdInstance, BfdSlice
from kad.model.vrrp import VrrpSlice
from tests.config.hosts import judged, said

INSTANCE = """vrrp_instance A {
interface eth0
virtual_router_id 5
priority 100
virtual_ipaddress { 192.0.2.9/24 }
TRACK
}
"""
SERVICE = """virtual_server 192.0.2.9 80 {
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 192.0.2.20 80 {
  BFD_CHECK {
   name peer
   MORE
  }
 }
}
"""


def block(*words: str, name: str = "peer", neighbor: str = "192.0.2.1") -> str:
    return f"bfd_instance {name} {{\nneighbor_ip {neighbor}\n" + "\n".join(words) + "\n}\n"


def tracking(line: str = "peer") -> str:
    return INSTANCE.replace("TRACK", f"track_bfd {{\n{line}\n}}")


def sessions(analysis: Analysis) -> tuple[BfdInstance, ...]:
    if "bfd" not in analysis.slices:
        return ()
    return msgspec.msgpack.decode(analysis.slices["bfd"], type=BfdSlice).instances


def only(*words: str, neighbor: str = "192.0.2.1") -> BfdInstance:
    [made] = sessions(judged(block(*words, neighbor=neighbor) + tracking()))
    return made


def test_keepalived_s_defaults() -> None:
    assert only() == BfdInstance(name="peer", neighbor="192.0.2.1")
    assert (only().min_rx, only().min_tx, only().idle_tx, only().multiplier) == (0.01, 0.01, 1.0, 5)
    assert (only().ttl, only().least_ttl, only().port) == (255, 255, 3784)


def test_every_word_counts() -> None:
    words = ("source_ip 192.0.2.2", "min_rx 20", "min_tx 30", "idle_tx 2000", "multiplier 3", "passive", "ttl 64")
    assert only(*words, "max_hops 2", "multihop") == BfdInstance(
        name="peer",
        neighbor="192.0.2.1",
        source="192.0.2.2",
        min_rx=0.02,
        min_tx=0.03,
        idle_tx=2.0,
        multiplier=3,
        passive=True,
        ttl=64,
        least_ttl=62,
        multihop=True,
    )
    assert only("multihop").port == 4784
    assert only("max_hops -1").least_ttl == 0


def test_over_ipv6_what_keepalived_sends_is_taken_and_what_the_rfc_asks_for_is_sent() -> None:
    made = only(neighbor="2001:db8::1")
    assert (made.ttl, made.least_ttl) == (255, 64)


def test_a_source_of_the_other_family_is_said_and_not_used() -> None:
    analysis = judged(block("source_ip 2001:db8::2") + tracking())
    assert sessions(analysis)[0].source is None
    assert "warning 3 source_ip 2001:db8::2 is not of the family of 192.0.2.1; it is ignored" in said(analysis)


def test_of_two_sessions_with_one_neighbour_the_first_counts() -> None:
    analysis = judged(block() + block(name="other") + tracking("peer\nother"))
    assert [one.name for one in sessions(analysis)] == ["peer"]
    assert "warning 5 bfd_instance other and peer have the same neighbour 192.0.2.1; other is ignored" in said(analysis)
    [instance] = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert [item.name for item in instance.tracks] == ["peer"]


def test_a_session_that_nobody_follows_is_not_begun() -> None:
    analysis = judged(block() + INSTANCE.replace("TRACK", ""))
    assert sessions(analysis) == ()
    assert "note 1 bfd_instance peer is not tracked; its session is not started" in said(analysis)


def test_who_tracks_it_has_its_weight() -> None:
    analysis = judged(block("weight -30") + tracking())
    [instance] = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert [(item.kind, item.name, item.weight) for item in instance.tracks] == [("bfd", "peer", -30)]


@pytest.mark.parametrize(("words", "alpha"), [("", False), ("alpha", True)])
def test_a_real_server_can_follow_it(words: str, alpha: bool) -> None:
    analysis = judged(block() + SERVICE.replace("MORE", words))
    [server] = msgspec.msgpack.decode(analysis.slices["checker"], type=CheckerSlice).servers
    assert server.checks == (BfdCheck(name="peer", alpha=alpha),)
    assert len(sessions(analysis)) == 1


@pytest.mark.parametrize(("word", "tracked", "checked"), [("", 1, 1), ("vrrp", 1, 0), ("checker", 0, 1)])
def test_who_is_told(word: str, tracked: int, checked: int) -> None:
    analysis = judged(block(word) + tracking() + SERVICE.replace("MORE", ""))
    [instance] = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    [server] = msgspec.msgpack.decode(analysis.slices["checker"], type=CheckerSlice).servers
    assert (len(instance.tracks), len(server.checks)) == (tracked, checked)


def test_how_the_process_is_scheduled() -> None:
    words = "global_defs {\nbfd_priority -5\nbfd_rt_priority 50\nbfd_no_swap\nbfd_cpu_affinity 1\n}\n"
    found = msgspec.msgpack.decode(judged(words + block() + tracking()).slices["bfd"], type=BfdSlice)
    assert (found.priority, found.rt_priority, found.no_swap, found.cpu_affinity) == (-5, 50, True, (1,))
