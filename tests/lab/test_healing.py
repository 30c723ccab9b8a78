"""A MASTER that hears others speak for its addresses announces them again by itself, and never too often."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.ndisc import unsolicited_advertisement
from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.test_announcing import FOR_GOOD, vip
from tests.lab.test_claims import MAC, excluded, say
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
PLAIN, WRITTEN, HEARS, FOLLOWS, CLAIMED, SLOW, TAKEN = VRIDS = range(1, 8)
VIP6 = "2001:db8::100"
WORDS = dict.fromkeys(VRIDS, "garp_master_repeat 2")
WORDS[WRITTEN] = "garp_master_repeat 1\n garp_lower_prio_repeat 1\n garp_lower_prio_delay 0"
WORDS[CLAIMED] += f"\n {excluded(VIP6)}"
SETTINGS: dict[int, dict[str, Any]] = {SLOW: {"advert_int": 1, "priority": 255, "state": "MASTER"}}
GROUP = f"vrrp_sync_group G {{\n group {{\n VI_{HEARS}\n VI_{FOLLOWS}\n }}\n}}\n"
ANSWERS = [0.5, 10.5, 30.5, 70.5]
"""Seconds from the first claim to the answers: half a second, and then pauses of 10, 20 and 40 (RFC 5227 2.4 c)."""


def advert(vrid: int, priority: int, interval: int = 10) -> bytes:
    packet = pdu("10.77.0.2", version=3, vrid=vrid, priority=priority, addresses=(vip(vrid),), interval=interval)
    return frame(ipv4(packet, "10.77.0.2"), "02:00:00:00:00:02")


def soon(at: float) -> Any:
    """At that moment, or a little later on a loaded machine."""
    return pytest.approx(at + 0.2, abs=0.25)


class Dispute:
    """b insists that it has the addresses of a."""

    def __init__(self, pair: Pair) -> None:
        self._lab, a, self._b = pair
        a.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
        routers = (
            instance(
                f"VI_{vrid}", vrid=vrid, addresses=(f"{vip(vrid)}/24",), more=WORDS[vrid], **SETTINGS.get(vrid, {})
            )
            for vrid in VRIDS
        )
        self.daemon = self._lab.start_kad(a, global_defs("vrrp_garp_master_repeat 2") + GROUP + "".join(routers))
        # The rounds of becoming MASTER are over: twice two, and once one and one.
        for vrid in VRIDS:
            self._lab.wire.wait_announcements(2 if vrid == WRITTEN else 4, node="a", address=vip(vrid), seconds=8)
        self.begin = time.time()
        say(self._b, gratuitous_arp(MAC, vip(TAKEN)), advert(TAKEN, 200, FOR_GOOD))

    def announced(self, address: str) -> list[float]:
        """When a announced it, in seconds since the dispute began."""
        seen = self._lab.wire.announcements(node="a", address=address, since=self.begin)
        return [each.time - self.begin for each in seen]

    def insist(self, *, seconds: float, bursts: int) -> float:
        """Claim for so long, and send adverts until so many bursts were the answer; when the last advert came."""
        claims = [gratuitous_arp(MAC, vip(vrid)) for vrid in (CLAIMED, SLOW)] + [unsolicited_advertisement(MAC, VIP6)]
        while time.time() < self.begin + seconds:
            weaker = [advert(vrid, 1) for vrid in (PLAIN, WRITTEN, HEARS)]
            split = len(self.announced(vip(PLAIN))) < 2 * bursts
            say(self._b, *claims, *(weaker if split else ()))
            pause = time.time() + (0.1 if split else 0.5)
            self._lab.hub.until(lambda pause=pause: time.time() >= pause, 1, "the pause is over")  # type: ignore[misc]
        return self._lab.wire.adverts(node="b", vrid=PLAIN)[-1].time - self.begin


def test_a_master_that_others_dispute_announces_now_and_then(pair: Pair) -> None:
    dispute = Dispute(pair)
    last_advert = dispute.insist(seconds=11, bursts=3)
    for vrid in (PLAIN, HEARS, FOLLOWS):
        seen = dispute.announced(vip(vrid))
        # Three bursts of two, a second apart, and one garp_master_delay after the last advert.
        assert len(seen) == 8
        assert all(second - first < 0.1 for first, second in zip(seen[::2], seen[1::2], strict=True))
        assert seen[0] == soon(0)
        assert all(0.99 < later - sooner < 1.6 for sooner, later in pairwise(seen[:6:2]))
        assert seen[6] - last_advert == soon(1)
    # Where a number or a delay is written, each advert is answered.
    heard = pair[0].wire.adverts(node="b", vrid=WRITTEN)
    assert len(dispute.announced(vip(WRITTEN))) == len(heard)
    for address in (vip(CLAIMED), VIP6):
        seen = dispute.announced(address)
        assert seen == [soon(at) for at in ANSWERS[:2]]
    # Not before an advert of a MASTER that took over would have come.
    assert dispute.announced(vip(SLOW))[0] == soon(1.2)
    # And none where one did.
    assert dispute.announced(vip(TAKEN)) == []
    (entered,) = dispute.daemon.logged("Entering", since=dispute.begin)
    assert f"(VI_{TAKEN}) Entering BACKUP STATE" in entered.text
