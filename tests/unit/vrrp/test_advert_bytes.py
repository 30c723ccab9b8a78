"""Adverts as bytes, against those that keepalived sent."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from kad.model.secret import Secret
from kad.model.vrrp import Authentication, UnicastPeer
from kad.shared.checksum import internet_checksum
from kad.vrrp.advert import Advertisement, build_v2, build_v3, examine, pass_data, virtual_router_id_of
from kad.vrrp.advert_rules import message, packed_addresses, successions
from tests.unit.vrrp.packets import V2_PASS, V3, Packet, expecting, one_complement, v3
from tests.unit.vrrp.samples import OTHER_VIP, VIP, VIP_BYTES, instance

PASS = Authentication(type="PASS", password=Secret("abcd"))
MULTICAST = ip_address("224.0.0.18").packed
OURS = ip_address("10.77.0.1").packed


class TestChecksum:
    """RFC 1071."""

    def test_its_own_example(self) -> None:
        assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D

    def test_an_odd_number_of_bytes(self) -> None:
        assert internet_checksum(b"\x01") == 0xFEFF

    def test_over_data_that_holds_a_right_one(self) -> None:
        assert internet_checksum(V2_PASS) == 0

    def test_nothing(self) -> None:
        assert internet_checksum(b"") == 0xFFFF

    def test_many_carries(self) -> None:
        assert internet_checksum(b"\xff" * 2000) == 0

    def test_the_tests_count_as_the_book_says(self) -> None:
        assert one_complement(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
        assert Packet(auth_type=1, auth_data=b"abcd\0\0\0\0").message == V2_PASS
        theirs = v3(virtual_router_id=52, addresses=(bytes([10, 77, 0, 101]),), interval=25, source="10.77.0.1")
        assert theirs.message == V3


class TestVersion2:
    def test_with_a_password(self) -> None:
        assert build_v2(51, 100, (VIP_BYTES,), 1.0, 1, b"abcd\0\0\0\0") == V2_PASS

    def test_without_one_there_are_eight_zeros_all_the_same(self) -> None:
        built = build_v2(51, 100, (VIP_BYTES,), 1.0)
        assert built.hex() == "21336401" + "00017019" + "0a4d0064" + "0000000000000000"
        assert built == Packet().message

    def test_the_data_of_an_authentication_header_is_not_in_here(self) -> None:
        built = build_v2(51, 100, (VIP_BYTES,), 1.0, 2, b"abcd\0\0\0\0")
        assert built.hex() == "21336401" + "02016e19" + "0a4d0064" + "0000000000000000"

    def test_two_addresses_in_configured_order(self) -> None:
        built = build_v2(51, 0, (bytes([10, 77, 0, 101]), VIP_BYTES), 5.0)
        assert built[:6].hex() == "213300020005"
        assert built[8:16].hex() == "0a4d00650a4d0064"
        assert one_complement(built) == 0

    def test_no_address(self) -> None:
        assert build_v2(1, 255, (), 1.0).hex() == "2101ff00" + "0001" + "dffc" + "0000000000000000"

    @pytest.mark.parametrize(
        ("password", "data"),
        [("abcd", "6162636400000000"), ("abcdefgh", "6162636465666768"), ("abcdefghi", "6162636465666768")],
    )
    def test_a_password_is_cut_and_padded(self, password: str, data: str) -> None:
        assert pass_data(password).hex() == data


class TestVersion3:
    def test_with_the_pseudo_header(self) -> None:
        assert build_v3(52, 100, (bytes([10, 77, 0, 101]),), 0.25, OURS, MULTICAST) == V3

    def test_without_it(self) -> None:
        built = build_v3(52, 100, (bytes([10, 77, 0, 101]),), 0.25)
        assert built.hex() == "31346401" + "0019" + "5fff" + "0a4d0065"
        assert one_complement(built) == 0

    def test_ipv6(self) -> None:
        """From fe80::10 to fe80::20; the checksum is that of keepalived's check vector without its HMAC trailer."""
        source, destination = ip_address("fe80::10").packed, ip_address("fe80::20").packed
        built = build_v3(51, 200, (ip_address("fe80::100").packed,), 1.0, source, destination)
        assert built.hex() == "3133c8010064" + "092c" + "fe800000000000000000000000000100"

    @pytest.mark.parametrize(
        ("interval", "field"), [(0.01, "0001"), (1.0, "0064"), (40.95, "0fff"), (41.0, "0fff"), (0.29, "001d")]
    )
    def test_the_interval_is_centiseconds_in_twelve_bits(self, interval: float, field: str) -> None:
        assert build_v3(52, 100, (), interval)[4:6].hex() == field


