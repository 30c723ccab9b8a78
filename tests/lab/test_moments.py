"""When a router speaks first, how long it waits, and what it says of its interval: seconds and fields on the wire."""

from __future__ import annotations

import socket
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.texts import BOTH, global_defs, instance
from tests.lab.wire import Advert

pytestmark = pytest.mark.lab

EARLIER, LATER = 0.005, {"kad": 0.9, "keepalived": 2}
"""Seconds: what rounding may take away, and what a busy machine may add; keepalived is only asked what is right."""
SPREAD = 0.3
"""Seconds by which the first of many owners may be late."""
SOURCE = "10.77.0.2"
TICK = 0.1
"""Seconds between two words of the other router."""

OWNER: dict[str, Any] = {"priority": 255, "state": "MASTER"}
STARTS: dict[int, tuple[dict[str, Any], float]] = {
    # What is said, and the seconds from the end of vrrp_startup_delay to the first advert.
    1: ({"state": "MASTER", "priority": None, "advert_int": 1}, 0),
    2: ({"state": None, "priority": 255, "advert_int": 1}, 0),
    3: ({"state": "BACKUP", "priority": 255, "advert_int": 1}, 0),
    # 3 · 0.3 s and 156/256 of it, whatever `state` says.
    4: ({"state": "MASTER", "advert_int": 0.3}, 1.083),
    5: ({"state": "BACKUP", "advert_int": 0.3}, 1.083),
    # Groups: one of owners, and one of whose members the second is through after 0.381 s but waits for the first.
    6: (OWNER | {"advert_int": 1}, 0),
    7: (OWNER | {"advert_int": 1}, 0),
    8: ({"state": "BACKUP", "advert_int": 0.3}, 1.083),
    9: ({"state": "MASTER", "priority": 50, "advert_int": 0.1}, 1.083),
    # One whose members all wish to be MASTER: each listens for its own time.
    11: ({"state": "MASTER", "advert_int": 0.3}, 1.083),
    12: ({"state": "MASTER", "priority": 50, "advert_int": 0.1}, 1.083),
    # A higher advert that arrives during the delay counts for nothing.
    10: ({"advert_int": 0.3}, 1.083),
}
NAMED_MASTER, FIRST, OWNER_AS_BACKUP, EARLY = 1, 2, 3, 10
OF_KEEPALIVED = {OWNER_AS_BACKUP: 3.004}
"""keepalived lets an owner that says BACKUP wait for 3 · 1 s and 1/256 of it; RFC 9568 6.4.1 does not."""
BY_CHANCE = {6, 7, 66}
"""In keepalived 2.2.7 a grouped owner that is ready too early for the other waits as long; each lower advert that it
discards may cost it some time."""
GROUPS = "".join(
    f"vrrp_sync_group G{first} {{\n group {{\n VI_{first}\n VI_{first + 1}\n }}\n}}\n" for first in (6, 8, 11)
)

INTERVALS: dict[int, tuple[int, float, float]] = {
    # Version, advert_int, and what the advert says: seconds, in 12 bits of hundredths or in 8 bits of whole ones.
    21: (3, 0.256, 0.26),
    22: (3, 40.95, 40.95),
    23: (3, 40.96, 40.95),
    24: (3, 255, 40.95),
    # Beyond 0.01..255 the word counts for nothing.
    25: (3, 256, 1),
    26: (3, 0.009, 1),
    27: (2, 1.4, 1),
    28: (2, 1.5, 2),
    29: (2, 0.3, 1),
    30: (2, 255, 255),
    31: (2, 256, 1),
}

TRACKED = "track_interface {{\n tracked weight {}\n }}"
PRIORITIES: dict[int, tuple[dict[str, Any], int]] = {
    # The weight of an interface that is up, and the priority of the adverts: 1 to 254, but of an owner.
    35: ({"priority": 200, "more": TRACKED.format(100)}, 254),
    36: ({"priority": 50, "more": TRACKED.format("100 reverse")}, 1),
    37: (OWNER | {"more": TRACKED.format("100 reverse")}, 255),
}

