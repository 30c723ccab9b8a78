"""What a programmer could get wrong about numbers and signatures: each function plants one fault."""

from __future__ import annotations

from kad.vrrp.advert import Finding
from kad.vrrp.auth import trailer
from kad.vrrp.auth.ah import AuthenticationHeader
from kad.vrrp.auth.trailer import HmacTrailer
from tests.simulation.faults import Patch


def headers_never_count(patch: Patch) -> None:
    patch.setattr(AuthenticationHeader, "advance", lambda self: None)


def heard_numbers_do_not_count(patch: Patch) -> None:
    """Whoever takes over begins with a number of its own."""
    original = AuthenticationHeader._find

    def spoiled(self: AuthenticationHeader, datagram: bytes) -> Finding | None:
        before = self.sequence
        found = original(self, datagram)
        self.sequence = before
        return found

    patch.setattr(AuthenticationHeader, "_find", spoiled)


def forged_numbers_count(patch: Patch) -> None:
    """The counter moves before the ICV is looked at."""
    original = AuthenticationHeader._find

    def spoiled(self: AuthenticationHeader, datagram: bytes) -> Finding | None:
        found = original(self, datagram)
        self.sequence = max(self.sequence, int.from_bytes(datagram[28:32], "big"))
        return found

    patch.setattr(AuthenticationHeader, "_find", spoiled)


def ttl_of_unicast_is_covered(patch: Patch) -> None:
    original = AuthenticationHeader.__init__

    def spoiled(self: AuthenticationHeader, key: bytes, *, unicast: bool, sequence: int = 0) -> None:
        original(self, key, unicast=False, sequence=sequence)

    patch.setattr(AuthenticationHeader, "__init__", spoiled)


def signatures_never_count(patch: Patch) -> None:
    """The clock alone makes the number: two adverts of one moment have the same."""
    original = HmacTrailer.advance

    def spoiled(self: HmacTrailer, unix: float) -> None:
        self.sequence = 0
        original(self, float(int(unix)))

    patch.setattr(HmacTrailer, "advance", spoiled)


def one_mark_for_all_senders(patch: Patch) -> None:
    original = HmacTrailer._is_new

    def spoiled(self: HmacTrailer, source: bytes, sequence: int, unix: float) -> bool:
        return original(self, b"", sequence, unix)

    patch.setattr(HmacTrailer, "_is_new", spoiled)


def the_sender_is_not_covered(patch: Patch) -> None:
    original = HmacTrailer._mac

    def spoiled(self: HmacTrailer, key: bytes, message: bytes, head: bytes, source: bytes) -> bytes:
        return original(self, key, message, head, bytes(len(source)))

    patch.setattr(HmacTrailer, "_mac", spoiled)


def old_time_is_kept(patch: Patch) -> None:
    """A clock that was set back is not followed."""
    original = HmacTrailer.advance

    def spoiled(self: HmacTrailer, unix: float) -> None:
        original(self, max(unix, float(self.sequence >> 32)))

    patch.setattr(HmacTrailer, "advance", spoiled)


def numbers_are_not_serial(patch: Patch) -> None:
    patch.setattr(trailer, "_is_after", lambda number, other: number > other)
