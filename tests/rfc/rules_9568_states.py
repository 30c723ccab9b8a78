"""RFC 9568 section 6, the parameters and states of VRRP version 3, with verified errata: a row for each rule."""

from __future__ import annotations

from typing import Any

from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import Finding
from kad.vrrp.events import Announce, ReleaseAddresses, SendAdvert, Started, State, Stopped, TellLowerPriority
from kad.vrrp.router import skew_time
from tests.play import At, Due, Play
from tests.rfc.row import Row, configured, hears, plays, refused, sent, takes_over, yields
from tests.rfc.rules_9568_packets import VIRTUAL_MAC
from tests.simulation.scenarios import World
from tests.unit.vrrp.packets import v3
from tests.unit.vrrp.samples import advert, backup, entered, instance, instance_v6, router
from tests.unit.vrrp.samples import master as resumed


def follower(**changes: Any) -> Play:
    """BACKUP from 0.0 on."""
    return backup(version=3, **changes)


def master(**changes: Any) -> Play:
    """MASTER from 0.0 on."""
    return resumed(version=3, **changes)


def says(priority: int, source: str = "10.77.0.2", interval: float = 1.0) -> Any:
    return hears(priority, source, interval, 3)


def old_masters_interval_does_not_outlive_it() -> None:
    play = follower() >> At(1.0) >> says(150, interval=0.1) >> Due(1.3609375)
    assert takes_over(play, "no advert from 10.77.0.2 for 0.36 s") >> Due(2.3609375)


def skew_and_down_interval() -> None:
    assert skew_time(3, 100, 1.0) == 0.609375
    assert skew_time(3, 254, 0.5) == 0.00390625
    plays(follower(advertisement_interval=0.1) >> Due(0.3609375))


def skew_is_not_that_of_version_2() -> None:
    plays(follower(advertisement_interval=0.1, priority=1) >> Due(0.399609375))
    plays(backup(priority=1) >> Due(3.99609375))


def a_backup_has_no_address() -> None:
    """So that the kernel neither answers ARP requests for it nor accepts packets to it."""
    world = World(instance(version=3, priority=200), instance(version=3)).boot().until(10.0)
    assert world.hosts[1].addresses == set()


def a_master_has_them() -> None:
    world = World(instance(version=3, priority=200), instance(version=3)).boot().until(10.0)
    assert world.hosts[0].addresses == {"10.77.0.100"}


def owner_preempts() -> None:
    (owner,) = configured("priority 255", "version 3", "nopreempt", "virtual_ipaddress {\n192.0.2.100/24\n}")
    assert owner.preempt is True


def others_may_be_told_not_to() -> None:
    (other,) = configured("priority 254", "version 3", "nopreempt", "virtual_ipaddress {\n192.0.2.100/24\n}")
    assert other.preempt is False


def the_interval_that_is_sent() -> None:
    assert sent(version=3, advertisement_interval=0.01)[24:26].hex() == "0001"
    assert sent(version=3, advertisement_interval=40.95)[24:26].hex() == "0fff"


ACCEPTS = "the first rule of no_accept's chains lets neighbour discovery pass"
ROUTER = "router advertisements are left to the daemon that sends them"


def addresses_of_ipv6(host: int, wanted: set[str]) -> None:
    """What the kernel holds, and so answers solicitations for."""
    world = World(instance_v6(priority=200), instance_v6(), network="fe80::").boot().until(10.0)
    assert world.hosts[host].addresses == wanted


