"""RFC 3768, VRRP version 2 (with the simple password of RFC 2338): a row for each rule."""

from __future__ import annotations

from kad.model.secret import Secret
from kad.model.vrrp import Authentication
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import Finding
from kad.vrrp.events import Announce, HoldAddresses, ReleaseAddresses, SendAdvert, State, Stopped, TellLowerPriority
from kad.vrrp.router import skew_time
from tests.play import At, Due
from tests.rfc.row import (
    Row,
    accepted,
    configured,
    equals,
    hears,
    plays,
    received,
    refused,
    reported,
    sent,
    takes_over,
    yields,
)
from tests.simulation.scenarios import MASTER, World
from tests.unit.tracking.test_priority import verdict
from tests.unit.vrrp.packets import V2_PASS, Packet, v3
from tests.unit.vrrp.samples import VIP_BYTES, advert, backup, entered, instance, master

PASS = {"authentication": Authentication(type="PASS", password=Secret("abcd"))}
VIRTUAL_MAC = (
    "with use_vmac the kernel does it, shown in the lab; as keepalived by default, the interface's own answers"
)
FORWARDING = "the kernel forwards, not kad; Linux forwards no link-local multicast"
RINGS = "Linux has no token ring and no FDDI any more"
OTHER_BYTES = bytes([10, 77, 0, 9])


def addresses_follow_the_state() -> None:
    """BACKUP has none of them on the host, so that the kernel neither answers ARP nor accepts packets."""
    world = World(instance(priority=200), instance()).boot().until(10.0)
    assert world.hosts[1].addresses == set()


def a_master_has_them() -> None:
    world = World(instance(priority=200), instance()).boot().until(10.0)
    assert world.hosts[0].addresses == {"10.77.0.100"}


def other_vrids_are_not_heard() -> None:
    world = World(instance(), instance(virtual_router_id=52)).boot().until(10.0)
    assert world.states() == [MASTER, MASTER]
    assert world.lan.chronicle.heard == []


def the_same_vrid_is_heard() -> None:
    world = World(instance(), instance()).boot().until(10.0)
    assert world.lan.chronicle.heard != []


def owner_preempts() -> None:
    (owner,) = configured("priority 255", "nopreempt", "virtual_ipaddress {\n192.0.2.100/24\n}")
    assert owner.preempt is True


def others_may_be_told_not_to() -> None:
    (other,) = configured("priority 254", "nopreempt", "virtual_ipaddress {\n192.0.2.100/24\n}")
    assert other.preempt is False


def skew_and_down_interval() -> None:
    assert skew_time(2, 100, 10.0) == 0.609375
    plays(backup() >> Due(3.609375))
    plays(backup(advertisement_interval=10.0) >> Due(30.609375))


def skew_is_not_cut_to_whole_seconds() -> None:
    plays(backup(priority=254) >> Due(3.0078125))
    plays(backup(priority=1) >> Due(3.99609375))


