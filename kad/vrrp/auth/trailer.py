"""The HMAC trailer behind an advert (keepalived 2.4's auth_hmac): signed by sender and time, each number once."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterable

from kad.model.vrrp import AuthHmac
from kad.shared.checksum import internet_checksum
from kad.shared.shared_page import MARKS
from kad.vrrp.advert import Examined, Finding, pseudo_header, with_findings

_HEAD = struct.Struct("!BBHQ")  # type, key id, reserved, sequence
_HMAC_SHA256 = 1
_MAC_LENGTH = 16
_ADDRESS_LENGTH = 16
_CHECKSUM = slice(6, 8)
_MOST_SENDERS = 4
"""Of multicast whose last number is remembered; more than two speak only while it is not decided who is MASTER."""
_WORD = 1 << 64


def _is_after(number: int, other: int) -> bool:
    """RFC 1982 on 64 bits: the seconds in a number come round in 2106."""
    return 0 < (number - other) % _WORD < _WORD >> 1


def _ahead(number: int, unix: float) -> int:
    """By how many seconds the clock in a number is ahead of ours; negative: behind."""
    difference = ((number >> 32) - int(unix)) % (1 << 32)
    return difference - (1 << 32) if difference >> 31 else difference


class HmacTrailer:
    """What one instance signs with and whom it has believed; `unix` is UNIX time in seconds throughout."""

    __slots__ = ("_configured", "_heard", "_keys", "_peers", "_places", "_virtual_router", "sequence")

    def __init__(
        self, configured: AuthHmac, version: int, virtual_router_id: int, peers: frozenset[bytes] = frozenset()
    ) -> None:
        """peers: unicast senders in network order; none where it is multicast."""
        self._configured = configured
        self._keys = {key.id: key.secret.reveal() for key in configured.keys}
        self._virtual_router = bytes([version, virtual_router_id, 0])
        self._peers = peers
        self._heard: dict[bytes, int] = {}
        """The last number of each sender, whoever spoke last at the end."""
        self._places: dict[bytes, int] = {}
        """Where that number outlives this process, for as many as there are places for."""
        self.sequence = 0
        """The last one that was sent."""

    def inherit(self, earlier: HmacTrailer) -> None:
        """Go on where the same router stopped, as after a reload."""
        self.sequence, self._heard, self._places = earlier.sequence, earlier._heard, earlier._places

    # what outlives the process

    def recall(self, marks: Iterable[tuple[bytes, int]]) -> None:
        """An earlier life has believed these senders, up to these numbers."""
        self._heard = dict(sorted(marks, key=lambda mark: mark[1]))
        self._places = {source: place for place, source in enumerate(self._heard)}

    @property
    def marks(self) -> list[tuple[int, bytes, int]]:
        """What recall() is told by another life: place, sender and number."""
        return [(place, source, self._heard[source]) for source, place in self._places.items()]

    def mark(self, source: bytes) -> tuple[int, bytes, int] | None:
        """The same of one sender, who has a place from now on; None of one who was never believed."""
        number = self._heard.get(source)
        if number is None:
            return None
        place = self._places.get(source)
        if place is None:
            place = self._places[source] = self._make_place()
        return place, source, number

    def _make_place(self) -> int:
        """A free one, or that of who has been silent longest."""
        if len(self._places) == MARKS:
            return self._places.pop(next(source for source in self._heard if source in self._places))
        return next(place for place in range(MARKS) if place not in self._places.values())

    # sending

    def advance(self, unix: float) -> None:
        """The next advert; copies of it to several peers bear the same number.

        A clock that was set back far beyond the window is followed, since nobody would believe the old time.
        """
        clock = int(unix) % (1 << 32) << 32 | int(unix % 1 * 0x10000) << 16
        is_lost = not self._configured.monotonic and _ahead(self.sequence, unix) > self._configured.time_window
        if not self.sequence or is_lost or _is_after(clock, self.sequence):
            self.sequence = clock
        else:
            self.sequence = (self.sequence + 1) % _WORD

    def attach(self, message: bytes, source: bytes, destination: bytes) -> bytes:
        """The message with its trailer; nothing is added where only others sign."""
        if self._configured.mode == "receive-only":
            return message
        head = _HEAD.pack(_HMAC_SHA256, self._configured.active_key, 0, self.sequence)
        trailer = head + self._mac(self._keys[self._configured.active_key], message, head, source)
        if len(source) == 4:
            return message + trailer
        # The checksum of IPv6 covers all that follows the header, and the MAC does not cover the checksum.
        whole = message[:6] + b"\0\0" + message[8:] + trailer
        checksum = internet_checksum(pseudo_header(source, destination, len(whole)) + whole)
        return whole[:6] + checksum.to_bytes(2, "big") + whole[8:]

    # receiving

    def judge(self, source: bytes, examined: Examined, unix: float) -> Examined:
        """A packet that was examined, with what its trailer says; one that is believed is remembered."""
        if not examined.came_to(Finding.EXTENSION_MISSING):
            return examined
        found = self._find(source, examined, unix)
        return examined if found is None else with_findings(examined, found)

    def _find(self, source: bytes, examined: Examined, unix: float) -> Finding | None:
        trailer = examined.trailer
        if not trailer:
            is_enforced = self._configured.mode == "enforce"
            return Finding.EXTENSION_MISSING if is_enforced else Finding.EXTENSION_ABSENT
        if self._peers and source not in self._peers:
            return Finding.SOURCE_UNKNOWN
        kind, key_id, reserved, sequence = _HEAD.unpack_from(trailer)
        if kind != _HMAC_SHA256 or reserved:
            return Finding.EXTENSION_MALFORMED
        # Before the MAC, since a flood of recorded packets must not cost one each.
        skew = 0 if self._configured.monotonic else abs(_ahead(sequence, unix))
        if skew > self._configured.time_window:
            return Finding.EXTENSION_STALE
        key = self._keys.get(key_id)
        if key is None:
            return Finding.EXTENSION_UNKNOWN_KEY
        head, mac = trailer[: _HEAD.size], trailer[_HEAD.size :]
        if not hmac.compare_digest(mac, self._mac(key, examined.message, head, source)):
            return Finding.EXTENSION_INVALID
        if not self._is_new(source, sequence, unix):
            return Finding.EXTENSION_REPLAY
        return Finding.EXTENSION_SKEW if skew > self._configured.time_window // 2 else None

    def _is_new(self, source: bytes, sequence: int, unix: float) -> bool:
        last = self._heard.pop(source, None)
        if last is not None and not self._configured.monotonic:
            # What it would refuse the window refuses already; it may stem from a clock that was wrong.
            last = last if abs(_ahead(last, unix)) <= self._configured.time_window else None
        is_new = last is None or _is_after(sequence, last)
        self._heard[source] = sequence if last is None or is_new else last
        while not self._peers and len(self._heard) > _MOST_SENDERS:
            silent = next(iter(self._heard))
            del self._heard[silent]
            self._places.pop(silent, None)
        return is_new

    def _mac(self, key: bytes, message: bytes, head: bytes, source: bytes) -> bytes:
        family = b"\x04" if len(source) == 4 else b"\x06"
        pseudo = family + self._virtual_router + source.ljust(_ADDRESS_LENGTH, b"\0")
        covered = pseudo + message[: _CHECKSUM.start] + b"\0\0" + message[_CHECKSUM.stop :] + head + bytes(_MAC_LENGTH)
        return hmac.digest(key, covered, "sha256")[:_MAC_LENGTH]
