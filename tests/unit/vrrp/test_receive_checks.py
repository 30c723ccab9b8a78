"""The checks on receipt, each one alone and all of them in keepalived's order: the first failure is the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kad.model.secret import Secret
from kad.model.vrrp import Authentication, UnicastPeer
from kad.vrrp.advert import ACCEPTED_FINDINGS, Advertisement, Checksum, Finding, examine
from tests.unit.vrrp.packets import GLOBAL_VIP, LINK_LOCAL_VIP, Packet, expecting, expecting_v6, v3, v6
from tests.unit.vrrp.samples import OTHER_VIP, VIP, VIP_BYTES

PASS = {"authentication": Authentication(type="PASS", password=Secret("abcd"))}
PEERS = {"unicast_peers": (UnicastPeer(address="10.77.0.2"),), "check_unicast_src": True}
OTHER_BYTES = bytes([10, 77, 0, 101])


def findings(packet: Packet, **changes: Any) -> tuple[Finding, ...]:
    return examine(packet.datagram, expecting(**changes)).findings


def test_the_order_is_keepalived_s() -> None:
    """The words are those of keepalived's counters where it has one."""
    assert [finding.value for finding in Finding] == [
        "packet_len_err",
        "authtype_mismatch",
        "packet_length",
        "ip_ttl_err",
        "version_mismatch",
        "auth_ext_missing",
        "auth_ext_absent",
        "auth_ext_malformed",
        "auth_ext_stale",
        "auth_ext_unknown_key",
        "auth_ext_invalid_hmac",
        "auth_ext_replay",
        "auth_ext_clock_skew",
        "invalid_authtype",
        "authtype_differs",
        "auth_failure",
        "ah_next_header",
        "ah_icv",
        "ah_spi",
        "ah_sequence",
        "advert_interval_err",
        "invalid_type_rcvd",
        "total_length",
        "interval_other",
        "checksum_err",
        "destination_kind",
        "other_group",
        "owner_ignores",
        "addr_list_err",
        "source_unknown",
        "source_no_peer",
        "peer_ttl",
    ]


def test_five_of_them_do_not_discard() -> None:
    assert {
        Finding.EXTENSION_ABSENT,
        Finding.EXTENSION_SKEW,
        Finding.INTERVAL_OTHER,
        Finding.ADDRESS_LIST,
        Finding.SOURCE_NO_PEER,
    } == ACCEPTED_FINDINGS


