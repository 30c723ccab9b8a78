"""The authentication header, against packets that keepalived 2.2.7 sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kad.model.secret import Secret
from kad.model.vrrp import Authentication, UnicastPeer, VrrpInstance
from kad.vrrp.advert import Examined, Finding, examine
from kad.vrrp.advert_rules import expectation, message, seal
from kad.vrrp.auth.ah import AuthenticationHeader
from tests.unit.vrrp.samples import instance

FIRST = bytes.fromhex(
    "45c0004000020000ff33d0680a4d0001e000001270"
    "0400000a4d000100000001e636e3e7e26a3eafbf4fac58"
    "2133960102013c190a4d00640000000000000000"
)
"""From 10.77.0.1 to 224.0.0.18: password secret77, VRID 51, priority 150, 10.77.0.100, sequence number 1."""
SIXTH = bytes.fromhex(
    "45c0004000070000ff33d0630a4d0001e000001270"
    "0400000a4d000100000006828146dbc850052b4ffc9806"
    "2133960102013c190a4d00640000000000000000"
)
KEY = b"secret77"


def locked(**changes: Any) -> VrrpInstance:
    return instance(authentication=Authentication(type="AH", password=Secret("secret77")), **changes)


def judged(header: AuthenticationHeader, datagram: bytes, ours: VrrpInstance | None = None) -> Examined:
    return header.judge(datagram, examine(datagram, expectation(ours or locked(), 100)))


def test_what_keepalived_sent_is_believed_in_its_order() -> None:
    header = AuthenticationHeader(KEY, unicast=False)
    assert judged(header, FIRST).findings == ()
    assert header.sequence == 1
    assert judged(header, SIXTH).findings == ()
    assert header.sequence == 6
    assert judged(header, SIXTH).rejection is Finding.AH_SEQUENCE
    assert judged(header, FIRST).rejection is Finding.AH_SEQUENCE
    assert header.sequence == 6


def test_what_is_built_is_what_keepalived_sent() -> None:
    header = AuthenticationHeader(KEY, unicast=False)
    body = message(locked(), 150, "10.77.0.1", "224.0.0.18", old_unicast=False)
    for sent in (FIRST, SIXTH):
        header.sequence = sent[31] - 1
        header.advance()
        assert header.identification == int.from_bytes(sent[4:6], "big")
        assert sent[:20] + header.header(sent[:20], body) + body == sent


def test_another_password_is_not_believed() -> None:
    header = AuthenticationHeader(b"secret78", unicast=False)
    assert judged(header, FIRST).rejection is Finding.AH_ICV
    assert header.sequence == 0


MUTABLE = {1, 6, 7, 10, 11}
"""TOS, fragmentation, header checksum."""


@pytest.mark.parametrize("at", sorted(set(range(64)) - MUTABLE))
def test_every_byte_but_those_that_routers_change_is_covered(at: int) -> None:
    changed = bytearray(FIRST)
    changed[at] ^= 0x20
    header = AuthenticationHeader(KEY, unicast=False)
    assert judged(header, bytes(changed)).rejection is not None
    assert header.sequence == 0


@pytest.mark.parametrize("at", sorted(MUTABLE))
def test_those_are_not(at: int) -> None:
    changed = bytearray(FIRST)
    changed[at] ^= 0x20
    assert judged(AuthenticationHeader(KEY, unicast=False), bytes(changed)).findings == ()


def test_the_ttl_of_unicast_may_change_on_the_way() -> None:
    ours = locked(unicast_peers=(UnicastPeer(address="10.77.0.2"),))
    head = bytes.fromhex("45c0004000020000ff330000" + "0a4d0002" + "0a4d0001")
    body = message(ours, 150, "10.77.0.2", "10.77.0.1", old_unicast=False)
    sender = AuthenticationHeader(KEY, unicast=True)
    sender.advance()
    packet = head + sender.header(head, body) + body
    routed = packet[:8] + b"\x40" + packet[9:]
    assert judged(AuthenticationHeader(KEY, unicast=True), routed, ours).findings == ()
    assert judged(AuthenticationHeader(KEY, unicast=False), routed, ours).rejection is Finding.AH_ICV


def test_the_spi_is_the_sender() -> None:
    """Whoever has the key and lies about it is not believed either."""
    header = AuthenticationHeader(KEY, unicast=False)
    lie = FIRST[:24] + b"\x0a\x4d\x00\x09" + FIRST[28:]
    icv = header._icv(lie[:20], lie[20:32], lie[44:])
    assert judged(header, lie[:32] + icv + lie[44:]).rejection is Finding.AH_SPI


def test_another_protocol_under_the_header() -> None:
    other = FIRST[:20] + b"\x06" + FIRST[21:]
    assert judged(AuthenticationHeader(KEY, unicast=False), other).rejection is Finding.AH_NEXT_HEADER


def test_a_packet_that_is_refused_before_its_header_is_read_moves_nothing() -> None:
    header = AuthenticationHeader(KEY, unicast=False)
    low = FIRST[:8] + b"\xfe" + FIRST[9:]
    assert judged(header, low).findings == (Finding.TTL,)
    plain = instance(authentication=Authentication(type="PASS", password=Secret("secret77")))
    assert judged(header, FIRST, plain).rejection is Finding.AH_UNEXPECTED
    assert header.sequence == 0


def test_a_packet_that_is_refused_afterwards_was_heard_all_the_same() -> None:
    header = AuthenticationHeader(KEY, unicast=False)
    assert judged(header, FIRST, locked(advertisement_interval=3.0)).rejection is Finding.INTERVAL_DIFFERS
    assert header.sequence == 1


def test_the_numbers_end_after_136_years() -> None:
    header = AuthenticationHeader(KEY, unicast=False, sequence=0xFFFF_FFFE)
    header.advance()
    header.advance()
    assert header.sequence == 0xFFFF_FFFF
    assert 1 <= header.identification <= 0xFFFF


def test_who_has_one() -> None:
    assert isinstance(seal(locked()), AuthenticationHeader)
    assert seal(instance()) is None
    assert seal(instance(authentication=Authentication(type="PASS", password=Secret("x")))) is None


def test_findings_keep_their_order() -> None:
    examined = examine(FIRST, replace(expectation(locked(), 100), address_count=2))
    header = AuthenticationHeader(KEY, unicast=False, sequence=9)
    assert header.judge(FIRST, examined).findings == (Finding.AH_SEQUENCE, Finding.ADDRESS_LIST)
