"""A reload is whole or not at all, touches only what changed, and loses nothing however often it is asked for."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import RECORD, kill, recorded, replaced, settle, told
from tests.lab.test_reload import largest_gap
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


def open_files(daemon: Kad) -> dict[str, int]:
    """How many descriptors each process has, by its title."""
    return {name: len(os.listdir(f"/proc/{pid}/fd")) for pid, name in daemon.family().items()}


def memory(daemon: Kad) -> dict[str, int]:
    """Bytes of private memory of each process, by its title."""
    found = {}
    for pid, name in daemon.family().items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found[name] = sum(int(kilobytes) for kilobytes in re.findall(r"Private_(?:Dirty|Clean): +(\d+)", rollup)) * 1024
    return found


def reload_and_wait(daemon: Kad, text: str | None = None) -> float:
    moment = daemon.reload(text)
    daemon.wait_log("Reload complete", since=moment)
    return moment


def many(priority: int, instances: int = 20) -> str:
    return global_defs() + "".join(
        instance(f"VI_{n}", vrid=n, priority=priority, addresses=(f"10.77.1.{n}/32",)) for n in range(1, instances + 1)
    )


@pytest.mark.timing
def test_a_thousand_hups_in_a_row_lose_nothing_and_leak_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, many(100))
    settle(lab, daemon, a, "10.77.1.20")
    for _ in range(3):
        reload_and_wait(daemon)
    files, before, children = open_files(daemon), memory(daemon), daemon.family()
    begin = time.time()
    for number in range(1000):
        if number % 100 == 99:
            daemon.rewrite(many(101 + number // 100))
        daemon.send(signal.SIGHUP)
        lab.hub.never(lambda: daemon.exit_status is not None, 0.004, "it ends")
    # Whatever was folded into one reload, the last text is the one that counts.
    lab.wire.wait_advert(node="a", vrid=20, priority=110, seconds=5)
    lab.hub.until(
        lambda: daemon.logged("Reload complete", since=daemon.logged("Reloading the conf")[-1].time), 5, "done"
    )
    lab.hub.never(lambda: daemon.logged("Reloading", since=time.time()), 0.6, "no reload is left over")
    assert daemon.family() == children
    assert open_files(daemon) == files
    assert not [event for n in range(1, 21) for event in lab.moves(f"10.77.1.{n}", begin)]
    assert not lab.wire.adverts(node="a", priority=0)
    assert not daemon.logged("Entering|refused|died", since=begin)
    grown = {name: bytes_ - before[name] for name, bytes_ in memory(daemon).items()}
    assert max(grown.values()) < 2_000_000, grown
    for n in (1, 20):
        assert largest_gap(lab, a, n, begin) < 0.1 * 1.1 + 0.1
    assert daemon.dump()["last_reload"]["outcome"] == "applied"


def test_further_hups_during_a_reload_are_one_more(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    daemon.wait_log("Startup complete")
    begin = daemon.reload()
    daemon.wait_log("Reloading", since=begin)
    for priority in (110, 120, 130):
        daemon.reload(router(priority=priority))
    lab.wire.wait_advert(node="a", priority=130, seconds=5, since=begin)
    lab.hub.until(lambda: len(daemon.logged("Reload complete", since=begin)) == 2, 5, "two reloads")
    lab.hub.never(lambda: len(daemon.logged("Reloading", since=begin)) > 2, 0.8, "there is a third")
    assert lab.moves(VIP, begin) == []


def test_hups_before_the_start_is_complete_are_one_reload_afterwards(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(priority=100))
    daemon.wait_log("Starting kad")
    for _ in range(3):
        daemon.reload(router(priority=140))
    lab.wire.wait_advert(node="a", priority=140, seconds=5)
    lab.hub.until(lambda: daemon.logged("Reload complete"), 5, "a reload")
    lab.hub.never(lambda: len(daemon.logged("Reloading")) > 1, 0.6, "there is another")


def test_a_renamed_instance_keeps_its_state(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    notify = 'notify "/etc/keepalived/record.sh instance"'
    daemon = lab.start_kad(a, router(more=notify))
    settle(lab, daemon, a)
    before = told(daemon)
    begin = reload_and_wait(daemon, global_defs() + instance("other", more=notify))
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, begin) == []
    assert not lab.wire.adverts(node="a", priority=0, since=begin)
    after = told(daemon, "other")
    for name in ("state", "since", "reason", "transitions", "master_address"):
        assert after[name] == before[name], name
    assert after["statistics"]["advert_sent"] > before["statistics"]["advert_sent"]
    assert not daemon.logged("Entering", since=begin)
    # A crash after that resumes it under its new name, and only that.
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    assert told(daemon, "other")["state"] == "MASTER"
    # What happens next is told under the new name.
    lab.link_down(a)
    lab.hub.until(lambda: recorded(a, "instance")[-1:] == ["INSTANCE other FAULT 100"], 3, "FAULT is told")


def test_a_removed_instance_lets_go_and_says_so(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    gone = instance(
        "gone", vrid=52, addresses=("10.77.0.101",), more='notify "/etc/keepalived/record.sh gone"\nnotify_deleted'
    )
    daemon = lab.start_kad(a, router() + gone)
    settle(lab, daemon, a)
    lab.wait_holder("10.77.0.101", a, seconds=3)
    begin = reload_and_wait(daemon, router())
    lab.wire.wait_advert(node="a", vrid=52, priority=0, seconds=1, since=begin)
    lab.wait_holder("10.77.0.101", seconds=1)
    lab.hub.until(lambda: recorded(a, "gone")[-1:] == ["INSTANCE gone DELETED 100"], 3, "DELETED is told")
    assert lab.moves(VIP, begin) == []
    assert [each["name"] for each in daemon.dump("vrrp")["instances"]] == ["VI_1"]
    # A crash does not bring it back.
    old, _ = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.hub.never(lambda: lab.holders("10.77.0.101"), 0.5, "it comes back")


def test_changed_programs_count_from_the_next_time_on(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)

    def text(where: str) -> str:
        watched = (
            f'vrrp_script watched {{\n script "/etc/keepalived/record.sh {where}-check"\n interval 1\n weight 7\n}}\n'
        )
        more = f'notify "/etc/keepalived/record.sh {where}"\ntrack_script {{\n watched\n}}'
        return global_defs() + watched + instance(more=more)

    daemon = lab.start_kad(a, text("old"))
    settle(lab, daemon, a)
    lab.wire.wait_advert(node="a", priority=107, seconds=3)
    told_before = recorded(a, "old")
    begin = reload_and_wait(daemon, text("new"))
    lab.hub.until(lambda: recorded(a, "new-check"), 3, "the new script runs")
    lab.stays(VIP, a, 0.5)
    assert recorded(a, "new") == []
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=begin)} == {107}
    assert not daemon.logged("Changing effective priority", since=begin)
    lab.link_down(a)
    lab.hub.until(lambda: recorded(a, "new")[-1:] == ["INSTANCE VI_1 FAULT 107"], 3, "FAULT is told")
    assert recorded(a, "old") == told_before


def test_what_is_equal_keeps_its_counts(pair: Pair) -> None:
    lab, a, _ = pair
    (a.files / "run" / "flag").touch()
    words = 'script "/usr/bin/test -f /run/flag"\n interval 1\n fall 3\n weight -20\n native no'
    watched = f"vrrp_script watched {{\n {words}\n}}\n"
    tracking = "track_script {\n watched\n}"
    daemon = lab.start_kad(a, global_defs() + watched + instance(more=tracking))
    settle(lab, daemon, a)
    [before] = daemon.dump("runner")["scripts"]
    (a.files / "run" / "flag").unlink()
    begin = time.time()
    # Its three failures in a row are counted through the reloads between them.
    for priority in (110, 120, 130):
        reload_and_wait(daemon, global_defs() + watched + instance(priority=priority, more=tracking))
        lab.hub.never(lambda: daemon.logged("died", since=begin), 0.5, "a process died")
    fallen = daemon.wait_log(r"VRRP_Script\(watched\) failed", seconds=4, since=begin)
    # Counted anew from the last reload, it would take two seconds more.
    last = daemon.logged("Reload complete")[-1].time
    assert fallen.time < max(begin + 4, last + 1)
    lab.wire.wait_advert(node="a", priority=110, seconds=4, since=last)
    [after] = daemon.dump("runner")["scripts"]
    assert after["runs"] > before["runs"]
    assert lab.moves(VIP, begin) == []


BROKEN = [
    pytest.param("vrrp_instance VI_1 {\n    state MASTER\n", r"keepalived\.conf:\d+:\d+: ", id="brace"),
    pytest.param(router(priority=120).replace("priority 120", "priority 1000"), r"conf:9:14: ", id="out of bounds"),
    pytest.param(None, r"", id="missing file"),
    pytest.param(router(priority=120).replace("interface eth0", ""), r"conf:\d+:\d+: ", id="no interface"),
    pytest.param("\0\1\2" * 100, r"", id="rubbish"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_a_refused_reload_is_told_with_its_place_and_changes_nothing(pair: Pair, text: str | None, said: str) -> None:
    lab, a, _ = pair
    watched = 'vrrp_script watched {\n script "/bin/true"\n interval 1\n weight 3\n}\n'
    daemon = lab.start_kad(a, router() + watched)
    lab.wait_holder(VIP, a, seconds=5)
    assert daemon.dump()["last_reload"] is None
    before, files = without_clocks(daemon.dump()), open_files(daemon)
    if text is None:
        daemon.configuration.unlink()
        begin = daemon.reload()
    else:
        begin = daemon.reload(text)
    refused = daemon.wait_log("Reload refused", since=begin)
    assert re.search("stays: [1-9] new findings?, see above$", refused.text)
    assert re.search(said, "\n".join(line.text for line in daemon.lines if begin <= line.time <= refused.time))
    lab.stays(VIP, a, 0.3)
    told_ = daemon.dump()
    last = told_.pop("last_reload")
    assert last["outcome"] == "refused"
    assert begin - 1 < last["when"] < time.time()
    assert re.search(said, last["reason"])
    before.pop("last_reload")
    assert before.pop("problems") == []
    assert [each["kind"] for each in told_.pop("problems")] == ["reload_refused"]
    # The journal tells of the refusal, and of nothing else but that the machine was busy.
    known, events = before.pop("events"), told_.pop("events")
    assert events[: len(known)] == known
    assert [event["kind"] for event in events[len(known) :] if event["kind"] != "pause"] == ["reload"]
    assert without_clocks(told_) == before
    assert open_files(daemon) == files
    begin = reload_and_wait(daemon, router(priority=130))
    assert daemon.dump()["last_reload"]["outcome"] == "applied"
    assert daemon.dump()["generation"] == 2
    assert lab.moves(VIP, begin) == []


def without_clocks(dump: dict[str, Any]) -> dict[str, Any]:
    """What of a dump is the same as long as nothing happens."""
    changing = ("processes", "memory", "statistics", "timers", "counters", "runs")

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(each) for name, each in value.items() if name not in changing}
        return [strip(each) for each in value] if isinstance(value, list) else value

    return dict(strip(dump))


@pytest.mark.parametrize("name", ["runner", "vrrp"])
def test_a_child_that_dies_while_it_prepares_leaves_the_old_configuration(pair: Pair, name: str) -> None:
    lab, a, _ = pair
    watched = 'vrrp_script watched {\n script "/bin/true"\n interval 1\n weight 3\n}\n'
    tracking = "track_script {\n watched\n}"

    def text(priority: int) -> str:
        # Before the stopped process is found deaf, the file has been read.
        return global_defs("child_deaf_time 3") + watched + instance(priority=priority, advert_int=1, more=tracking)

    daemon = lab.start_kad(a, text(100))
    settle(lab, daemon, a)
    old, begin = kill(daemon, name, signal.SIGSTOP)
    daemon.reload(text(150))
    refused = daemon.wait_log("Reload refused", since=begin, seconds=5)
    assert f"the {name} process died" in refused.text
    replaced(lab, daemon, name, old)
    lab.stays(VIP, a, 1)
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=begin)} == {103}
    assert lab.moves(VIP, begin) == []
    dump = daemon.dump()
    assert dump["generation"] == 1
    assert {each["generation"] for each in dump["processes"].values() if "generation" in each} == {1}
    reload_and_wait(daemon, text(150))
    lab.wire.wait_advert(node="a", priority=153, seconds=2)
    assert lab.moves(VIP, begin) == []


def test_processes_come_and_go_with_their_work(pair: Pair) -> None:
    lab, a, _ = pair
    words = "lb_algo rr\n lb_kind NAT\n protocol TCP"
    balanced = f"virtual_server {VIP} 80 {{\n {words}\n real_server 10.77.0.50 80 {{\n }}\n}}\n"
    daemon = lab.start_kad(a, router())
    settle(lab, daemon, a)
    begin = reload_and_wait(daemon, global_defs("ipvs_required no") + instance() + balanced)
    assert sorted(daemon.family().values()) == ["kad", "kad: checker", "kad: ipvs", "kad: runner", "kad: vrrp"]
    reload_and_wait(daemon, router())
    lab.hub.until(lambda: sorted(daemon.family().values()) == ["kad", "kad: runner", "kad: vrrp"], 3, "they leave")
    reload_and_wait(daemon, "global_defs {\n ipvs_required no\n}\n" + balanced)
    lab.wait_holder(VIP, seconds=3)
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=begin)
    lab.hub.until(lambda: "kad: vrrp" not in daemon.family().values(), 3, "vrrp leaves")
    reload_and_wait(daemon, router())
    lab.wait_holder(VIP, a, seconds=3)
    assert daemon.exit_status is None


@pytest.mark.parametrize("words", [("reload_time_file /run/when",), ("reload_time_file /run/when", "reload_repeat")])
def test_a_file_orders_the_moment_of_a_reload(pair: Pair, words: tuple[str, ...]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs(*words) + instance(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    daemon.rewrite(global_defs(*words) + instance(priority=120))
    begin = time.time()
    wanted = int(begin) + 3
    when = a.files / "run" / "when"
    when.write_text(time.strftime("%H:%M:%S\n", time.localtime(wanted)))
    daemon.wait_log("orders a reload at", seconds=2)
    begun = daemon.wait_log("ordered a reload for now", seconds=6)
    assert wanted - 0.1 < begun.time < wanted + 2
    lab.wire.wait_advert(node="a", priority=120, seconds=6, since=begin)
    # With reload_repeat the time without a date stays, and means tomorrow's.
    assert when.exists() == ("reload_repeat" in words)
    assert bool(daemon.logged("orders a reload at", since=begun.time)) == ("reload_repeat" in words)
    when.write_text("soon\n")
    daemon.wait_log("'soon' is neither HH:MM:SS nor", seconds=2)
    assert lab.moves(VIP, begin) == []


def test_a_file_exists_while_files_are_read(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs("reload_file") + instance())
    lab.wait_holder(VIP, a, seconds=5)
    marker = a.files / "run" / "kad" / "keepalived.reload"
    assert not marker.exists()
    begin = daemon.reload()
    lab.hub.until(marker.exists, 2, "the marker is there")
    daemon.wait_log("Reload complete", since=begin)
    assert not marker.exists()
    begin = time.time()
    asking = a.start([sys.executable, "-m", "kad", "--reload", "--runtime-dir", "/run/kad"])
    lab.hub.until(marker.exists, 2, "the marker is there")
    daemon.wait_log("Reload complete", since=begin)
    assert not marker.exists()
    assert asking.wait(5) == 0


def test_who_asks_for_a_reload_is_told_what_became_of_it(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    daemon.rewrite(router(priority=120))
    done = daemon.ask("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    # It was over when that came back.
    assert told(daemon)["priority"] == 120
    daemon.rewrite(router(priority=120).replace("interface eth0", ""))
    # Also who comes while another reload is on its way.
    daemon.send(signal.SIGHUP)
    done = daemon.ask("--reload")
    assert done.returncode == 1
    assert re.match(
        r"kad: the reload is refused, .*stays:\n(.*\n)*.*keepalived\.conf:\d+:\d+: .*no interface", done.stderr
    )
    assert told(daemon)["priority"] == 120


def test_what_a_reload_found_is_in_the_log_that_reload_check_config_names(pair: Pair) -> None:
    lab, a, _ = pair
    words = global_defs("reload_check_config /run/findings")
    daemon = lab.start_kad(a, words + instance())
    lab.wait_holder(VIP, a, seconds=5)
    daemon.wait_log("Startup complete")
    begin = daemon.reload(words + instance(priority=100, more="prioritty 90"))
    daemon.wait_log("Reload refused", since=begin)
    found = a.read_run("findings").splitlines()
    assert re.fullmatch(r".*/keepalived\.conf:\d+:\d+: warning: .*prioritty.*", found[0])
    assert found[-1] == "the reload is refused: 1 new finding, see above"
    reload_and_wait(daemon, words + instance(priority=110))
    assert a.read_run("findings") == "the reload is applied\n"
    lab.stays(VIP, a, 0.5)
