"""Every word that keepalived knows is known, in its place, with a sentence of help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kad.config.explain import words
from kad.config.language import language
from kad.config.preprocess import CHECKS
from kad.vrrp.keywords import addresses, routes
from tests.config.hosts import judged, said

ROWS = [
    tuple(line.split("\t")) for line in Path(__file__).with_name("keepalived_words.tsv").read_text().splitlines()[1:]
]
LAYOUTS = {layout.context: layout for layout in language().layouts()}
LINES = {
    "virtual_ipaddress": "192.0.2.9/24",
    "virtual_routes": "198.51.100.0/24 no_track",
    "virtual_rules": "table 5 preference 1",
}


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 644


@pytest.mark.parametrize(("context", "word", "kind"), [row for row in ROWS if row[0] in LAYOUTS and row[1][0] != "("])
def test_each_word_is_known_where_it_belongs(context: str, word: str, kind: str) -> None:
    if not context and word.startswith("include"):
        assert word.removeprefix("include") in CHECKS
    elif context == "virtual_server_group":
        assert LAYOUTS[context].lines is not None
    else:
        entry = LAYOUTS[context].words[word]
        assert entry.opens is (kind in ("block", "list"))
        assert entry.keyword.help


@pytest.mark.parametrize(("context", "word", "kind"), [row for row in ROWS if row[0] in LINES])
def test_each_option_of_a_line_is_known(context: str, word: str, kind: str) -> None:
    known = {
        "virtual_ipaddress": {*addresses.FLAGS, *addresses.WITH_VALUE, "(address)"},
        "virtual_routes": {
            *routes.ROUTE_OPTIONS,
            "(destination)",
            "inet",
            "inet6",
            "via",
            "gw",
            "or",
            "as",
            "encap",
            "nexthop",
        },
        "virtual_rules": {*routes.RULE_OPTIONS, "inet", "inet6", "type"},
    }
    assert word in known[context]


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] not in LAYOUTS and row[0] not in LINES])
def test_no_row_is_left_out(row: tuple[str, str, str]) -> None:
    assert row[0] == "vrrp_track_file" or row[1] == "(entry)", row


def test_the_old_spelling_of_track_file_opens_the_same_block() -> None:
    top = LAYOUTS[""].words
    assert top["vrrp_track_file"].layout is top["track_file"].layout


def test_words_without_effect_are_counted() -> None:
    """Of keepalived's own; the number can only fall."""
    rows = {(context, word) for context, word, _ in ROWS}
    silent = {(context, word) for context, word, _, is_silent in words(language()) if is_silent} & rows
    assert len(silent) <= 41
    assert ("global_defs", "enable_traps") in silent
    assert ("vrrp_instance", "priority") not in silent


def test_the_readme_names_every_word_without_effect_and_no_other() -> None:
    rows = {(context, word) for context, word, _ in ROWS}
    silent = {word for context, word, _, is_silent in words(language()) if is_silent and (context, word) in rows}
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [named] = re.findall(r"without effect so far, with a note each: ([^.]+)\.", readme)
    assert sorted(re.findall(r"`(\w+)`", named)) == sorted(silent)


def test_a_word_without_effect_says_so_once() -> None:
    text = "global_defs {\n enable_traps\n enable_traps\n}\nvirtual_server 192.0.2.1 80 {\n snmp_name x\n}\n"
    notes = [finding for finding in said(judged(text)) if "no effect" in finding]
    assert notes == [
        "note 2 enable_traps: has no effect in kad yet",
        "note 6 snmp_name: has no effect in kad yet",
    ]
