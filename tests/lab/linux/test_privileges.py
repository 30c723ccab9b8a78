"""Giving up privileges and becoming somebody else, as /proc shows it."""

from __future__ import annotations

import json
import os
import pwd
import select
import subprocess
import sys
from typing import Any

import pytest

from kad.linux.process.spawn import reap, spawn
from kad.model.program_end import Exited
from tests.lab.namespaces import environment

pytestmark = pytest.mark.lab

NET_ADMIN_AND_RAW = "0000000000003000"
NOTHING = "0000000000000000"

REPORT = """
import json, os, socket, sys
from kad.linux.process.capabilities import Capability, drop_to, effective, is_effective
from kad.linux.refused import Refused

def told():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Uid", "Gid", "Groups", "NoNewPrivs")
    return {name: fields[name].split() for name in wanted}
"""


def report(text: str, *before: str) -> dict[str, Any]:
    """What a Python process of its own, started through the words before, prints as JSON."""
    command = [*before, sys.executable, "-c", REPORT + text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


WANTED = "[Capability.NET_ADMIN, Capability.NET_RAW]"


def sets(told: dict[str, Any]) -> dict[str, str]:
    return {name: values[0] for name, values in told.items() if name.startswith("Cap")}


def test_another_user_with_two_capabilities_left() -> None:
    nobody = pwd.getpwnam("nobody")
    words = ["setpriv", "--groups=1,2,3"]
    told = report(f'drop_to({WANTED}, "nobody"); print(json.dumps(told()))', *words)
    assert sets(told) == {
        "CapInh": NOTHING,
        "CapPrm": NET_ADMIN_AND_RAW,
        "CapEff": NET_ADMIN_AND_RAW,
        "CapBnd": NET_ADMIN_AND_RAW,
        "CapAmb": NOTHING,
    }
    assert told["Uid"] == [str(nobody.pw_uid)] * 4
    assert told["Gid"] == [str(nobody.pw_gid)] * 4
    assert told["Groups"] == []
    assert told["NoNewPrivs"] == ["1"]


def test_a_user_that_does_not_exist_means_our_own_with_less() -> None:
    told = report(
        f'standing = drop_to({WANTED}, "no-such-user-here");'
        "print(json.dumps(told() | {'standing': [standing.user, standing.uid, *map(int, standing.capabilities)]}))"
    )
    assert told["CapEff"] == told["CapPrm"] == [NET_ADMIN_AND_RAW]
    assert told["Uid"] == ["0"] * 4
    assert told["standing"] == ["root", 0, 12, 13]


def test_no_capability_at_all_and_the_kernel_then_refuses() -> None:
    told = report(
        """
drop_to([], "nobody")
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    refused = []
except PermissionError:
    refused = ["refused"]
print(json.dumps(told() | {"packet": refused}))
"""
    )
    assert told["CapEff"] == [NOTHING]
    assert told["packet"] == ["refused"]


def test_the_bounding_set_and_new_privileges_can_be_left_to_programs() -> None:
    told = report(f"drop_to({WANTED}, None, bounding=False, no_new_privs=False); print(json.dumps(told()))")
    assert told["CapEff"] == [NET_ADMIN_AND_RAW]
    assert told["NoNewPrivs"] == ["0"]
    assert int(told["CapBnd"][0], 16) & (1 << 6)


def test_what_is_in_effect_can_be_asked() -> None:
    told = report(
        f"before = is_effective(Capability.SETUID); drop_to({WANTED}, None);"
        "after = [is_effective(Capability.SETUID), is_effective(Capability.NET_RAW)];"
        "print(json.dumps({'answers': [before, *after], 'held': sorted(effective())}))"
    )
    assert told == {"answers": [True, False, True], "held": [12, 13]}


def as_nobody_with_ambient(*names: str) -> str:
    """The process becomes an ordinary user's, as a unit with AmbientCapabilities= starts one.

    It does so itself: nobody might not be allowed to start this Python.
    """
    return f"""
import ctypes
from kad.linux.process import capabilities as privilege
held = [Capability[name] for name in {names}]
drop_to(held, "nobody", bounding=False, no_new_privs=False)
bits = sum(1 << capability for capability in held)
privilege._set(privilege._Sets(bits, bits, bits))
for capability in held:
    assert ctypes.CDLL(None).prctl(47, 2, int(capability), 0, 0) == 0  # PR_CAP_AMBIENT_RAISE
before = told()
"""


def test_an_ordinary_user_with_ambient_capabilities_keeps_what_is_wanted() -> None:
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    start = as_nobody_with_ambient("NET_ADMIN", "NET_RAW", "KILL")
    told = report(start + f"""drop_to({WANTED}, "daemon"); print(json.dumps(told() | {{"before": before}}))""")
    assert told["before"]["CapAmb"] == ["0000000000003020"]
    assert told["CapEff"] == told["CapPrm"] == [NET_ADMIN_AND_RAW]
    assert told["CapAmb"] == told["CapInh"] == [NOTHING]
    assert told["Uid"] == [nobody] * 4


def test_what_we_do_not_have_is_not_in_the_answer() -> None:
    start = as_nobody_with_ambient("NET_RAW")
    told = report(start + f"""print(json.dumps({{"held": sorted(drop_to({WANTED}, None).capabilities)}}))""")
    assert told == {"held": [13]}


def test_root_of_a_user_namespace_stays_what_it_is() -> None:
    told = report(f'drop_to({WANTED}, "nobody"); print(json.dumps(told()))', "unshare", "-Urn")
    assert told["CapEff"] == [NET_ADMIN_AND_RAW]
    assert told["Uid"] == ["0"] * 4


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid"),
    [
        ("nobody", None, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid),
        ("nobody", "daemon", pwd.getpwnam("nobody").pw_uid, 1),
        ("54321", "54322", 54321, 54322),
        (None, "54322", 0, 54322),
    ],
)
def test_a_program_of_another_user(user: str | None, group: str | None, uid: int, gid: int) -> None:
    text = (
        "id -ru; id -u; id -rg; id -g; id -G; ps -o pgid= -p $$ | tr -d ' '; grep CapEff /proc/$$/status | tr -d '\\t'"
    )
    spawned = spawn(["/bin/sh", "-c", text], {"PATH": "/usr/bin:/bin"}, user=user, group=group, output=True)
    assert spawned.output_fd is not None
    os.set_blocking(spawned.output_fd, True)
    with os.fdopen(spawned.output_fd) as output:
        *numbers, capabilities = output.read().split("\n")[:-1]
    assert numbers == [str(uid), str(uid), str(gid), str(gid), str(gid), str(spawned.pid)]
    assert (capabilities == f"CapEff:{NOTHING}") == (uid != 0)
    assert select.select([spawned.pidfd], [], [], 10)[0]
    assert reap(spawned.pidfd) == Exited(0)
    os.close(spawned.pidfd)


