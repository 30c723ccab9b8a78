"""Corners of the election on the wire, one virtual router a word: keepalived and kad are asked the same by hand."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.test_claims import say
from tests.lab.texts import BOTH, global_defs, instance
from tests.lab.wire import Advert

pytestmark = pytest.mark.lab

PATIENT, SPEAKS, SILENT, PLAIN, OWNER, SLOW, DEAF = 1, 2, 3, 4, 5, 6, 7
WORDS = {PATIENT: "down_timer_adverts 8", SPEAKS: "higher_prio_send_advert", SILENT: "lower_prio_no_advert"}
WORDS[DEAF] = "owner_ignore_adverts"
SOURCE = "10.77.0.2"


def vip(vrid: int) -> str:
    return f"10.77.0.10{vrid}"


def text(program: str) -> str:
    owner: dict[str, Any] = {"priority": 255, "state": "MASTER"}
    slow = owner | {"advert_int": 1}
    settings: dict[int, dict[str, Any]] = {PATIENT: {}, SPEAKS: {}, PLAIN: {}, OWNER: owner, SILENT: slow, SLOW: slow}
    if program == "kad":
        # keepalived 2.2.7 does not know the word.
        settings[DEAF] = slow
    return global_defs("vrrp_startup_delay 1", "vrrp_garp_master_repeat 1") + "".join(
        instance(f"VI_{vrid}", vrid=vrid, addresses=(f"{vip(vrid)}/24",), more=WORDS.get(vrid, ""), **said)
        for vrid, said in settings.items()
    )


class Voice:
    """The other router of every VRID, spoken by hand from b."""

    def __init__(self, lab: Lab, b: Node) -> None:
        self._lab, self._b = lab, b

    def says(self, vrid: int, priority: int) -> Advert:
        """One advert, right after one of a: the next one that is due is an interval away."""
        self._lab.wire.wait_advert(node="a", vrid=vrid, seconds=2)
        begin = time.time()
        packet = pdu(SOURCE, version=3, vrid=vrid, priority=priority, addresses=(vip(vrid),), interval=10)
        say(self._b, frame(ipv4(packet, SOURCE), "02:00:00:00:00:02"))
        return self._lab.wire.wait_advert(node="b", vrid=vrid, seconds=1, since=begin)


@pytest.mark.parametrize("program", BOTH)
def test_corners(lab: Lab, program: str) -> None:
    a = lab.node("a", {"eth0": "10.77.0.9/24"})
    b = lab.node("b", {"eth0": "10.77.0.2/24"})
    voice = Voice(lab, b)
    daemon = lab.start(program, a, text(program))
    first = {vrid: lab.wire.wait_advert(node="a", vrid=vrid, seconds=4, since=daemon.started) for vrid in range(1, 7)}

    # vrrp_startup_delay: not even an owner speaks before it is over.
    delay = daemon.wait_log(r"Delaying startup for 1 seconds").time
    # A line may be read late, so the least is counted from the start.
    assert first[OWNER].time - daemon.started > 0.95
    assert first[OWNER].time - delay < 2
    # down_timer_adverts: eight intervals instead of three, and the same skew.
    assert 0.45 < first[PATIENT].time - first[PLAIN].time < 0.6

    # A lower advert is contradicted at once, where lower_prio_no_advert does not forbid it: the next one is 1 s away.
    # An owner that ignores adverts does not hear it.
    for vrid, contradicts in ((SLOW, True), (SILENT, False), (DEAF, False))[: 3 if program == "kad" else 2]:
        heard = voice.says(vrid, 1)
        answer = lab.wire.wait_advert(node="a", vrid=vrid, seconds=2, since=heard.time)
        assert (answer.time - heard.time < 0.5) is contradicts

    # To a higher one it yields without a word, or with a last one where higher_prio_send_advert asks for it.
    for vrid, words in ((PLAIN, 0), (SPEAKS, 1)):
        heard = voice.says(vrid, 200)
        lab.wait_holder(vip(vrid), seconds=1)
        assert len(lab.wire.adverts(node="a", vrid=vrid, since=heard.time)) == words
        # Three intervals and 156/256 of one later it is MASTER again.
        again = lab.wire.wait_advert(node="a", vrid=vrid, seconds=1, since=heard.time + 0.2)
        assert 0.35 < again.time - heard.time < 1

    # An owner yields to nobody below it. Another owner with a lower address should yield: it is told, and when it does
    # not, this one lowers itself. keepalived 2.2.7 does so at once, and for good; later versions wait and come back.
    begin = time.time()
    voice.says(OWNER, 254)
    voice.says(OWNER, 255)
    gives_way = "both configured as address owner|insists on priority 255"
    if program == "kad":
        lab.hub.never(lambda: daemon.logged(gives_way, begin), 0.05, "the higher address waits")
    while not daemon.logged(gives_way, begin):
        assert time.time() - begin < 10, f"the higher address does not give way\n{daemon.log}"
        heard = voice.says(OWNER, 255)
        lab.hub.until(
            lambda heard=heard: (  # type: ignore[misc]
                daemon.logged(gives_way, begin) or lab.wire.adverts(node="a", vrid=OWNER, since=heard.time)
            ),
            1,
            "a says something",
        )
    silent = time.time()
    again = lab.wire.wait_advert(node="a", vrid=OWNER, seconds=1, since=silent + 0.1)
    lab.wait_holder(vip(OWNER), a, seconds=1)
    # It is owner again when that one is silent.
    assert again.priority == (255 if program == "kad" else 254)
