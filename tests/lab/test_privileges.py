"""What each process may still do after the start, how it is scheduled, and whom files of the daemon let in."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced, settle, told
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
NET_BIND_SERVICE = 1 << 10
NET_ADMIN, NET_RAW, IPC_LOCK, SYS_NICE = 1 << 12, 1 << 13, 1 << 14, 1 << 23
BALANCED = f"""global_defs {{
    ipvs_required no
}}
virtual_server {VIP} 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.50 80 {{
        TCP_CHECK {{
        }}
    }}
}}
"""
SCRIPTED = global_defs() + 'vrrp_script fine {\n script "/bin/true"\n interval 1\n}\n'
SCRIPTED += instance(more="track_script {\n fine\n}")


def standing(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def capabilities(pid: int, name: str = "CapEff") -> int:
    return int(standing(pid)[name], 16)


@pytest.fixture
def user(lab: Lab) -> Node:
    """A node where a user and a group kad exist: uid and gid 4321."""
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    for name, line in (("passwd", "kad:x:4321:4321::/:/bin/false\n"), ("group", "kad:x:4321:\n")):
        known = node.write(name, Path(f"/etc/{name}").read_text() + line)
        node.run("mount", "--bind", f"/etc/keepalived/{known.name}", f"/etc/{name}")
    return node


def test_each_child_keeps_what_its_work_needs(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, SCRIPTED + BALANCED)
    settle(lab, daemon, a)
    daemon.dump()
    kept = {name: capabilities(daemon.child(name)) for name in ("vrrp", "ipvs", "checker", "runner")}
    assert kept == {
        "vrrp": NET_ADMIN | NET_RAW,
        "ipvs": NET_ADMIN,
        "checker": 0,
        "runner": capabilities(daemon.pid),
    }
    for name in ("vrrp", "ipvs", "checker"):
        pid = daemon.child(name)
        assert capabilities(pid, "CapPrm") == kept[name]
        # The checker is born before its checks are known, and drops what none of them needs once they are.
        bound = capabilities(pid, "CapBnd")
        assert bound == (NET_BIND_SERVICE | NET_ADMIN | NET_RAW if name == "checker" else kept[name])
        assert capabilities(pid, "CapInh") == capabilities(pid, "CapAmb") == 0
        # Who runs no programs can gain nothing by any.
        assert standing(pid)["NoNewPrivs"] == "1"
    assert standing(daemon.child("runner"))["NoNewPrivs"] == "0"
    # So it is again after a crash and a reload.
    old, _ = kill(daemon, "vrrp")
    pid = replaced(lab, daemon, "vrrp", old)
    moment = daemon.reload()
    daemon.wait_log("Reload complete", since=moment)
    assert capabilities(pid) == NET_ADMIN | NET_RAW
    lab.stays(VIP, a, 0.5)


def test_no_child_holds_what_is_not_its_own(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, SCRIPTED + BALANCED)
    settle(lab, daemon, a)
    [listening] = [
        int(line.split()[6])
        for line in a.run("cat", "/proc/net/unix").stdout.splitlines()
        if line.endswith("/run/kad/control")
    ]
    for name in ("vrrp", "ipvs", "checker", "runner"):
        folder = Path(f"/proc/{daemon.child(name)}/fd")
        targets = [os.readlink(each) for each in folder.iterdir()]
        assert f"socket:[{listening}]" not in targets, name
        assert not [target for target in targets if target.endswith("kad.pid")], name
        assert not [target for target in targets if "memfd" in target], name
    # One channel each, whose other end the parent alone has: a sibling's copy would hide its end of file. What the vrrp
    # process says and hears without IP is the parent's as well: the kernel takes long to close it.
    parents = [os.readlink(each) for each in Path(f"/proc/{daemon.pid}/fd").iterdir()]
    assert len([target for target in parents if target.startswith("socket:")]) == len(
        ("control", "vrrp", "ipvs", "checker", "runner", "frames", "ARP")
    )


def test_children_are_the_user_kad_where_there_is_one(lab: Lab, user: Node) -> None:
    daemon = lab.start_kad(user, SCRIPTED + BALANCED, "--log-file=/run/log")
    settle(lab, daemon, user)
    for name in ("vrrp", "ipvs", "checker"):
        now = standing(daemon.child(name))
        assert now["Uid"].split() == now["Gid"].split() == ["4321"] * 4, name
        assert now["Groups"] == ""
    assert standing(daemon.child("runner"))["Uid"].split() == ["0"] * 4
    assert capabilities(daemon.child("vrrp")) == NET_ADMIN | NET_RAW
    # It can still do all its work, write the log, be replaced, and leave.
    assert "Entering MASTER STATE" in (user.files / "run" / "log").read_text()
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, user, 0.5)
    assert lab.moves(VIP, moment) == []
    assert told(daemon)["state"] == "MASTER"
    assert daemon.stop() == 0
    assert lab.holders(VIP) == set()


def test_the_lack_of_a_user_kad_is_said_once(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    assert len(daemon.logged("there is no user kad")) == 1


# scheduling


def scheduled(pid: int) -> tuple[int, int, int, set[int]]:
    """Policy, real-time priority, nice value and processors."""
    policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
    return (
        policy,
        os.sched_getparam(pid).sched_priority,
        os.getpriority(os.PRIO_PROCESS, pid),
        os.sched_getaffinity(pid),
    )


def locked(pid: int) -> int:
    return int(standing(pid)["VmLck"].split()[0])


def test_real_time_and_locked_memory_where_asked(pair: Pair) -> None:
    lab, a, _ = pair
    words = ("vrrp_rt_priority 20", "vrrp_no_swap", "vrrp_cpu_affinity 0")
    daemon = lab.start_kad(a, global_defs(*words) + instance())
    settle(lab, daemon, a)
    vrrp = daemon.child("vrrp")
    assert scheduled(vrrp) == (os.SCHED_RR, 20, 0, {0})
    assert locked(vrrp) > 1000
    # IPC_LOCK, since what it maps later must be locked too; nothing for what is done once.
    assert capabilities(vrrp) == NET_ADMIN | NET_RAW | IPC_LOCK
    # A loop that runs wild ends, and the limit leaves room for a whole reload.
    limits = Path(f"/proc/{vrrp}/limits").read_text()
    [realtime] = [line.split() for line in limits.splitlines() if line.startswith("Max realtime timeout")]
    assert realtime[3:5] == ["1000000", "2000000"]
    for pid in set(daemon.family()) - {vrrp}:
        assert scheduled(pid)[:3] == (os.SCHED_OTHER, 0, 0)
        assert locked(pid) == 0


def test_a_nice_value_without_any_privilege_kept(pair: Pair) -> None:
    lab, a, _ = pair
    served = "virtual_server 10.77.0.200 80 {\n lb_algo rr\n lb_kind NAT\n real_server 10.77.0.50 80 {\n }\n}\n"
    daemon = lab.start_kad(a, global_defs("vrrp_priority -10", "checker_priority 5") + instance() + served)
    settle(lab, daemon, a)
    vrrp = daemon.child("vrrp")
    assert scheduled(vrrp)[:3] == (os.SCHED_OTHER, 0, -10)
    assert scheduled(daemon.child("checker"))[:3] == (os.SCHED_OTHER, 0, 5)
    assert capabilities(vrrp) == NET_ADMIN | NET_RAW
    assert locked(vrrp) == 0


def test_a_reload_that_asks_for_more_replaces_the_process_and_loses_nothing(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, router(priority=150))
    lab.wait_holder(VIP, a, seconds=5)
    other = lab.start_kad(b, router(priority=100))
    settle(lab, daemon, a)
    old = daemon.child("vrrp")
    before = told(daemon)
    begin = daemon.reload(global_defs("vrrp_rt_priority 10", "vrrp_no_swap") + instance(priority=160))
    new = replaced(lab, daemon, "vrrp", old)
    lab.hub.until(lambda: scheduled(new)[1] == 10, 2, "it is real-time")
    lab.wire.wait_advert(node="a", priority=160, seconds=2)
    lab.stays(VIP, a, 0.7)
    assert lab.moves(VIP, begin) == []
    assert not other.logged("Entering", since=begin)
    assert told(daemon)["since"] == before["since"]
    # Once more and back.
    begin = daemon.reload(router(priority=150))
    newer = replaced(lab, daemon, "vrrp", new)
    lab.stays(VIP, a, 0.7)
    assert scheduled(newer)[:2] == (os.SCHED_OTHER, 0)
    assert capabilities(newer) == NET_ADMIN | NET_RAW
    assert lab.moves(VIP, begin) == []
    # What changes nothing there replaces nobody.
    begin = daemon.reload(router(priority=151))
    daemon.wait_log("Reload complete", since=begin)
    lab.stays(VIP, a, 0.3)
    assert daemon.child("vrrp") == newer


# files


def test_files_are_what_others_may_see_and_no_more(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    daemon.dump()
    folder = a.files / "run" / "kad"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        "control": 0o600,
        ".kad.pid.lock": 0o600,
        "kad.pid": 0o644,
        "vrrp.pid": 0o644,
        "runner.pid": 0o644,
        "vrrp.left": 0o600,
    }
    daemon.send(10)
    lab.hub.until((folder / "kad.data").exists, 3, "the dump is written")
    # It holds passwords.
    assert stat.S_IMODE((folder / "kad.data").stat().st_mode) == 0o600


def victim(node: Node) -> Path:
    """A file that must stay as it is, outside of the runtime directory."""
    path = node.files / "run" / "victim"
    path.write_text("precious\n")
    return path


@pytest.mark.parametrize("name", ["control", "vrrp.pid", "runner.pid", "keepalived.data", "kad.data", "vrrp.left"])
def test_a_planted_link_is_replaced_and_not_followed(pair: Pair, name: str) -> None:
    lab, a, _ = pair
    precious = victim(a)
    folder = a.files / "run" / "kad"
    folder.mkdir()
    (folder / name).symlink_to("../victim")
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    daemon.dump()
    daemon.send(10)
    lab.hub.until(lambda: len(list(folder.glob("*.data"))) == 2, 3, "the dumps are written")
    lab.hub.until(lambda: not (folder / name).is_symlink(), 2, "no link is left")
    assert precious.read_text() == "precious\n"
    assert daemon.stop() == 0
    assert precious.read_text() == "precious\n"


@pytest.mark.parametrize("name", ["kad.pid", "keepalived.reload", "log"])
def test_a_planted_link_that_cannot_be_replaced_is_refused(pair: Pair, name: str) -> None:
    lab, a, _ = pair
    precious = victim(a)
    folder = a.files / "run" / "kad"
    folder.mkdir()
    (folder / name).symlink_to("../victim")
    text = global_defs("reload_file /run/kad/keepalived.reload") + instance()
    daemon = lab.start_kad(a, text, "--log-file=/run/kad/log")
    if name == "kad.pid":
        assert daemon.wait_exit(5) != 0
    else:
        lab.wait_holder(VIP, a, seconds=5)
        daemon.reload()
        daemon.wait_log("Reload complete")
        assert daemon.stop() == 0
    assert precious.read_text() == "precious\n"


@pytest.mark.parametrize(
    ("owner", "mode", "planter"), [(65534, 0o755, 0), (0, 0o777, 65534), (0, 0o1777, 65534), (0, 0o775, 65534)]
)
def test_a_runtime_directory_where_others_were_is_refused(pair: Pair, owner: int, mode: int, planter: int) -> None:
    lab, a, _ = pair
    folder = a.files / "run" / "kad"
    folder.mkdir()
    (folder / "planted").touch()
    os.chown(folder / "planted", planter, planter)
    folder.chmod(mode)
    os.chown(folder, owner, 12345)
    daemon = lab.start_kad(a, router())
    assert daemon.wait_exit(5) != 0
    assert "/run/kad" in daemon.log
    assert [path.name for path in folder.iterdir()] == ["planted"]


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_runtime_directory_where_nobody_was_yet_is_closed(pair: Pair, mode: int) -> None:
    lab, a, _ = pair
    folder = a.files / "run" / "kad"
    folder.mkdir()
    folder.chmod(mode)
    daemon = lab.start_kad(a, router())
    daemon.wait_log("others could write in it; no longer")
    daemon.wait_log("Startup complete")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_directory_that_all_share_is_no_runtime_directory(pair: Pair) -> None:
    lab, a, _ = pair
    a.run("mount", "-t", "tmpfs", "none", "/dev/shm")
    daemon = lab.start_kad(a, router(), runtime_dir="/dev/shm")
    assert daemon.wait_exit(5) != 0
    assert "others can write in it" in daemon.log
    assert a.run("stat", "-c", "%a", "/dev/shm").stdout.strip() == "1777"


def test_a_log_file_without_a_name_is_none_in_tmp(pair: Pair) -> None:
    lab, a, _ = pair
    before = set(os.listdir("/tmp"))
    daemon = lab.start_kad(a, router(), "-g")
    lab.wait_holder(VIP, a, seconds=5)
    lab.hub.until(lambda: "Entering MASTER" in a.read_run("kad/kad.log"), 5, "the line in the log file")
    assert not {name for name in set(os.listdir("/tmp")) - before if "keepalived" in name}
    assert daemon.stop() == 0


def test_nothing_is_late_with_all_of_it(pair: Pair) -> None:
    lab, a, _ = pair
    daemon: Kad = lab.start_kad(a, global_defs("vrrp_rt_priority 20", "vrrp_no_swap") + instance())
    settle(lab, daemon, a)
    begin = time.time()
    for _ in range(3):
        moment = daemon.reload()
        daemon.wait_log("Reload complete", since=moment)
    lab.stays(VIP, a, 0.5)
    assert not daemon.logged("died", since=begin)
