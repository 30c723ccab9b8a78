"""Each word of announcing has its effect on the wire, and what an instance says goes before what is said for all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.test_claims import say
from tests.lab.texts import BOTH, global_defs, instance
from tests.lab.wire import Announcement

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
Bursts = dict[int, int]
"""Messages by the second in which they came."""
DEFAULTS = """global_defs {
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 2
    vrrp_garp_master_refresh 2
    vrrp_garp_master_refresh_repeat 3
    vrrp_garp_lower_prio_delay 1
    vrrp_garp_lower_prio_repeat 3
    vrrp_lower_prio_no_advert
    vrrp_higher_prio_send_advert
}
"""
BECOMES_MASTER: dict[str, Bursts] = {
    "": {0: 2, 1: 2, 2: 3},
    "garp_master_delay 0": {0: 2, 2: 3},
    "garp_master_delay 2\n garp_master_refresh 0": {0: 2, 2: 2},
    "garp_master_repeat 4": {0: 4, 1: 4, 2: 3},
    "garp_master_repeat 0": {0: 1, 1: 1, 2: 3},
    "garp_master_refresh 1": {0: 2, 1: 5, 2: 3},
    "garp_master_refresh 0": {0: 2, 1: 2},
    "garp_master_refresh_repeat 1": {0: 2, 1: 2, 2: 1},
}
HEARS_WEAKER: dict[str, Bursts] = {
    "": {0: 3, 1: 3},
    "garp_lower_prio_delay 0": {0: 3},
    "garp_lower_prio_delay 2": {0: 3, 2: 3},
    "garp_lower_prio_repeat 0": {},
    "garp_lower_prio_repeat 1": {0: 1, 1: 1},
}
ELSEWHERE: dict[str, tuple[int, int]] = {
    "": (1, 0),
    "garp_extra_if 0": (0, 0),
    "garp_extra_if 1": (0, 0),
    "garp_extra_if all 2": (0, 1),
    "vmac_garp_intvl all 1": (1, 1),
    "use_vmac": (1, 0),
    "use_vmac\n garp_extra_if 1": (0, 0),
    "use_vmac\n dont_track_primary": (1, 1),
}
"""Messages for an address elsewhere a second after its first, and in the second after vrrp_garp_extra_if lost `all`.