class TestEachAlone:
    @pytest.mark.parametrize("length", [0, 1, 19, 20, 27])
    def test_too_short_to_be_vrrp(self, length: int) -> None:
        examined = examine(Packet().datagram[:length], expecting())
        assert examined.advert is None
        assert examined.rejection is Finding.TRUNCATED

    @pytest.mark.parametrize("first", [0x40, 0x44])
    def test_an_ip_header_that_is_too_short(self, first: int) -> None:
        examined = examine(bytes([first]) + Packet().datagram[1:], expecting())
        assert examined.rejection is Finding.TRUNCATED

    def test_an_authentication_header_that_is_not_wanted(self) -> None:
        assert findings(Packet(protocol=51)) == (Finding.AH_UNEXPECTED,)

    def test_none_where_one_is_wanted(self) -> None:
        wanted = {"authentication": Authentication(type="AH", password=Secret("abcd"))}
        assert findings(Packet(auth_type=2), **wanted) == (Finding.AH_UNEXPECTED,)
        assert findings(Packet(auth_type=2, protocol=51), **wanted) == ()

    @pytest.mark.parametrize("cut", [1, 8, 12])
    def test_cut(self, cut: int) -> None:
        assert Finding.LENGTH in findings(Packet(cut=cut))
        assert examine(Packet(cut=cut).datagram, expecting()).rejection is Finding.LENGTH

    def test_more_addresses_promised_than_sent(self) -> None:
        assert examine(Packet(count=2).datagram, expecting()).rejection is Finding.LENGTH
        assert examine(Packet(count=255).datagram, expecting()).rejection is Finding.LENGTH

    def test_more_bytes_than_addresses(self) -> None:
        packet = Packet(addresses=(VIP_BYTES,) * 4, count=1)
        assert examine(packet.datagram, expecting()).rejection is Finding.LENGTH

    def test_ethernet_padding_up_to_46_bytes_is_tolerated(self) -> None:
        assert len(Packet().datagram) == 40
        assert findings(Packet(padding=bytes(6))) == ()
        assert examine(Packet(padding=bytes(7)).datagram, expecting()).rejection is Finding.LENGTH
        assert findings(v3(padding=bytes(14)), version=3) == ()
        assert examine(v3(padding=bytes(15)).datagram, expecting(version=3)).rejection is Finding.LENGTH

    @pytest.mark.parametrize("ttl", [0, 1, 64, 254])
    def test_the_ttl_of_multicast(self, ttl: int) -> None:
        assert findings(Packet(ttl=ttl)) == (Finding.TTL,)
        assert findings(Packet(ttl=ttl, destination="10.77.0.1"), **PEERS) == ()

    def test_another_version(self) -> None:
        assert examine(v3().datagram, expecting()).rejection is Finding.LENGTH
        assert Finding.VERSION in findings(v3(addresses=(VIP_BYTES,) * 3, count=1))
        assert examine(Packet(version=4).datagram, expecting(version=3)).rejection is Finding.VERSION
        assert Finding.VERSION in findings(Packet(), version=3)

    @pytest.mark.parametrize("auth_type", [3, 128, 255])
    def test_an_unknown_authentication_type(self, auth_type: int) -> None:
        assert findings(Packet(auth_type=auth_type)) == (Finding.AUTH_TYPE_INVALID,)

    def test_another_authentication_type(self) -> None:
        assert findings(Packet(auth_type=1)) == (Finding.AUTH_TYPE_DIFFERS,)
        assert findings(Packet(), **PASS) == (Finding.AUTH_TYPE_DIFFERS,)

    def test_the_password(self) -> None:
        assert findings(Packet(auth_type=1, auth_data=b"abcd\0\0\0\0"), **PASS) == ()
        assert findings(Packet(auth_type=1, auth_data=b"abcd\0\0\0\1"), **PASS) == (Finding.AUTH_FAILURE,)
        assert findings(Packet(auth_type=1, auth_data=b"abce\0\0\0\0"), **PASS) == (Finding.AUTH_FAILURE,)

    def test_without_a_password_the_eight_bytes_say_nothing(self) -> None:
        assert findings(Packet(auth_data=b"rubbish!")) == ()

    @pytest.mark.parametrize("interval", [0, 2, 255])
    def test_the_interval_of_version_2(self, interval: int) -> None:
        assert findings(Packet(interval=interval)) == (Finding.INTERVAL_DIFFERS,)

    @pytest.mark.parametrize("kind", [0, 2, 15])
    def test_no_advertisement(self, kind: int) -> None:
        assert findings(Packet(kind=kind)) == (Finding.TYPE,)
        assert findings(v3(kind=kind), version=3) == (Finding.TYPE,)

    def test_more_announced_by_ip_than_received(self) -> None:
        assert findings(Packet(total_length=41)) == (Finding.TOTAL_LENGTH,)

    def test_less_announced_by_ip_than_received(self) -> None:
        assert findings(Packet(total_length=39)) == ()
        five = {"virtual_addresses": (VIP,) * 5}
        assert findings(Packet(addresses=(VIP_BYTES,) * 5, total_length=55), **five) == (Finding.TOTAL_LENGTH,)

    @pytest.mark.parametrize("interval", [1, 99, 101, 4095])
    def test_another_interval_of_version_3_is_accepted(self, interval: int) -> None:
        examined = examine(v3(interval=interval).datagram, expecting(version=3))
        assert examined.findings == (Finding.INTERVAL_OTHER,)
        assert examined.rejection is None

    def test_an_interval_of_nothing_is_not(self) -> None:
        """Erratum 8301 of RFC 9568: who learned it would presume every master dead at once."""
        examined = examine(v3(interval=0).datagram, expecting(version=3))
        assert examined.rejection is Finding.INTERVAL_DIFFERS

    @pytest.mark.parametrize("version", [2, 3])
    def test_the_checksum(self, version: int) -> None:
        packet = replace(v3() if version == 3 else Packet(), checksum=0x1234)
        assert findings(packet, version=version) == (Finding.CHECKSUM,)

    @pytest.mark.parametrize("at", range(20, 40))
    def test_any_changed_byte_is_found(self, at: int) -> None:
        changed = bytearray(Packet(auth_type=1, auth_data=b"abcd\0\0\0\0").datagram)
        changed[at] ^= 0x10
        assert Finding.CHECKSUM in examine(bytes(changed), expecting(**PASS)).findings

    def test_padding_is_not_in_the_checksum(self) -> None:
        assert findings(Packet(padding=b"\xff" * 6)) == ()

    def test_multicast_where_unicast_is_configured_and_the_reverse(self) -> None:
        assert findings(Packet(), **PEERS) == (Finding.DESTINATION_KIND,)
        assert findings(Packet(destination="10.77.0.1")) == (Finding.DESTINATION_KIND,)

    @pytest.mark.parametrize("group", ["224.0.0.18", "239.255.255.255"])
    def test_any_multicast_group_may_be_ours_and_no_other_is(self, group: str) -> None:
        assert findings(Packet(destination=group), multicast_group=group) == ()
        assert findings(Packet(destination=group), multicast_group="224.0.0.77") == (Finding.OTHER_GROUP,)

    @pytest.mark.parametrize("address", ["223.255.255.255", "240.0.0.1"])
    def test_what_lies_beside_them_is_none(self, address: str) -> None:
        assert findings(Packet(destination=address)) == (Finding.DESTINATION_KIND,)

    def test_an_owner_that_ignores_adverts(self) -> None:
        ignoring = {"owner_ignore_adverts": True}
        assert findings(Packet(), effective_priority=255, **ignoring) == (Finding.OWNER_IGNORES,)
        assert findings(Packet(), effective_priority=254, **ignoring) == ()
        assert findings(Packet(), effective_priority=255) == ()

    @pytest.mark.parametrize(
        "addresses", [(OTHER_BYTES,), (VIP_BYTES, OTHER_BYTES), (VIP_BYTES, VIP_BYTES), ()], ids=str
    )
    def test_other_addresses_are_accepted(self, addresses: tuple[bytes, ...]) -> None:
        examined = examine(Packet(addresses=addresses).datagram, expecting())
        assert examined.findings == (Finding.ADDRESS_LIST,)
        assert examined.rejection is None

    def test_addresses_in_another_order_are_no_finding(self) -> None:
        assert findings(Packet(addresses=(OTHER_BYTES, VIP_BYTES)), virtual_addresses=(VIP, OTHER_VIP)) == ()

    def test_version_3_without_any_address_is_not_accepted(self) -> None:
        """RFC 9568 5.2.5."""
        assert examine(v3(addresses=()).datagram, expecting(version=3)).rejection is Finding.LENGTH

    def test_the_sender_of_unicast(self) -> None:
        stranger = Packet(source="10.77.0.3", destination="10.77.0.1")
        assert findings(stranger, **PEERS) == (Finding.SOURCE_UNKNOWN,)
        assert findings(stranger, **(PEERS | {"check_unicast_src": False})) == (Finding.SOURCE_NO_PEER,)
        assert findings(Packet(destination="10.77.0.1"), **(PEERS | {"check_unicast_src": False})) == ()
        assert findings(Packet(destination="10.77.0.1"), **PEERS) == ()

    @pytest.mark.parametrize(("ttl", "fits"), [(63, False), (64, True), (100, True), (200, True), (201, False)])
    def test_the_ttl_of_a_peer(self, ttl: int, fits: bool) -> None:
        peer = {"unicast_peers": (UnicastPeer(address="10.77.0.2", min_ttl=64, max_ttl=200),)}
        wanted = () if fits else (Finding.PEER_TTL,)
        assert findings(Packet(ttl=ttl, destination="10.77.0.1"), **peer) == wanted


