"""kad started by other programs, with other variables, or with something built into it that no operator has."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT

_DEAF_ON_SIGNAL = """
import os
import signal
import time

def run_wild(number, frame):
    while True:
        pass

def block(number, frame):
    os.read(os.pipe()[0], 1)

def work(number, frame):
    until = time.monotonic() + 4
    while time.monotonic() < until:
        pass

def be_born():
    try:
        os.unlink("/run/stillborn")
    except OSError:
        return
    os.read(os.pipe()[0], 1)

os.register_at_fork(after_in_child=be_born)
signal.signal(signal.SIGRTMIN + 5, run_wild)
signal.signal(signal.SIGRTMIN + 6, block)
signal.signal(signal.SIGRTMIN + 7, work)
"""
_WALL_CLOCK = """
import time

real, real_ns = time.time, time.time_ns

def offset():
    try:
        with open("/run/offset") as file:
            return int(file.read() or "0")
    except OSError:
        return 0

time.time = lambda: real() + offset()
time.time_ns = lambda: real_ns() + offset() * 1_000_000_000
"""
_REFUSED_BY_KERNEL = """
import struct
from kad.linux.netlink.socket import Netlink

request = Netlink.request

def refuse(self, batch):
    try:
        with open("/run/refused") as file:
            refused = dict(map(int, line.split()) for line in file)
    except OSError:
        refused = {}
    kinds = [struct.unpack_from("=H", message, 4)[0] for message in batch]
    answers = iter(request(self, [message for message, kind in zip(batch, kinds) if kind not in refused]))
    return [refused[kind] if kind in refused else next(answers) for kind in kinds]

Netlink.request = refuse
"""
RUN_WILD, BLOCK, WORK = 34 + 5, 34 + 6, 34 + 7
"""Signals (SIGRTMIN + 5 to + 7) that make any process of a kad that was started with `deaf=True` loop for ever, block
for ever, or loop for 4 s.

The next process that it forks blocks at once where the node has a file /run/stillborn, which is removed.
"""


class WrappedKad(Kad):
    """kad behind a prefix: `setpriv …`, `unshare …`."""

    def __init__(
        self, lab: Lab, node: Node, text: str, prefix: Sequence[str], words: Sequence[str], runtime: str
    ) -> None:
        configuration = node.write("keepalived.conf", text)
        self.runtime_dir = runtime
        command = ("-n", "-l", "-D", "-f", f"/etc/keepalived/{configuration.name}", "--runtime-dir", runtime, *words)
        Daemon.__init__(self, lab.hub, node, (*prefix, sys.executable, "-m", "kad", *command), configuration)


def start_wrapped(
    lab: Lab,
    node: Node,
    text: str,
    *words: str,
    prefix: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    deaf: bool = False,
    movable_clock: bool = False,
    refusing: bool = False,
    runtime_dir: str = "/run/kad",
) -> WrappedKad:
    """Like lab.start_kad; variables are added to the environment.

    movable_clock: its wall clock is as many seconds ahead as the node's /run/offset says.
    refusing: rtnetlink requests of the types in the node's /run/refused are answered with the errno beside them.
    """
    path = str(PROJECT)
    if deaf or movable_clock or refusing:
        parts = _DEAF_ON_SIGNAL * deaf + _WALL_CLOCK * movable_clock + _REFUSED_BY_KERNEL * refusing
        node.write("sitecustomize.py", parts)
        path = f"/etc/keepalived:{path}"
    said = [f"{name}={value}" for name, value in {"PYTHONPATH": path, **(variables or {})}.items()]
    return lab.began(WrappedKad(lab, node, text, ["env", *said, *prefix], words, runtime_dir))