The address of the last one has a virtual MAC of its own there.
"""
ONCE = "garp_master_delay 0\n garp_master_repeat 1\n garp_master_refresh 0\n"
SOURCE = "10.77.0.2"
FOR_GOOD = 4095
"""The longest interval that an advert can name, in centiseconds: after one such advert a router hears for long."""


def vip(vrid: int) -> str:
    return f"10.77.0.{100 + vrid}"


def speak(lab: Lab, b: Node, vrid: int, priority: int, interval: int = 10) -> float:
    """One advert from b; when it came."""
    begin = time.time()
    packet = pdu(SOURCE, version=3, vrid=vrid, priority=priority, addresses=(vip(vrid),), interval=interval)
    say(b, frame(ipv4(packet, SOURCE), "02:00:00:00:00:02"))
    return lab.wire.wait_advert(node="b", vrid=vrid, seconds=1, since=begin).time


def bursts(seen: Iterable[Announcement], begin: float) -> Bursts:
    """What came in the two and a half seconds since then."""
    found = [each.time - begin for each in seen if each.time < begin + 2.5]
    assert all(abs(at - round(at)) < 0.4 for at in found), found
    return Counter(round(at) for at in found)


@pytest.mark.parametrize("program", BOTH)
def test_each_word_goes_before_what_is_said_for_all(pair: Pair, program: str) -> None:
    lab, a, b = pair
    master, weaker = dict(enumerate(BECOMES_MASTER, start=1)), dict(enumerate(HEARS_WEAKER, start=21))
    hears, follows, mute, contradicts, last_word, no_word = 31, 32, 41, 42, 43, 44
    words = master | {
        **{vrid: ONCE + more for vrid, more in weaker.items()},
        hears: ONCE + "garp_lower_prio_repeat 1",
        follows: ONCE + "garp_lower_prio_delay 2\n garp_lower_prio_repeat 2",
        mute: ONCE,
        contradicts: ONCE + "lower_prio_no_advert off",
        last_word: "",
        no_word: ONCE + "higher_prio_send_advert off",
    }
    owner: dict[str, Any] = {"priority": 255, "state": "MASTER", "advert_int": 1}
    settings = {mute: owner, contradicts: owner}
    group = f"vrrp_sync_group G {{\n group {{\n VI_{hears}\n VI_{follows}\n }}\n}}\n"
    members = (
        instance(f"VI_{vrid}", vrid=vrid, addresses=(f"{vip(vrid)}/24",), more=more, **settings.get(vrid, {}))
        for vrid, more in words.items()
    )
    lab.start(program, a, DEFAULTS + group + "".join(members))
    first = {vrid: lab.wire.wait_announcements(1, node="a", address=vip(vrid), seconds=8)[0].time for vrid in words}

    # A BACKUP announces nothing that it owed as a MASTER, and leaves with or without a last word.
    for vrid, count in ((last_word, 1), (no_word, 0)):
        lab.wire.wait_advert(node="a", vrid=vrid, seconds=1)
        yields = speak(lab, b, vrid, 200, FOR_GOOD)
        lab.wait_holder(vip(vrid), seconds=1)
        assert len(lab.wire.adverts(node="a", vrid=vrid, since=yields)) == count
    # The bursts of becoming MASTER are no more than these, so that those of hearing a weaker one can be counted.
    heard = {vrid: speak(lab, b, vrid, 1) for vrid in (*weaker, hears)}
    heard[follows] = heard[hears]
    for vrid, answers in ((mute, False), (contradicts, True)):
        # Right after one of its adverts: the next one that is due is a second away.
        lab.wire.wait_advert(node="a", vrid=vrid, seconds=2)
        contradicted = speak(lab, b, vrid, 1)
        answer = lab.wire.wait_advert(node="a", vrid=vrid, seconds=2, since=contradicted)
        assert (answer.time - contradicted < 0.5) is answers

    over = max(*first.values(), *heard.values()) + 2.5
    lab.hub.never(lambda: lab.wire.adverts(node="a", priority=0), over - time.time(), "nobody gives up")
    assert {master[vrid]: bursts(lab.wire.announcements(address=vip(vrid)), first[vrid]) for vrid in master} == (
        BECOMES_MASTER
    )
    answers_of = {
        vrid: bursts(lab.wire.announcements(address=vip(vrid), since=moment), moment) for vrid, moment in heard.items()
    }
    assert answers_of == dict(zip(weaker, HEARS_WEAKER.values(), strict=True)) | {
        hears: {0: 1, 1: 1},
        follows: {0: 2, 2: 2},
    }
    assert len(lab.wire.announcements(address=vip(last_word))) == 2


@pytest.mark.parametrize("program", BOTH)
def test_addresses_elsewhere_are_announced_again_and_again(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24", lan="other")
    there = {f"10.78.0.{101 + at}": words for at, words in enumerate(ELSEWHERE.values())}

    def text(extra: str) -> str:
        found = global_defs(f"vrrp_garp_extra_if {extra}")
        for vrid, (more, address) in enumerate(zip(ELSEWHERE, there, strict=True), start=1):
            elsewhere = f"{address}/24 dev eth1" + (" use_vmac" if vrid == len(there) else "")
            found += instance(f"VI_{vrid}", vrid=vrid, addresses=(f"{vip(vrid)}/24", elsewhere), more=ONCE + more)
        return found

    daemon = lab.start(program, a, text("all 1"))
    first = {each: lab.wire.wait_announcements(1, node="a", address=each, seconds=8)[0].time for each in there}

    def again(address: str, begin: float, end: float) -> int:
        """Besides those of becoming MASTER."""
        seen = [each.time for each in lab.wire.announcements(address=address, since=first[address] + 0.5)]
        return sum(begin < at < end for at in seen)

    asked = max(first.values()) + 1.2
    lab.hub.until(lambda: time.time() > asked, 2, "a second passes")
    assert {each: again(each, 0, asked) for each in there} == {each: words[0] for each, words in there.items()}
    moment = daemon.reload(text("1"))
    lab.hub.until(lambda: time.time() > moment + 1.2, 2, "one more passes")
    # keepalived counts the interval anew, and begins with a message: one or two fit in here.
    found = {each: min(1, again(each, moment, moment + 1.2)) for each in there}
    assert found == {each: words[1] for each, words in there.items()}
    # On the interface of the instance they are said once.
    assert [len(lab.wire.announcements(address=vip(vrid))) for vrid in range(1, 1 + len(there))] == [1] * len(there)
