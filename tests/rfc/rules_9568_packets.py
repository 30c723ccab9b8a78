"""RFC 9568 sections 5, 7 and 8, the packets of VRRP version 3, with verified errata: a row for each rule."""

from __future__ import annotations

from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import Finding
from kad.vrrp.events import Announce, HoldAddresses, SendAdvert, Started
from kad.vrrp.router import Router
from tests.config.hosts import a_host, judged
from tests.play import At, Due, Play
from tests.rfc.row import Row, accepted, configured, equals, plays, received, refused, reported, sent, sent_v6
from tests.simulation.scenarios import MASTER, World
from tests.unit.tracking.test_priority import verdict
from tests.unit.vrrp.packets import v3, v6
from tests.unit.vrrp.samples import VIP_BYTES, backup, instance, instance_v6

VIRTUAL_MAC = (
    "with use_vmac the kernel does it, shown in the lab; by default, as keepalived, the interface's own answers"
)
FORWARDING = "the kernel forwards, not kad; Linux forwards no link-local multicast"
NO_INTEROP = "an optional mode (8.4.2) that kad does not have: one instance speaks one version"
OTHER_BYTES = bytes([10, 77, 0, 9])


def other_vrids_are_not_heard() -> None:
    world = World(instance(version=3), instance(version=3, virtual_router_id=52)).boot().until(10.0)
    assert world.states() == [MASTER, MASTER]
    assert world.lan.chronicle.heard == []


def the_same_vrid_is_heard() -> None:
    world = World(instance(version=3), instance(version=3)).boot().until(10.0)
    assert world.lan.chronicle.heard != []


def fields_of_a_sent_advert() -> None:
    assert sent(version=3, priority=100)[20:].hex() == "31336401" + "0064" + "74d9" + "0a4d0064"
    assert received(sent(version=3), version=3).addresses == (VIP_BYTES,)


def a_changed_priority_is_in_it() -> None:
    assert sent(80, version=3)[20:].hex() == "31335001" + "0064" + "88d9" + "0a4d0064"


def without_the_pseudo_header() -> None:
    built = sent(version=3, v3_checksum_as_v2=True)
    assert built[20:].hex() == "31336401" + "0064" + "5fb6" + "0a4d0064"
    accepted(v3(pseudo_destination=""), version=3, v3_checksum_as_v2=True)


def a_wrong_checksum() -> None:
    refused(Finding.CHECKSUM, v3(checksum=0), version=3)
    refused(Finding.CHECKSUM, v3(checksum=0), version=3, v3_checksum_as_v2=True)


def addresses_of_the_family() -> None:
    (kept,) = configured("version 3", "virtual_ipaddress {\n192.0.2.100/24\n192.0.2.101/24\n}")
    assert [each.address for each in kept.virtual_addresses] == ["192.0.2.100", "192.0.2.101"]


def an_address_of_the_other_family() -> None:
    (kept,) = configured("version 3", "virtual_ipaddress {\n192.0.2.100/24\n2001:db8::1/64\n}")
    assert [each.address for each in kept.virtual_addresses] == ["192.0.2.100"]


FIRST = "VI_1: the first address of an IPv6 instance should be link-local"


def said_of(first: str, second: str) -> list[str]:
    lines = ("interface eth0", "virtual_router_id 51", "virtual_ipaddress {", first, second, "}")
    text = "vrrp_instance VI_1 {\n" + "\n".join(lines) + "\n}\n"
    host = a_host(text, interfaces={"eth0": ("fe80::2/64", "2001:db8::2/64")})
    return [each.text for each in judged(text, host).diagnostics]


def a_link_local_address_first() -> None:
    assert said_of("fe80::100/64", "2001:db8::100/64") == []


def a_global_address_first() -> None:
    assert FIRST in " ".join(said_of("2001:db8::100/64", "fe80::100/64"))


def waiting_v6() -> Play:
    """An owner that has just started."""
    router = Router(instance_v6(priority=255))
    return Play(router) >> Started() << ...


