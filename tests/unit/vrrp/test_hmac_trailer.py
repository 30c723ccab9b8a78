"""The HMAC trailer, against the vectors of its draft and the verdicts that keepalived's own test expects."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from kad.model.secret import SecretBytes
from kad.model.vrrp import AuthHmac, HmacKey, VirtualAddress
from kad.vrrp.advert import Advertisement, Examined, Finding, examine
from kad.vrrp.advert_rules import expectation, message
from kad.vrrp.auth.trailer import HmacTrailer
from tests.unit.vrrp.packets import Packet, one_complement, v3
from tests.unit.vrrp.samples import instance

KEY = HmacKey(id=1, secret=SecretBytes(bytes(range(32))))
OTHER_KEY = HmacKey(id=2, secret=SecretBytes(b"k" * 64))
SOURCE4, SOURCE6 = ip_address("198.51.100.10").packed, ip_address("fe80::10").packed
MESSAGE4 = bytes.fromhex("3133c80100644402c0000264")
MESSAGE6 = bytes.fromhex("3133c8010064a2e9fe800000000000000000000000000100")
HEAD = "010100006800000080000000"
TRAILER4 = bytes.fromhex(HEAD + "1b84bc4e8e43892dc6d98448f8ee2265")
TRAILER6 = bytes.fromhex(HEAD + "c8c56146ebfd66ee10ec4d8186461b78")
SEQUENCE = 0x6800000080000000
UNIX = 0x68000000 + 0.5
"""The time in that number: 2025-04-16."""
ADVERT = Advertisement("198.51.100.10", 3, 51, 200, 1.0, (), 0)


def trailer(vrid: int = 51, peers: tuple[bytes, ...] = (), **changes: Any) -> HmacTrailer:
    fields: dict[str, Any] = {"keys": (KEY,), "active_key": 1}
    return HmacTrailer(AuthHmac(**(fields | changes)), 3, vrid, frozenset(peers))


def packet(message: bytes = MESSAGE4, behind: bytes = TRAILER4) -> Examined:
    return Examined(ADVERT, (), message=message, trailer=behind)


def found(ours: HmacTrailer, examined: Examined, source: bytes = SOURCE4, unix: float = UNIX) -> tuple[Finding, ...]:
    return ours.judge(source, examined, unix).findings


class TestVectors:
    def test_both_are_believed(self) -> None:
        assert found(trailer(), packet()) == ()
        assert found(trailer(), packet(MESSAGE6, TRAILER6), SOURCE6) == ()

    @pytest.mark.parametrize(
        ("source", "message", "wanted"), [(SOURCE4, MESSAGE4, TRAILER4), (SOURCE6, MESSAGE6, TRAILER6)]
    )
    def test_both_are_made(self, source: bytes, message: bytes, wanted: bytes) -> None:
        ours = trailer()
        ours.advance(UNIX)
        assert ours.sequence == SEQUENCE
        whole = ours.attach(message, source, ip_address("fe80::20").packed)
        # The checksum of the IPv6 vector was made for fe80::20, trailer included.
        assert whole == message + wanted

    @pytest.mark.parametrize(
        ("at", "wanted"),
        [
            pytest.param(2, Finding.EXTENSION_INVALID, id="priority"),
            pytest.param(5, Finding.EXTENSION_INVALID, id="interval"),
            pytest.param(6, None, id="checksum"),
            pytest.param(23, Finding.EXTENSION_INVALID, id="address"),
            pytest.param(24, Finding.EXTENSION_MALFORMED, id="type"),
            pytest.param(25, Finding.EXTENSION_UNKNOWN_KEY, id="key"),
            pytest.param(26, Finding.EXTENSION_MALFORMED, id="reserved"),
            pytest.param(27, Finding.EXTENSION_MALFORMED, id="reserved-low"),
            pytest.param(28, Finding.EXTENSION_INVALID, id="seconds"),
            pytest.param(35, Finding.EXTENSION_INVALID, id="counter"),
            pytest.param(36, Finding.EXTENSION_INVALID, id="MAC"),
            pytest.param(51, Finding.EXTENSION_INVALID, id="MAC-end"),
        ],
    )
    def test_one_changed_bit(self, at: int, wanted: Finding | None) -> None:
        changed = bytearray(MESSAGE6 + TRAILER6)
        changed[at] ^= 1
        examined = packet(bytes(changed[:24]), bytes(changed[24:]))
        assert trailer(monotonic=True).judge(SOURCE6, examined, UNIX).rejection is wanted

    def test_sender_and_virtual_router_are_covered(self) -> None:
        assert found(trailer(), packet(), ip_address("198.51.100.11").packed) == (Finding.EXTENSION_INVALID,)
        assert found(trailer(vrid=52), packet()) == (Finding.EXTENSION_INVALID,)
        version_2 = HmacTrailer(AuthHmac(keys=(KEY,), active_key=1), 2, 51)
        assert found(version_2, packet()) == (Finding.EXTENSION_INVALID,)


class TestReplay:
    def test_each_number_once(self) -> None:
        ours = trailer()
        assert found(ours, packet()) == ()
        assert found(ours, packet()) == (Finding.EXTENSION_REPLAY,)

    def test_an_older_one_is_refused_and_a_newer_one_is_not(self) -> None:
        theirs, ours = trailer(), trailer()
        packets = []
        for _ in range(3):
            theirs.advance(UNIX)
            whole = theirs.attach(MESSAGE4, SOURCE4, b"")
            packets.append(packet(whole[:12], whole[12:]))
        assert theirs.sequence == SEQUENCE + 2
        assert found(ours, packets[1]) == ()
        assert found(ours, packets[0]) == (Finding.EXTENSION_REPLAY,)
        assert found(ours, packets[2]) == ()

    def test_a_forged_packet_moves_nothing(self) -> None:
        ours = trailer()
        forged = packet(behind=TRAILER4[:35] + b"\xff" + TRAILER4[36:])
        assert found(ours, forged) == (Finding.EXTENSION_INVALID,)
        assert found(ours, packet()) == ()

    def test_one_copy_counts_for_each_sender(self) -> None:
        assert found(trailer(peers=(SOURCE4,)), packet()) == ()
        stranger = trailer(peers=(SOURCE6,))
        assert found(stranger, packet()) == (Finding.SOURCE_UNKNOWN,)

    def test_four_senders_of_multicast_are_remembered(self) -> None:
        ours = trailer()
        senders = [ip_address(f"10.0.0.{last}").packed for last in range(1, 6)]
        packets = {}
        for sender in senders:
            theirs = trailer()
            theirs.advance(UNIX)
            whole = theirs.attach(MESSAGE4, sender, b"")
            packets[sender] = packet(whole[:12], whole[12:])
        for sender in senders[:4]:
            assert found(ours, packets[sender], sender) == ()
        # The first one speaks again and is remembered longer than the second.
        assert found(ours, packets[senders[0]], senders[0]) == (Finding.EXTENSION_REPLAY,)
        assert found(ours, packets[senders[4]], senders[4]) == ()
        assert found(ours, packets[senders[0]], senders[0]) == (Finding.EXTENSION_REPLAY,)
        assert found(ours, packets[senders[1]], senders[1]) == ()

    def test_another_life_knows_whom_the_first_believed(self) -> None:
        ours, kept = trailer(), {}
        for last in range(1, 8):
            sender = ip_address(f"10.0.0.{last}").packed
            theirs = trailer()
            theirs.advance(UNIX + last / 8)
            whole = theirs.attach(MESSAGE4, sender, b"")
            assert ours.mark(sender) is None
            assert found(ours, packet(whole[:12], whole[12:]), sender) == ()
            place, source, number = ours.mark(sender) or (8, b"", 0)
            kept[place] = (source, number)
        # Of multicast the last four are remembered, each in a place of its own.
        assert sorted(kept) == [0, 1, 2, 3]
        another = trailer()
        another.recall(kept.values())
        assert found(another, packet(whole[:12], whole[12:]), sender) == (Finding.EXTENSION_REPLAY,)
        assert ours.marks[-1][1:] == kept[ours.marks[-1][0]]

    def test_of_many_peers_those_who_spoke_last_have_a_place(self) -> None:
        senders = [ip_address(f"10.0.0.{last}").packed for last in range(1, 11)]
        ours, kept = trailer(peers=tuple(senders)), {}
        for sender in senders:
            theirs = trailer()
            theirs.advance(UNIX)
            whole = theirs.attach(MESSAGE4, sender, b"")
            assert found(ours, packet(whole[:12], whole[12:]), sender) == ()
            place, source, _ = ours.mark(sender) or (9, b"", 0)
            kept[place] = source
        assert sorted(kept) == list(range(8))
        assert set(kept.values()) == set(senders[2:])

    def test_a_mark_of_a_wrong_clock_is_given_up(self) -> None:
        theirs, ours = trailer(), trailer()
        theirs.advance(UNIX + 3600)
        whole = theirs.attach(MESSAGE4, SOURCE4, b"")
        assert found(ours, packet(whole[:12], whole[12:]), unix=UNIX + 3600) == ()
        assert found(ours, packet(), unix=UNIX) == ()
        assert found(ours, packet(), unix=UNIX) == (Finding.EXTENSION_REPLAY,)

    def test_the_order_alone_counts_where_it_is_monotonic(self) -> None:
        theirs, ours = trailer(monotonic=True), trailer(monotonic=True)
        theirs.advance(UNIX + 3600)
        whole = theirs.attach(MESSAGE4, SOURCE4, b"")
        assert found(ours, packet(whole[:12], whole[12:]), unix=UNIX - 10**6) == ()
        assert found(ours, packet()) == (Finding.EXTENSION_REPLAY,)


class TestWindow:
    @pytest.mark.parametrize(
        ("late", "wanted"),
        [
            (-6, (Finding.EXTENSION_STALE,)),
            (-5, (Finding.EXTENSION_SKEW,)),
            (-3, (Finding.EXTENSION_SKEW,)),
            (-2, ()),
            (2, ()),
            (3, (Finding.EXTENSION_SKEW,)),
            (5, (Finding.EXTENSION_SKEW,)),
            (6, (Finding.EXTENSION_STALE,)),
        ],
    )
    def test_five_seconds(self, late: int, wanted: tuple[Finding, ...]) -> None:
        examined = trailer(time_window=5).judge(SOURCE4, packet(), UNIX + late)
        assert examined.findings == wanted
        assert (examined.rejection is None) == (Finding.EXTENSION_STALE not in wanted)

    def test_across_the_end_of_32_bits(self) -> None:
        theirs = trailer()
        theirs.advance(float((1 << 32) - 1))
        whole = theirs.attach(MESSAGE4, SOURCE4, b"")
        assert found(trailer(), packet(whole[:12], whole[12:]), unix=float(1 << 32)) == ()
        theirs.advance(float(1 << 32))
        assert theirs.sequence == 0

    def test_numbers_go_on_across_it(self) -> None:
        theirs, ours = trailer(monotonic=True), trailer(monotonic=True)
        for sequence in ((1 << 64) - 1, 0, 1):
            theirs.sequence = sequence
            whole = theirs.attach(MESSAGE4, SOURCE4, b"")
            assert found(ours, packet(whole[:12], whole[12:])) == ()

    def test_a_clock_that_was_set_back_is_followed(self) -> None:
        """Not at once, but when nobody would believe the old time any more."""
        ours = trailer()
        ours.advance(UNIX + 3600)
        ours.advance(UNIX + 3597)
        assert ours.sequence == SEQUENCE + (3600 << 32) + 1
        ours.advance(UNIX)
        assert ours.sequence == SEQUENCE
        strict = trailer(monotonic=True)
        strict.advance(UNIX + 3600)
        strict.advance(UNIX)
        assert strict.sequence == SEQUENCE + (3600 << 32) + 1


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "wanted", "counts"),
        [
            ("enforce", Finding.EXTENSION_MISSING, False),
            ("permissive", Finding.EXTENSION_ABSENT, True),
            ("receive-only", Finding.EXTENSION_ABSENT, True),
        ],
    )
    def test_an_unsigned_advert(self, mode: str, wanted: Finding, counts: bool) -> None:
        examined = trailer(mode=mode).judge(SOURCE4, packet(behind=b""), UNIX)
        assert examined.findings == (wanted,)
        assert (examined.rejection is None) == counts

    @pytest.mark.parametrize("mode", ["enforce", "permissive", "receive-only"])
    def test_a_wrong_signature_counts_nowhere(self, mode: str) -> None:
        examined = packet(behind=TRAILER4[:27] + b"\x00")
        assert trailer(mode=mode).judge(SOURCE4, examined, UNIX).rejection is Finding.EXTENSION_INVALID

    def test_receive_only_signs_nothing(self) -> None:
        ours = trailer(mode="receive-only")
        ours.advance(UNIX)
        assert ours.attach(MESSAGE4, SOURCE4, b"") == MESSAGE4

    def test_any_configured_key_is_believed_and_the_active_one_signs(self) -> None:
        both = {"keys": (KEY, OTHER_KEY)}
        assert found(trailer(**both, active_key=2), packet()) == ()
        theirs = trailer(**both, active_key=2)
        theirs.advance(UNIX)
        signed = theirs.attach(MESSAGE4, SOURCE4, b"")
        assert signed[13] == 2
        assert found(trailer(**both), packet(signed[:12], signed[12:])) == ()
        assert found(trailer(), packet(signed[:12], signed[12:])) == (Finding.EXTENSION_UNKNOWN_KEY,)

    def test_what_is_refused_before_is_not_remembered(self) -> None:
        ours = trailer()
        spoiled = replace(packet(), findings=(Finding.TTL,))
        assert found(ours, spoiled) == (Finding.TTL,)
        assert found(ours, packet()) == ()

    def test_a_reload_forgets_nothing(self) -> None:
        old, new = trailer(), trailer(keys=(KEY, OTHER_KEY), active_key=2)
        old.advance(UNIX)
        assert found(old, packet()) == ()
        new.inherit(old)
        assert found(new, packet()) == (Finding.EXTENSION_REPLAY,)
        new.advance(UNIX)
        assert new.sequence == SEQUENCE + 1


class TestInAPacket:
    HMAC = AuthHmac(keys=(KEY,), active_key=1)

    def test_a_trailer_is_found_behind_the_message(self) -> None:
        plain = v3(padding=bytes(range(28)))
        datagram = replace(plain, total_length=20 + 12 + 28).datagram
        examined = examine(datagram, expectation(instance(version=3, auth_hmac=self.HMAC), 100))
        assert examined.findings == ()
        assert examined.message == plain.message
        assert examined.trailer == bytes(range(28))

    @pytest.mark.parametrize("length", [27, 29])
    def test_any_other_length_is_none(self, length: int) -> None:
        datagram = replace(v3(padding=bytes(length)), total_length=20 + 12 + length).datagram
        examined = examine(datagram, expectation(instance(version=3, auth_hmac=self.HMAC), 100))
        assert examined.rejection is Finding.LENGTH

    def test_without_auth_hmac_it_is_too_long(self) -> None:
        datagram = replace(v3(padding=bytes(28)), total_length=20 + 12 + 28).datagram
        assert examine(datagram, expectation(instance(version=3), 100)).rejection is Finding.LENGTH

    def test_padding_is_no_trailer(self) -> None:
        examined = examine(v3(padding=bytes(14)).datagram, expectation(instance(version=3, auth_hmac=self.HMAC), 100))
        assert (examined.findings, examined.trailer) == ((), b"")

    def test_version_2_has_its_eight_bytes_all_the_same(self) -> None:
        ours = instance(auth_hmac=self.HMAC)
        body = message(ours, 100, "10.77.0.2", "224.0.0.18", old_unicast=False)
        assert len(body) == 20
        datagram = replace(Packet(padding=bytes(28)), total_length=20 + 20 + 28).datagram
        examined = examine(datagram, expectation(ours, 100))
        assert (examined.findings, examined.message, len(examined.trailer)) == ((), body, 28)

    def test_over_ipv6_the_checksum_covers_the_trailer(self) -> None:
        ours = instance(
            version=3,
            family=6,
            auth_hmac=self.HMAC,
            multicast_group="ff02::12",
            virtual_addresses=(VirtualAddress(address="fe80::100", prefix=64),),
        )
        ends = (SOURCE6, ip_address("ff02::12").packed)
        body = message(ours, 200, "fe80::10", "ff02::12", old_unicast=False)
        signer = trailer()
        signer.advance(UNIX)
        whole = signer.attach(body, *ends)
        head = bytes.fromhex(f"6c000000{len(whole):04x}70ff") + b"".join(ends)
        examined = trailer().judge(SOURCE6, examine(head + whole, expectation(ours, 100)), UNIX)
        assert examined.findings == ()
        assert examined.trailer == TRAILER6
        assert one_complement(b"".join(ends) + bytes.fromhex("0000003400000070") + whole) == 0
        bare = examine(head + body + whole[-28:], expectation(ours, 100))
        assert bare.rejection is Finding.CHECKSUM
