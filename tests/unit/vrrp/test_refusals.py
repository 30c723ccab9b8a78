"""Which adverts are refused: a beginning and an end for each peer and reason, however many come, from however many."""

from __future__ import annotations

from kad.vrrp.advert import Finding
from kad.vrrp.refusals import Refusals

PASSWORD, TTL = Finding.AUTH_FAILURE, Finding.TTL
PEER, OTHER = "10.0.0.2", "10.0.0.3"


def note(refusals: Refusals, now: float, peer: str = PEER, reason: Finding = PASSWORD, interval: float = 1.0) -> bool:
    """Whether it begins with this advert."""
    return refusals.note(peer, reason, "wrong password", interval, now) is not None


def sentences(refusals: Refusals) -> list[str]:
    return [each.sentence for each in refusals.current()]


def test_one_packet_is_no_refusal_and_the_second_begins_it() -> None:
    refusals = Refusals()
    assert not note(refusals, 0.0)
    assert sentences(refusals) == []
    assert note(refusals, 1.0)
    assert sentences(refusals) == ["adverts of 10.0.0.2 are refused: wrong password"]
    assert [note(refusals, 2.0 + each) for each in range(50)] == [False] * 50


def test_it_is_over_after_three_and_a_half_intervals_and_three_seconds_at_least() -> None:
    refusals = Refusals()
    for moment in (0.0, 1.0, 2.0):
        note(refusals, moment)
    assert refusals.deadline == 5.5
    assert refusals.ended(5.4) == []
    (ended,) = refusals.ended(5.5)
    assert (ended.count, ended.seconds) == (3, 2.0)
    assert (sentences(refusals), refusals.deadline, refusals.ended(9.0)) == ([], None, [])
    fast = Refusals()
    note(fast, 0.0, interval=0.1)
    note(fast, 0.1, interval=0.1)
    assert fast.deadline == 3.1


def test_an_advert_that_counts_ends_those_of_its_peer_alone() -> None:
    refusals = Refusals()
    for peer in (PEER, OTHER):
        note(refusals, 0.0, peer)
        note(refusals, 1.0, peer)
    assert [each.peer for each in refusals.accepted(PEER, 1.5)] == [PEER]
    assert sentences(refusals) == ["adverts of 10.0.0.3 are refused: wrong password"]
    # Two more begin it again.
    assert [note(refusals, moment) for moment in (2.0, 3.0)] == [False, True]


def test_what_comes_and_goes_is_current_each_time_and_reported_once_a_minute() -> None:
    refusals = Refusals()
    reported = []
    for start in (0.0, 10.0, 20.0, 61.5):
        note(refusals, start)
        begun = refusals.note(PEER, PASSWORD, "wrong password", 1.0, start + 1.0)
        assert begun is not None
        reported.append(begun.is_reported)
        assert len(refusals.ended(start + 8.0)) == 1
    assert reported == [True, False, False, True]


def test_reasons_of_one_peer_are_apart() -> None:
    refusals = Refusals()
    note(refusals, 0.0)
    note(refusals, 0.5, reason=TTL)
    assert sentences(refusals) == []
    assert note(refusals, 1.0)
    assert note(refusals, 1.5, reason=TTL)
    assert len(sentences(refusals)) == 2


def test_forged_sources_are_one_of_further_routers() -> None:
    refusals = Refusals()
    begun = sum(note(refusals, number / 1000, f"10.1.{number >> 8}.{number & 255}") for number in range(5000))
    assert begun == 1
    assert sentences(refusals) == ["adverts of further routers are refused: wrong password"]
    assert len(refusals._pairs) == 17
    # They are forgotten, and then others are kept by name.
    assert len(refusals.ended(100.0)) == 1
    assert not note(refusals, 100.0)
    assert note(refusals, 101.0)
    assert sentences(refusals) == ["adverts of 10.0.0.2 are refused: wrong password"]


def test_what_is_meant_for_others_or_ignored_on_purpose_is_no_refusal() -> None:
    refusals = Refusals()
    for reason in (Finding.OTHER_GROUP, Finding.OWNER_IGNORES):
        assert [note(refusals, moment, reason=reason) for moment in (0.0, 0.1, 0.2)] == [False] * 3
    assert sentences(refusals) == []
