"""Programs that are told of changes, and programs whose exit status moves the priority."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]

RECORD = '#!/bin/sh\nout=$1; shift; echo "$@" >> /run/$out\n'
NOTIFIES = """notify_master "/etc/keepalived/record.sh special master"
    notify_backup "/etc/keepalived/record.sh special backup"
    notify_fault "/etc/keepalived/record.sh special fault"
    notify_stop "/etc/keepalived/record.sh special stop"
    notify "/etc/keepalived/record.sh general"
"""


def recorded(node: Node, name: str) -> list[str]:
    try:
        return node.read_run(name).splitlines()
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("program", BOTH)
def test_every_change_is_notified_once_with_the_arguments_of_keepalived(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    daemon = lab.start(program, a, global_defs() + instance(priority=150, more=NOTIFIES))

    def told(times: int) -> None:
        # keepalived runs programs side by side: the next change waits until the last one was told.
        lab.hub.until(lambda: len(recorded(a, "special")) >= times, 5, lambda: f"{times} notifications")
        lab.hub.until(lambda: len(recorded(a, "general")) >= times, 5, lambda: f"{times} notifications")

    lab.wait_holder(VIP, a, seconds=5)
    told(2)
    lab.link_down(a)
    told(3)
    lab.heal(a)
    told(5)
    assert daemon.stop() == 0
    told(6)
    assert recorded(a, "special") == ["backup", "master", "fault", "backup", "master", "stop"]
    assert recorded(a, "general") == [
        "INSTANCE VI_1 BACKUP 150",
        "INSTANCE VI_1 MASTER 150",
        "INSTANCE VI_1 FAULT 150",
        "INSTANCE VI_1 BACKUP 150",
        "INSTANCE VI_1 MASTER 150",
        "INSTANCE VI_1 STOP 150",
    ]


def test_what_is_told_at_the_stop_is_waited_for(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD.replace("out=", "sleep 0.2; out="), 0o755)
    daemon = lab.start_kad(a, global_defs() + instance(priority=150, more=NOTIFIES))
    lab.wait_holder(VIP, a, seconds=5)
    lab.hub.until(lambda: len(recorded(a, "general")) >= 1, 5, "the first program has run")
    assert daemon.stop() == 0
    assert recorded(a, "special")[-1] == "stop"
    assert recorded(a, "general")[-1] == "INSTANCE VI_1 STOP 150"


def test_what_waits_behind_a_program_is_told_once_and_in_order_by_the_next_runner(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD.replace("out=", "sleep 1; out="), 0o755)
    daemon = lab.start_kad(a, global_defs() + instance(priority=150, more=NOTIFIES))
    lab.wait_holder(VIP, a, seconds=5)
    (line,) = daemon.dump("runner")["notifications"]
    assert (line["running"], line["waiting"]) == (["VI_1/notify_backup"], ["VI_1/notify_master", "VI_1/notify"])
    os.kill(daemon.child("runner"), signal.SIGKILL)
    lab.hub.until(lambda: len(recorded(a, "general")) == 1, 8, "what was told last is told")
    assert recorded(a, "special") == ["backup", "master"]
    assert recorded(a, "general") == ["INSTANCE VI_1 MASTER 150"]


def tracking(script: str, *, weight: int, more: str = "") -> str:
    """A file with one tracked script and one instance of priority 150."""
    said = f'vrrp_script watched {{\n script "{script}"\n interval 1\n weight {weight}\n {more}\n}}\n'
    return global_defs() + said + instance(priority=150, more="track_script {\n watched\n }")


def flag(node: Node) -> None:
    (node.files / "run" / "flag").touch()


def unflag(node: Node) -> None:
    (node.files / "run" / "flag").unlink()


@pytest.mark.parametrize("program", BOTH)
def test_a_script_must_fail_and_succeed_so_often_in_a_row(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    flag(a)
    lab.start(program, a, tracking("/usr/bin/test -f /run/flag", weight=-60, more="fall 3\n rise 2"))
    lab.wait_holder(VIP, a, seconds=5)
    assert lab.wire.wait_advert(node="a", seconds=1).priority == 150
    unflag(a)
    begin = time.time()
    fallen = lab.wire.wait_advert(node="a", priority=90, seconds=6)
    # Three runs a second apart, the first of them within a second.
    assert 1.9 < fallen.time - begin < 3.6
    flag(a)
    begin = time.time()
    risen = lab.wire.wait_advert(node="a", priority=150, seconds=6)
    assert 0.9 < risen.time - begin < 2.6
    lab.stays(VIP, a, 0.5)


@pytest.mark.parametrize("program", BOTH)
def test_one_failure_between_successes_changes_nothing(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    a.write("once.sh", "#!/bin/sh\ndate >> /run/runs\nrm /run/fail 2>/dev/null && exit 1\nexit 0\n", 0o755)
    lab.start(program, a, tracking("/etc/keepalived/once.sh", weight=-60, more="fall 2\n rise 1"))
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    (a.files / "run" / "fail").touch()
    before = len(recorded(a, "runs"))
    lab.hub.until(lambda: len(recorded(a, "runs")) >= before + 3, 6, "three more runs")
    assert not (a.files / "run" / "fail").exists()
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=begin)} == {150}


@pytest.mark.parametrize("program", BOTH)
def test_a_script_without_weight_is_a_fault(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    flag(a)
    daemon = lab.start(program, a, tracking("/usr/bin/test -f /run/flag", weight=0))
    lab.wait_holder(VIP, a, seconds=5)
    unflag(a)
    lab.wait_holder(VIP, seconds=4)
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE")
    flag(a)
    lab.wait_holder(VIP, a, seconds=4)


@pytest.mark.parametrize("program", BOTH)
def test_a_script_that_does_not_end_has_failed(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    flag(a)
    a.write("hang.sh", "#!/bin/sh\ntest -f /run/flag && exit 0\nexec sleep 30\n", 0o755)
    lab.start(program, a, tracking("/etc/keepalived/hang.sh", weight=-60, more="timeout 1"))
    lab.wait_holder(VIP, a, seconds=5)
    unflag(a)
    lab.wire.wait_advert(node="a", priority=90, seconds=6)
    flag(a)
    lab.wire.wait_advert(node="a", priority=150, seconds=8)


@pytest.mark.parametrize("program", BOTH)
def test_a_positive_weight_is_added_while_the_script_succeeds(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    flag(a)
    lab.start(program, a, tracking("/usr/bin/test -f /run/flag", weight=20))
    lab.wire.wait_advert(node="a", priority=170, seconds=5)
    unflag(a)
    lab.wire.wait_advert(node="a", priority=150, seconds=5)


@pytest.mark.parametrize(
    "script", ["[[ -f /run/flag ]] && exit 0 || exit 1", "! test ! -f /run/flag", 'test -n \\"$(ls /run/flag)\\"']
)
def test_kad_gives_a_string_with_shell_words_to_a_shell(pair: Pair, script: str) -> None:
    lab, a, _ = pair
    flag(a)
    lab.start_kad(a, tracking(script, weight=-60))
    lab.wire.wait_advert(node="a", priority=150, seconds=5)
    unflag(a)
    lab.wire.wait_advert(node="a", priority=90, seconds=5)
    flag(a)
    lab.wire.wait_advert(node="a", priority=150, seconds=5)


WHO = """#!/bin/sh
read -r pid _ _ _ group _ < /proc/$$/stat
test "$pid" = "$group" && leader="a group of its own"
echo "$(id -u) $(id -g), groups $(id -G), $(readlink /proc/$$/fd/0), $leader, ${LD_LIBRARY_PATH-no path}" >> /run/who/$1
"""


def test_each_program_runs_as_whom_the_file_says(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, a, _ = pair
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp")
    a.write("who.sh", WHO, 0o755)
    (a.files / "run" / "who").mkdir()
    (a.files / "run" / "who").chmod(0o777)
    scripts = (
        'vrrp_script general {\n script "/etc/keepalived/who.sh general"\n}\n'
        'vrrp_script own {\n script "/etc/keepalived/who.sh own"\n user daemon\n}\n'
        'vrrp_script grouped {\n script "/etc/keepalived/who.sh grouped"\n user daemon games\n}\n'
    )
    more = (
        "track_script {\n general\n own\n grouped\n }",
        'notify_master "/etc/keepalived/who.sh notify" games',
        'notify_backup "/etc/keepalived/who.sh backup"',
    )
    text = global_defs().replace("script_user root", "script_user nobody") + scripts
    lab.start_kad(a, text + instance(priority=150, more="\n".join(more)))
    rest = "/dev/null, a group of its own, no path"
    expected = {
        "general": f"65534 65534, groups 65534, {rest}",
        "own": f"1 1, groups 1, {rest}",
        "grouped": f"1 60, groups 60, {rest}",
        "notify": f"5 60, groups 60, {rest}",
        "backup": f"65534 65534, groups 65534, {rest}",
    }

    def who() -> dict[str, str]:
        return {name: recorded(a, f"who/{name}")[0] for name in expected if recorded(a, f"who/{name}")}

    lab.hub.until(lambda: who() == expected, 5, lambda: f"{who()}")
