"""Every rule of the VRRP documents is kept, and what breaks it is seen; or it is said why it does not apply."""

from __future__ import annotations

import pytest

from tests.rfc import rules_3768, rules_9568_packets, rules_9568_states, rules_advice, rules_definitions
from tests.rfc.row import Row

TABLES = {
    "RFC3768": (*rules_3768.RULES, *rules_advice.RULES_3768, *rules_definitions.RULES_3768),
    "RFC9568": (
        *rules_9568_packets.RULES,
        *rules_9568_states.RULES,
        *rules_advice.RULES_9568,
        *rules_definitions.RULES_9568,
    ),
}
ROWS = [pytest.param(row, id=f"{name}-{row.id}") for name, rules in TABLES.items() for row in rules]
SHOWN = [row for row in ROWS if row.values[0].kept is not None]


@pytest.mark.parametrize("row", SHOWN)
def test_kept(row: Row) -> None:
    assert row.kept is not None
    row.kept()


@pytest.mark.parametrize("row", SHOWN)
def test_what_breaks_it_is_seen(row: Row) -> None:
    assert row.broken is not None
    row.broken()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_shows_both_or_says_why(row: Row) -> None:
    assert (row.kept is None) == (row.broken is None) == bool(row.why)
    assert row.level in ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "RULE")
    assert row.text


@pytest.mark.parametrize("name", TABLES)
def test_no_rule_stands_twice(name: str) -> None:
    ids = [row.id for row in TABLES[name]]
    assert len(set(ids)) == len(ids)
    assert len(ids) > 40
