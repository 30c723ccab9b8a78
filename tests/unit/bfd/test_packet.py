"""The control packet, octet by octet (RFC 5880 4.1), and what must be discarded (6.8.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kad.bfd.packet import Control, Diagnostic, Discard, Flag, State, decode

UP = bytes.fromhex("20 c0 03 18 00000001 00000002 0000c350 000186a0 00000000".replace(" ", ""))
CONTROL = Control(State.UP, Diagnostic.NONE, Flag(0), 3, 1, 2, 0.05, 0.1)


def test_the_octets_of_a_session_that_is_up() -> None:
    assert CONTROL.encode() == UP
    assert decode(UP) == CONTROL


def test_state_flags_and_diagnostic_stand_where_they_belong() -> None:
    control = CONTROL._replace(state=State.DOWN, diagnostic=Diagnostic.NEIGHBOR_DOWN, flags=Flag.POLL | Flag.DEMAND)
    assert control.encode()[:2] == bytes([0x23, 0x62])
    assert decode(control.encode()) == control


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, 0x40, "another version than 1"),
        (0, 0x29, "its diagnostic is unknown"),
        (1, 0xC1, "the multipoint bit is set"),
        (1, 0xC4, "it is authenticated, and no session here is"),
        (1, 0xF0, "it is poll and final at once"),
        (2, 0, "the detection multiplier is 0"),
        (3, 26, "another length"),
        (7, 0, "its discriminator is 0"),
        (11, 0, "it knows no discriminator of this router"),
    ],
)
def test_one_octet_makes_it_invalid(at: int, value: int, reason: str) -> None:
    with pytest.raises(Discard, match=reason):
        decode(UP[:at] + bytes([value]) + UP[at + 1 :])


def test_who_is_down_need_not_know_us() -> None:
    assert decode(UP[:1] + b"\x40" + UP[2:8] + b"\0\0\0\0" + UP[12:]).your_discriminator == 0


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_discarded(data: bytes) -> None:
    try:
        control = decode(data)
    except Discard:
        return
    assert decode(control.encode()).state is control.state