class TestFromConfiguration:
    def test_version_2(self) -> None:
        built = message(instance(authentication=PASS), 100, "10.77.0.1", "224.0.0.18", old_unicast=False)
        assert built == V2_PASS

    def test_version_3(self) -> None:
        made = instance(version=3, virtual_router_id=52, virtual_addresses=(OTHER_VIP,), advertisement_interval=0.25)
        assert message(made, 100, "10.77.0.1", "224.0.0.18", old_unicast=False) == V3

    def test_unicast_covers_the_real_destination_and_in_the_old_form_the_group(self) -> None:
        made = instance(version=3, unicast_peers=(UnicastPeer(address="10.77.0.2"),))
        new = message(made, 100, "10.77.0.1", "10.77.0.2", old_unicast=False)
        old = message(made, 100, "10.77.0.1", "10.77.0.2", old_unicast=True)
        assert new == v3(source="10.77.0.1", destination="10.77.0.2").message
        assert old == v3(source="10.77.0.1", destination="224.0.0.18").message
        assert new != old

    def test_checksum_as_v2(self) -> None:
        made = instance(version=3, v3_checksum_as_v2=True)
        built = message(made, 100, "10.77.0.1", "224.0.0.18", old_unicast=False)
        assert built == v3(pseudo_destination="").message

    def test_excluded_addresses_are_not_advertised(self) -> None:
        made = instance(virtual_addresses=(OTHER_VIP, VIP), excluded_addresses=(VIP,))
        assert packed_addresses(made) == (bytes([10, 77, 0, 101]), VIP_BYTES)

    def test_what_makes_it_the_same_router(self) -> None:
        old = instance()
        assert successions([old], [instance(name="other", priority=7, version=3)]) == {"other": "VI_1"}
        for change in ({"interface": "eth1"}, {"virtual_router_id": 52}, {"family": 6}, {"unicast_peers": peers("2")}):
            assert successions([old], [instance(**change)]) == {}

    def test_several_with_peers_of_their_own_are_told_apart_by_their_names(self) -> None:
        one, two = instance(unicast_peers=peers("2")), instance(name="VI_2", unicast_peers=peers("3"))
        other = instance(name="VI_3", unicast_peers=peers("4"))
        assert successions([one], [two, one]) == {"VI_1": "VI_1"}
        assert successions([one, two], [two]) == {"VI_2": "VI_2"}
        assert successions([one, two], [other, two]) == {"VI_2": "VI_2", "VI_3": "VI_1"}


def peers(*numbers: str) -> tuple[UnicastPeer, ...]:
    return tuple(UnicastPeer(address=f"10.77.0.{number}") for number in numbers)


class TestDecoding:
    def test_version_2(self) -> None:
        packet = Packet(priority=7, interval=3, addresses=(VIP_BYTES, bytes([10, 77, 0, 101])))
        examined = examine(packet.datagram, expecting(virtual_addresses=(VIP, OTHER_VIP), advertisement_interval=3.0))
        assert examined.findings == ()
        assert examined.advert == Advertisement(
            source="10.77.0.2",
            version=2,
            virtual_router_id=51,
            priority=7,
            interval=3.0,
            addresses=(VIP_BYTES, bytes([10, 77, 0, 101])),
            source_number=0x0A4D0002,
        )

    def test_version_3(self) -> None:
        examined = examine(v3(interval=4095).datagram, expecting(version=3, advertisement_interval=40.95))
        assert examined.findings == ()
        assert examined.advert is not None
        assert examined.advert.interval == 40.95

    def test_reserved_bits_are_ignored(self) -> None:
        examined = examine(v3(reserved=15).datagram, expecting(version=3))
        assert examined.findings == ()
        assert examined.advert is not None
        assert examined.advert.interval == 1.0

    def test_options_of_ip_are_passed_over(self) -> None:
        plain = Packet().datagram
        with_options = bytes([0x46]) + plain[1:2] + b"\0\x2c" + plain[4:20] + b"\x01\x01\x01\0" + plain[20:]
        assert examine(with_options, expecting()).findings == ()


@pytest.mark.parametrize(
    ("datagram", "family", "number"),
    [
        (Packet(virtual_router_id=51).datagram, 4, 51),
        (Packet(virtual_router_id=255, protocol=51).datagram, 4, 255),
        (bytes(40) + V3, 6, 52),
        (bytes(40) + b"\x31", 6, None),
        (b"", 4, None),
        (b"\x45" + bytes(18), 4, None),
        (b"\x45" + bytes(19), 4, None),
        (b"\x4f" + bytes(40), 4, None),
        (b"\x31", 6, None),
    ],
)
def test_the_vrid_is_found_before_anything_is_checked(datagram: bytes, family: int, number: int | None) -> None:
    assert virtual_router_id_of(datagram, family) == number
