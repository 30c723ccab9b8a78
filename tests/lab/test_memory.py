"""What the family occupies, and that it stays that way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced
from tests.lab.test_reload_whole import many, reload_and_wait
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
MEGABYTE = 1_000_000


def rollup(pid: int, word: str) -> int:
    """Bytes of that word of the kernel."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kilobytes) for kilobytes in re.findall(rf"^{word}: +(\d+) kB", text, re.MULTILINE)) * 1024


def pss(daemon: Kad) -> dict[str, int]:
    """Proportional set size of each process of the family."""
    return {name: rollup(pid, "Pss") for pid, name in daemon.family().items()}


def test_a_family_with_ten_instances_is_small(pair: Pair) -> None:
    lab, a, _ = pair
    scripts = "".join(f'vrrp_script s{n} {{\n script "/bin/true"\n interval 1\n weight 1\n}}\n' for n in range(3))
    tracking = "track_script {\n s0\n s1\n s2\n}"
    text = global_defs() + scripts
    for n in range(1, 11):
        text += instance(f"VI_{n}", vrid=n, addresses=(f"10.77.1.{n}/32",), more=tracking)
    daemon = lab.start_kad(a, text)
    lab.wait_holder("10.77.1.10", a, seconds=8)
    daemon.dump()
    reload_and_wait(daemon)
    sizes = pss(daemon)
    assert sorted(sizes) == ["kad", "kad: runner", "kad: vrrp"]
    assert sum(sizes.values()) < 40 * MEGABYTE, sizes
    # No parser in any of them, and no netlink library that nobody needs.
    for pid in daemon.family():
        assert "pyparsing" not in Path(f"/proc/{pid}/maps").read_text()


def test_a_replacement_shares_as_much_as_the_first_life(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, many(100, 10))
    lab.wait_holder("10.77.1.10", a, seconds=8)
    lab.hub.never(lambda: daemon.exit_status is not None, 1.1, "it ends")
    before = rollup(daemon.child("vrrp"), "Private_Dirty")
    for _ in range(3):
        old, _moment = kill(daemon, "vrrp")
        pid = replaced(lab, daemon, "vrrp", old)
        lab.hub.never(lambda: daemon.exit_status is not None, 1.1, "it ends")
    assert rollup(pid, "Private_Dirty") < before + MEGABYTE


def test_the_dump_tells_what_each_process_occupies_and_what_the_collector_costs(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, many(100, 3))
    lab.wait_holder("10.77.1.3", a, seconds=8)
    told = daemon.dump("memory")
    assert sorted(told) == ["runner", "vrrp", "watchdog"]
    assert abs(told["vrrp"]["pss"] - rollup(daemon.child("vrrp"), "Pss")) < MEGABYTE
    assert abs(told["watchdog"]["rss"] - rollup(daemon.pid, "Rss")) < MEGABYTE
    for name in ("runner", "vrrp"):
        figures = told[name]
        # The heap is frozen before the fork, and again when the configuration runs.
        assert figures["frozen_objects"] > 10_000
        assert figures["objects"] < 5_000
        assert figures["collector_runs"] >= 1
        assert 0 < figures["longest_pause"] < 0.5


def test_reloads_and_deaths_leave_nothing_behind(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, many(100, 5))
    lab.wait_holder("10.77.1.5", a, seconds=8)

    def cycle(priority: int) -> None:
        # Names and scripts that nobody had before: whatever is remembered by name must go with the name.
        named = many(priority, 5).replace("VI_", f"VI_{priority}_")
        script = f'vrrp_script s{priority} {{\n script "/bin/true"\n interval 1\n weight 1\n}}\n'
        reload_and_wait(daemon, named.replace("vrrp_instance", script + "vrrp_instance", 1))

    for priority in range(101, 106):
        cycle(priority)
    before = {name: rollup(pid, "Private_Dirty") for pid, name in daemon.family().items()}
    for priority in range(106, 131):
        cycle(priority)
    after = {name: rollup(pid, "Private_Dirty") for pid, name in daemon.family().items()}
    grown = {name: after[name] - before[name] for name in before}
    assert max(grown.values()) < 2 * MEGABYTE, grown
