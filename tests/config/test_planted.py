"""Errors planted at random in good files: how often the finding names the line, and says the fix."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from kad.analyzer.language import language
from kad.analyzer.process import Analysis
from kad.config.diagnostics import Report
from kad.config.grammar import parse
from kad.config.preprocess import Preprocessor
from kad.config.tree import Node
from tests.config.hosts import FILE, a_host, judged

GOOD = """\
! Two services and the routers in front of them
global_defs {
    notification_email {
        root@localhost
    }
    notification_email_from kad@localhost
    smtp_server 127.0.0.1
    smtp_connect_timeout 30
    router_id node1
    vrrp_mcast_group4 224.0.100.19
    vrrp_garp_master_repeat 2
    script_user nobody
    enable_script_security
}

vrrp_script chk_nginx {
    script "/usr/bin/killall -0 nginx"
    interval 1
    weight -5
    fall 2
    rise 1
}

vrrp_sync_group both {
    group {
        inside
        outside
    }
    notify_master "/etc/keepalived/notify.sh master"
    sync_group_tracking_weight
}

vrrp_instance inside {
    state MASTER
    interface eth0
    virtual_router_id 14
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 571f97b2
    }
    virtual_ipaddress {
        192.0.2.93/24 dev eth0
        192.0.2.94/24 dev eth0 label eth0:0
    }
    track_script {
        chk_nginx
    }
    track_interface {
        eth1
    }
    notify_backup "/etc/keepalived/notify.sh backup"
}

vrrp_instance outside {
    state BACKUP
    interface eth1
    virtual_router_id 15
    priority 90
    preempt_delay 30
    garp_master_delay 3
    virtual_ipaddress {
        198.51.100.93/24
    }
}

