"""kad's children are apart from one another, as the kernel tells it: what each may do to others, and what it shares."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
SERVED = "virtual_server 10.77.0.200 80 {\n lb_kind NAT\n real_server 10.88.0.1 80 {\n TCP_CHECK {\n }\n }\n}\n"
CHILDREN = ("runner", "vrrp", "ipvs", "checker")

# What a compromised child could do next, in a process that is confined like one.
_CONFINED = """
import json, os, signal, sys
from kad.linux.process import capabilities as privilege
from kad.linux.process.capabilities import Capability
from kad.linux.process.seccomp import refuse_signals_and_tracing
import ctypes
from kad.cli import control_client as control
from pathlib import Path

target = int(sys.argv[1])
privilege.drop_to((Capability.NET_ADMIN, Capability.NET_RAW), None)
refuse_signals_and_tracing()
if os.fork():
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
libc = ctypes.CDLL(None, use_errno=True)
attempts = {
    "kill": lambda: os.kill(target, 0),
    "pidfd_send_signal": lambda: signal.pidfd_send_signal(os.pidfd_open(target), 0),
    "tgkill": lambda: check(libc.syscall(234, target, target, 0)),
    "ptrace": lambda: check(libc.ptrace(0x4206, target, None, None)),
    "process_vm_readv": lambda: check(libc.syscall(310, target, None, 0, None, 0, 0)),
    "process_vm_writev": lambda: check(libc.syscall(311, target, None, 0, None, 0, 0)),
    "memory": lambda: open(f"/proc/{target}/mem", "r+b"),
    "tkill": lambda: check(libc.syscall(200, target, 0)),
    "rt_sigqueueinfo": lambda: check(libc.syscall(129, target, 0, bytes(128))),
    "rt_tgsigqueueinfo": lambda: check(libc.syscall(297, target, target, 0, bytes(128))),
    "pidfd_getfd": lambda: check(libc.syscall(438, os.pidfd_open(target), 0, 0)),
}

def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")

found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = 0
    except OSError as error:
        found[name] = error.errno
for verb in ("dump", "stop"):
    try:
        control.ask(Path("/run/kad"), {"verb": verb})
        found[verb] = "done"
    except control.ControlError as error:
        found[verb] = str(error)
print(json.dumps(found))
"""


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def pages(pid: int) -> set[str]:
    """Inodes of the shared pages that the process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split()[4] for line in lines if "/memfd:page" in line}


def test_what_children_can_do_to_each_other(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs() + instance() + SERVED)
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log("Startup complete")
    pids = {name: daemon.child(name) for name in CHILDREN}
    facts = {name: status(pid) for name, pid in pids.items()}
    assert {name: (each["Seccomp"], each["NoNewPrivs"]) for name, each in facts.items()} == {
        "runner": ("0", "0"),
        "vrrp": ("2", "1"),
        "ipvs": ("2", "1"),
        "checker": ("2", "1"),
    }
    # NET_ADMIN is 0x1000, NET_RAW 0x2000, NET_BIND_SERVICE 0x400; the bounding set holds nothing else either.
    assert {name: int(each["CapBnd"], 16) for name, each in facts.items() if name != "runner"} == {
        "vrrp": 0x3000,
        "ipvs": 0x1000,
        "checker": 0x3400,
    }
    mapped = {name: pages(pid) for name, pid in pids.items()}
    assert {len(each) for each in mapped.values()} == {1}
    assert len(set().union(*mapped.values())) == 4
    assert set().union(*mapped.values()) < pages(daemon.pid)
    # The parent keeps a descriptor of each page, also of the child that is not born.
    parents = [os.stat(path) for path in Path(f"/proc/{daemon.pid}/fd").iterdir() if "memfd:page" in os.readlink(path)]
    assert {str(each.st_ino) for each in parents} == pages(daemon.pid)
    assert len(pages(daemon.pid)) == 5
    for name, pid in pids.items():
        links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
        assert not [link for link in links if "memfd:page" in link], name


def test_a_confined_process_can_neither_signal_trace_nor_ask(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs() + instance())
    lab.wait_holder(VIP, a, seconds=8)
    inner = int(status(daemon.child("vrrp"))["NSpid"].split()[-1])
    done = a.ask(sys.executable, "-c", _CONFINED, str(inner))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: found.pop(name) for name in list(found) if isinstance(found[name], int)} == {
        "kill": 1,
        "pidfd_send_signal": 1,
        "tgkill": 1,
        "ptrace": 1,
        "process_vm_readv": 1,
        "process_vm_writev": 1,
        "memory": 13,
        "tkill": 1,
        "rt_sigqueueinfo": 1,
        "rt_tgsigqueueinfo": 1,
        "pidfd_getfd": 1,
    }
    assert found == {"dump": "no permission for dump", "stop": "no permission for stop"}
    assert daemon.dump("generation") == 1
    assert daemon.exit_status is None