class TestChecksumOfVersion3:
    def test_old_unicast_is_recognised(self) -> None:
        packet = v3(destination="10.77.0.1", pseudo_destination="224.0.0.18")
        examined = examine(packet.datagram, expecting(version=3, **PEERS))
        assert examined.findings == ()
        assert examined.checksum is Checksum.OLD_UNICAST

    def test_new_unicast_is_not_taken_for_old(self) -> None:
        examined = examine(v3(destination="10.77.0.1").datagram, expecting(version=3, **PEERS))
        assert examined.findings == ()
        assert examined.checksum is Checksum.PSEUDO_HEADER

    def test_nothing_else_is_taken_for_old(self) -> None:
        assert examine(Packet().datagram, expecting()).checksum is Checksum.MESSAGE
        assert examine(v3(checksum=0).datagram, expecting(version=3)).checksum is None
        assert examine(b"", expecting()).checksum is None

    def test_multicast_has_no_old_form(self) -> None:
        packet = v3(destination="224.0.0.19", pseudo_destination="224.0.0.18")
        assert findings(packet, version=3, multicast_group="224.0.0.19") == (Finding.CHECKSUM,)

    @pytest.mark.parametrize("as_v2", [False, True])
    def test_with_and_without_the_pseudo_header_are_both_understood(self, as_v2: bool) -> None:
        """RFC 9568 5.2.8 and keepalived differ."""
        ours = expecting(version=3, v3_checksum_as_v2=as_v2)
        without, with_it = examine(v3(pseudo_destination="").datagram, ours), examine(v3().datagram, ours)
        assert (without.findings, without.checksum) == ((), Checksum.MESSAGE)
        assert (with_it.findings, with_it.checksum) == ((), Checksum.PSEUDO_HEADER)

    @pytest.mark.parametrize("as_v2", [False, True])
    def test_a_wrong_one_is_wrong(self, as_v2: bool) -> None:
        """With v3_checksum_as_v2 keepalived verifies nothing; RFC 9568 7.1 demands it."""
        assert findings(v3(checksum=0x1234), version=3, v3_checksum_as_v2=as_v2) == (Finding.CHECKSUM,)


