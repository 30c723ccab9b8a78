"""Why a reload was refused: every reason once, with its place where it has one."""

from __future__ import annotations

from kad.reload import with_places

FOUND = (
    "/etc/kad/kad.conf:3:5: warning: A: priority 300 is beyond 255 (did you mean 30?)",
    "/etc/kad/kad.conf:9:1: error: a brace is missing",
)


def test_a_reason_has_the_place_and_the_proposal_of_its_diagnostic() -> None:
    assert with_places(["a brace is missing", "A: priority 300 is beyond 255"], FOUND) == [FOUND[1], FOUND[0]]


def test_a_reason_without_a_diagnostic_stands_for_itself() -> None:
    assert with_places(["the analyzer died", "missing"], FOUND) == ["the analyzer died", "missing"]