RULES = (
    Row(
        "5.2.1-1",
        "MUST",
        "the source is the primary address of the interface",
        lambda: equals(sent()[12:16], bytes([10, 77, 0, 1])),
        lambda: equals(received(sent()).source, "10.77.0.1"),
    ),
    Row("5.2.2-1", "MUST NOT", "nothing sent to 224.0.0.18 is forwarded, whatever its TTL", why=FORWARDING),
    Row(
        "5.2.2-2",
        "RULE",
        "the destination is 224.0.0.18",
        lambda: equals(sent()[16:20], bytes([224, 0, 0, 18])),
        lambda: refused(Finding.DESTINATION_KIND, Packet(destination="10.77.0.1")),
    ),
    Row(
        "5.2.3-1",
        "MUST",
        "adverts leave with TTL 255",
        lambda: equals(sent()[8], 255),
        lambda: refused(Finding.TTL, Packet(ttl=64)),
    ),
    Row(
        "5.2.3-2",
        "MUST",
        "an advert whose TTL is not 255 is discarded",
        lambda: accepted(Packet(ttl=255)),
        lambda: refused(Finding.TTL, Packet(ttl=254)),
    ),
    Row(
        "5.2.4-1",
        "RULE",
        "the protocol is 112",
        lambda: equals(sent()[9], 112),
        lambda: refused(Finding.AH_UNEXPECTED, Packet(protocol=51)),
    ),
    Row(
        "5.3.1-1",
        "RULE",
        "the version is 2",
        lambda: equals(sent()[20], 0x21),
        lambda: refused(Finding.VERSION, v3(padding=bytes(8))),
    ),
    Row(
        "5.3.2-1",
        "MUST",
        "a packet of unknown type is discarded; only 1 is known",
        lambda: accepted(Packet(kind=1)),
        lambda: refused(Finding.TYPE, Packet(kind=2)),
    ),
    Row(
        "5.3.4-1",
        "MUST",
        "the owner of the addresses has priority 255",
        lambda: equals(verdict(255, ("script", -100, False, 0)).priority, 255),
        lambda: equals(verdict(200, ("script", 100, False, 1)).priority, 254),
    ),
    Row(
        "5.3.4-2",
        "MUST",
        "everybody else has 1 to 254",
        lambda: equals(verdict(254, ("script", 100, False, 1)).priority, 254),
        lambda: equals(verdict(100, ("script", -253, False, 0)).priority, 1),
    ),
    Row(
        "5.3.6-1",
        "MUST",
        "an unknown authentication type, or another than ours, is discarded",
        lambda: accepted(Packet(auth_type=0)),
        lambda: refused(Finding.AUTH_TYPE_INVALID, Packet(auth_type=3)),
    ),
    Row(
        "5.3.6-2",
        "MUST",
        "a method that is not ours is discarded, known or not",
        lambda: accepted(Packet(auth_type=1, auth_data=b"abcd\0\0\0\0"), **PASS),
        lambda: refused(Finding.AUTH_TYPE_DIFFERS, Packet(auth_type=1)),
    ),
    Row(
        "5.3.7-1",
        "RULE",
        "the interval is sent in whole seconds",
        lambda: equals(sent(advertisement_interval=7.0)[25], 7),
        lambda: refused(Finding.INTERVAL_DIFFERS, Packet(interval=7)),
    ),
    Row(
        "5.3.8-1",
        "RULE",
        "the checksum covers the whole message and no pseudo header",
        lambda: equals(sent()[20:].hex(), "21336401" + "00017019" + "0a4d0064" + "0000000000000000"),
        lambda: refused(Finding.CHECKSUM, Packet(checksum=0)),
    ),
    Row(
        "5.3.10-1",
        "SHOULD",
        "without authentication its eight bytes are zero when sent and ignored when received",
        lambda: equals(sent()[-8:], bytes(8)),
        lambda: accepted(Packet(auth_data=b"rubbish!")),
    ),
    Row(
        "5.3.6-3",
        "MUST",
        "a simple password (RFC 2338 5.3.6.1) must be equal, padded with zeros to eight bytes",
        lambda: equals(sent(**PASS)[20:], V2_PASS),
        lambda: refused(Finding.AUTH_FAILURE, Packet(auth_type=1, auth_data=b"abcdefgh"), **PASS),
    ),
    Row(
        "6.1-1",
        "RULE",
        "skew time is (256 - priority) / 256 s, the down interval three intervals and that",
        skew_and_down_interval,
        skew_is_not_cut_to_whole_seconds,
    ),
    Row(
        "6.1-2", "RULE", "the owner preempts whatever the preempt mode says", owner_preempts, others_may_be_told_not_to
    ),
    Row(
        "6.4.1-1",
        "RULE",
        "at the start the owner advertises, announces its addresses and is MASTER at once",
        lambda: plays(takes_over(backup(priority=255) >> Due(0.0), "priority 255 owns the addresses", 255) >> Due(1.0)),
        lambda: plays(backup(priority=254) >> Due(3.0078125)),
    ),
    Row(
        "6.4.1-2",
        "RULE",
        "at the start everybody else is BACKUP with a whole down interval",
        lambda: plays(backup() >> Due(3.609375)),
        lambda: plays(backup(state="MASTER") >> Due(3.609375)),
    ),
    Row(
        "6.4.2-1",
        "MUST NOT",
        "a BACKUP answers no ARP request for the addresses",
        addresses_follow_the_state,
        a_master_has_them,
    ),
    Row("6.4.2-2", "MUST", "a BACKUP discards frames to the virtual MAC address", why=VIRTUAL_MAC),
    Row(
        "6.4.2-3",
        "MUST NOT",
        "a BACKUP accepts no packet to the addresses",
        addresses_follow_the_state,
        a_master_has_them,
    ),
    Row(
        "6.4.2-4",
        "RULE",
        "a BACKUP that shuts down cancels its timer and says nothing",
        lambda: plays(backup() >> At(1.0) >> Stopped() << entered(State.BACKUP, State.STOP, "stopped") >> Due(None)),
        lambda: plays(backup() >> Stopped() << ... >> At(9.0) >> DeadlineReached() >> hears(0) >> Due(None)),
    ),
    Row(
        "6.4.2-5",
        "RULE",
        "when the down timer fires: an advert, gratuitous ARP, the advert timer, MASTER",
        lambda: plays(takes_over(backup() >> Due(3.609375), "no advert from anyone for 3.61 s") >> Due(4.609375)),
        lambda: plays(backup() >> At(3.609) >> DeadlineReached() >> Due(3.609375)),
    ),
    Row(
        "6.4.2-6",
        "RULE",
        "priority 0 sets the down timer to the skew time",
        lambda: plays(backup() >> At(1.0) >> hears(0) << ... >> Due(1.609375)),
        lambda: plays(backup() >> At(1.0) >> hears(1) >> Due(3.609375)),
    ),
    Row(
        "6.4.2-7",
        "RULE",
        "an advert that is not lower, or any without preemption, restarts the timer",
        lambda: plays(backup() >> At(1.0) >> hears(100) >> Due(4.609375)),
        lambda: plays(backup(preempt=False) >> At(1.0) >> hears(1) >> Due(4.609375)),
    ),
    Row(
        "6.4.2-8",
        "RULE",
        "a lower advert is discarded where preemption is on",
        lambda: plays(backup() >> At(1.0) >> hears(99) >> Due(3.609375)),
        lambda: plays(backup() >> At(1.0) >> hears(100) >> Due(4.609375)),
    ),
    Row(
        "6.4.3-1",
        "MUST",
        "a MASTER answers ARP requests for the addresses",
        a_master_has_them,
        addresses_follow_the_state,
    ),
    Row("6.4.3-2", "MUST", "a MASTER forwards frames to the virtual MAC address", why=VIRTUAL_MAC),
    Row(
        "6.4.3-3",
        "MUST NOT",
        "a MASTER that is not the owner accepts no packet to the addresses",
        why="as keepalived, kad accepts unless told otherwise; with no_accept nftables drops, shown in the lab",
    ),
    Row(
        "6.4.3-4",
        "MUST",
        "a MASTER that is the owner accepts packets to the addresses",
        a_master_has_them,
        addresses_follow_the_state,
    ),
    Row(
        "6.4.3-5",
        "RULE",
        "a MASTER that shuts down says priority 0 first",
        lambda: plays(
            master()
            >> Stopped()
            << SendAdvert(0)
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
            >> Due(None)
        ),
        lambda: plays(backup() >> Stopped() << entered(State.BACKUP, State.STOP, "stopped")),
    ),
    Row(
        "6.4.3-6",
        "RULE",
        "when the advert timer fires: an advert, and the timer again",
        lambda: plays(
            master(advertisement_interval=2.0) >> Due(2.0) >> DeadlineReached() << SendAdvert(100) >> Due(4.0)
        ),
        lambda: plays(master() >> At(0.999) >> DeadlineReached() >> Due(1.0)),
    ),
    Row(
        "6.4.3-7",
        "RULE",
        "priority 0 is answered by an advert, and the timer is set again",
        lambda: plays(master() >> At(0.4) >> hears(0) << SendAdvert(100) >> Due(1.4)),
        lambda: plays(master() >> At(0.4) >> hears(1) << SendAdvert(100) << ... >> Due(1.0)),
    ),
    Row(
        "6.4.3-8",
        "RULE",
        "it yields to a higher priority, or an equal one with a greater address",
        lambda: plays(yields(master() >> At(0.5), hears(100, "10.77.0.2")) >> Due(4.109375)),
        lambda: plays(master() >> At(0.5) >> hears(100, "10.77.0.0") << SendAdvert(100) << ... >> Due(1.0)),
    ),
    Row(
        "6.4.3-9",
        "RULE",
        "a losing advert is discarded; as RFC 9568 and keepalived have it, it is answered too, "
        "unless lower_prio_no_advert",
        lambda: plays(master(lower_prio_no_advert=True) >> hears(99) << Announce(5) << TellLowerPriority(advert(99))),
        lambda: plays(master() >> hears(99) << SendAdvert(100) << Announce(5) << TellLowerPriority(advert(99))),
    ),
    Row(
        "7.1-1", "MUST", "the TTL must be 255", lambda: accepted(Packet()), lambda: refused(Finding.TTL, Packet(ttl=0))
    ),
    Row(
        "7.1-2",
        "MUST",
        "the version must be 2",
        lambda: accepted(Packet()),
        lambda: refused(Finding.VERSION, Packet(version=4, addresses=(VIP_BYTES,) * 3, count=1)),
    ),
    Row(
        "7.1-3",
        "MUST",
        "the packet must be complete, with its addresses and authentication data",
        lambda: accepted(Packet()),
        lambda: refused(Finding.LENGTH, Packet(cut=8)),
    ),
    Row(
        "7.1-4",
        "MUST",
        "the checksum must be right",
        lambda: accepted(Packet()),
        lambda: refused(Finding.CHECKSUM, Packet(checksum=0xFFFF)),
    ),
    Row(
        "7.1-5",
        "MUST",
        "the VRID must be configured on the interface",
        the_same_vrid_is_heard,
        other_vrids_are_not_heard,
    ),
    Row(
        "7.1-6",
        "MUST",
        "the receiver must not be the owner: with owner_ignore_adverts or strict mode; "
        "the default is keepalived's and RFC 9568's (erratum 8298), two owners settle it by address",
        lambda: refused(Finding.OWNER_IGNORES, Packet(), 255, owner_ignore_adverts=True),
        lambda: accepted(Packet(), 254, owner_ignore_adverts=True),
    ),
    Row(
        "7.1-7",
        "MUST",
        "the authentication must be ours and right",
        lambda: accepted(Packet(auth_type=1, auth_data=b"abcd\0\0\0\0"), **PASS),
        lambda: refused(Finding.AUTH_FAILURE, Packet(auth_type=1, auth_data=b"abce\0\0\0\0"), **PASS),
    ),
    Row(
        "7.1-8",
        "MUST",
        "whatever fails one of these checks is discarded, whatever else is right about it",
        lambda: accepted(Packet(priority=255)),
        lambda: refused(Finding.TTL, Packet(ttl=1, priority=255)),
    ),
    Row(
        "7.1-9",
        "MUST",
        "the interval must be ours",
        lambda: accepted(Packet(interval=5), advertisement_interval=5.0),
        lambda: refused(Finding.INTERVAL_DIFFERS, Packet(interval=4), advertisement_interval=5.0),
    ),
    Row(
        "7.1-10",
        "MAY",
        "other addresses than ours may be looked at; as keepalived, kad reports them and goes on",
        lambda: accepted(Packet(addresses=(OTHER_BYTES,))),
        lambda: reported(Finding.ADDRESS_LIST, Packet(addresses=(OTHER_BYTES,))),
    ),
    Row(
        "7.2-1",
        "MUST",
        "the fields are filled in from the virtual router's state, and the checksum computed",
        lambda: equals(sent(80)[20:].hex(), "21335001" + "00018419" + "0a4d0064" + "0000000000000000"),
        lambda: equals(received(sent(80)).priority, 80),
    ),
    Row("7.2-2", "MUST", "the source MAC address is the virtual one", why=VIRTUAL_MAC),
    Row("8.2-1", "MUST", "ARP is answered with the virtual MAC address", why=VIRTUAL_MAC),
    Row(
        "8.2-2",
        "RULE",
        "gratuitous ARP waits until the addresses are there",
        lambda: plays(
            backup() >> Due(3.609375) >> DeadlineReached() << SendAdvert(100) << HoldAddresses() << Announce(5) << ...
        ),
        lambda: plays(backup() >> At(3.0) >> DeadlineReached() >> Due(3.609375)),
    ),
    Row("8.3-1", "MUST", "proxy ARP uses the virtual MAC address", why="kad does no proxy ARP"),
    Row("8.4-1", "SHOULD NOT", "packets to the addresses are not forwarded by others than the owner", why=FORWARDING),
    Row("9.1-1", "SHOULD", "on FDDI the virtual MAC address is a filter", why=RINGS),
    Row("9.2-1", "MUST", "on token ring functional addresses are supported", why=RINGS),
)