class TestVersion3OverIPv6:
    """fe80::2 sends fe80::100 and 2001:db8::100 to ff02::12."""

    def test_it_counts(self) -> None:
        examined = examine(v6().datagram, expecting_v6())
        assert (examined.findings, examined.checksum) == ((), Checksum.PSEUDO_HEADER)
        assert examined.advert == Advertisement(
            "fe80::2", 3, 51, 100, 1.0, (LINK_LOCAL_VIP, GLOBAL_VIP), 0xFE80 << 112 | 2
        )

    @pytest.mark.parametrize(
        ("packet", "finding"),
        [
            (v6(ttl=254), Finding.TTL),
            (v6(checksum=0x1234), Finding.CHECKSUM),
            (v6(pseudo_destination="ff02::1"), Finding.CHECKSUM),
            (v6(pseudo_destination=""), Finding.CHECKSUM),
            (v6(version=2), Finding.LENGTH),
            (v6(version=4), Finding.VERSION),
            (v6(kind=2), Finding.TYPE),
            (v6(interval=0), Finding.INTERVAL_DIFFERS),
            (v6(cut=1), Finding.LENGTH),
            (v6(padding=bytes(1)), Finding.LENGTH),
            (v6(addresses=()), Finding.LENGTH),
            (v6(count=1), Finding.LENGTH),
            (v6(cut=33), Finding.TRUNCATED),
            (v6(destination="fe80::1"), Finding.DESTINATION_KIND),
            (v6(destination="ff02::13"), Finding.OTHER_GROUP),
        ],
    )
    def test_it_is_refused(self, packet: Packet, finding: Finding) -> None:
        assert examine(packet.datagram, expecting_v6()).rejection is finding

    @pytest.mark.parametrize("length", range(48))
    def test_no_whole_header(self, length: int) -> None:
        assert examine(v6().datagram[:length], expecting_v6()).findings == (Finding.TRUNCATED,)

    def test_other_addresses_and_intervals_are_reported(self) -> None:
        packet = v6(addresses=(GLOBAL_VIP, LINK_LOCAL_VIP[:15] + b"\x01"), interval=50)
        examined = examine(packet.datagram, expecting_v6())
        assert examined.findings == (Finding.INTERVAL_OTHER, Finding.ADDRESS_LIST)
        assert examined.rejection is None

    def test_unicast_and_the_hop_limit_of_a_peer(self) -> None:
        peer = {"unicast_peers": (UnicastPeer(address="fe80::2", min_ttl=255),), "check_unicast_src": True}
        assert examine(v6(destination="fe80::1").datagram, expecting_v6(**peer)).findings == ()
        far = examine(v6(destination="fe80::1", ttl=254).datagram, expecting_v6(**peer))
        assert far.findings == (Finding.PEER_TTL,)
        stranger = examine(v6(destination="fe80::1", source="fe80::9").datagram, expecting_v6(**peer))
        assert stranger.findings == (Finding.SOURCE_UNKNOWN,)
        assert examine(v6().datagram, expecting_v6(**peer)).rejection is Finding.DESTINATION_KIND