SILENCES: dict[int, tuple[dict[str, Any], int, float]] = {
    # What is said, the interval in hundredths of the only advert that is heard, and the seconds until whoever sent it
    # is presumed dead: RFC 9568 6.1 for version 3, RFC 3768 6.1 for version 2.
    41: ({"priority": 1}, 40, 1.598),
    42: ({"priority": 128}, 40, 1.4),
    43: ({"priority": 254}, 40, 1.203),
    44: ({"priority": 254, "more": "down_timer_adverts 1"}, 40, 0.403),
    45: ({"priority": 100, "more": "down_timer_adverts 100"}, 1, 1.006),
    49: ({"priority": 1, "more": "down_timer_adverts 40"}, 1, 0.41),
    46: ({"priority": 1, "version": 2}, 100, 3.996),
    47: ({"priority": 254, "version": 2}, 100, 3.008),
    48: ({"priority": 254, "version": 2, "more": "down_timer_adverts 1"}, 100, 1.008),
}
FAREWELLS: dict[int, tuple[dict[str, Any], int, float]] = {
    # The same when it goes with priority 0.
    51: ({"priority": 1}, 40, 0.398),
    52: ({"priority": 254}, 100, 0.008),
    53: ({"priority": 1, "version": 2}, 100, 0.996),
    54: ({"priority": 254, "version": 2}, 100, 0.008),
}

DELAYS: dict[int, tuple[float, int]] = {
    # preempt_delay, and the priority that is heard in the midst of it; ours is 100, that of the other router 50.
    61: (0.55, 50),
    62: (1.05, 50),
    63: (0.55, 99),
    64: (0.55, 100),
    65: (0.55, 101),
}
NO_DELAY, NOBODY = 66, 67
"""Lower adverts without preempt_delay change nothing, nor does preempt_delay when nobody speaks."""
LOWER_DIES = 0.722
"""3 · 0.2 s and 156/256 of it after the last lower advert that counted."""


def vip(vrid: int) -> str:
    return f"10.77.0.{100 + vrid}"


def text() -> str:
    settings: dict[int, dict[str, Any]] = {vrid: said for vrid, (said, _) in (STARTS | PRIORITIES).items()}
    settings |= {vrid: OWNER | {"version": ver, "advert_int": asked} for vrid, (ver, asked, _) in INTERVALS.items()}
    # Patient enough to hear the other router first.
    settings |= {vrid: {"advert_int": 1} | said for vrid, (said, *_) in (SILENCES | FAREWELLS).items()}
    delays = {vrid: delay for vrid, (delay, _) in DELAYS.items()} | {NO_DELAY: 0, NOBODY: 3}
    settings |= {vrid: {"advert_int": 0.3, "more": f"preempt_delay {delay}"} for vrid, delay in delays.items()}
    whole = global_defs("vrrp_startup_delay 1", "vrrp_garp_master_repeat 1") + GROUPS
    for vrid, said in settings.items():
        made = instance(f"VI_{vrid}", vrid=vrid, addresses=(f"{vip(vrid)}/24",), **said)
        whole += "".join(line for line in made.splitlines(keepends=True) if not line.endswith("None\n"))
    return whole