RULES = (
    Row("6.1-1", "MUST NOT", "without accept mode neighbour solicitations still are not dropped", why=ACCEPTS),
    Row(
        "6.1-2",
        "RULE",
        "skew time is (256 - priority) / 256 of the master's interval, the down interval three intervals and that",
        skew_and_down_interval,
        skew_is_not_that_of_version_2,
    ),
    Row(
        "6.1-3",
        "RULE",
        "an interval is 1 to 4095 centiseconds (erratum 8301)",
        the_interval_that_is_sent,
        lambda: refused(Finding.INTERVAL_DIFFERS, v3(interval=0), version=3),
    ),
    Row(
        "6.1-4",
        "RULE",
        "the owner preempts whatever the preempt mode says",
        owner_preempts,
        others_may_be_told_not_to,
    ),
    Row(
        "6.4.1-1",
        "RULE",
        "at the start the owner advertises, announces its addresses and is MASTER at once",
        lambda: plays(
            takes_over(follower(priority=255) >> Due(0.0), "priority 255 owns the addresses", 255) >> Due(1.0)
        ),
        lambda: plays(follower(priority=254) >> Due(3.0078125)),
    ),
    Row(
        "6.4.1-2",
        "RULE",
        "at the start everybody else is BACKUP, counting with its own interval",
        lambda: plays(follower(advertisement_interval=0.1) >> Due(0.3609375)),
        lambda: plays(
            Play(router(version=3, state="MASTER"))
            >> Started()
            << ReleaseAddresses()
            << entered(State.INIT, State.BACKUP, "init")
            >> Due(3.609375)
        ),
    ),
    Row(
        "6.4.2-1",
        "MUST NOT",
        "a BACKUP answers no ARP request for the addresses",
        a_backup_has_no_address,
        a_master_has_them,
    ),
    Row(
        "6.4.2-2",
        "MUST NOT",
        "a BACKUP answers no neighbour solicitation for the addresses",
        lambda: addresses_of_ipv6(1, set()),
        lambda: addresses_of_ipv6(0, {"fe80::100", "2001:db8::100"}),
    ),
    Row("6.4.2-3", "MUST NOT", "a BACKUP sends no router advertisement for the virtual router", why=ROUTER),
    Row("6.4.2-4", "MUST", "a BACKUP discards frames to the virtual MAC address", why=VIRTUAL_MAC),
    Row(
        "6.4.2-5",
        "MUST NOT",
        "a BACKUP accepts no packet to the addresses",
        a_backup_has_no_address,
        a_master_has_them,
    ),
    Row(
        "6.4.2-6",
        "MUST",
        "a BACKUP that shuts down cancels its timer and says nothing",
        lambda: plays(follower() >> At(1.0) >> Stopped() << entered(State.BACKUP, State.STOP, "stopped") >> Due(None)),
        lambda: plays(follower() >> Stopped() << ... >> At(9.0) >> DeadlineReached() >> says(0) >> Due(None)),
    ),
    Row(
        "6.4.2-7",
        "MUST",
        "when the down timer fires: an advert, gratuitous ARP, the advert timer, MASTER",
        lambda: plays(takes_over(follower() >> Due(3.609375), "no advert from anyone for 3.61 s") >> Due(4.609375)),
        lambda: plays(follower() >> At(3.609) >> DeadlineReached() >> Due(3.609375)),
    ),
    Row(
        "6.4.2-8",
        "MUST",
        "priority 0 sets the down timer to the skew time",
        lambda: plays(follower() >> At(1.0) >> says(0) << ... >> Due(1.609375)),
        lambda: plays(follower() >> At(1.0) >> says(1) >> Due(3.609375)),
    ),
    Row(
        "6.4.2-9",
        "MUST",
        "an advert that is not lower, or any without preemption, is obeyed: its interval is learned, the timer reset",
        lambda: plays(follower() >> At(1.0) >> says(100, interval=0.5) >> Due(2.8046875)),
        lambda: plays(follower(preempt=False) >> At(1.0) >> says(1, interval=0.5) >> Due(2.8046875)),
    ),
    Row(
        "6.4.2-10",
        "MUST",
        "a lower advert is discarded where preemption is on",
        lambda: plays(follower() >> At(1.0) >> says(99, interval=0.5) >> Due(3.609375)),
        lambda: plays(follower() >> At(1.0) >> says(100) >> Due(4.609375)),
    ),
    Row("6.4.3-1", "MUST", "a MASTER answers ARP requests for them", a_master_has_them, a_backup_has_no_address),
    Row(
        "6.4.3-2",
        "MUST",
        "a MASTER joins the solicited-node groups",
        why="the kernel does, for each address it is given",
    ),
    Row(
        "6.4.3-3",
        "MUST",
        "a MASTER answers neighbour solicitations",
        lambda: addresses_of_ipv6(0, {"fe80::100", "2001:db8::100"}),
        lambda: addresses_of_ipv6(1, set()),
    ),
    Row("6.4.3-4", "MUST", "a MASTER sends router advertisements", why=ROUTER),
    Row("6.4.3-5", "MUST", "a MASTER forwards frames to the virtual MAC address", why=VIRTUAL_MAC),
    Row(
        "6.4.3-6",
        "MUST",
        "a MASTER that is the owner, or accepts, accepts packets to the addresses",
        a_master_has_them,
        a_backup_has_no_address,
    ),
    Row(
        "6.4.3-7",
        "MUST NOT",
        "a MASTER that is neither accepts none",
        why="as keepalived, kad accepts unless told otherwise; with no_accept nftables drops, shown in the lab",
    ),
    Row(
        "6.4.3-8",
        "MUST",
        "a MASTER that shuts down says priority 0 first",
        lambda: plays(
            master()
            >> Stopped()
            << SendAdvert(0)
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
            >> Due(None)
        ),
        lambda: plays(follower() >> Stopped() << entered(State.BACKUP, State.STOP, "stopped")),
    ),
    Row(
        "6.4.3-9",
        "MUST",
        "when the advert timer fires: an advert, and the timer again",
        lambda: plays(
            master(advertisement_interval=0.5) >> Due(0.5) >> DeadlineReached() << SendAdvert(100) >> Due(1.0)
        ),
        lambda: plays(master() >> At(0.999) >> DeadlineReached() >> Due(1.0)),
    ),
    Row(
        "6.4.3-10",
        "MUST",
        "priority 0 is answered by an advert, and the timer is set again",
        lambda: plays(master() >> At(0.4) >> says(0) << SendAdvert(100) >> Due(1.4)),
        lambda: plays(master() >> At(0.4) >> says(1) << SendAdvert(100) << ... >> Due(1.0)),
    ),
    Row(
        "6.4.3-11",
        "MUST",
        "it yields to a higher priority, or an equal one with a greater address, and learns the interval",
        lambda: plays(yields(master() >> At(0.5), says(100, "10.77.0.2", 0.1)) >> Due(0.8609375)),
        lambda: plays(master() >> At(0.5) >> says(100, "10.77.0.0", 0.1) << SendAdvert(100) << ... >> Due(1.0)),
    ),
    Row(
        "6.4.3-12",
        "MUST",
        "a losing advert is discarded and answered at once",
        lambda: plays(
            master()
            >> At(0.5)
            >> says(99)
            << SendAdvert(100)
            << Announce(5)
            << TellLowerPriority(advert(99, version=3))
            >> Due(1.0)
        ),
        lambda: plays(yields(master(), says(101))),
    ),
    Row(
        "6.4.3-13",
        "RULE",
        "as MASTER its own interval counts, whatever was learned before",
        old_masters_interval_does_not_outlive_it,
        lambda: plays(follower() >> At(1.0) >> says(150, interval=0.1) >> Due(1.3609375)),
    ),
)
