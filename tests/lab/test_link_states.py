"""When a link counts: after its delays, and by what the interface answers itself; kad beside keepalived."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tests.lab.lab import Lab
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

DELAY = 0.8
TRACKED = ("late", "rises", "falls", "any", "mii", "flags", "ifb0", "told")
"""Interfaces that one instance each tracks; priority 100, 90 where it counts as down."""
OWN = ("asked", "heard")
"""Interfaces that one instance each is on."""
VRIDS = {name: vrid for vrid, name in enumerate((*TRACKED, *OWN), start=1)}
TEXT = "".join(
    (
        global_defs(),
        f"interface_up_down_delays {{\n late {DELAY} {DELAY}\n rises 0 {DELAY}\n falls {DELAY} 0\n}}\n",
        "linkbeat_interfaces {\n any\n mii MII\n flags IOCTL\n ifb0 MII\n}\n",
        *(
            instance(
                name,
                vrid=VRIDS[name],
                addresses=(f"10.77.1.{VRIDS[name]}",),
                more=f"track_interface {{\n {name} weight -10\n }}",
            )
            for name in TRACKED
        ),
        instance(
            "asked", interface="asked", vrid=VRIDS["asked"], addresses=("10.77.1.9",), more="linkbeat_use_polling"
        ),
        instance("heard", interface="heard", vrid=VRIDS["heard"], addresses=("10.77.1.10",)),
    )
)


class Host:
    """A node on a LAN of its own, and what its instances say."""

    def __init__(self, lab: Lab, program: str) -> None:
        self._lab = lab
        self.node = lab.node(program, {})
        lab.add_interface(self.node, "eth0", "10.77.0.1/24", lan=program)
        for name, vrid in VRIDS.items():
            if name == "ifb0":
                # It answers neither MII nor ethtool.
                self.node.run("ip", "link", "add", name, "type", "ifb")
                self.node.run("ip", "link", "set", name, "up")
            else:
                lab.add_interface(self.node, name, f"10.77.2.{vrid}/32", lan=program)
        # What is left out is the other one, by the manual; keepalived takes 0.
        text = TEXT.replace(f"late {DELAY} {DELAY}", f"late {DELAY}") if program == "kad" else TEXT
        self.daemon = lab.start(program, self.node, text)

    def lose(self, *names: str) -> None:
        """The carrier."""
        for name in names:
            self._lab.link_down(self.node, name)

    def heal(self, *names: str) -> None:
        for name in names:
            self._lab.heal(self.node, name)

    def link(self, *words: str, names: Iterable[str]) -> None:
        for name in names:
            self.node.run("ip", "link", "set", name, *words)

    def says(self, priority: int, *names: str, since: float) -> list[float]:
        """How long after that moment each of them said so first."""
        wait = partial(self._lab.wire.wait_advert, node=self.node.name, priority=priority, since=since, seconds=4)
        return [wait(vrid=VRIDS[name]).time - since for name in names]

    def said(self, *names: str, since: float) -> set[int]:
        """All that they said since then."""
        adverts = self._lab.wire.adverts(node=self.node.name, since=since)
        return {advert.priority for advert in adverts if advert.vrid in {VRIDS[name] for name in names}}

    def released(self, *names: str) -> None:
        """Their addresses are not there; without carrier there is no farewell."""
        vips = {f"10.77.1.{VRIDS[name]}" for name in names}
        self._lab.hub.until(lambda: not vips & self.node.watch.held(), 4, f"none of {vips} on {self.node.name}")


class Hosts:
    """One a program: all is done to both."""

    def __init__(self, lab: Lab) -> None:
        self._hosts = [Host(lab, program) for program in BOTH]

    def each(self, do: Callable[[Host], object]) -> float:
        """When it began."""
        begin = time.time()
        for host in self._hosts:
            do(host)
        return begin

    def say(self, priority: int, *names: str, since: float) -> None:
        self.each(lambda host: host.says(priority, *names, since=since))

    def said_only(self, priority: int, *names: str, since: float) -> None:
        for host in self._hosts:
            assert host.said(*names, since=since) == {priority}, host.node.name

    def say_late(self, priority: int, *names: str, since: float, first: str) -> None:
        """This one at once, the others after the delay."""
        for host in self._hosts:
            begun, *later = host.says(priority, first, *names, since=since)
            assert all(moment > DELAY for moment in later)
            assert begun < min(later) - DELAY / 2


POLLED = ("any", "mii", "flags", "asked")
BY_CARRIER = (*POLLED, "told", "heard")
DELAYED = ("late", "rises", "falls")


def test_links_count_when_they_have_lasted_and_as_they_answer(lab: Lab) -> None:
    hosts = Hosts(lab)
    hosts.say(100, *VRIDS, since=time.time())

    # Shorter than the delay: it is noted only where there is none. An interface that is dormant has a link; it is down.
    begin = hosts.each(lambda host: host.link("state", "dormant", names=BY_CARRIER))
    hosts.each(lambda host: host.link("down", names=["ifb0"]))
    flap = hosts.each(lambda host: host.lose(*DELAYED))
    hosts.say(90, "rises", since=flap)
    back = hosts.each(lambda host: host.heal(*DELAYED))
    hosts.say_late(100, "rises", since=back, first="falls")
    hosts.said_only(100, "late", "falls", since=flap)
    hosts.say(90, *(name for name in (*POLLED, "told", "ifb0") if name in TRACKED), since=begin)
    hosts.say(0, *OWN, since=begin)

    # Longer.
    lost = hosts.each(lambda host: host.lose(*DELAYED))
    hosts.each(lambda host: host.link("state", "up", names=BY_CARRIER))
    hosts.each(lambda host: host.link("up", names=["ifb0"]))
    hosts.say_late(90, "late", "falls", since=lost, first="rises")
    hosts.say(100, *BY_CARRIER, "ifb0", since=lost)

    # A short return counts where there is no delay.
    back = hosts.each(lambda host: host.heal(*DELAYED))
    hosts.say(100, "falls", since=back)
    lost = hosts.each(lambda host: host.lose(*DELAYED))
    hosts.each(lambda host: host.lose(*BY_CARRIER))
    hosts.say(90, *(name for name in BY_CARRIER if name in TRACKED), since=lost)
    hosts.say(90, "falls", since=lost)
    hosts.each(lambda host: host.released(*OWN))
    hosts.said_only(90, "late", "rises", since=back)
    back = hosts.each(lambda host: host.heal(*VRIDS.keys() - {"ifb0"}))
    hosts.say_late(100, "late", "rises", since=back, first="falls")
    hosts.say(100, *BY_CARRIER, since=back)

    for name, kind in (("any", "ETHTOOL"), ("mii", "ETHTOOL.* MII"), ("flags", "IOCTL"), ("ifb0", "IOCTL.* MII")):
        assert lab.daemons[1].logged(rf"{name} is asked each second by {kind}")
    for name, kind in (("mii", "ETHTOOL"), ("ifb0", "IOCTL")):
        assert lab.daemons[0].logged(rf"\({name}\): Configured linkbeat type MII not supported, using {kind}")
