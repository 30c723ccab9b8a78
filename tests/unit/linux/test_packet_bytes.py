"""Packets and frames as literal bytes, made once by another program (scapy) or taken from an RFC."""

from __future__ import annotations

import pytest

from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.ip_header import ipv4_header, ipv6_header
from kad.linux.sockets.ndisc import unsolicited_advertisement
from kad.linux.sockets.sendmmsg import sockaddr_in, sockaddr_in6, sockaddr_ll
from kad.shared.checksum import internet_checksum

MAC = bytes.fromhex("020000000001")


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        ("0001 f203 f4f5 f6f7", 0x220D),  # RFC 1071 §3
        ("4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7", 0xB861),
        ("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7", 0),
        ("0000", 0xFFFF),
        ("ffff", 0),
        ("", 0xFFFF),
        ("01", 0xFEFF),  # padded on the right
        ("2133 6401 0101 0000 0a4d 0064 6162 6364 0000 0000", 0xAA52),  # an advert of keepalived
    ],
)
def test_internet_checksum(data: str, checksum: int) -> None:
    assert internet_checksum(bytes.fromhex(data)) == checksum


def test_ipv4_header() -> None:
    assert ipv4_header("10.77.0.1", "224.0.0.18", 20, 255, 1).hex() == "45c0002800010000ff70d0440a4d0001e0000012"
    assert ipv4_header("10.77.0.1", "10.77.0.2", 12, 64, 0, protocol=51).hex() == (
        "45c00020000000004033654f0a4d00010a4d0002"
    )


def test_ipv6_header() -> None:
    assert ipv6_header("fe80::1", "ff02::12", 24, 255).hex() == (
        "6c0000000018" + "70ff" + "fe800000000000000000000000000001" + "ff020000000000000000000000000012"
    )


def test_gratuitous_arp() -> None:
    assert gratuitous_arp(MAC, "10.77.0.100").hex() == (
        "ffffffffffff" + "020000000001" + "0806" + "0001" + "0800" + "06" + "04" + "0001"
        "020000000001" + "0a4d0064" + "ffffffffffff" + "0a4d0064"
    )


@pytest.mark.parametrize(("router", "flags_and_checksum"), [(False, "59fb20000000"), (True, "d9faa0000000")])
def test_unsolicited_neighbour_advertisement(router: bool, flags_and_checksum: str) -> None:
    assert unsolicited_advertisement(MAC, "fd01::50", router=router).hex() == (
        "333300000001" + "020000000001" + "86dd" + "600000000020" + "3aff"
        "fd010000000000000000000000000050" + "ff020000000000000000000000000001"
        "8800" + flags_and_checksum + "fd010000000000000000000000000050" + "0201020000000001"
    )


def test_destinations() -> None:
    assert sockaddr_in("224.0.0.18").hex() == "02000000e00000120000000000000000"
    assert sockaddr_in6("ff02::12", 3).hex() == "0a00000000000000ff02000000000000000000000000001203000000"
    assert sockaddr_ll(3, b"\x08\x06").hex() == "110008060300000000000000" + "0000000000000000"
