"""What systemd hears on its socket, and when it hears nothing."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced
from tests.lab.texts import global_defs, instance, router
from tests.lab.wrapped import BLOCK, start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


class Manager:
    """Stands in for systemd: a socket that notes each message with its time."""

    def __init__(self, lab: Lab, node: Node) -> None:
        self._hub = lab.hub
        self.path = "/run/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(node.files / "run" / "notify"))
        self.heard: list[tuple[float, dict[str, str]]] = []
        lab.hub.watch(self._socket, self._read)

    def _read(self) -> None:
        lines = self._socket.recv(4096).decode().splitlines()
        self.heard.append((time.time(), dict(line.split("=", 1) for line in lines)))

    def words(self, name: str, since: float = 0.0) -> list[tuple[float, str]]:
        """Each value of that word."""
        return [(at, message[name]) for at, message in self.heard if name in message and at >= since]

    def wait(self, name: str, value: str, seconds: float = 5, since: float = 0.0) -> float:
        def found() -> float | None:
            return next((at for at, said in self.words(name, since) if said == value), None)

        return self._hub.until(found, seconds, lambda: f"{name}={value} in {self.heard}")

    def close(self) -> None:
        self._hub.forget(self._socket)
        self._socket.close()


@pytest.fixture
def manager(pair: Pair) -> Iterator[Manager]:
    lab, a, _ = pair
    made = Manager(lab, a)
    yield made
    made.close()


def test_ready_status_reloading_and_stopping(pair: Pair, manager: Manager) -> None:
    lab, a, _ = pair
    text = global_defs() + instance("one", vrid=1) + instance("two", vrid=2, addresses=("10.77.0.102",))
    daemon = start_wrapped(lab, a, text, variables={"NOTIFY_SOCKET": manager.path})
    ready = manager.wait("READY", "1")
    [(_, main)] = manager.words("MAINPID")
    assert int(main) == int(a.read_run("kad/kad.pid"))
    started = daemon.wait_log("Startup complete")
    assert abs(ready - started.time) < 0.3
    manager.wait("STATUS", "2 MASTER")
    statuses = [said for _, said in manager.words("STATUS")]
    assert "2 BACKUP" in statuses
    lab.cut(a)

    begin = daemon.reload(text.replace("priority 100", "priority 120"))
    reloading = manager.wait("RELOADING", "1", since=begin)
    [(_, clock)] = manager.words("MONOTONIC_USEC", since=begin)
    # systemd takes the answer only when it is of its own clock.
    assert 0 < time.monotonic() - int(clock) / 1e6 < 5
    assert manager.wait("READY", "1", since=begin) > reloading

    begin = daemon.reload("vrrp_instance {\n")
    assert manager.wait("READY", "1", since=manager.wait("RELOADING", "1", since=begin)) > begin
    daemon.wait_log("Reload refused", since=begin)
    assert not manager.words("STOPPING")
    begin = time.time()
    assert daemon.stop() == 0
    assert manager.wait("STOPPING", "1", since=begin) < begin + 0.3
    assert not manager.words("WATCHDOG")


def test_keep_alives_come_only_while_the_children_answer(pair: Pair, manager: Manager) -> None:
    lab, a, _ = pair
    text = global_defs("child_deaf_time 3") + instance()
    variables = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "600000"}
    daemon = start_wrapped(lab, a, text, variables=variables, deaf=True)
    lab.wait_holder(VIP, a, seconds=8)
    begin = time.time()
    lab.hub.until(lambda: len(manager.words("WATCHDOG", begin)) >= 5, 3, "keep-alives")
    # Twice as often as asked for, at least.
    assert longest_silence(manager, begin) < 0.3 + 0.15
    old = daemon.child("runner")
    begin = time.time()
    os.kill(old, BLOCK)
    killed = daemon.wait_log("killing the runner process", since=begin, seconds=5)
    replaced(lab, daemon, "runner", old)
    lab.hub.until(lambda: len(manager.words("WATCHDOG", killed.time)) >= 2, 2, "keep-alives go on")
    assert 0.5 < longest_silence(manager, begin) < 1.5


def longest_silence(manager: Manager, since: float) -> float:
    return max(later - earlier for (earlier, _), (later, _) in pairwise(manager.words("WATCHDOG", since)))


def test_keep_alives_go_on_while_a_child_is_replaced(pair: Pair, manager: Manager) -> None:
    lab, a, _ = pair
    variables = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"}
    daemon = start_wrapped(lab, a, router(), variables=variables)
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    old, _ = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.hub.until(lambda: len(manager.words("WATCHDOG", begin)) >= 3, 2, "keep-alives go on")


def test_keep_alives_stop_with_the_parent_s_own_loop(pair: Pair, manager: Manager) -> None:
    lab, a, _ = pair
    variables = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"}
    daemon = start_wrapped(lab, a, router(), variables=variables)
    lab.wait_holder(VIP, a, seconds=5)
    lab.hub.until(lambda: manager.words("WATCHDOG"), 2, "keep-alives")
    daemon.send(signal.SIGSTOP)
    begin = time.time() + 0.05
    lab.hub.never(lambda: manager.words("WATCHDOG", begin), 1, "a stopped parent says that all is well")
    daemon.send(signal.SIGCONT)
    lab.hub.until(lambda: manager.words("WATCHDOG", begin), 2, "keep-alives go on")


def test_a_failed_start_is_no_ready(pair: Pair, manager: Manager) -> None:
    lab, a, _ = pair
    daemon = start_wrapped(lab, a, "vrrp_instance {\n", variables={"NOTIFY_SOCKET": manager.path})
    assert daemon.wait_exit() != 0
    assert not manager.words("READY")
    assert manager.words("STOPPING")


def test_a_socket_where_nobody_listens_is_no_trouble(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = start_wrapped(lab, a, router(), variables={"NOTIFY_SOCKET": "/run/nowhere", "WATCHDOG_USEC": "300000"})
    lab.wait_holder(VIP, a, seconds=5)
    assert daemon.stop() == 0
    assert not Path(a.files / "run" / "nowhere").exists()
