"""Weights move a priority, which alone moves nobody where nopreempt is; as far as 1 and 254, and never an owner's."""

from __future__ import annotations

import time
from functools import partial

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

TRACKERS = """
track_file number {
    file /etc/keepalived/number
    weight 1
}
track_file other {
    file /etc/keepalived/other
    weight 1
}
vrrp_script lamp {
    script "/usr/bin/test -e /etc/keepalived/lamp"
    interval 1
    weight 50
    user root
}
"""
BY_FILE, BY_SCRIPT, FREE, LOWERED, LEFT = 1, 2, 3, 4, 5
"""The BACKUP's priority rises, in the last of three without nopreempt; the MASTER's falls, in the second without."""
VIPS = {vrid: f"10.77.1.{vrid}" for vrid in (BY_FILE, BY_SCRIPT, FREE, LOWERED, LEFT)}
KEPT = {VIPS[vrid] for vrid in (BY_FILE, BY_SCRIPT, LOWERED)}
TAKEN = {VIPS[vrid] for vrid in (FREE, LEFT)}


def tracks(kind: str, *names: str) -> str:
    return f"track_{kind} {{\n {chr(10).join(names)}\n }}\n "


def text(priority: int, words: dict[int, str]) -> str:
    return (
        global_defs("vrrp_garp_master_repeat 1")
        + TRACKERS
        + "".join(
            instance(f"V{vrid}", vrid=vrid, priority=priority, advert_int=0.3, addresses=(VIPS[vrid],), more=more)
            for vrid, more in words.items()
        )
    )


FIRST = text(
    100,
    {
        BY_FILE: "",
        BY_SCRIPT: "",
        FREE: "",
        LOWERED: f"{tracks('file', 'number')} nopreempt",
        LEFT: f"{tracks('file', 'number')} nopreempt",
    },
)
SECOND = text(
    90,
    {
        BY_FILE: f"{tracks('file', 'number')} nopreempt",
        BY_SCRIPT: f"{tracks('script', 'lamp')} nopreempt",
        FREE: tracks("file", "number"),
        LOWERED: "nopreempt",
        LEFT: "",
    },
)


class Pair:
    """Two routers on a LAN of their own."""

    def __init__(self, lab: Lab, programs: tuple[str, str]) -> None:
        self._lab = lab
        self._programs = programs
        lan = f"lan{len(lab.nodes)}"
        self._nodes: list[Node] = []
        for number in (1, 2):
            node = lab.node(f"{lan}.{number}", {})
            lab.add_interface(node, "eth0", f"10.77.0.{number}/24", lan=lan)
            node.write("number", "0\n")
            self._nodes.append(node)
        self.first, self.second = self._nodes
        self._daemons: list[Daemon] = []

    def start(self) -> None:
        node, text = ((self.first, FIRST), (self.second, SECOND))[len(self._daemons)]
        self._daemons.append(self._lab.start(self._programs[len(self._daemons)], node, text))

    def hold(self, first: set[str], second: set[str]) -> None:
        """They come to hold these."""
        wanted = [first, second]

        def held() -> list[set[str]]:
            return [node.watch.held() & set(VIPS.values()) for node in self._nodes]

        self._lab.hub.until(
            lambda: held() == wanted and all(node.watch.caught_up() for node in self._nodes),
            4,
            lambda: f"{self._programs}: {held()}, not {wanted}",
        )

    def is_backup(self) -> None:
        """It has heard the other one."""
        for vrid in VIPS:
            self._daemons[1].wait_log(rf"\(V{vrid}\) Entering BACKUP STATE")
        begin = time.time()
        for vrid in VIPS:
            self._lab.wire.wait_advert(node=self.first.name, vrid=vrid, since=begin, seconds=2)

    def change(self) -> None:
        self.second.write("lamp", "")
        self.second.write("number", "50\n")
        self.first.write("number", "-20\n")

    def counts(self, since: float) -> None:
        """The priorities are other ones."""
        for vrid in (BY_FILE, BY_SCRIPT, FREE):
            self._daemons[1].wait_log(rf"\(V{vrid}\) Changing effective priority from 90 to 140", since=since)
        for vrid in (LOWERED, LEFT):
            self._lab.wire.wait_advert(node=self.first.name, vrid=vrid, priority=80, since=since, seconds=2)
            # kad says farewell before, with which the others count their skew time alone.
            said = [advert.priority for advert in self._lab.wire.adverts(node=self.first.name, vrid=vrid, since=since)]
            assert (0 in said[: said.index(80)]) is (self._programs[0] == "kad")

    def moved(self, since: float) -> list[str]:
        """What came or went of what is to stay."""
        return [event.address for node in self._nodes for event in node.watch.events if event.time >= since]

    def ends(self) -> None:
        """The priorities that the second one has when it speaks."""
        begin = time.time()
        self._daemons[0].stop()
        for vrid, priority in ((BY_FILE, 140), (BY_SCRIPT, 140), (LOWERED, 90)):
            advert = self._lab.wire.wait_advert(node=self.second.name, vrid=vrid, since=begin, seconds=2)
            assert advert.priority == priority
        self.hold(set(), set(VIPS.values()))


