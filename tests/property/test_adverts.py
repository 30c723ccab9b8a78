"""Adverts: what is built is understood, any bytes are understood or refused, and nothing raises."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kad.linux.sockets import ip_header
from kad.shared import checksum
from kad.shared.checksum import internet_checksum
from kad.vrrp.advert import Advertisement, Expectation, Finding, build_v2, build_v3, examine, virtual_router_id_of
from tests.unit.vrrp.packets import expecting, one_complement

ADDRESSES = st.binary(min_size=4, max_size=4)
UNICAST = st.integers(1, 223).flatmap(
    lambda first: st.integers(0, 0xFFFFFF).map(lambda rest: f"{first}.{rest >> 16}.{rest >> 8 & 255}.{rest & 255}")
)
LISTS = st.lists(ADDRESSES, min_size=1, max_size=20).map(tuple)
SECRETS = st.binary(min_size=8, max_size=8)
V2, V3 = expecting(), expecting(version=3)


def expectations() -> st.SearchStrategy[Expectation]:
    return st.builds(
        Expectation,
        version=st.sampled_from((2, 3)),
        family=st.sampled_from((4, 6)),
        interval=st.sampled_from((0.01, 0.1, 1.0, 40.95)),
        auth_type=st.integers(0, 2),
        auth_data=SECRETS,
        addresses=st.frozensets(ADDRESSES, max_size=3),
        address_count=st.integers(0, 3),
        unicast_peers=st.frozensets(UNICAST, max_size=2),
        check_source=st.booleans(),
        peer_ttls=st.just(()),
        ignores_everything=st.booleans(),
        multicast_group=st.sampled_from((bytes([224, 0, 0, 18]), bytes(16))),
    )


def datagram(body: bytes, source: str, destination: str = "224.0.0.18") -> bytes:
    return ip_header.ipv4_header(source, destination, len(body), 255, 0) + body


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), LISTS, st.integers(1, 255), st.integers(0, 1), SECRETS, UNICAST)
def test_version_2_comes_back(
    vrid: int, priority: int, addresses: tuple[bytes, ...], interval: int, auth: int, secret: bytes, source: str
) -> None:
    body = build_v2(vrid, priority, addresses, float(interval), auth, secret)
    ours = replace(
        V2,
        interval=float(interval),
        auth_type=auth,
        auth_data=secret,
        addresses=frozenset(addresses),
        address_count=len(addresses),
    )
    examined = examine(datagram(body, source), ours)
    assert examined.findings == ()
    number = int.from_bytes(bytes(map(int, source.split("."))), "big")
    assert examined.advert == Advertisement(source, 2, vrid, priority, float(interval), addresses, number)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), LISTS, st.integers(1, 4095), UNICAST)
def test_version_3_comes_back(
    vrid: int, priority: int, addresses: tuple[bytes, ...], centiseconds: int, source: str
) -> None:
    packed = bytes(map(int, source.split(".")))
    interval = centiseconds / 100
    body = build_v3(vrid, priority, addresses, interval, packed, bytes([224, 0, 0, 18]))
    ours = replace(V3, interval=interval, addresses=frozenset(addresses), address_count=len(addresses))
    examined = examine(datagram(body, source), ours)
    assert examined.findings == ()
    number = int.from_bytes(packed, "big")
    assert examined.advert == Advertisement(source, 3, vrid, priority, interval, addresses, number)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200), expectations())
def test_any_bytes_are_understood_or_refused(data: bytes, ours: Expectation) -> None:
    examined = examine(data, ours)
    assert examined.advert is not None or examined.rejection is not None
    assert len(set(examined.findings)) == len(examined.findings)
    virtual_router_id_of(data, 4)
    virtual_router_id_of(data, 6)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from((2, 3)), st.integers(0, 159), st.booleans())
def test_one_flipped_bit_is_refused(version: int, bit: int, padded: bool) -> None:
    if version == 2:
        body = build_v2(51, 100, (b"\x0aMd\x64",), 1.0)
    else:
        body = build_v3(51, 100, (b"\x0aMd\x64",), 1.0, b"\x0aM\0\x02", bytes([224, 0, 0, 18]))
    spoiled = bytearray(body)
    spoiled[bit % (8 * len(body)) // 8] ^= 1 << bit % 8
    whole = datagram(bytes(spoiled), "10.77.0.2") + (bytes(6) if padded else b"")
    assert examine(whole, V2 if version == 2 else V3).rejection is not None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 63), st.sampled_from((2, 3)))
def test_a_cut_packet_is_refused(length: int, version: int) -> None:
    body = build_v2(51, 100, (b"\x0aMd\x64",) * 9, 1.0)
    whole = datagram(body, "10.77.0.2")
    rejection = examine(whole[:length], V2 if version == 2 else V3).rejection
    assert rejection in (Finding.TRUNCATED, Finding.LENGTH)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600))
def test_three_ways_to_count_a_checksum_agree(data: bytes) -> None:
    assert internet_checksum(data) == checksum.internet_checksum(data) == one_complement(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100).map(lambda data: data + b"\0" * (len(data) % 2)))
def test_data_with_its_checksum_sums_to_nothing(data: bytes) -> None:
    assert internet_checksum(data + internet_checksum(data).to_bytes(2, "big")) == 0
