"""What RFC 9568 and RFC 3768 define without a MUST: defaults, ranges, places of fields, the virtual MAC, frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.ndisc import unsolicited_advertisement
from kad.vrrp.advert import Finding
from kad.vrrp.router import skew_time
from tests.rfc.row import Row, accepted, configured, equals, received, refused, sent, sent_v6
from tests.rfc.rules_9568_packets import NO_INTEROP, VIRTUAL_MAC
from tests.rfc.rules_advice import REDIRECTS
from tests.unit.vrrp.packets import Packet, v3, v6
from tests.unit.vrrp.samples import OTHER_VIP, VIP

ADDRESS = "virtual_ipaddress {\n192.0.2.100/24\n}"
ADDRESS_6 = "virtual_ipaddress {\nfe80::100/64\n}"
MAC = bytes.fromhex("00005e000133")


def default(field: str, *lines: str) -> object:
    (made,) = configured(*lines, ADDRESS)
    return getattr(made, field)


def virtual_mac(vrid: int, address: str) -> str:
    (made,) = configured("version 3", "use_vmac", address, vrid=vrid)
    assert made.device is not None
    return str(made.device.mac)


def vrids(*, kept: bool) -> Callable[[], None]:
    """1 and 255 are taken as they are; 0, 256 and none make no instance."""

    def show() -> None:
        if kept:
            assert [configured(ADDRESS, vrid=vrid)[0].virtual_router_id for vrid in (1, 255)] == [1, 255]
        else:
            assert [configured(ADDRESS, vrid=vrid) for vrid in (0, 256, None)] == [(), (), ()]

    return show


def number_of_addresses() -> None:
    assert sent(virtual_addresses=(VIP,))[23] == 1
    assert sent(virtual_addresses=(VIP, OTHER_VIP))[23] == 2


def addresses_in_order(version: int) -> None:
    """After the eight bytes of the header, as they are written."""
    datagram = sent(version=version, virtual_addresses=(OTHER_VIP, VIP))
    assert datagram[28:36].hex() == "0a4d0065" + "0a4d0064"


def other_number_than_there_are() -> None:
    refused(Finding.LENGTH, Packet(count=2))
    refused(Finding.LENGTH, v3(count=2), version=3)


def vrid_and_priority(version: int) -> None:
    assert sent(80, version=version)[21:23] == bytes([51, 80])
    assert received(sent(80, version=version), version=version).priority == 80


def skew_of(priority: int) -> float:
    return skew_time(2, priority, 1.0)


DEFAULT_PRIORITY = "the priority is 100 unless configured; as keepalived, state MASTER without one means the owner"
DEFAULT_INTERVAL = "an advert each second unless configured"
DEFAULT_PREEMPT = "a higher priority preempts unless configured otherwise"
VRID = "the VRID is 1 to 255, and has no default"


def _common(version: int, sections: dict[str, str]) -> tuple[Row, ...]:
    """What both documents say, under the numbers of each."""
    lines = (f"version {version}",)
    return (
        Row(sections["vrid"], "RULE", VRID, vrids(kept=True), vrids(kept=False)),
        Row(
            sections["place"],
            "RULE",
            "VRID and priority are the second and third byte",
            partial(vrid_and_priority, version),
            lambda: equals(sent(81, version=version)[22], 81),
        ),
        Row(
            sections["priority"],
            "RULE",
            DEFAULT_PRIORITY,
            lambda: equals(default("priority", *lines), 100),
            lambda: equals(default("priority", *lines, "state MASTER"), 255),
        ),
        Row(
            sections["interval"],
            "RULE",
            DEFAULT_INTERVAL,
            lambda: equals(default("advertisement_interval", *lines), 1.0),
            lambda: equals(default("advertisement_interval", *lines, "advert_int 2"), 2.0),
        ),
        Row(
            sections["preempt"],
            "RULE",
            DEFAULT_PREEMPT,
            lambda: equals(default("preempt", *lines), True),
            lambda: equals(default("preempt", *lines, "nopreempt"), False),
        ),
        Row(
            sections["count"],
            "RULE",
            "the number of addresses is the fourth byte, and as many follow",
            number_of_addresses,
            other_number_than_there_are,
        ),
        Row(
            sections["addresses"],
            "RULE",
            "the addresses follow the header, each once, as they are configured",
            partial(addresses_in_order, version),
            lambda: equals(sent(version=version, virtual_addresses=(VIP, OTHER_VIP))[28:32].hex(), "0a4d0064"),
        ),
        Row(
            sections["mac"],
            "RULE",
            "the virtual MAC of IPv4 is 00-00-5E-00-01 and the VRID",
            lambda: equals(virtual_mac(51, ADDRESS), "00:00:5e:00:01:33"),
            lambda: equals(virtual_mac(255, ADDRESS), "00:00:5e:00:01:ff"),
        ),
        Row(
            sections["arp"],
            "RULE",
            "gratuitous ARP is broadcast, and binds the address to the hardware address that it comes from",
            lambda: equals(
                gratuitous_arp(MAC, "10.77.0.100").hex(),
                "ffffffffffff" + "00005e000133" + "0806" + "0001" + "0800" + "0604" + "0001"
                "00005e000133" + "0a4d0064" + "ffffffffffff" + "0a4d0064",
            ),
            lambda: equals(gratuitous_arp(MAC, "10.77.0.101")[28:32].hex(), "0a4d0065"),
        ),
    )


RULES_9568 = (
    *_common(
        3,
        {
            "vrid": "5.2.3-1",
            "place": "5.2.3-2",
            "priority": "5.2.4-3",
            "interval": "5.2.7-1",
            "preempt": "6.1-5",
            "count": "5.2.5-2",
            "addresses": "5.2.9-3",
            "mac": "7.3-1",
            "arp": "6.4.2-11",
        },
    ),
    Row(
        "5.1.2.1-1",
        "RULE",
        "an IPv6 advert comes from the link-local address of the interface",
        lambda: equals(sent_v6()[8:24].hex(), "fe800000000000000000000000000001"),
        lambda: accepted(v6(source="fe80::2")),
    ),
    Row(
        "5.1.2.2-2",
        "RULE",
        "an IPv6 advert goes to ff02::12",
        lambda: equals(sent_v6()[24:40].hex(), "ff020000000000000000000000000012"),
        lambda: refused(Finding.DESTINATION_KIND, v6(destination="fe80::1")),
    ),
    Row(
        "5.1.2.4-1",
        "RULE",
        "the next header is 112",
        lambda: equals(sent_v6()[6], 112),
        lambda: refused(Finding.TRUNCATED, v6(cut=40)),
    ),
    Row(
        "5.2.4-4",
        "RULE",
        "priority 0 says that the MASTER has ended, and is never one of the configured",
        lambda: equals(sent(0, version=3)[22], 0),
        lambda: equals(default("priority", "version 3", "priority 0"), 100),
    ),
    Row(
        "6.1-6", "RULE", "accept mode is off unless configured", why="as keepalived, kad accepts unless told otherwise"
    ),
    Row(
        "7.3-2",
        "RULE",
        "the virtual MAC of IPv6 is 00-00-5E-00-02 and the VRID",
        lambda: equals(virtual_mac(51, ADDRESS_6), "00:00:5e:00:02:33"),
        lambda: equals(virtual_mac(1, ADDRESS_6), "00:00:5e:00:02:01"),
    ),
    Row(
        "6.4.2-12",
        "RULE",
        "the unsolicited neighbour advertisement overrides, is not solicited, and says Router where the host is one",
        lambda: equals(
            unsolicited_advertisement(MAC, "fd01::50", router=True)[54:].hex(),
            "8800" + "7cc8" + "a0000000" + "fd010000000000000000000000000050" + "0201" + "00005e000133",
        ),
        lambda: equals(unsolicited_advertisement(MAC, "fd01::50")[58:62].hex(), "20000000"),
    ),
    Row("8.1.1-2", "MUST", "a router that redirects knows which virtual router was asked", why=REDIRECTS),
    Row("8.2.1-2", "MUST", "a router that redirects over IPv6 knows which virtual router was asked", why=REDIRECTS),
    Row("8.1.2-6", "MUST", "ARP is answered with the virtual MAC address", why=VIRTUAL_MAC),
    Row("8.2.2-8", "MUST", "solicitations are answered with the virtual MAC address", why=VIRTUAL_MAC),
    Row("8.3.2-4", "MAY", "equal priorities are logged", why="kad does not: most pairs without an owner have them"),
    Row("8.4.2-6", "MAY", "a flag makes a router speak both versions", why=NO_INTEROP),
    Row("8.4.2-7", "MAY", "in mixed mode a MASTER that sends version 3 alone is reported", why=NO_INTEROP),
)

RULES_3768 = (
    *_common(
        2,
        {
            "vrid": "5.3.3-1",
            "place": "5.3.3-2",
            "priority": "5.3.4-3",
            "interval": "5.3.7-2",
            "preempt": "6.1-3",
            "count": "5.3.5-1",
            "addresses": "5.3.9-1",
            "mac": "7.3-1",
            "arp": "6.4.2-9",
        },
    ),
    Row(
        "5.3.4-4",
        "RULE",
        "priority 0 says that the MASTER has ended, and is never one of the configured",
        lambda: equals(sent(0)[22], 0),
        lambda: equals(default("priority", "priority 0"), 100),
    ),
    Row(
        "5.3.6-6",
        "RULE",
        "no authentication is type 0",
        lambda: equals(sent()[24], 0),
        lambda: refused(Finding.AUTH_TYPE_DIFFERS, Packet(auth_type=2)),
    ),
    Row(
        "6.1-4",
        "RULE",
        "the owner has the shortest skew, priority 1 the longest",
        lambda: equals((skew_of(255), skew_of(1)), (0.00390625, 0.99609375)),
        lambda: equals(skew_of(128), 0.5),
    ),
    Row(
        "7.2-3",
        "MUST",
        "the source address is the primary one of the interface",
        lambda: equals(sent()[12:16], bytes([10, 77, 0, 1])),
        lambda: equals(received(sent()).source, "10.77.0.1"),
    ),
    Row(
        "7.2-4",
        "MUST",
        "the protocol is 112 and the destination the group",
        lambda: equals((sent()[9], sent()[16:20]), (112, bytes([224, 0, 0, 18]))),
        lambda: refused(Finding.DESTINATION_KIND, Packet(destination="10.77.0.1")),
    ),
)
