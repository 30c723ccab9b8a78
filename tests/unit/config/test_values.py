"""Each kind of value: what it reads, what it refuses, and how it is written again."""

from __future__ import annotations

from typing import Any

import pytest

from kad.config import values
from kad.config.grammar import words_of
from kad.config.values import Clamped, Value, Wrong


def read(value: Value, text: str) -> Any:
    return value.read(words_of("word", value, f"word {text}".rstrip()))


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (values.integer(1, 255), "255", 255),
        (values.integer(1, 255), "+3", 3),
        (values.integer(1, 255), "007", 7),
        (values.integer(-20, 19), "-20", -20),
        (values.integer(0), "4294967295", 4294967295),
        (values.seconds(), "1.25", 1.25),
        (values.seconds(), ".5", 0.5),
        (values.seconds(), "3.", 3.0),
        (values.flag(), "", True),
        (values.flag(), "whatever", True),
        (values.boolean(), "", True),
        (values.boolean(), "on", True),
        (values.boolean(), "no", False),
        (values.one_of("A", "B"), "B", "B"),
        (values.one_of("TCP", ignore_case=True), "tcp", "TCP"),
        (values.text(), '"a b"', "a b"),
        (values.text(), '""', ""),
        (values.texts("X"), 'a "b c"d', ("a", "b c", "d")),
        (values.optional(values.integer(1, 9), 5), "", 5),
        (values.optional(values.integer(1, 9), 5), "7", 7),
        (values.address(), "2001:DB8::0:1", "2001:db8::1"),
        (values.address(4), "192.0.2.1", "192.0.2.1"),
        (values.address(multicast=True), "224.3.1.10", "224.3.1.10"),
        (values.integers("CPU", 0, 9), "0 3 9", (0, 3, 9)),
    ],
)
def test_well_formed_values(value: Value, text: str, expected: object) -> None:
    found = read(value, text)
    assert found == expected
    assert read(value, value.write(found)) == expected


@pytest.mark.parametrize(
    ("value", "text", "complaint"),
    [
        (values.integer(1, 255), "0", "0 is not in 1..255"),
        (values.integer(1, 255), "-1", "-1 is not in 1..255"),
        (values.integer(1, 255), "x", "x is not a whole number"),
        (values.integer(1, 255), '""', " is not a whole number"),
        (values.integer(0), "4294967296", "4294967296 is not in 0..4294967295"),
        (values.seconds(0, 1000), "1000.5", "1000.5 is not in 0..1000"),
        (values.seconds(), "-1", "-1 is not a number of seconds"),
        (values.seconds(), "1e3x", None),
        (values.boolean(), "On", "On is not one of true, on, yes, false, off, no"),
        (values.one_of("MASTER", "BACKUP"), "master", "master is not one of MASTER, BACKUP"),
        (values.address(), "192.0.2", "192.0.2 is not an IP address"),
        (values.address(4), "::1", "::1 is not an IPv4 address"),
        (values.address(multicast=True), "192.0.2.1", "192.0.2.1 is not a multicast address"),
        (values.integers("CPU", 0, 9), "x 10", "x is not a whole number; 10 is not in 0..9"),
        (values.address(), "192.0.2.300/24", "192.0.2.300/24 is not an IP address"),
    ],
)
def test_values_that_are_refused(value: Value, text: str, complaint: str | None) -> None:
    with pytest.raises((Wrong, Clamped)) as caught:
        read(value, text)
    if complaint is not None:
        assert isinstance(caught.value, Wrong)
        assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (values.integer(1, 255), "5s", 5),
        (values.integer(1, raised=True), "0", 1),
        (values.integer(1, 99, lowered=True), "100", 99),
        (values.seconds(), "1.5s", 1.5),
        (values.seconds(places=3), "0.12345", 0.123),
        (values.text(longest=3), "abcd", "abc"),
        (values.address(), "192.0.2.1/24", "192.0.2.1"),
        (values.address(), "192.0.2.1-9", "192.0.2.1"),
        (values.address(6), "2001:DB8::1/x", "2001:db8::1"),
        (values.address(multicast=True), "224.3.1.10/4", "224.3.1.10"),
        (values.integers("CPU", 0, 9), "1 x 2", (1, 2)),
        (values.interface_names(), "a/b eth0", ("eth0",)),
    ],
)
def test_values_that_stand_for_another(value: Value, text: str, expected: object) -> None:
    with pytest.raises(Clamped) as caught:
        read(value, text)
    assert caught.value.value == expected


@pytest.mark.parametrize(("value", "near"), [(values.one_of("MASTER"), "MASTER"), (values.boolean(), "true")])
def test_the_right_case_is_proposed(value: Value, near: str) -> None:
    with pytest.raises(Wrong) as caught:
        read(value, near.title())
    assert caught.value.proposal == near


def test_the_wrong_word_is_pointed_at() -> None:
    with pytest.raises(Clamped) as caught:
        read(values.integers("CPU", 0, 9), "1 2 x")
    assert caught.value.index == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("word a b", [("a", 5), ("b", 7)]),
        ('word  "a b"c', [("a b", 6), ("c", 11)]),
        ('word a"b"', [("a", 5), ("b", 6)]),
        ("word", []),
        ('word "a', [("a", 5)]),
        ("word\ta\x0bb", [("a", 5), ("b", 7)]),
        ('word\ta\t"b\tc', [("a", 5), ("b\tc", 7)]),
    ],
)
def test_words_know_where_they_begin(text: str, words: list[tuple[str, int]]) -> None:
    assert [(word.text, word.offset) for word in words_of("word", values.texts("X"), text)] == words


@pytest.mark.parametrize("junk", ["x", " x", '"', " 7", "#"])
def test_the_grammar_of_a_line_ends_with_the_line(junk: str) -> None:
    """A value with junk behind it is never taken for the value alone without a word."""
    value = values.integer(1, 255)
    words = words_of("word", value, f"word 5{junk}")
    assert len(words) > 1 or words[0].text != "5"
