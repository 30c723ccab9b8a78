"""A hardware watchdog, played by a FIFO: fed while the children live, let go by a magic letter, starved otherwise."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced
from tests.lab.texts import global_defs, instance
from tests.lab.wrapped import start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


class Device:
    """A FIFO in the node: what is written there, with its time; `closed` once nobody holds it open any more."""

    def __init__(self, lab: Lab, node: Node, name: str = "dog") -> None:
        self._hub = lab.hub
        self.path = f"/run/{name}"
        outside = node.files / "run" / name
        os.mkfifo(outside)
        self._reader = os.open(outside, os.O_RDONLY | os.O_NONBLOCK)
        self.fed: list[tuple[float, bytes]] = []
        self.closed = False
        lab.hub.watch(self._reader, self._read)

    def _read(self) -> None:
        data = os.read(self._reader, 4096)
        if data:
            self.closed = False
            self.fed.append((time.time(), data))
        else:
            self.closed = True
            self._hub.forget(self._reader)

    @property
    def bytes(self) -> bytes:
        return b"".join(data for _, data in self.fed)

    def since(self, moment: float) -> bytes:
        return b"".join(data for at, data in self.fed if at >= moment)

    def close(self) -> None:
        self._hub.forget(self._reader)
        os.close(self._reader)


@pytest.fixture
def device(pair: Pair) -> Iterator[Device]:
    lab, a, _ = pair
    made = Device(lab, a)
    yield made
    made.close()


def text(path: str, *more: str) -> str:
    return global_defs(f"watchdog_device {path}", *more) + instance()


def test_it_is_fed_each_second_and_let_go_at_the_end(pair: Pair, device: Device) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, text(device.path))
    lab.wait_holder(VIP, a, seconds=5)
    lab.hub.until(lambda: len(device.bytes) >= 3, 5, "it is fed")
    moments = [at for at, _ in device.fed]
    assert all(0.8 < later - earlier < 1.4 for earlier, later in pairwise(moments))
    assert b"V" not in device.bytes
    # A child does not hold it open: else its death alone would be no death for the device.
    for pid in set(daemon.family()) - {daemon.pid}:
        assert not [fd for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}").endswith("/dog")]
    assert daemon.stop() == 0
    lab.hub.until(lambda: device.closed, 2, "it is closed")
    assert device.bytes.endswith(b"V")
    assert device.bytes.count(b"V") == 1


def test_a_crash_of_a_child_does_not_starve_it(pair: Pair, device: Device) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, text(device.path))
    lab.wait_holder(VIP, a, seconds=5)
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.hub.until(lambda: device.since(moment), 2.5, "it is fed")


def test_a_parent_that_is_killed_leaves_it_armed(pair: Pair, device: Device) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, text(device.path))
    lab.hub.until(lambda: device.bytes, 5, "it is fed")
    daemon.send(signal.SIGKILL)
    lab.hub.until(lambda: device.closed, 3, "nobody has it open")
    assert b"V" not in device.bytes


def test_it_starves_while_a_child_cannot_be_brought_back(pair: Pair, device: Device) -> None:
    lab, a, _ = pair
    daemon = start_wrapped(lab, a, text(device.path), deaf=True)
    lab.hub.until(lambda: device.bytes, 5, "it is fed")
    lab.wait_holder(VIP, a, seconds=5)
    (a.files / "run" / "stillborn").touch()
    kill(daemon, "vrrp")
    lab.hub.until(lambda: time.time() - device.fed[-1][0] > 2.5, 10, "it starves as long as there is no vrrp process")
    # The next life is born well.
    daemon.wait_log("killing the vrrp process", seconds=6)
    begin = time.time()
    lab.hub.until(lambda: device.since(begin), 2, "it is fed again")


def test_a_reload_opens_moves_and_lets_go(pair: Pair, device: Device) -> None:
    lab, a, _ = pair
    other = Device(lab, a, "other")
    daemon = lab.start_kad(a, global_defs() + instance())
    lab.wait_holder(VIP, a, seconds=5)
    assert device.bytes == b""
    daemon.reload(text(device.path))
    lab.hub.until(lambda: device.bytes, 3, "it is fed")
    daemon.reload(text(other.path))
    lab.hub.until(lambda: device.closed and device.bytes.endswith(b"V"), 3, "the first is let go")
    lab.hub.until(lambda: other.bytes, 3, "the second is fed")
    daemon.reload(global_defs() + instance())
    lab.hub.until(lambda: other.closed and other.bytes.endswith(b"V"), 3, "the second is let go")
    other.close()


def test_a_device_that_is_not_there_is_said_and_no_more(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, text("/run/nowhere"))
    lab.wait_holder(VIP, a, seconds=5)
    daemon.wait_log("watchdog device /run/nowhere: No such file")