SPOILED: tuple[tuple[Finding, Callable[[Packet], Packet]], ...] = (
    (Finding.AH_UNEXPECTED, lambda packet: replace(packet, protocol=51)),
    (Finding.LENGTH, lambda packet: replace(packet, padding=bytes(30))),
    (Finding.TTL, lambda packet: replace(packet, ttl=64)),
    (Finding.VERSION, lambda packet: replace(packet, version=4, addresses=(VIP_BYTES,) * 3, count=1, reserved=9)),
    (Finding.AUTH_TYPE_INVALID, lambda packet: replace(packet, auth_type=9)),
    (Finding.INTERVAL_DIFFERS, lambda packet: replace(packet, interval=9)),
    (Finding.TYPE, lambda packet: replace(packet, kind=9)),
    (Finding.TOTAL_LENGTH, lambda packet: replace(packet, total_length=999)),
    (Finding.CHECKSUM, lambda packet: replace(packet, checksum=0x1234)),
    (Finding.DESTINATION_KIND, lambda packet: packet),
    (Finding.OWNER_IGNORES, lambda packet: packet),
    (Finding.ADDRESS_LIST, lambda packet: replace(packet, addresses=(OTHER_BYTES,) * len(packet.addresses))),
    (Finding.SOURCE_UNKNOWN, lambda packet: replace(packet, source="10.77.0.9")),
)


@pytest.mark.parametrize("first", range(9))
def test_the_first_failure_is_the_reason(first: int) -> None:
    """A packet with this fault and all later ones, at an instance that refuses it for its own reasons too."""
    packet = Packet()
    for _, spoil in SPOILED[first:]:
        packet = spoil(packet)
    ours = expecting(255, owner_ignore_adverts=True, **PEERS)
    examined = examine(packet.datagram, ours)
    wanted = [finding for finding, _ in SPOILED[first:]]
    assert [finding for finding in examined.findings if finding in wanted] == wanted
    assert examined.rejection is wanted[0]


def test_what_is_refused_for_our_own_reasons_comes_last() -> None:
    packet = Packet(source="10.77.0.9", addresses=(OTHER_BYTES,))
    examined = examine(packet.datagram, expecting(255, owner_ignore_adverts=True, **PEERS))
    assert examined.findings == (
        Finding.DESTINATION_KIND,
        Finding.OWNER_IGNORES,
        Finding.ADDRESS_LIST,
        Finding.SOURCE_UNKNOWN,
    )
