"""What a wrong configuration is told, by `kad -t` and by a start: place, reason, and what was meant."""

from __future__ import annotations

import sys

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import FAST, router

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
WRONG = router().replace("priority 100", "prioriti 100")
"""The word stands in line 9, after four spaces."""


@pytest.fixture
def node(pair: Pair) -> Node:
    return pair[1]


def test_an_unknown_keyword_is_named_with_its_place_and_the_nearest_one(node: Node) -> None:
    node.write("kad.conf", WRONG)
    done = node.kad("-t", "-f", "/etc/keepalived/kad.conf")
    said = (done.stdout + done.stderr).partition("/etc/keepalived/kad.conf:9:5: warning: ")[2].partition("/etc/")[0]
    assert "prioriti" in said
    assert "did you mean priority?" in said
    assert done.returncode == 5
    assert node.ask("keepalived", "-t", "-f", "/etc/keepalived/kad.conf").returncode == 5


def test_a_first_start_goes_on_after_a_warning_and_says_it(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, WRONG)
    daemon.wait_log("keepalived.conf:9:5: warning: .*prioriti")
    lab.wait_holder("10.77.0.100", a, seconds=5)


def test_a_reader_that_leaves_after_a_line_is_no_complaint(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder("10.77.0.100", a, seconds=5)
    for words in ("--dump", "--why", "--status"):
        command = f"set -o pipefail; {sys.executable} -m kad {words} --runtime-dir {daemon.runtime_dir} | head -c 1"
        done = a.ask("bash", "-c", command)
        assert (done.returncode, len(done.stdout), done.stderr) == (0, 1, "")


def test_without_f_the_default_file_is_read(node: Node) -> None:
    node.write("keepalived.conf", WRONG)
    done = node.kad("-t")
    assert "/etc/keepalived/keepalived.conf:9:5: warning: " in done.stdout + done.stderr


def test_an_error_ends_the_first_start_with_keepalived_s_exit_code(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router().replace("virtual_router_id 51", "virtual_router_id"))
    assert daemon.wait_exit() == 2
    assert "keepalived.conf:8:" in daemon.log
    assert a.processes() == {}


TWO_ERRORS = WRONG.replace("    advert_int ", "    advert_int x")


def told(file: str) -> list[str]:
    """Each finding of TWO_ERRORS, a line each, with its source."""
    lines = TWO_ERRORS.splitlines()
    return [
        f"{file}:9:5: warning: unknown keyword prioriti in vrrp_instance; the line is ignored",
        f"    {lines[8]}",
        "        ^",
        "    did you mean priority?",
        f"{file}:11:16: warning: advert_int: x{FAST:g} is not a number of seconds; using default (1)",
        f"    {lines[10]}",
        "                   ^",
    ]


def test_each_finding_is_told_once_by_a_refused_reload(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder("10.77.0.100", a, seconds=5)
    daemon.rewrite(TWO_ERRORS)
    asked = daemon.ask("--reload")
    found = told("/etc/keepalived/keepalived.conf")
    head = "kad: the reload is refused, the running configuration stays:"
    assert (asked.returncode, asked.stderr.splitlines()) == (1, [head, *found])
    refused = daemon.wait_log("Reload refused, the running configuration stays: 2 new findings, see above$")
    log = [line.text.partition("]: ")[2] for line in daemon.lines]
    assert [log.count(line) for line in found[::4]] == [1, 1]
    # In the log what continues a line is indented once more, so that it is not taken for a line of its own.
    logged = [line if line.startswith("/") else f"    {line}" for line in found]
    at = log.index(found[0])
    assert log[at : at + len(found)] == logged
    assert refused.text.endswith(log[at + len(found)])


def test_each_finding_is_told_once_by_a_start_that_fails(node: Node) -> None:
    node.write("kad.conf", TWO_ERRORS.replace("virtual_router_id 51", "virtual_router_id"))
    words = ("-f", "/etc/keepalived/kad.conf", "--runtime-dir", "/run/kad")
    detached = node.kad(*words)
    assert detached.returncode == 2
    in_foreground = node.kad("-n", *words)
    assert (in_foreground.returncode, in_foreground.stderr) == (2, detached.stderr)
    logged = node.kad("-n", "-l", *words)
    found = told("/etc/keepalived/kad.conf")
    for said in (detached, logged):
        for line in (*found[::4], "virtual_router_id needs <INTEGER 1..255>"):
            assert said.stderr.count(line) == 1, (line, said.stderr)
    assert detached.stderr.endswith("\nkad: the configuration cannot be used: 2 errors\n")


def test_a_missing_file_ends_the_first_start(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, "include_me_not\n", "-f", "/etc/keepalived/absent.conf")
    assert daemon.wait_exit() != 0
    assert "/etc/keepalived/absent.conf" in daemon.log
    assert a.processes() == {}
