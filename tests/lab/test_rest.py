"""After a storm of verdicts and transitions, with readers that were slow, no process asks for a processor any more."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.more]

SERVERS, INSTANCES, FLIPS = 1000, 100, 10
REST = 3.0
"""Seconds for which all must rest."""
MOST = 0.01
"""Part of a processor that a process at rest may take."""


def configuration() -> str:
    track = "track_file storm {\n file /run/storm\n init_file 0\n}\n"
    fifos = "vrrp_notify_fifo /run/vrrp.fifo\n lvs_notify_fifo /run/lvs.fifo"
    check = "FILE_CHECK {\n track_file storm\n weight 0\n}\n"
    servers = "".join(
        f"real_server 10.88.{number // 250}.{number % 250 + 1} 80 {{\n{check}}}\n" for number in range(SERVERS)
    )
    service = f"virtual_server 10.77.0.200 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nquorum 500\n{servers}}}\n"
    instances = "".join(
        instance(
            f"VI_{number}",
            vrid=number,
            advert_int=1,
            addresses=(f"10.77.1.{number}/32",),
            more="garp_master_repeat 1\n garp_master_delay 0\n track_file {\n storm weight 0\n }",
        )
        for number in range(1, INSTANCES + 1)
    )
    return global_defs(fifos) + track + instances + service


def processor_seconds(pid: int) -> float:
    """What the kernel has counted of all threads of a process."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class SlowReaders:
    """Of both FIFOs and of the control socket: they ask, and read nothing until read()."""

    def __init__(self, node: Node) -> None:
        self._clients = []
        for _ in range(8):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(str(node.files / "run" / "kad" / "control"))
            client.sendall(b'{"verb": "dump"}\n')
            self._clients.append(client)
        self._fifos = [
            os.open(node.files / "run" / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("vrrp.fifo", "lvs.fifo")
        ]

    def read(self) -> None:
        """All there is."""
        for client in self._clients:
            client.settimeout(10)
            with client:
                while client.recv(1 << 20):
                    pass
        self._clients.clear()
        for descriptor in self._fifos:
            with contextlib.suppress(BlockingIOError):
                while os.read(descriptor, 1 << 16):
                    pass

    def close(self) -> None:
        for descriptor in self._fifos:
            os.close(descriptor)


def test_every_process_is_at_rest_after_a_storm(lab: Lab) -> None:
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    storm = node.files / "run" / "storm"
    daemon = lab.start_kad(node, configuration())
    daemon.wait_log(rf"\(VI_{INSTANCES}\) Entering MASTER STATE", 15)
    readers = SlowReaders(node)
    for flip in range(FLIPS):
        begin = time.time()
        names = ("ipvs", "vrrp") if flip % 2 else ("ipvs", "runner")
        for name in names:
            os.kill(daemon.child(name), signal.SIGSTOP)
        storm.write_text("0\n" if flip % 2 else "1\n")
        lab.hub.never(lambda: None, 0.2, "nothing")
        for name in names:
            os.kill(daemon.child(name), signal.SIGCONT)
        word = "BACKUP" if flip % 2 else "FAULT"
        daemon.wait_log(rf"\(VI_{INSTANCES}\) Entering {word} STATE", 15, since=begin)
    readers.read()
    daemon.wait_log(rf"\(VI_{INSTANCES}\) Entering MASTER STATE", 15, since=begin)
    instances = daemon.dump()["vrrp"]["instances"]
    assert sum(each["transitions"] for each in instances) >= 1000
    assert at_rest(lab, daemon) == {"kad", "kad: runner", "kad: vrrp", "kad: ipvs", "kad: checker"}
    readers.close()


def at_rest(lab: Lab, daemon: Kad) -> set[str]:
    """The names of the daemon's processes; all of them take less than MOST for REST seconds."""
    begin = {pid: processor_seconds(pid) for pid in daemon.family()}
    lab.hub.never(lambda: None, REST, "nothing")
    used = {name: (processor_seconds(pid) - begin[pid]) / REST for pid, name in daemon.family().items()}
    assert {name: share for name, share in used.items() if share >= MOST} == {}
    return set(used)