def test_a_higher_priority_takes_nothing_where_nopreempt_is(lab: Lab) -> None:
    pairs = [Pair(lab, (first, second)) for first in BOTH for second in BOTH]
    for pair in pairs:
        pair.start()
    for pair in pairs:
        pair.hold(set(VIPS.values()), set())
        pair.start()
    for pair in pairs:
        pair.is_backup()
    begin = time.time()
    for pair in pairs:
        pair.change()
    for pair in pairs:
        pair.counts(begin)
    for pair in pairs:
        pair.hold(KEPT, TAKEN)
    # Three intervals and the skew time.
    moved = time.time()
    lab.hub.never(lambda: any(pair.moved(moved) for pair in pairs), 1.2, "they stay")
    assert not [address for pair in pairs for address in pair.moved(begin) if address in KEPT]
    for pair in pairs:
        pair.ends()


LIMITED, SUMMED, OWNER = "LIMITED", "SUMMED", "OWNER"
FAULTS = ("PLAIN_OWNER", "PLAIN_MEMBER", "ITS_FELLOW", "GROUPED_OWNER", "ITS_GUEST")
"""The weight of the file is 0 for them, whatever is written."""
SPEAKERS = {
    # No weight counts for an owner nor, by itself, for the member of a group.
    OWNER: (255, tracks("file", "number weight 2")),
    "MEMBER": (100, tracks("file", "number weight 2")),
    "FELLOW": (100, ""),
    LIMITED: (100, tracks("file", "number")),
    SUMMED: (200, tracks("file", "number", "other")),
    "PLAIN_OWNER": (255, tracks("file", "number")),
    "PLAIN_MEMBER": (100, tracks("file", "number")),
    "ITS_FELLOW": (100, ""),
    "GROUPED_OWNER": (255, ""),
    "ITS_GUEST": (100, ""),
}
SPEAKER_VRIDS = {name: vrid for vrid, name in enumerate(SPEAKERS, start=1)}


def group(first: str, second: str, more: str = "") -> str:
    return f"vrrp_sync_group {first}_{second} {{\n group {{\n {first}\n {second}\n }}\n {more}\n}}\n"


LIMITS = (
    global_defs()
    + TRACKERS
    + group("MEMBER", "FELLOW")
    + group("PLAIN_MEMBER", "ITS_FELLOW")
    + group("GROUPED_OWNER", "ITS_GUEST", tracks("file", "number weight 2"))
    + "".join(
        instance(
            name,
            vrid=SPEAKER_VRIDS[name],
            priority=priority,
            state="MASTER" if priority == 255 else "BACKUP",
            addresses=(f"10.77.1.{SPEAKER_VRIDS[name]}",),
            more=more,
        )
        for name, (priority, more) in SPEAKERS.items()
    )
)


class Speaker:
    """A router on a LAN of its own."""

    def __init__(self, lab: Lab, program: str) -> None:
        self._lab = lab
        self._node = lab.node(program, {})
        lab.add_interface(self._node, "eth0", "10.77.0.1/24", lan=program)
        self.write(0, 0)
        lab.start(program, self._node, LIMITS)

    def write(self, number: int, other: int) -> None:
        self._node.write("number", f"{number}\n")
        self._node.write("other", f"{other}\n")

    def says(self, limited: int, summed: int, *, faults: bool, since: float) -> None:
        wait = partial(self._lab.wire.wait_advert, node=self._node.name, since=since, seconds=3)
        wait(vrid=SPEAKER_VRIDS[LIMITED], priority=limited)
        wait(vrid=SPEAKER_VRIDS[SUMMED], priority=summed)
        vips = {f"10.77.1.{SPEAKER_VRIDS[name]}" for name in SPEAKERS if not faults or name not in FAULTS}

        def held() -> set[str]:
            return {address for address in self._node.watch.held() if address.startswith("10.77.1.")}

        self._lab.hub.until(lambda: held() == vips, 3, lambda: f"{self._node.name}: {held() ^ vips}")

    def said(self, name: str) -> set[int]:
        """All its priorities."""
        adverts = self._lab.wire.adverts(node=self._node.name, vrid=SPEAKER_VRIDS[name])
        return {advert.priority for advert in adverts}


def test_the_sum_is_limited_and_no_weight_counts_for_an_owner_or_a_member(lab: Lab) -> None:
    speakers = [Speaker(lab, program) for program in BOTH]
    for number, other, limited, summed in (
        (0, 0, 100, 200),
        (200, 0, 254, 254),
        # What is beyond the limit counts in the sum.
        (200, -150, 254, 250),
        (-200, -150, 1, 1),
        (0, -150, 100, 50),
    ):
        begin = time.time()
        for speaker in speakers:
            speaker.write(number, other)
        for speaker in speakers:
            speaker.says(limited, summed, faults=bool(number), since=begin)
    for speaker in speakers:
        assert (speaker.said(OWNER), speaker.said("MEMBER")) == ({255}, {100})
