"""What a wrong configuration is told, by `kad -t` and by a start: place, reason, and what was meant."""

from __future__ import annotations

import sys

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import router

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


def test_a_missing_file_ends_the_first_start(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, "include_me_not\n", "-f", "/etc/keepalived/absent.conf")
    assert daemon.wait_exit() != 0
    assert "/etc/keepalived/absent.conf" in daemon.log
    assert a.processes() == {}
