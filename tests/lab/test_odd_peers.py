"""What the log says, once, of a keepalived that is configured otherwise: what is discarded, and what is merely odd."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

PEER = "10.77.0.2"


def secret(word: str) -> dict[str, Any]:
    return {"more": f"authentication {{\n auth_type PASS\n auth_pass {word}\n }}"}


V2: dict[str, Any] = {"version": 2, "advert_int": 1}
SLOW: dict[str, Any] = {"version": 2, "advert_int": 2}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "version": ({}, V2, "PEER discarded: it is of VRRP version 2, this router of version 3"),
    "interval": ({}, {"advert_int": 0.2}, r"PEER sends adverts every 0\.2 s, this router every 0\.1 s"),
    "interval of version 2": (V2, SLOW, "PEER discarded: its advertisement interval is 2 s, ours 1 s"),
    "addresses": ({}, {"addresses": ("10.77.0.200/24",)}, "PEER uses VRID 4 with other addresses: 10.77.0.200$"),
    "password": (V2 | secret("one"), V2 | secret("two"), "PEER discarded: wrong password"),
    "no password": (V2 | secret("one"), V2, "PEER discarded: authentication differs"),
    "group": ({"more": "mcast_dst_ip 224.0.0.42"}, {}, "PEER discarded: it was sent to another multicast group"),
    "checksum": (
        {"more": "v3_checksum_as_v2"},
        {},
        r"PEER makes its checksums over a pseudo header too, this router over the message alone \(RFC 9568\): accepted",
    ),
}
"""What kad is configured to, what keepalived is, and what kad says of it; the VRID is the place in this list."""
COUNTED = {"interval", "addresses", "checksum"}
"""What is only odd."""


def text(program: str, priority: int, state: str, *words: str) -> str:
    found = global_defs("vrrp_garp_master_repeat 1", *words)
    for vrid, (name, case) in enumerate(CASES.items(), start=1):
        said: dict[str, Any] = {"addresses": (f"10.77.0.10{vrid}/24",)}
        said |= case[0] if program == "kad" else case[1]
        found += instance(f'"{name}"', vrid=vrid, priority=priority, state=state, **said)
    return found


def test_every_difference_is_told_once(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    # An owner speaks at once, and yields to nobody.
    lab.start_keepalived(b, text("keepalived", 255, "MASTER"))
    for vrid in range(1, len(CASES) + 1):
        lab.wire.wait_advert(node="b", vrid=vrid, seconds=5, since=0)
    # Patient enough to stay BACKUP: keepalived 2.2.7 says little while it discards what a second MASTER says.
    daemon = lab.start_kad(a, text("kad", 100, "BACKUP", "vrrp_down_timer_adverts 100"))
    for name, (_, _, sentence) in CASES.items():
        daemon.wait_log(rf"\({name}\) .*{sentence.replace('PEER', PEER)}", 5)
    # Each is heard again.
    begin = time.time()
    for vrid in range(1, len(CASES) + 1):
        lab.wire.wait_advert(node="b", vrid=vrid, seconds=3, since=begin)
    for name in CASES:
        assert len(daemon.logged(rf"\({name}\) .*{PEER}")) == 1, name
    found = daemon.dump("vrrp")["instances"]
    assert {each["name"] for each in found if each["statistics"]["advert_rcvd"]} == COUNTED


def test_a_router_of_version_2_names_the_version_that_it_hears(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    lab.start_keepalived(b, router(priority=255, state="MASTER"))
    daemon = lab.start_kad(a, router(version=2, advert_int=1))
    said = daemon.wait_log("advert from 10.77.0.2 discarded: ", 5)
    # As keepalived 2.2.7 does: wrong version. Received 3 and expect 2.
    assert said.text.endswith("it is of VRRP version 3, this router of version 2")
