"""What RFC 9568 and RFC 3768 recommend beyond their MUSTs, and the authentication header of RFC 2338."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kad.linux.netlink.network_table import LinkChanged
from kad.model.vrrp import VirtualAddress, VrrpInstance
from kad.vrrp.advert import Finding, examine
from kad.vrrp.advert_rules import expectation
from kad.vrrp.auth.ah import AuthenticationHeader
from tests.rfc.row import Row, equals
from tests.rfc.rules_9568_packets import NO_INTEROP, VIRTUAL_MAC
from tests.unit.vrrp.clockwork import House, link
from tests.unit.vrrp.packets import Packet, v3
from tests.unit.vrrp.samples import instance
from tests.unit.vrrp.test_ah import FIRST, KEY, SIXTH, locked

REDIRECTS = "the kernel sends redirects, not kad"
OPERATOR = "advice to the operator of the network"
NEIGHBOURS = "the kernel keeps the neighbour cache, in every state"
ADVERTISEMENTS = "router advertisements are left to the daemon that sends them"
RINGS = "Linux has no token ring any more"
ONLY_REPORTED = (
    "the comparison is optional; as keepalived, kad makes it for the report alone, since the other way "
    "a MASTER with one address more would split the router in two"
)
OTHER_BYTES = bytes([10, 77, 0, 9])


def in_a_house(story: Callable[[House], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        story(House(patch))


def lines_after(packets: list[bytes], wanted: list[str], **changes: Any) -> Callable[[], None]:
    """What the log says of these packets, one a second."""

    def story(house: House) -> None:
        ours: VrrpInstance = instance(**changes)
        house.commit(ours)
        house.run(0.1)
        house.lines.clear()
        for packet in packets:
            house.arrive(packet)
            house.run(1.0)
        assert [line for line in house.lines if not line.startswith("(VI_1) Entering")] == wanted

    return lambda: in_a_house(story)


def counted(packet: Packet, wanted: dict[str, int], **changes: Any) -> Callable[[], None]:
    def story(house: House) -> None:
        house.commit(instance(**changes))
        house.arrive(packet.datagram, packet.datagram)
        assert house.instances[0].snapshot(0.0, frozenset())["discarded"] == wanted

    return lambda: in_a_house(story)


def pause(seconds: float, wanted: list[str]) -> Callable[[], None]:
    """A MASTER with short intervals does not run for a while."""

    def story(house: House) -> None:
        house.commit(instance(version=3, advertisement_interval=0.1, priority=255))
        house.run(1.05)
        house.lines.clear()
        house.mux.time += seconds
        house.arrive(v3(priority=1, interval=10).datagram)
        assert [line for line in house.lines if line.startswith("This process")] == wanted

    return lambda: in_a_house(story)


def link_returns(*, before: bool) -> Callable[[], None]:
    """The interface of a MASTER's address is set up anew; the addresses are announced again."""

    def story(house: House) -> None:
        house.network.by_name["eth1"] = link("eth1", 2, up=before)
        held = VirtualAddress(address="10.77.0.100", prefix=24, device="eth1")
        house.commit(instance(priority=255, virtual_addresses=(held,)))
        house.run(0.1)
        house.frames.sent.clear()
        old = house.network.by_name["eth1"]
        new = house.network.by_name["eth1"] = link("eth1", 2, up=True)
        house.tell(LinkChanged(old, new))
        house.run(0.1)
        assert len(house.frames.sent) == (0 if before else 5)

    return lambda: in_a_house(story)


def ah(packets: list[bytes], wanted: list[Finding | None], key: bytes = KEY) -> Callable[[], None]:
    def show() -> None:
        header = AuthenticationHeader(key, unicast=False)
        judged = [header.judge(packet, examine(packet, expectation(locked(), 100))) for packet in packets]
        assert [each.rejection for each in judged] == wanted

    return show


LOW_TTL = v3(ttl=64)
DISCARDED = "(VI_1) advert from 10.77.0.2 discarded: its TTL is not 255"

