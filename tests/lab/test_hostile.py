"""A child or a client that wants the parent to end finds a parent that serves on."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from kad.shared import messages
from tests.lab.impostor import Impostor, start_with_impostors
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
SERVED = "virtual_server 10.77.0.200 80 {\n lb_kind NAT\n real_server 10.88.0.1 80 {\n TCP_CHECK {\n }\n }\n}\n"


def resident(pid: int) -> int:
    """Bytes of memory that the process occupies."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) * 1024


def nested(impostor: Impostor) -> None:
    impostor.raw(20, b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0", "VI_1")


def huge(impostor: Impostor) -> None:
    descriptor = os.memfd_create("snapshot", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, 64 << 40)
    impostor.say(messages.SnapshotTaken(number=1), descriptor=descriptor)
    os.close(descriptor)


def far(impostor: Impostor) -> None:
    state = messages.RouterState(name="VI_1", state="MASTER", since=1.0, priority=100, holds_addresses=True, slot=1)
    plain = {**msgspec.to_builtins(state), "slot": 10**9}
    impostor.raw(20, msgspec.msgpack.encode(plain), "VI_1")


def test_a_child_that_says_what_ended_the_parent_is_replaced(lab: Lab) -> None:
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    daemon, impostors = start_with_impostors(lab, node, global_defs() + instance() + SERVED, "vrrp", "checker")
    with impostors:
        impostors.wait("vrrp", "checker")
        daemon.wait_log("Startup complete")
        vrrp, checker = impostors.wait("vrrp", "checker")
        for attack in (nested, far):
            attack(vrrp)
            vrrp = impostors.next_life(vrrp)
        huge(checker)
        checker = impostors.next_life(checker)
        checker.say(messages.FifoOpened(path="/dev/null"))
        checker = impostors.next_life(checker)
        before = resident(daemon.pid)
        sent, number = 0, 0
        while sent < 400_000_000 and checker.put(messages.to_frame(health(number)).encode()):
            number += 1
            sent += 100_000
        impostors.next_life(checker)
        assert sent < 80_000_000
        assert resident(daemon.pid) - before < 200_000_000
        assert len(daemon.logged("it breaks the protocol")) == 5
        assert not daemon.logged("Traceback")
        assert daemon.exit_status is None
        assert daemon.dump("generation") == 1


def health(number: int) -> messages.ServerHealth:
    return messages.ServerHealth(
        service="s", address="10.88.0.1", port=number, healthy=True, known=True, since=1.0, reason="x" * 100_000
    )


def test_sixty_four_idle_clients_and_one_more_do_not_end_it(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    with ExitStack() as stack:
        clients = []
        for _ in range(64):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.connect(str(a.files / "run" / "kad" / "control"))
            clients.append(client)
        lab.hub.never(lambda: None, 0.3, "nothing")
        daemon.send(signal.SIGSTOP)
        last = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        last.connect(str(a.files / "run" / "kad" / "control"))
        clients[0].sendall(b"x")
        daemon.send(signal.SIGCONT)
        lab.stays(VIP, a, 0.5)
        assert daemon.exit_status is None
        assert daemon.ask("--status").returncode == 0
