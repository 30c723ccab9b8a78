"""When the state of a link counts: after a delay, or as the interface itself says; and sources that are looked for."""

from __future__ import annotations

import errno

import pytest

from kad.linux.netlink.network_table import AddressChanged, LinkChanged
from kad.linux.refused import Refused
from kad.model.link_monitoring import InterfaceDelay, Linkbeat
from kad.model.tracking import TrackItem
from kad.model.vrrp import VrrpInstance
from kad.vrrp.events import State
from kad.vrrp.process.kernel import link_states
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.samples import instance


class Answers:
    """A kad.linux.sockets.ethtool_link.Linkbeat; what an interface answers, by name and kind."""

    def __init__(self) -> None:
        self.beats: dict[tuple[str, str], bool] = {}

    def find(self, name: str, preferred: str | None) -> str | None:
        return next((kind for each, kind in self.beats if each == name), None)

    def ask(self, name: str, kind: str) -> bool | None:
        return self.beats.get((name, kind))


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    made = Answers()
    monkeypatch.setattr(link_states, "Linkbeat", lambda: made)
    return made


def master(house: House, configuration: VrrpInstance, **fields: object) -> None:
    house.commit(configuration, **fields)
    house.run(3.7)
    assert house.instances[0].router.state is State.MASTER


def turn(house: House, name: str, up: bool) -> None:
    old = house.network.by_name[name]
    new = house.network.by_name[name] = link(name, old.index, up=up)
    house.tell(LinkChanged(old, new))


class TestDelays:
    DELAY = (InterfaceDelay(name="eth0", down=1.5, up=0.5),)

    def test_a_change_counts_when_it_has_lasted(self, house: House) -> None:
        master(house, instance(), link_delays=self.DELAY)
        (one,) = house.instances
        turn(house, "eth0", False)
        house.run(1.4)
        assert one.router.state is State.MASTER
        house.run(0.2)
        assert (one.router.state, one.reason) == (State.FAULT, "interface eth0 is down")
        turn(house, "eth0", True)
        house.run(0.4)
        assert one.router.state is State.FAULT
        house.run(0.2)
        assert one.router.state is State.BACKUP
        assert "eth0 is down, which counts in 1.5 s" in house.lines

    def test_what_does_not_last_was_nothing_and_the_next_time_counts_anew(self, house: House) -> None:
        master(house, instance(), link_delays=self.DELAY)
        (one,) = house.instances
        for _ in range(3):
            turn(house, "eth0", False)
            house.run(1.0)
            turn(house, "eth0", True)
            house.run(0.2)
        assert one.router.state is State.MASTER
        assert one.transitions == 2

    def test_of_a_tracked_interface(self, house: House) -> None:
        house.network.by_name["eth1"] = link("eth1", 2)
        tracks = (TrackItem(kind="interface", name="eth1", weight=-20),)
        master(house, instance(tracks=tracks), link_delays=(InterfaceDelay(name="eth1", down=1.0, up=0.0),))
        (one,) = house.instances
        turn(house, "eth1", False)
        house.run(0.9)
        assert one.router.priority == 100
        house.run(0.2)
        assert one.router.priority == 80
        turn(house, "eth1", True)
        assert one.router.priority == 100

    def test_one_that_is_gone_is_gone_at_once(self, house: House) -> None:
        master(house, instance(), link_delays=self.DELAY)
        old = house.network.by_name.pop("eth0")
        house.tell(LinkChanged(old, None))
        assert house.instances[0].router.state is State.FAULT

    def test_a_reload_that_takes_the_delay_away(self, house: House) -> None:
        master(house, instance(), link_delays=self.DELAY)
        turn(house, "eth0", False)
        house.commit(instance())
        assert house.instances[0].router.state is State.FAULT


class TestLinkbeat:
    POLLED = (Linkbeat(name="eth0"),)

    def test_what_the_interface_answers_counts_within_a_second(self, house: House, answers: Answers) -> None:
        answers.beats["eth0", "MII"] = True
        master(house, instance(), polled_links=self.POLLED)
        (one,) = house.instances
        assert "eth0 is asked each second by MII" in house.lines
        answers.beats["eth0", "MII"] = False
        house.run(1.0)
        assert (one.router.state, one.reason) == (State.FAULT, "interface eth0 is down")
        assert "Linkbeat reports eth0 down" in house.lines
        answers.beats["eth0", "MII"] = True
        house.run(1.0)
        assert one.router.state is State.BACKUP

    def test_netlink_may_say_what_it_likes_of_the_carrier(self, house: House, answers: Answers) -> None:
        answers.beats["eth0", "ETHTOOL"] = True
        master(house, instance(), polled_links=self.POLLED)
        old = house.network.by_name["eth0"]
        new = house.network.by_name["eth0"] = link("eth0", 1, up=False, enabled=True)
        house.tell(LinkChanged(old, new))
        assert house.instances[0].router.state is State.MASTER
        turn(house, "eth0", False)
        assert house.instances[0].router.state is State.FAULT

    def test_one_that_answers_nothing_is_what_netlink_says(self, house: House, answers: Answers) -> None:
        master(house, instance(), polled_links=self.POLLED)
        turn(house, "eth0", False)
        assert house.instances[0].router.state is State.FAULT

    def test_nobody_asks_after_a_reload_without(self, house: House, answers: Answers) -> None:
        answers.beats["eth0", "MII"] = True
        master(house, instance(), polled_links=self.POLLED)
        house.commit(instance())
        answers.beats["eth0", "MII"] = False
        house.run(2)
        assert house.instances[0].router.state is State.MASTER


class TestSource:
    TRACKED = instance(source_address="10.79.0.9", track_source=True)

    def test_a_source_may_be_on_any_interface_and_its_loss_is_a_fault(self, house: House) -> None:
        house.network.by_name["lo"] = link("lo", 9)
        source = address("10.79.0.9", 32, 9)
        house.network.held[9] = [source]
        master(house, self.TRACKED)
        (one,) = house.instances
        house.network.held[9] = []
        house.tell(AddressChanged(source, gone=True))
        assert (one.router.state, one.reason) == (State.FAULT, "source address 10.79.0.9 is not on this host")
        house.network.held[9] = [source]
        house.tell(AddressChanged(source, gone=False))
        assert one.router.state is State.BACKUP


def test_without_a_socket_to_ask_by_netlink_counts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, refuses = Answers(), True
    answers.beats["eth0", "MII"] = False

    def open_linkbeat() -> Answers:
        if refuses:
            raise Refused("linkbeat socket", errno.ENOMEM)
        return answers

    monkeypatch.setattr(link_states, "Linkbeat", open_linkbeat)
    master(house, instance(), polled_links=(Linkbeat(name="eth0", kind=None),))
    complaint = "interfaces cannot be asked for their links: linkbeat socket: Cannot allocate memory"
    assert house.lines.count(complaint) == 1
    refuses = False
    house.run(1.1)
    assert house.instances[0].router.state is State.FAULT