RULES_9568 = (
    Row(
        "2.5-1",
        "SHOULD",
        "delays of its own that look like a lost MASTER are logged",
        pause(0.5, ["This process did not run for 0.45 s"]),
        pause(0.2, []),
    ),
    Row(
        "7.1-11",
        "SHOULD",
        "a failed check is logged, and not each time",
        lines_after([LOW_TTL.datagram] * 3, [DISCARDED], version=3),
        lines_after([v3().datagram] * 3, [], version=3),
    ),
    Row(
        "7.1-12",
        "SHOULD",
        "an interval or addresses other than ours are logged, and not each time",
        lines_after(
            [v3(interval=200).datagram] * 3,
            ["(VI_1) 10.77.0.2 sends adverts every 2 s, this router every 1 s"],
            version=3,
        ),
        lines_after([v3(interval=100).datagram] * 3, [], version=3),
    ),
    Row(
        "7.1-13",
        "MAY",
        "whoever asks is told how many packets failed which check",
        counted(LOW_TTL, {"ip_ttl_err": 2}, version=3),
        counted(v3(), {}, version=3),
    ),
    Row(
        "8.1.1-1", "MAY", "redirects are used where packets show which virtual router they were sent to", why=REDIRECTS
    ),
    Row("8.1.2-3", "SHOULD NOT", "an owner that boots sends no ARP with its own MAC address", why=VIRTUAL_MAC),
    Row(
        "8.1.2-4",
        "SHOULD",
        "an interface that is set up has its addresses announced by gratuitous ARP",
        link_returns(before=False),
        link_returns(before=True),
    ),
    Row("8.1.2-5", "SHOULD", "for direct access an address of the very router is used", why=OPERATOR),
    Row("8.2.1-1", "SHOULD", "redirects come from the address that the host chose as its next hop", why=REDIRECTS),
    Row("8.2.2-4", "MUST NOT", "solicitations do not carry the physical MAC address", why=VIRTUAL_MAC),
    Row("8.2.2-5", "SHOULD NOT", "an owner that boots sends no neighbour message with its own MAC", why=VIRTUAL_MAC),
    Row(
        "8.2.2-7",
        "MAY",
        "duplicate address detection, which a BACKUP that holds the address might answer, is left out",
        lambda: equals(VirtualAddress(address="fe80::1", prefix=64).nodad, True),
        lambda: equals(VirtualAddress(address="fe80::1", prefix=64, nodad=False).nodad, False),
    ),
    Row(
        "8.2.3-2", "SHOULD NOT", "an owner offers no special service that backups cannot take over", why=ADVERTISEMENTS
    ),
    Row("8.2.4-1", "SHOULD", "unsolicited neighbour advertisements are accepted in every state", why=NEIGHBOURS),
    Row("8.3.2-1", "SHOULD", "one router of a link has priority 255", why=OPERATOR),
    Row(
        "8.3.2-2",
        "SHOULD",
        "a second router with priority 255 is logged",
        lines_after(
            [v3(priority=255, source="10.77.0.0").datagram] * 2,
            ["(VI_1) 10.77.0.0 has priority 255 too, which only one may have"],
            version=3,
            priority=255,
        ),
        lines_after([], [], version=3, priority=255),
    ),
    Row("8.3.2-3", "SHOULD", "priorities differ so far that two routers do not become MASTER at once", why=OPERATOR),
    Row("8.4.2-3", "MUST", "in mixed mode a BACKUP times out at the rate of its MASTER", why=NO_INTEROP),
    Row("8.4.2-4", "SHOULD", "in mixed mode version 2 of a MASTER that sends both is ignored", why=NO_INTEROP),
    Row("8.4.2-5", "SHOULD NOT", "mixed mode is a passage, not a state to stay in", why=NO_INTEROP),
    Row("8.4.2.1.1-1", "SHOULD NOT", "a slow version 2 has no higher priority than a fast version 3", why=OPERATOR),
    Row("9-1", "SHOULD", "the link itself is guarded (RFC 9099 2.3)", why=OPERATOR),
)

RULES_3768 = (
    Row(
        "7.1-11",
        "SHOULD",
        "a failed check is logged, and not each time",
        lines_after([Packet(ttl=64).datagram] * 3, [DISCARDED]),
        lines_after([Packet().datagram] * 3, []),
    ),
    Row("7.1-12", "MUST", "other addresses discard unless the owner sent them", why=ONLY_REPORTED),
    Row(
        "7.1-13",
        "SHOULD",
        "other addresses than ours are logged, and not each time",
        lines_after(
            [Packet(addresses=(OTHER_BYTES,)).datagram] * 3,
            ["(VI_1) 10.77.0.2 uses VRID 51 with other addresses: 10.77.0.9"],
        ),
        lines_after([Packet().datagram] * 3, []),
    ),
    Row(
        "7.1-14",
        "MAY",
        "whoever asks is told how many packets failed which check",
        counted(Packet(ttl=64), {"ip_ttl_err": 2}),
        counted(Packet(), {}),
    ),
    Row("8.1-1", "MUST", "a redirect comes from the virtual router that the packet was sent to", why=REDIRECTS),
    Row("8.2-3", "MUST NOT", "ARP is not answered with the physical MAC address", why=VIRTUAL_MAC),
    Row("8.2-4", "SHOULD NOT", "an owner that boots sends no ARP with its own MAC address", why=VIRTUAL_MAC),
    Row(
        "8.2-5",
        "SHOULD",
        "an interface that is set up has its addresses announced by gratuitous ARP",
        link_returns(before=False),
        link_returns(before=True),
    ),
    Row("9.2-2", "MAY", "on token ring unicast is supported too", why=RINGS),
    Row(
        "5.3.6-4",
        "MUST",
        "an authentication header (RFC 2338 5.3.6.3) is HMAC-MD5-96 over what does not change on the way",
        ah([FIRST], [None]),
        ah([FIRST], [Finding.AH_ICV], b"secret78"),
    ),
    Row(
        "5.3.6-5",
        "MUST",
        "an authenticated packet is believed once (RFC 2402 3.4.3)",
        ah([FIRST, SIXTH], [None, None]),
        ah([SIXTH, FIRST, SIXTH], [None, Finding.AH_SEQUENCE, Finding.AH_SEQUENCE]),
    ),
)