virtual_server 192.0.2.93 80 {
    delay_loop 3
    lb_algo rr
    lb_kind DR
    persistence_timeout 50
    protocol TCP
    quorum 1

    real_server 192.0.2.20 80 {
        weight 1
        HTTP_GET {
            url {
                path /
                status_code 200
            }
            connect_timeout 3
            retry 3
            delay_before_retry 3
        }
    }
    real_server 192.0.2.30 80 {
        weight 2
        TCP_CHECK {
            connect_port 8080
            connect_timeout 3
        }
    }
}
"""
EACH = 200
LINES = GOOD.splitlines()
Planted = tuple[str, set[int], str]
"""The damaged text, the lines that may be named, and what must be proposed (empty: nothing)."""


def test_the_file_is_good() -> None:
    analysis = judged(GOOD)
    assert analysis.exit_code == 0
    assert {one.severity for one in analysis.diagnostics} == {"note"}


def openers() -> dict[int, int]:
    """By the line of each closing brace, the line of its opening one."""
    found, stack = {}, []
    for number, line in enumerate(LINES, 1):
        if line.endswith("{"):
            stack.append(number)
        elif line.strip() == "}":
            found[number] = stack.pop()
    return found


def keyword_lines() -> list[tuple[int, str, str, bool]]:
    """Line, keyword, block, and whether it opens a block, of every line that begins with a keyword."""
    tree = parse(Preprocessor(a_host(GOOD), "node1", Report()).read(FILE), language(), Report())
    found: list[tuple[int, str, str, bool]] = []

    def walk(node: Node, context: str) -> None:
        for child in node.children or ():
            if child.meaning is not None:
                found.append((child.place.line, child.keyword, context, child.meaning.opens))
            walk(child, f"{context} > {child.keyword}".removeprefix(" > "))

    walk(tree, "")
    return found


def without_closing_brace(rng: random.Random) -> Planted:
    line, opener = rng.choice(sorted(openers().items()))
    return "\n".join(LINES[: line - 1] + LINES[line:]), {opener, line}, ""


def without_opening_brace(rng: random.Random) -> Planted:
    line = rng.choice([number for number, text in enumerate(LINES, 1) if text.endswith("{")])
    return "\n".join([*LINES[: line - 1], LINES[line - 1][:-1], *LINES[line:]]), {line}, ""


def without_quote(rng: random.Random) -> Planted:
    line = rng.choice([number for number, text in enumerate(LINES, 1) if '"' in text])
    parts = LINES[line - 1].split('"')
    damaged = parts[0] + parts[1] + '"' + parts[2] if rng.random() < 0.5 else parts[0] + '"' + parts[1] + parts[2]
    return "\n".join([*LINES[: line - 1], damaged, *LINES[line:]]), {line}, ""


def misspelt(rng: random.Random) -> Planted:
    known = {word for layout in language().layouts() for word in layout.words}
    while True:
        line, keyword, _, _ = rng.choice(keyword_lines())
        at = rng.randrange(len(keyword))
        wrong = rng.choice(
            [
                keyword[:at] + keyword[at + 1 :],
                keyword[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz_") + keyword[at:],
                keyword[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz_") + keyword[at + 1 :],
                keyword[:at] + keyword[at : at + 2][::-1] + keyword[at + 2 :],
            ]
        )
        if wrong and wrong not in known:
            text = LINES[line - 1].replace(keyword, wrong, 1)
            return "\n".join([*LINES[: line - 1], text, *LINES[line:]]), {line}, keyword


def in_the_wrong_block(rng: random.Random) -> Planted:
    contexts = {layout.context.replace("/", " > "): layout for layout in language().layouts()}
    blocks = [
        (line, f"{context} > {word}".removeprefix(" > ")) for line, word, context, opens in keyword_lines() if opens
    ]
    while True:
        line, keyword, context, opens = rng.choice(keyword_lines())
        target, name = rng.choice(blocks)
        layout = contexts.get(name)
        if opens or layout is None or keyword in layout.words or target == line:
            continue
        moved = [text for number, text in enumerate(LINES, 1) if number != line]
        at = target if target < line else target - 1
        moved.insert(at, LINES[line - 1])
        return "\n".join(moved), {at + 1}, context.rpartition(" > ")[2]


def out_of_range(rng: random.Random) -> Planted:
    numbered = re.compile(r"^\s+(?!script|auth_pass|vrrp_mcast)\w+ -?\d+$")
    line = rng.choice([number for number, text in enumerate(LINES, 1) if numbered.match(text)])
    text = LINES[line - 1].rpartition(" ")[0] + rng.choice([" 99999999999999999999", " -70000"])
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]]), {line}, ""


def named(analysis: Analysis, lines: set[int]) -> bool:
    return any(one.place.line in lines for one in analysis.diagnostics if one.severity != "note")


def proposed(analysis: Analysis, lines: set[int], fix: str) -> bool:
    return any(fix in one.proposal for one in analysis.diagnostics if one.place.line in lines)


PLANTS: tuple[Callable[[random.Random], Planted], ...] = (
    *(without_closing_brace, without_opening_brace, without_quote),
    *(misspelt, in_the_wrong_block, out_of_range),
)


@pytest.mark.parametrize(
    ("plant", "least_named", "least_proposed"),
    [
        (without_closing_brace, 0.95, 0.0),
        (without_opening_brace, 0.95, 0.0),
        (without_quote, 0.95, 0.0),
        (misspelt, 0.95, 0.9),
        (in_the_wrong_block, 0.95, 0.9),
        (out_of_range, 0.95, 0.0),
    ],
)
def test_planted_errors_are_named(
    plant: Callable[[random.Random], Planted],
    least_named: float,
    least_proposed: float,
    record_property: Callable[[str, object], None],
) -> None:
    rng = random.Random(plant.__name__)
    hits = fixes = 0
    missed = []
    for _ in range(EACH):
        text, lines, fix = plant(rng)
        analysis = judged(text)
        hit = named(analysis, lines)
        hits += hit
        fixes += hit and proposed(analysis, lines, fix)
        if not hit or not proposed(analysis, lines, fix):
            missed.append((lines, fix))
    record_property("named", hits / EACH)
    record_property("proposed", fixes / EACH)
    assert hits / EACH >= least_named, missed
    assert fixes / EACH >= least_proposed, missed
