"""auth_hmac between two kads: who has no key is not believed, and what was recorded is worth nothing afterwards."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_ah import ah
from tests.lab.test_crash import kill, replaced, told
from tests.lab.texts import router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
KEY = "hex:" + "5a" * 32
Pair = tuple[Lab, Node, Node]


def signed(priority: int, *lines: str) -> str:
    inside = "\n".join((f"key 1 {KEY}", "active_key 1", *lines))
    return router(priority=priority, advert_int=0.3, more=f"auth_hmac {{\n{inside}\n}}")


def test_recorded_adverts_hold_nobody_back(pair: Pair) -> None:
    lab, a, b = pair
    lab.start_kad(a, signed(150))
    lab.wait_holder(VIP, a, seconds=5)
    other = lab.start_kad(b, signed(100))
    other.wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, 1.5)
    recorded = [seen.packet for seen in lab.wire.adverts(node="a")]
    assert len({packet[-28:] for packet in recorded}) == len(recorded) > 3
    assert {packet[-28:-24] for packet in recorded} == {b"\x01\x01\0\0"}
    sender = recorder(lab)
    lab.cut(a)
    for packet in recorded * 8:
        sender.sendto(packet, ("224.0.0.18", 0))
        lab.hub.never(lambda: False, 0.06, "")
        if b.name in lab.holders(VIP):
            break
    sender.close()
    assert lab.holders(VIP) == {"a", "b"}
    [told] = other.dump("vrrp")["instances"]
    assert told["statistics"]["auth_ext_replay"] > 5
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=3)


def recorder(lab: Lab) -> socket.socket:
    """What sends whole packets on the LAN, whoever made them."""
    sender = lab.node("c", {"eth0": "10.77.0.3/24"}).socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
    return sender


def replay(sender: socket.socket, packets: Iterable[bytes]) -> None:
    for packet in packets:
        sender.sendto(packet, ("224.0.0.18", 0))


@pytest.mark.parametrize(
    ("owner", "other", "counter"),
    [
        pytest.param(signed(255), signed(100), "auth_ext_replay", id="auth_hmac"),
        pytest.param(
            signed(255, "anti_replay monotonic"),
            signed(100, "anti_replay monotonic"),
            "auth_ext_replay",
            id="monotonic",
        ),
        pytest.param(ah(255, "MASTER"), ah(100), "auth_failure", id="AH"),
    ],
)
def test_what_was_recorded_before_a_crash_is_worth_nothing_after_it(
    pair: Pair, owner: str, other: str, counter: str
) -> None:
    lab, a, b = pair
    first, backup = lab.start_kad(a, owner), lab.start_kad(b, other)
    first.wait_log("Entering MASTER STATE")
    backup.wait_log("Entering BACKUP STATE")
    lab.wire.wait_advert(node="a", seconds=4, since=time.time(), count=2)
    lab.hub.until(lambda: told(backup)["statistics"]["advert_rcvd"] >= 2, 3, lambda: backup.log)
    sender = recorder(lab)
    lab.cut(a)
    recorded = [seen.packet for seen in lab.wire.adverts(node="a")][-3:]
    replaced(lab, backup, "vrrp", kill(backup, "vrrp")[0])
    before = told(backup)["statistics"]
    replay(sender, recorded)
    lab.hub.until(lambda: told(backup)["statistics"][counter] >= len(recorded), 2, lambda: told(backup))
    sender.close()
    assert told(backup)["statistics"]["advert_rcvd"] == before["advert_rcvd"]


def test_a_key_is_brought_in_without_a_gap(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=150, advert_int=0.3))
    second = lab.start_kad(b, signed(100, "mode receive-only"))
    lab.wait_holder(VIP, a, seconds=6)
    second.wait_log("10.77.0.1 does not sign its adverts")
    for daemon, text in ((first, signed(150, "mode permissive")), (second, signed(100, "mode enforce"))):
        moment = daemon.reload(text)
        daemon.wait_log("Reload complete", since=moment)
        lab.stays(VIP, a, 1.2)
    assert len(lab.wire.wait_advert(node="a", seconds=1).packet) == 60
    # Whoever does not know the key is heard by nobody, and hears nobody.
    second.reload(router(priority=100))
    lab.wait_holder(VIP, a, b, seconds=4)
