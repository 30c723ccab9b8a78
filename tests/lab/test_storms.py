"""Storms of 15,000 packets a second: kad as MASTER beside a real keepalived holds its address, in time and memory."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.storms import BACKUP, DISTINCT, MASTER, PASSWORD, STORMS, STRANGER, VIP, Frame, Target
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.more]

RATE, COUNT = 15_000, 225_000
"""Packets a second, and packets: 15 s of them."""
WARM_UP = 3_000
MOST_GROWTH = 2.0
"""Megabytes by which the memory of a process may grow: nine bytes a packet."""
OF_KEEPALIVED, OF_UNICAST = "10.77.0.102", "10.77.0.103"
SPAN = 1.0
"""Seconds between adverts."""


def virtual(name: str, vrid: int, priority: int, address: str, more: str = "") -> str:
    authentication = f"authentication {{\n auth_type PASS\n auth_pass {PASSWORD}\n }}"
    text = instance(
        name, vrid=vrid, priority=priority, version=2, advert_int=1, addresses=(f"{address}/32",), more=authentication
    )
    return text.removesuffix("}\n") + more + "}\n"


def text(own: str, other: str, priorities: tuple[int, int, int], more: str) -> str:
    unicast = f"unicast_src_ip {own}\n unicast_peer {{\n {other}\n }}\n check_unicast_src\n"
    first, second, third = priorities
    return (
        global_defs()
        + f"bfd_instance peer {{\n neighbor_ip {other}\n min_rx 400\n min_tx 400\n multiplier 5\n}}\n"
        + virtual("OF_KAD", 51, first, VIP, "track_bfd {\n peer\n }\n" * (own == MASTER))
        + virtual("OF_KEEPALIVED", 52, second, OF_KEEPALIVED)
        + virtual("UNICAST", 53, third, OF_UNICAST, unicast)
        + more
    )


CHECKED = f"""global_defs {{
    ipvs_required no
}}
virtual_server 10.77.0.200 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    delay_loop 1
    real_server {BACKUP} 80 {{
        PING_CHECK {{
        }}
    }}
}}
"""


class Lateness:
    """By how many seconds this machine woke a thread too late, at most."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Lateness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            begin = time.monotonic()
            time.sleep(0.005)
            self.longest = max(self.longest, time.monotonic() - begin - 0.005)


class Scene:
    """kad is MASTER of the first and third router, keepalived of the second; a stranger sends."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.a = lab.node("a", {"eth0": f"{MASTER}/16"})
        self.b = lab.node("b", {"eth0": f"{BACKUP}/16"})
        self.stranger = lab.node("stranger", {})
        # Nobody reads what it sends: that would cost this machine more than the daemons.
        lab.add_interface(self.stranger, "eth0", f"{STRANGER}/16", observed=False)
        self.kad: Kad = lab.start_kad(self.a, text(MASTER, BACKUP, (150, 100, 150), CHECKED))
        self.b.write("keepalived.conf", text(BACKUP, MASTER, (100, 150, 100), ""))
        # Without a log: it writes a line for each packet, and to read those costs more than to receive the packets.
        self.keepalived = self.b.start(["keepalived", "-n", "-G", "-f", "/etc/keepalived/keepalived.conf"])
        for address, node in self.wanted.items():
            lab.wait_holder(address, node, seconds=15)
        self.kad.wait_log(r"\(peer\) Entering Up state", 10)
        self._file = folder / "frames"

    @property
    def wanted(self) -> dict[str, Node]:
        return {VIP: self.a, OF_KEEPALIVED: self.b, OF_UNICAST: self.a}

    def received(self) -> int:
        return int(self.a.ip("-s", "link", "show", "eth0")[0]["stats64"]["rx"]["packets"])

    def load(self, storm: Frame) -> None:
        target = Target(bytes.fromhex(self.a.ip("link", "show", "eth0")[0]["address"].replace(":", "")))
        self._file.write_bytes(pickle.dumps([storm(number, target) for number in range(DISTINCT)]))

    def send(self, count: int) -> tuple[int, float]:
        """How many arrived at least, and at which rate they were sent."""
        before = self.received()
        words = [sys.executable, "-m", "tests.lab.storm_sender", "eth0", str(self._file), str(count), str(RATE)]
        sender = self.stranger.start(words, stdout=subprocess.PIPE)
        try:
            self.lab.hub.until(lambda: sender.poll() is not None, count / RATE + 15, "the storm is over")
        finally:
            sender.kill()
            sent, seconds = sender.communicate()[0].split()
        return self.received() - before, int(sent) / float(seconds)

    def memory(self) -> dict[str, float]:
        """Megabytes of each process of kad."""
        return {name: resident(pid) for pid, name in self.kad.family().items()}

    def longest(self, vrid: int, node: Node, since: float) -> float:
        """Seconds between two adverts of that router, beyond the interval."""
        moments = [advert.time for advert in self.lab.wire.adverts(node=node.name, vrid=vrid, since=since)]
        return max(later - earlier for earlier, later in pairwise(moments)) - SPAN


def resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


@pytest.fixture
def scene(lab: Lab, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(lab, tmp_path)
    yield made
    made.keepalived.terminate()
    made.keepalived.wait()


@pytest.mark.parametrize("storm", STORMS, ids=lambda storm: storm.__name__)
def test_the_address_is_held_adverts_go_in_time_and_memory_stays(scene: Scene, storm: Frame) -> None:
    lab, kad = scene.lab, scene.kad
    scene.load(storm)
    scene.send(WARM_UP)
    family, before, begin = kad.family(), scene.memory(), time.time()
    lines = len(kad.lines)
    with Lateness() as lateness:
        arrived, rate = scene.send(COUNT)
    lab.hub.never(lambda: None, 0.2, "nothing")
    after = scene.memory()
    late, reference = scene.longest(51, scene.a, begin), scene.longest(52, scene.b, begin)
    grown = {name: round(after[name] - before[name], 2) for name in after}
    print(f"{storm.__name__}: {arrived} at {rate:.0f}/s, {late=:.3f} {reference=:.3f} {lateness.longest=:.3f} {grown=}")
    print("discarded", [each["discarded"] for each in kad.dump("vrrp")["instances"]], len(kad.lines) - lines, "lines")
    assert arrived >= COUNT
    # Held: nobody else had it for a moment, and each process is the same one.
    for address, node in scene.wanted.items():
        assert lab.holders(address) == {node.name}, address
        assert lab.moves(address, begin) == [], address
    assert kad.family() == family
    assert not kad.logged("Entering|Traceback", since=begin)
    # In time: not much later than keepalived's under the same storm, or than this machine woke this test.
    assert late < max(0.1, 1.5 * reference, 2 * lateness.longest)
    assert max(grown.values()) < MOST_GROWTH, grown
    # The log is bounded as well, and what kad itself sends because of it.
    assert len(kad.lines) - lines < 100
    assert len(lab.wire.announcements(node="a", since=begin)) < 100
    assert kad.stop() == 0
