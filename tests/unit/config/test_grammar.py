"""Braces: where they may stand, and what is said where they are missing or too many."""

from __future__ import annotations

import pytest

from kad.analyzer.language import language
from kad.config.diagnostics import Report
from kad.config.grammar import parse
from kad.config.preprocess import Preprocessor
from kad.config.tree import Node
from tests.config.hosts import FILE, a_host, judged, said

Shape = list[object]


def tree(text: str) -> tuple[Shape, list[str]]:
    """The keywords, each block as a list behind its own; and what was said."""
    report = Report()
    root = parse(Preprocessor(a_host(text), "node1", report).read(FILE), language(), report)
    return shape(root), [f"{one.place.line} {one.text}" for one in report.diagnostics]


def shape(node: Node) -> Shape:
    found: Shape = []
    for child in node.children or ():
        found.append(child.keyword)
        if child.children is not None:
            found.append(shape(child))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vrrp_instance A { state MASTER }", ["vrrp_instance", ["state"]]),
        ("vrrp_instance A\n{\nstate MASTER\n}\n", ["vrrp_instance", ["state"]]),
        (
            "vrrp_instance A { track_interface { eth0 } priority 5 }\nglobal_defs { }",
            ["vrrp_instance", ["track_interface", ["eth0"], "priority"], "global_defs", []],
        ),
        ("unknown {\nstate x\nmore { a }\n}\nstate", ["unknown", ["state", "more", ["a"]], "state"]),
    ],
)
def test_blocks(text: str, expected: Shape) -> None:
    assert tree(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (
            "vrrp_instance A {\nstate MASTER\n",
            ["1 the block vrrp_instance is not closed before the end of the file"],
        ),
        (
            "vrrp_instance A {\n    track_script {\n        S\n}\nvrrp_instance B {\n}\n",
            ["2 the block track_script is not closed before vrrp_instance in line 5"],
        ),
        (
            "vrrp_instance A {\n    track_script {\n        S\n}\n",
            ["2 the block track_script is not closed before the end of the file"],
        ),
        (
            "vrrp_instance A {\n    track_script {\n        S\n    priority 5\n}\n",
            ["2 the block track_script is not closed before priority in line 4"],
        ),
        (
            "vrrp_instance A {\n    authentication {\n        auth_type PASS\n    priority 5\n}\n",
            ["2 the block authentication is not closed before priority in line 4"],
        ),
        ("vrrp_instance A {\n}\n}\n", ["3 unmatched }"]),
        ("vrrp_instance A\nstate MASTER\n}\n", ["1 vrrp_instance opens a block: { expected"]),
        ("vrrp_instance A {\npriority 5 {\n}\n}\n", ["2 unexpected {: priority takes no block"]),
        ("{\nvrrp_instance A {\n}\n}\n", ["1 unexpected {"]),
        (
            "vrrp_instance A {\nstate MASTER\nvrrp_instance B {\nstate MASTER\n}\n",
            ["1 the block vrrp_instance is not closed before vrrp_instance in line 3"],
        ),
        (
            "vrrp_instance A {\ntrack_interface {\neth0\ntrack_script {\nS\n}\n}\n",
            ["2 the block track_interface is not closed before track_script in line 4"],
        ),
        (
            "virtual_server 192.0.2.1 80 {\nreal_server 192.0.2.2 80 {\nalpha\nreal_server 192.0.2.3 80 {\n}\n}\n",
            ["2 the block real_server is not closed before real_server in line 4"],
        ),
    ],
)
def test_braces_that_are_missing_or_too_many(text: str, findings: list[str]) -> None:
    assert tree(text)[1] == findings


def test_what_follows_a_missing_brace_is_still_read() -> None:
    shape_of, _ = tree("vrrp_instance A {\nstate MASTER\nvrrp_instance B {\npriority 5\n}\n")
    assert shape_of == ["vrrp_instance", ["state"], "vrrp_instance", ["priority"]]


@pytest.mark.parametrize("text", ["{" * 100_000, "}" * 100_000, "a {" * 50_000, "vrrp_instance A {\n" * 20_000])
def test_braces_in_any_number_end(text: str) -> None:
    assert judged(text).fatal


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "vrrp_instnce A {\n}",
            "warning 1 unknown keyword vrrp_instnce at the top level; the block is ignored"
            " -> did you mean vrrp_instance?",
        ),
        (
            "vrrp_instance A {\nprioritty 5\n}",
            "warning 2 unknown keyword prioritty in vrrp_instance; the line is ignored -> did you mean priority?",
        ),
        (
            "priority 5",
            "warning 1 unknown keyword priority at the top level; the line is ignored"
            " -> priority belongs in vrrp_instance",
        ),
        (
            "vrrp_instance A {\nrouter_id x\n}",
            "warning 2 unknown keyword router_id in vrrp_instance; the line is ignored"
            " -> router_id belongs in global_defs",
        ),
        (
            "vrrp_instance A {\nauth_pass x\n}",
            "warning 2 unknown keyword auth_pass in vrrp_instance; the line is ignored"
            " -> auth_pass belongs in vrrp_instance > authentication",
        ),
        (
            "vrrp_instance A {\nvrrp_iptable\n}",
            "warning 2 unknown keyword vrrp_iptable in vrrp_instance; the line is ignored"
            " -> did you mean vrrp_iptables, which belongs in global_defs?",
        ),
        ("xyzzy", "warning 1 unknown keyword xyzzy at the top level; the line is ignored"),
        (
            "vrrp_instance A {\nauthentication {\nauth_type PASS\nauth_type Mcy9586\n}\n}",
            "warning 4 auth_type: **** is not one of PASS, AH; the line is ignored -> did you mean auth_pass?",
        ),
        (
            "vrrp_instance A {\nstate master\n}",
            "warning 2 state: master is not one of MASTER, BACKUP;"
            " using default (BACKUP, MASTER with priority 255) -> did you mean MASTER?",
        ),
    ],
)
def test_what_was_probably_meant(text: str, finding: str) -> None:
    assert finding in said(judged(text))