def test_supplementary_groups_when_wanted() -> None:
    """`games` is no member of another group, so the user's own group is all that initgroups gives."""
    spawned = spawn(["id", "-G"], {"PATH": "/usr/bin:/bin"}, user="games", supplementary_groups=True, output=True)
    assert spawned.output_fd is not None
    os.set_blocking(spawned.output_fd, True)
    with os.fdopen(spawned.output_fd) as output:
        assert output.read() == f"{pwd.getpwnam('games').pw_gid}\n"
    assert select.select([spawned.pidfd], [], [], 10)[0]
    assert reap(spawned.pidfd) == Exited(0)
    os.close(spawned.pidfd)


def test_real_time_and_locked_memory() -> None:
    told = report(
        """
from kad.linux.process.scheduling import lock_memory, set_realtime
import resource
set_realtime(50, 1.5)
lock_memory()
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
child = os.fork()
if child == 0:
    os._exit(os.sched_getscheduler(0))
_, status = os.waitpid(child, 0)
print(json.dumps({
    "policy": [os.sched_getscheduler(0) & 0xff, os.sched_getparam(0).sched_priority],
    "child": [os.waitstatus_to_exitcode(status)],
    "limit": list(resource.getrlimit(resource.RLIMIT_RTTIME)),
    "locked": [int(fields["VmLck"].split()[0]) > 0],
}))
"""
    )
    assert told == {"policy": [2, 50], "child": [0], "limit": [1500000, 2500000], "locked": [True]}


def test_real_time_that_is_not_allowed_is_refused() -> None:
    told = report(
        """
from kad.linux.process.scheduling import lock_memory, set_nice, set_realtime
import resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
drop_to([], "nobody")
refusals = []
for attempt in (lambda: set_realtime(50, None), lock_memory, lambda: set_nice(-5)):
    try:
        attempt()
    except Refused as refusal:
        refusals.append(refusal.what)
print(json.dumps({"refusals": refusals}))
"""
    )
    assert told == {"refusals": ["real-time priority 50", "locking memory", "nice value -5"]}