class Other:
    """The other router of every VRID, spoken by hand from b."""

    def __init__(self, b: Node) -> None:
        self._socket = b.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind(("eth0", 0))

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def says(self, vrid: int, priority: int, version: int = 3, interval: int = 20) -> None:
        """`interval` in hundredths of a second."""
        unit = interval // 100 if version == 2 else interval
        said = pdu(SOURCE, version=version, vrid=vrid, priority=priority, addresses=(vip(vrid),), interval=unit)
        self._socket.send(frame(ipv4(said, SOURCE), "02:00:00:00:00:02"))

    def speaks_each_tick(self, ticks: int) -> None:
        """A lower advert each tick where preemption is delayed, and the other words in their turn."""
        spoken = {vrid: (said.get("version", 3), each) for vrid, (said, each, _) in (SILENCES | FAREWELLS).items()}
        for tick in range(ticks):
            for vrid, (_, heard) in DELAYS.items():
                self.says(vrid, heard if tick == 3 else 50)
            self.says(NO_DELAY, 50)
            for vrid, (version, interval) in spoken.items():
                if tick == 1:
                    self.says(vrid, 255, version, interval)
                elif tick == 2 and vrid in FAREWELLS:
                    self.says(vrid, 0, version, interval)
            time.sleep(TICK)


@pytest.mark.parametrize("program", BOTH)
def test_moments(pair: tuple[Lab, Node, Node], program: str) -> None:
    lab, a, b = pair
    lab.add_interface(a, "tracked", "", lan="other")
    daemon = lab.start(program, a, text())
    daemon.wait_log("Delaying startup for 1 seconds")
    with Other(b) as other:
        if program == "kad":
            # keepalived 2.2.7 obeys it, later versions do not.
            for _ in range(5):
                other.says(EARLY, 200, interval=4095)
                time.sleep(TICK)
        begin = lab.wire.wait_advert(node="a", vrid=FIRST, seconds=3, since=0).time
        other.speaks_each_tick(20)
    everybody = {*STARTS, *INTERVALS, *PRIORITIES, *SILENCES, *FAREWELLS, *DELAYS, NO_DELAY, NOBODY}
    first = {vrid: lab.wire.wait_advert(node="a", vrid=vrid, seconds=4, since=0) for vrid in sorted(everybody)}
    for vrid in everybody:
        lab.wait_holder(vip(vrid), a, seconds=1)

    later = LATER[program]
    starts = {vrid: seconds for vrid, (_, seconds) in STARTS.items()} | {NO_DELAY: 1.083, NOBODY: 1.083}
    if program == "keepalived":
        starts = {vrid: seconds for vrid, seconds in (starts | OF_KEEPALIVED).items() if vrid not in BY_CHANCE}
    for vrid, seconds in starts.items():
        waited = first[vrid].time - begin
        assert seconds - SPREAD < waited < seconds + later, f"VRID {vrid} waited for {waited:.3f} s, not {seconds} s"
    for vrid, (_, _, seconds) in (SILENCES | FAREWELLS).items():
        waited = first[vrid].time - lab.wire.adverts(node="b", vrid=vrid)[-1].time
        assert seconds - EARLIER < waited < seconds + later, f"VRID {vrid} waited for {waited:.3f} s, not {seconds} s"
    assert begin - daemon.started > 0.95
    assert (first[NAMED_MASTER].priority, first[FIRST].priority) == (255, 255)

    assert {vrid: first[vrid].interval for vrid in INTERVALS} == {vrid: said for vrid, (*_, said) in INTERVALS.items()}
    assert {vrid: first[vrid].priority for vrid in PRIORITIES} == {vrid: said for vrid, (_, said) in PRIORITIES.items()}

    for vrid, (delay, _) in DELAYS.items():
        soonest, latest = preempting(lab.wire.adverts(node="b", vrid=vrid), delay)
        assert soonest - EARLIER < first[vrid].time < latest + later, f"VRID {vrid} after {first[vrid].time - begin} s"


def preempting(heard: list[Advert], delay: float) -> tuple[float, float]:
    """Between which moments whoever hears this takes over."""
    beginning = heard[0]
    for before, each in pairwise(heard):
        # The delay begins anew with the next lower one.
        if before.priority >= 100:
            beginning = each
    over = beginning.time + delay
    # One that comes in that very moment may count or not.
    counted = [max(each.time for each in heard if each.time < over + doubt) for doubt in (-TICK / 4, TICK / 4)]
    return counted[0] + LOWER_DIES, counted[1] + LOWER_DIES
