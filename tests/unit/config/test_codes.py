"""Every kind of finding has one code and one sentence, every code is used, and each use gives the figures it needs."""

from __future__ import annotations

import ast
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import kad.analyzer.process
from kad.config.codes import ConfigCode
from kad.config.remark import Code, Remark, joined

PACKAGE = Path(kad.__file__).parent
ROOMS: list[type[Code]] = Code.__subclasses__()
CODES = [code for room in ROOMS for code in room]


def uses() -> Iterator[tuple[str, Code, frozenset[str] | None]]:
    """Where each code is named, and with which figures it is called there, if it is."""
    rooms = {room.__name__: room for room in ROOMS}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if "Code." not in text:
            continue
        tree = ast.parse(text)
        called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
                call = called.get(id(node))
                figures = frozenset(each.arg or "**" for each in call.keywords) if call is not None else None
                yield f"{path.name}:{node.lineno}", rooms[node.value.id][node.attr], figures


USES = list(uses())


def test_there_is_one_table_a_room() -> None:
    assert {room.__name__ for room in ROOMS} == {
        "ConfigCode",
        "VrrpCode",
        "IpvsCode",
        "CheckCode",
        "RunnerCode",
        "TrackCode",
        "BfdCode",
    }


def test_no_two_kinds_of_findings_share_a_code() -> None:
    assert [id for id, times in Counter(code.id for code in CODES).items() if times > 1] == []


def test_no_two_codes_share_a_sentence() -> None:
    bare = Counter(tuple(part[0] for part in string.Formatter().parse(code.value)) for code in CODES)
    same = {words for words, times in bare.items() if times > 1 and "".join(words).strip()}
    assert same == set()


def test_every_code_is_used() -> None:
    assert set(CODES) - {code for _, code, _ in USES} == set()


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.id)
def test_each_use_gives_the_figures_of_the_sentence(code: Code) -> None:
    wanted = {name for _, name, _, _ in string.Formatter().parse(code.value) if name is not None}
    for where, used, given in USES:
        if used is code and given is not None and "**" not in given:
            assert given == wanted, where


def test_figures_and_words_around_do_not_make_another_finding() -> None:
    short, long = ConfigCode.ABOVE_BOUND(text="300", high=255), ConfigCode.ABOVE_BOUND(text="301", high=255)
    assert short != long
    assert short.id == long.of("priority").then("255 is used").id == "above-bound"
    assert str(long.of("priority").then("255 is used")) == "priority: 301 is above 255; 255 is used"
    assert long.values == {"text": "301", "high": 255}


def test_several_findings_about_the_same_words() -> None:
    remarks: list[Remark] = [ConfigCode.NOT_AN_ADDRESS(text="x"), ConfigCode.NOT_SECONDS(text="y").of("up")]
    both = joined([*remarks, ConfigCode.NOT_AN_ADDRESS(text="z")]).then("they are ignored")
    assert both.id == "not-an-address+not-seconds"
    assert str(both) == (
        "x is not an IP address; up: y is not a number of seconds; z is not an IP address; they are ignored"
    )
