"""The lab itself: what it shows of keepalived against keepalived is what RFC 3768 and RFC 9568 ask."""

from __future__ import annotations

import os
import time

import pytest

from tests.lab.hub import Late
from tests.lab.lab import Lab, Node
from tests.lab.texts import router
from tests.lab.wire import decode_advert

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"


def test_an_advert_is_decoded_by_literal_offsets() -> None:
    header = bytes.fromhex("45c00028000100 00ff700000 0a4d0001 e0000012")
    advert = decode_advert(1.0, "a", header + bytes.fromhex("213364010101aa52 0a4d0064 6162636400000000"))
    assert (advert.source, advert.destination, advert.ttl) == ("10.77.0.1", "224.0.0.18", 255)
    assert (advert.version, advert.vrid, advert.priority, advert.interval) == (2, 51, 100, 1.0)
    assert advert.addresses == ("10.77.0.100",)
    assert advert.authentication == b"abcd\0\0\0\0"


def test_a_node_is_cut_off_without_noticing_and_healed(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    assert a.run("ping", "-c", "1", "-W", "1", "10.77.0.2").returncode == 0
    lab.cut(a)
    assert a.ask("ping", "-c", "1", "-W", "1", "10.77.0.2").returncode == 1
    assert a.ip("link", "show", "eth0")[0]["operstate"] == "UP"
    lab.heal(a)
    lab.link_down(b)
    lab.hub.until(lambda: b.ip("link", "show", "eth0")[0]["operstate"] == "DOWN", 2, "no carrier")
    lab.heal(b)
    lab.hub.until(lambda: b.ip("link", "show", "eth0")[0]["operstate"] == "UP", 2, "carrier")
    assert b.run("ping", "-c", "1", "-W", "1", "10.77.0.1").returncode == 0


def test_the_address_watch_tells_what_the_kernel_does(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    begin = time.time()
    a.run("ip", "addr", "add", "10.77.0.100/32", "dev", "eth0")
    lab.hub.until(lambda: lab.moves(VIP, begin), 2, "the address event")
    assert lab.holders(VIP) == {"a"}
    assert lab.holders("10.77.0.2") == {"b"}
    a.run("ip", "addr", "del", "10.77.0.100/32", "dev", "eth0")
    lab.hub.until(lambda: len(lab.moves(VIP, begin)) == 2, 2, "the second address event")
    assert [(event.node, event.added) for event in lab.moves(VIP, begin)] == [("a", True), ("a", False)]
    assert lab.holders(VIP) == set()
    with pytest.raises(Late):
        lab.wait_holder(VIP, b, seconds=0.1)


def test_keepalived_elects_and_takes_over_as_the_lab_sees_it(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    first = lab.start_keepalived(a, router(priority=150))
    second = lab.start_keepalived(b, router(priority=100))
    lab.wait_holder(VIP, a, seconds=10)
    lab.stays(VIP, a, 0.6)
    first.wait_log(r"\(VI_1\) Entering MASTER STATE")
    assert len(lab.wire.wait_announcements(5, seconds=3, node="a", address=VIP)) >= 5
    last = lab.wire.wait_advert(node="a", vrid=51, priority=150, seconds=2)
    assert (last.source, last.version, last.interval) == ("10.77.0.1", 3, 0.1)
    lab.cut(a)
    taken = lab.wire.wait_advert(node="b", vrid=51, seconds=3, since=last.time)
    # 3 · 0.1 + (256 - 100) · 0.1 / 256 = 0.361 s after the last advert that passed.
    assert 0.350 < taken.time - last.time < 0.600
    second.wait_log(r"\(VI_1\) Entering MASTER STATE")
    lab.wait_holder(VIP, a, b, seconds=1)
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=3)
    assert first.stop() == 0
    assert lab.wire.adverts(node="a", priority=0)
    lab.wait_holder(VIP, b, seconds=3)
    second.kill()
    assert b.processes() == {}
    assert lab.holders(VIP) == {"b"}


def test_nothing_is_left_behind() -> None:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    made: list[tuple[Node, dict[int, str]]] = []

    def in_the_middle() -> None:
        with Lab() as lab:
            node = lab.node("a", {"eth0": "10.77.0.1/24"})
            daemon = lab.start_keepalived(node, router())
            daemon.wait_log("Entering BACKUP STATE")
            made.append((node, daemon.family()))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        in_the_middle()
    [(node, family)] = made
    assert len(family) == 2
    assert node.processes() == {}
    assert not [pid for pid in family if os.path.exists(f"/proc/{pid}")]
    assert not node.files.exists()