RULES = (
    Row("5.1.1.2-1", "MUST NOT", "nothing sent to 224.0.0.18 is forwarded, whatever its TTL", why=FORWARDING),
    Row(
        "5.1.1.3-1",
        "MUST",
        "IPv4 adverts leave with TTL 255",
        lambda: equals(sent(version=3)[8], 255),
        lambda: refused(Finding.TTL, v3(ttl=64), version=3),
    ),
    Row(
        "5.1.1.3-2",
        "MUST",
        "an IPv4 advert whose TTL is not 255 is discarded",
        lambda: accepted(v3(ttl=255), version=3),
        lambda: refused(Finding.TTL, v3(ttl=254), version=3),
    ),
    Row("5.1.2.2-1", "MUST NOT", "nothing sent to ff02::12 is forwarded", why=FORWARDING),
    Row(
        "5.1.2.3-1",
        "MUST",
        "IPv6 adverts leave with hop limit 255",
        lambda: equals(sent_v6()[7], 255),
        lambda: refused(Finding.TTL, v6(ttl=64)),
    ),
    Row(
        "5.1.2.3-2",
        "MUST",
        "an IPv6 advert whose hop limit is not 255 is discarded",
        lambda: accepted(v6(ttl=255)),
        lambda: refused(Finding.TTL, v6(ttl=254)),
    ),
    Row(
        "5.2.2-1",
        "MUST",
        "a packet of unknown type is discarded; only 1 is known",
        lambda: accepted(v3(kind=1), version=3),
        lambda: refused(Finding.TYPE, v3(kind=2), version=3),
    ),
    Row(
        "5.2.4-1",
        "MUST",
        "the owner of the addresses has priority 255",
        lambda: equals(verdict(255, ("script", -100, False, 0)).priority, 255),
        lambda: equals(verdict(200, ("script", 100, False, 1)).priority, 254),
    ),
    Row(
        "5.2.4-2",
        "MUST",
        "everybody else has 1 to 254",
        lambda: equals(verdict(254, ("script", 100, False, 1)).priority, 254),
        lambda: equals(verdict(100, ("script", -253, False, 0)).priority, 1),
    ),
    Row(
        "5.2.5-1",
        "MUST",
        "an advert without any address is ignored (erratum 8299)",
        lambda: accepted(v3(addresses=(VIP_BYTES,)), version=3),
        lambda: refused(Finding.LENGTH, v3(addresses=()), version=3),
    ),
    Row(
        "5.2.6-1",
        "MUST",
        "the reserved bits are zero when sent and ignored when received",
        lambda: equals(sent(version=3, advertisement_interval=40.95)[24:26], bytes([0x0F, 0xFF])),
        lambda: accepted(v3(reserved=15), version=3),
    ),
    Row(
        "5.2.8-1",
        "MUST",
        "the IPv4 checksum covers the message alone: such adverts are understood, and sent with v3_checksum_as_v2; the "
        "default covers a pseudo header too, as RFC 5798 was read and as keepalived sends",
        without_the_pseudo_header,
        a_wrong_checksum,
    ),
    Row(
        "5.2.8-2",
        "MUST",
        "the IPv6 checksum covers a pseudo header",
        lambda: equals(sent_v6()[40:48].hex(), "31336402" + "0064" + "3dfd"),
        lambda: refused(Finding.CHECKSUM, v6(pseudo_destination="")),
    ),
    Row(
        "5.2.9-1",
        "MUST",
        "the first IPv6 address is link-local (erratum 8300); another one is said, and served as keepalived does",
        a_link_local_address_first,
        a_global_address_first,
    ),
    Row(
        "5.2.9-2",
        "MUST",
        "advertised addresses are of the family of the packet",
        addresses_of_the_family,
        an_address_of_the_other_family,
    ),
    Row(
        "7.1-1",
        "MUST",
        "the version must be 3",
        lambda: accepted(v3(), version=3),
        lambda: refused(Finding.VERSION, v3(version=4), version=3),
    ),
    Row(
        "7.1-2",
        "MUST",
        "the type must be 1",
        lambda: accepted(v3(), version=3),
        lambda: refused(Finding.TYPE, v3(kind=0), version=3),
    ),
    Row(
        "7.1-3",
        "MUST",
        "the packet must be complete, with all of its addresses",
        lambda: accepted(v3(), version=3),
        lambda: refused(Finding.LENGTH, v3(cut=1), version=3),
    ),
    Row(
        "7.1-4",
        "MUST",
        "the checksum must be right",
        lambda: accepted(v3(), version=3),
        lambda: refused(Finding.CHECKSUM, v3(checksum=0xFFFF), version=3),
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
        "SHOULD",
        "the receiver should not be the owner (erratum 8298: it need not discard; owner_ignore_adverts does)",
        lambda: accepted(v3(), 255, version=3),
        lambda: refused(Finding.OWNER_IGNORES, v3(), 255, version=3, owner_ignore_adverts=True),
    ),
    Row(
        "7.1-7",
        "MUST",
        "the interval must not be zero (erratum 8301)",
        lambda: accepted(v3(interval=1), version=3),
        lambda: refused(Finding.INTERVAL_DIFFERS, v3(interval=0), version=3),
    ),
    Row(
        "7.1-8",
        "MUST",
        "whatever fails one of these checks is discarded, whatever else is right about it",
        lambda: accepted(v3(priority=255), version=3),
        lambda: refused(Finding.TTL, v3(ttl=1, priority=255), version=3),
    ),
    Row(
        "7.1-9",
        "SHOULD",
        "another interval than ours is reported, and the packet counts",
        lambda: accepted(v3(interval=200), version=3),
        lambda: reported(Finding.INTERVAL_OTHER, v3(interval=200), version=3),
    ),
    Row(
        "7.1-10",
        "MAY",
        "other addresses than ours are reported, and the packet counts",
        lambda: accepted(v3(addresses=(OTHER_BYTES,)), version=3),
        lambda: reported(Finding.ADDRESS_LIST, v3(addresses=(OTHER_BYTES,)), version=3),
    ),
    Row(
        "7.2-1",
        "MUST",
        "the fields are filled in from the virtual router's state, and the checksum computed",
        fields_of_a_sent_advert,
        a_changed_priority_is_in_it,
    ),
    Row("7.2-2", "MUST", "the source MAC address is the virtual one", why=VIRTUAL_MAC),
    Row(
        "7.2-3",
        "MUST",
        "the source address is the primary one of the interface",
        lambda: equals(sent(version=3)[12:16], bytes([10, 77, 0, 1])),
        lambda: equals(received(sent(version=3), version=3).source, "10.77.0.1"),
    ),
    Row(
        "7.2-4",
        "MUST",
        "the protocol is 112 and the destination the group",
        lambda: equals((sent(version=3)[9], sent(version=3)[16:20]), (112, bytes([224, 0, 0, 18]))),
        lambda: refused(Finding.DESTINATION_KIND, v3(destination="10.77.0.1"), version=3),
    ),
    Row("7.4-1", "MUST NOT", "the virtual MAC address makes no interface identifier", why=VIRTUAL_MAC),
    Row("8.1.2-1", "MUST NOT", "ARP is not answered with the physical MAC address", why=VIRTUAL_MAC),
    Row(
        "8.1.2-2",
        "MUST",
        "gratuitous ARP waits until the addresses are there",
        lambda: plays(
            backup(version=3)
            >> Due(3.609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << ...
        ),
        lambda: plays(backup(version=3) >> At(3.0) >> DeadlineReached() >> Due(3.609375)),
    ),
    Row("8.1.3-1", "MUST", "proxy ARP uses the virtual MAC address", why="kad does no proxy ARP"),
    Row("8.2.2-1", "MUST NOT", "solicitations are not answered with the physical MAC address", why=VIRTUAL_MAC),
    Row("8.2.2-2", "MUST", "solicitations carry the virtual MAC address", why=VIRTUAL_MAC),
    Row(
        "8.2.2-3",
        "MUST",
        "neighbour messages wait until the addresses are there",
        lambda: plays(waiting_v6() >> DeadlineReached() << SendAdvert(255) << HoldAddresses() << Announce(5) << ...),
        lambda: plays(waiting_v6() >> Due(0.0)),
    ),
    Row("8.2.3-1", "MUST", "backups advertise the options of the owner", why="kad sends no router advertisements"),
    Row("8.3.1-1", "SHOULD NOT", "packets to the addresses are not forwarded by others than the owner", why=FORWARDING),
    Row("8.4.2-1", "MUST", "in mixed mode both versions are sent", why=NO_INTEROP),
    Row("8.4.2-2", "MUST", "in mixed mode the rate of version 2 is translated", why=NO_INTEROP),
)
