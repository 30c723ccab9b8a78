"""track_file: the number in a file moves the priority, beside keepalived where both can."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


def is_replaced(daemon: Kad, old: int) -> bool:
    try:
        return daemon.child("runner") != old
    except LookupError:
        return False


def tracking(path: str = "/run/value", *, more: str = "", weight: str = "", priority: int = 100) -> str:
    block = f"track_file numbers {{\n file {path}\n {more}\n}}\n"
    return global_defs() + block + instance(priority=priority, more=f"track_file {{\n numbers {weight}\n }}")


def write(node: Node, number: object) -> None:
    """As an editor or a script does it: another file first, renamed over the old one."""
    new = node.files / "run" / "new"
    new.write_text(f"{number}\n")
    new.rename(node.files / "run" / "value")


@pytest.mark.parametrize("program", BOTH)
def test_the_number_times_the_weight_is_added(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    write(a, 5)
    lab.start(program, a, tracking(more="weight 2"))
    lab.wire.wait_advert(node="a", priority=110, seconds=5)
    (a.files / "run" / "value").write_text("-10\n")
    lab.wire.wait_advert(node="a", priority=80, seconds=2)
    write(a, 20)
    lab.wire.wait_advert(node="a", priority=140, seconds=2)
    write(a, "no number")
    lab.wire.wait_advert(node="a", priority=100, seconds=2)
    write(a, "0x10 and more")
    lab.wire.wait_advert(node="a", priority=132, seconds=2)
    (a.files / "run" / "value").unlink()
    lab.wire.wait_advert(node="a", priority=100, seconds=2)
    write(a, 1000)
    lab.wire.wait_advert(node="a", priority=254, seconds=2)


@pytest.mark.parametrize("program", BOTH)
@pytest.mark.parametrize(("weight", "bad"), [("", -254), ("weight 0", 1), ("weight -2", 150)])
def test_a_number_that_is_a_fault(pair: Pair, program: str, weight: str, bad: int) -> None:
    lab, a, _ = pair
    write(a, 0)
    daemon = lab.start(program, a, tracking(weight=weight))
    lab.wait_holder(VIP, a, seconds=5)
    write(a, bad)
    lab.wait_holder(VIP, seconds=2)
    daemon.wait_log("Entering FAULT STATE")
    write(a, 0)
    lab.wait_holder(VIP, a, seconds=4)


def test_a_file_in_a_folder_that_is_made_later(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, tracking("/run/later/value"))
    lab.wire.wait_advert(node="a", priority=100, seconds=5)
    (a.files / "run" / "later").mkdir()
    (a.files / "run" / "later" / "value").write_text("7")
    lab.wire.wait_advert(node="a", priority=107, seconds=3)
    assert [each["value"] for each in daemon.dump("runner")["files"]] == [7]


@pytest.mark.parametrize("program", BOTH)
def test_a_file_is_made_at_the_start_and_kept_by_a_reload(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = lab.start(program, a, tracking(more="init_file 11 overwrite"))
    lab.wire.wait_advert(node="a", priority=111, seconds=5)
    write(a, 3)
    lab.wire.wait_advert(node="a", priority=103, seconds=2)
    moment = daemon.reload()
    daemon.wait_log(r"[Rr]eload", since=moment)
    lab.hub.never(
        lambda: [advert for advert in lab.wire.adverts(node="a", since=moment) if advert.priority != 103],
        1.5,
        "the priority stays",
    )
    assert (a.files / "run" / "value").read_text() == "3\n"


def test_a_runner_that_is_replaced_moves_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, tracking(more="init_file 11 overwrite"))
    lab.wire.wait_advert(node="a", priority=111, seconds=5)
    write(a, 3)
    lab.wire.wait_advert(node="a", priority=103, seconds=2)
    old, moment = daemon.child("runner"), time.time()
    os.kill(old, signal.SIGKILL)
    lab.hub.until(lambda: is_replaced(daemon, old), 2, "another runner")
    write(a, 4)
    lab.wire.wait_advert(node="a", priority=104, seconds=3)
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=moment)} <= {103, 104}
