"""BFD beside keepalived's: sessions come up and go down with the neighbour, priorities follow, crashes are not seen."""

from __future__ import annotations

import math
import os
import signal
import socket
import struct
import subprocess
import time
from typing import Any

import pytest

from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
A, B = "10.77.0.1", "10.77.0.2"


def watching(neighbor: str, *, priority: int, weight: int = -20, more: str = "") -> str:
    block = f"""bfd_instance peer {{
    neighbor_ip {neighbor}
    min_rx 50
    min_tx 50
    multiplier 3
    {more}
}}
"""
    tracks = f"track_bfd {{\n peer weight {weight}\n }}" if weight else "track_bfd {\n peer\n }"
    return global_defs() + block + instance(priority=priority, more=tracks)


def session(daemon: Kad) -> dict[str, Any]:
    (one,) = daemon.dump("bfd")["sessions"]
    assert isinstance(one, dict)
    return one


def is_up(daemon: Kad) -> bool:
    return session(daemon)["state"] == "UP"


def both_up(lab: Lab, first: Kad, second: Daemon) -> None:
    first.wait_log(r"\(peer\) Entering Up state", 8)
    lab.hub.until(lambda: is_up(first), 5, "the session is up")
    if isinstance(second, Kad):
        second.wait_log(r"\(peer\) Entering Up state", 8)


@pytest.mark.parametrize("program", BOTH)
def test_a_neighbour_that_vanishes_moves_the_priority_within_its_detection_time(pair: Pair, program: str) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, watching(B, priority=150))
    second = lab.start(program, b, watching(A, priority=100))
    both_up(lab, first, second)
    lab.wire.wait_advert(node="a", priority=150, seconds=5)
    # Both have agreed on what was configured: 3 packets, 50 ms apart.
    lab.hub.until(lambda: session(first)["detection_time"] == pytest.approx(0.15), 3, lambda: str(session(first)))
    assert session(first)["interval"] == pytest.approx(0.05)
    begin = time.time()
    lab.cut(b)
    line = first.wait_log(r"\(peer\) Entering Down state: no packet from 10.77.0.2 for 150 ms", 5, begin)
    assert 0.09 < line.time - begin < 0.15 + 0.25
    lab.wire.wait_advert(node="a", priority=130, seconds=2)
    lab.heal(b)
    lab.wire.wait_advert(node="a", priority=150, seconds=8)


def multiplier_of_this_machine() -> int:
    """So many intervals of 50 ms as a process that is replaced needs here: 3, and more where a start takes long."""

    def seconds() -> float:
        begin = time.monotonic()
        subprocess.run(["/bin/true"], check=True)
        return time.monotonic() - begin

    return max(3, math.ceil(20 * max(seconds() for _ in range(20)) / 0.05))


def test_a_crash_of_the_process_is_not_seen_by_the_neighbour_nor_by_vrrp(pair: Pair) -> None:
    lab, a, b = pair
    multiplier = multiplier_of_this_machine()
    texts = [watching(B, priority=150, weight=0), watching(A, priority=100, weight=0)]
    first, second = (
        lab.start_kad(node, text.replace("multiplier 3", f"multiplier {multiplier}"))
        for node, text in zip((a, b), texts, strict=True)
    )
    both_up(lab, first, second)
    lab.wait_holder("10.77.0.100", a, seconds=8)
    detection = pytest.approx(0.05 * multiplier)
    lab.hub.until(lambda: session(second)["detection_time"] == detection, 3, "the fast intervals count")
    before = session(first)
    begin = time.time()
    os.kill(first.child("bfd"), signal.SIGKILL)
    lab.hub.until(lambda: session(first)["received"] > 20, 5, "the next one goes on")
    after = session(first)
    assert (after["state"], after["discriminator"]) == ("UP", before["discriminator"])
    for daemon in (first, second):
        assert not daemon.logged("Entering (Down|FAULT|BACKUP) ", begin)
    assert first.stop() == 0
    # A neighbour that is stopped in order has not failed.
    line = second.wait_log(r"\(peer\) Entering Down state: 10.77.0.1 was taken down by its administrator", 3, begin)
    lab.hub.never(lambda: second.logged("Entering FAULT", line.time), 0.5, "that is no fault")


def test_a_neighbour_that_never_answers_is_a_fault_and_ipv6_works_too(pair: Pair) -> None:
    lab, a, b = pair
    for node, address in ((a, "fd00:77::1"), (b, "fd00:77::2")):
        node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
        node.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
        node.run("ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
    first = lab.start_kad(a, watching("fd00:77::2", priority=150, weight=0))
    lab.hub.never(lambda: lab.holders("10.77.0.100"), 1.5, "nobody answers")
    lab.start_kad(b, watching("fd00:77::1", priority=100, weight=0, more="source_ip fd00:77::2\n passive"))
    lab.wait_holder("10.77.0.100", a, seconds=8)
    lab.hub.until(lambda: session(first)["neighbor_state"] == "UP", 3, "both say so")


def malformed(number: int) -> bytes:
    """A control packet that differs from every other one, wrong in its version, length or state."""
    wrong = ((0x40 + number % 8, 0xC0, 24), (0x20, 0xC0, 25 + number % 200), (0x20, number % 256 | 0x01, 24))[
        number % 3
    ]
    body = struct.pack("!BBBBIIIII", wrong[0], wrong[1], 3, wrong[2], number + 1, number + 2, 50_000, 50_000, 0)
    return body if number % 5 else body[: number % 24]


def from_off_link(source: str, number: int) -> bytes:
    """In an IP datagram that has been forwarded: no router lets a TTL of 255 pass."""
    data = malformed(number)
    udp = struct.pack("!HHHH", 49152, 3784, 8 + len(data), 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 0, number & 0xFFFF, 0, 64, 17, 0)
    return head + socket.inet_aton(source) + socket.inet_aton(A) + udp + data


def test_a_flood_of_malformed_packets_from_off_link_takes_no_session_down(pair: Pair) -> None:
    lab, a, b = pair
    # A second of detection: a busy machine is no flood.
    texts = [watching(B, priority=150, weight=0), watching(A, priority=100, weight=0)]
    slow = [text.replace("rx 50", "rx 200").replace("tx 50", "tx 200").replace("plier 3", "plier 5") for text in texts]
    first, second = lab.start_kad(a, slow[0]), lab.start_kad(b, slow[1])
    both_up(lab, first, second)
    lab.wait_holder("10.77.0.100", a, seconds=8)
    lab.hub.until(lambda: session(first)["detection_time"] == pytest.approx(1.0), 3, "the fast intervals count")
    stranger = lab.node("stranger", {"eth0": "10.77.0.66/24"})
    begin = time.time()
    with stranger.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as speaker:
        for batch in range(200):
            for number in range(batch * 40, batch * 40 + 40):
                # Forged as the neighbour, and from any host.
                source = B if number % 2 else f"198.51.{number >> 8 & 255}.{number & 255}"
                speaker.sendto(from_off_link(source, number), (A, 0))
            lab.hub.never(lambda: first.logged("Entering Down", begin), 0.02, "the session goes down")
    assert is_up(first)
    assert not first.logged("Entering (Down|FAULT|BACKUP) ", begin)
    assert lab.holders("10.77.0.100") == {"a"}
    # The kernel drops them: nothing of 8,000 packets reaches the process, or the log.
    assert first.dump("bfd")["discarded"] == {}
    assert not first.logged("a BFD packet of", begin)
