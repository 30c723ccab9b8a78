"""A node is a set of namespaces (network, mounts, processes, host name) that vanishes with the process that made it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = ("ip", "unshare", "setpriv", "mount", "keepalived", "tcpdump", "killall", "ping", "nginx", "nft")

_BYTECODE = Path(tempfile.gettempdir(), f"kad-bytecode-{os.getuid()}")
_CLONE_FS = 0x200
_KINDS = {"mnt": 0x20000, "uts": 0x4000000, "net": 0x40000000, "pid": 0x20000000}
_LIBC = ctypes.CDLL(None, use_errno=True)

_UNSHARE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--uts", "--fork"]
_UNSHARE += ["--kill-child", "--mount-proc"]

# Process 1 of a node reaps every orphan, so that "no process is left" can be asked.
_FIRST_PROCESS = """
set -e
hostname "$NODE_NAME"
mount --bind "$NODE_FILES/etc" /etc/keepalived
mount --bind "$NODE_FILES/run" /run
ip link set lo up
echo ready
while :; do sleep 100000 & wait $!; done
"""


def missing() -> list[str]:
    """What this host lacks for a lab; empty when all is there."""
    lacking = [program for program in PROGRAMS if _found(program) is None]
    if os.geteuid() != 0:
        lacking.insert(0, "root")
    elif not _namespaces_allowed():
        lacking.insert(0, "network namespaces")
    return lacking


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _namespaces_allowed() -> bool:
    attempt = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "ip", "link", "add", "type", "veth"]
    try:
        return subprocess.run(attempt, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Namespaces:
    """The namespaces of one node, and the thread that lives in them.

    Whatever `inside` runs opens its sockets, reads its files and starts its processes there. All processes die with
    the first one, and that one with us, even when we are killed.
    """

    def __init__(self, name: str, files: Path) -> None:
        self.name = name
        self.files = files
        for folder in ("etc", "run"):
            (files / folder).mkdir(parents=True, exist_ok=True)
        self._outer = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", _FIRST_PROCESS],
            env=environment(NODE_NAME=name, NODE_FILES=str(files)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._outer.stdout is not None
        if self._outer.stdout.readline() != b"ready\n":
            raise RuntimeError(f"node {name} did not come up: exit status {self._outer.wait()}")
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        self.first_process = int(children[0])
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=self._enter)

    def inside(self, function: Callable[[], T]) -> T:
        """What the function returns when it is called inside the node."""
        return self._thread.submit(function).result()

    def run(self, *words: str, seconds: float = 20, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end; raises CalledProcessError with what it printed."""
        done = self.ask(*words, seconds=seconds, **settings)
        if done.returncode:
            print(done.stderr)
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done

    def ask(self, *words: str, seconds: float = 20, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end, whatever its exit status."""
        whole: dict[str, Any] = {"capture_output": True, "text": True, "env": environment(), "cwd": "/"} | settings

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(words, timeout=seconds, check=False, **whole)

        return self.inside(run)

    def start(self, words: Sequence[str], **settings: Any) -> subprocess.Popen[bytes]:
        """Start a command inside; its pid is the one that this side sees."""
        whole: dict[str, Any] = {"env": environment(), "cwd": "/", "stdin": subprocess.DEVNULL} | settings
        return self.inside(lambda: subprocess.Popen(list(words), **whole))

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        return self.inside(lambda: socket.socket(family, kind, protocol))

    def ip(self, *words: str) -> Any:
        """`ip -j` with these words, decoded."""
        printed = self.run("ip", "-j", *words).stdout
        return json.loads(printed) if printed.strip() else []

    def set_sysctl(self, name: str, value: str) -> None:
        self.inside(lambda: Path("/proc/sys", *name.split(".")).write_text(value))

    def processes(self) -> dict[int, str]:
        """Every living process in the node but its first and that one's sleep: pid on this side, and command name."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.first_process:
                continue
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns/pid") != self._pid_namespace:
                    continue
                name, state, parent = process_stat(int(entry.name))
                if state != "Z" and (name, parent) != ("sleep", self.first_process):
                    found[int(entry.name)] = name
        return found

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first_process, signal.SIGKILL)
        self._outer.kill()
        self._outer.wait()
        assert self._outer.stdout is not None
        self._outer.stdout.close()
        self._thread.shutdown()

    def _enter(self) -> None:
        # A thread may leave its mount namespace only when it shares no working directory with the others.
        if _LIBC.unshare(_CLONE_FS):
            raise OSError(ctypes.get_errno(), "unshare(CLONE_FS)")
        self._pid_namespace = os.readlink(f"/proc/{self.first_process}/ns/pid")
        opened = [(os.open(f"/proc/{self.first_process}/ns/{kind}", os.O_RDONLY), kind) for kind in _KINDS]
        for number, kind in opened:
            refused = _LIBC.setns(number, _KINDS[kind])
            os.close(number)
            if refused:
                raise OSError(ctypes.get_errno(), f"setns({kind})")


def process_stat(pid: int) -> tuple[str, str, int]:
    """Command name, state letter and parent of a process; raises OSError when it is gone."""
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return name, state, int(parent)


def environment(**more: str) -> Mapping[str, str]:
    """What a process of the lab finds: the project in reach, and English messages."""
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    whole = {**os.environ, "PATH": path, "LC_ALL": "C", "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", **more}
    # What is installed was compiled beforehand: a daemon that compiles its sources at every start tells wrong times.
    whole.pop("PYTHONDONTWRITEBYTECODE", None)
    return {"PYTHONPYCACHEPREFIX": str(_BYTECODE), **whole}
