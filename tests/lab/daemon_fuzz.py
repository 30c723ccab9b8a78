"""Random frames, descriptors, pages, deaths and requests against a running daemon, which is watched from outside."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kad.cli import control_client
from kad.linux.sockets.channel import ChannelLost
from kad.shared import control_protocol, messages
from kad.shared.framing import BadFrame, Frame
from tests.lab.impostor import Impostors, start_with_impostors
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import environment
from tests.lab.texts import global_defs, instance
from tests.lab.wrapped import WrappedKad
from tests.unit.watchdog import close_all
from tests.unit.watchdog.fuzz import REQUEST, STEP, open_descriptor

INTERVAL = 0.5
LONGEST_GAP = 3 * INTERVAL
"""Seconds without an advert after which a BACKUP takes over."""
NOBODY, KAD = 65534, 4321
TEXT = (
    global_defs("ipvs_required no")
    + 'vrrp_script fine {\n script "/bin/true"\n interval 1\n weight 2\n}\n'
    + "bfd_instance other {\n neighbor_ip 10.77.0.9\n source_ip 10.77.0.1\n}\n"
    + instance(priority=150, advert_int=INTERVAL, more="track_script {\n fine\n}\ntrack_bfd {\n other weight 2\n}")
    + "virtual_server 10.77.0.200 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n"
    + " real_server 10.77.0.8 80 {\n TCP_CHECK {\n }\n }\n}\n"
)
REASONS = r"it breaks the protocol \(|its channel is closed|no sign of life|it does not read what it is sent"

_STEPS = st.lists(
    st.one_of(
        STEP,
        st.tuples(st.just("look"), REQUEST),
        st.tuples(st.just("crowd"), st.integers(0, 63)),
        st.tuples(st.just("ask"), REQUEST),
    ),
    min_size=5,
    max_size=40,
)

# A member of group kad: it connects and sends what it is told to, and reads no answer.
_LOOKER = """
import os, socket, sys
os.setgroups([int(sys.argv[2])])
os.setresgid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
os.setresuid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
clients = []

def connect(request):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setblocking(False)
    clients.append(client)
    try:
        client.connect("/run/kad/control")
        client.send(request)
    except OSError:
        pass

for line in sys.stdin:
    match line.split():
        case ["look", request]:
            connect(bytes.fromhex(request))
        case ["crowd", number]:
            first = len(clients)
            for _ in range(65):
                connect(b"")
            try:
                clients[first + int(number)].send(b"x")
            except OSError:
                pass
        case ["leave"]:
            while clients:
                clients.pop().close()
    print("done", flush=True)
"""


@dataclass
class Figures:
    """What was seen of the daemon; bytes and seconds."""

    sequences: int = 0
    steps: int = 0
    lives: int = 0
    grown: int = 0
    longest_gap: float = 0.0
    slowest_answer: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.sequences} sequences of {self.steps} steps, {self.lives} processes of the hostile child, "
            f"memory grew by {self.grown / 1e6:.1f} MB at most, longest time between adverts {self.longest_gap:.2f} s, "
            f"slowest answer to root {self.slowest_answer:.2f} s"
        )


def memory(pid: int) -> int:
    """Bytes that the process occupies."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) * 1024


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class Attack:
    """One hostile child and hostile clients of a running daemon."""

    def __init__(self, lab: Lab, node: Node, daemon: WrappedKad, impostors: Impostors, name: str) -> None:
        self._lab = lab
        self.daemon = daemon
        self._impostors = impostors
        self._name = name
        self._folder = node.files / "run" / "kad"
        self._clients: list[socket.socket] = []
        [self._life] = impostors.wait(name)
        daemon.wait_log("Startup complete")
        words = [sys.executable, "-c", _LOOKER, str(NOBODY), str(KAD)]
        self._looker = node.start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
        self._others = self._children()
        lab.hub.never(lambda: None, 1.0, "all has begun")
        self._memory, self._open_files = memory(daemon.pid), open_files(daemon.pid)
        self._began = time.time()
        self.figures = Figures()

    def _children(self) -> dict[str, int]:
        names = [name for name in ("runner", "vrrp", "bfd", "ipvs", "checker") if name != self._name]
        return {name: self.daemon.child(name) for name in names}

    def close(self) -> None:
        self._leave()
        self._looker.kill()
        self._looker.wait()
        for pipe in (self._looker.stdin, self._looker.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    # what is done

    def play(self, steps: list[tuple[Any, ...]]) -> None:
        """All of them, then the daemon is as before. Raises AssertionError."""
        self.figures.sequences += 1
        for step in steps:
            self.figures.steps += 1
            self._do(step)
        self._leave()
        self._assert_unharmed()

    def _do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("frame", _, (kind, body), key, kinds):
                self._put(Frame(kind, key, body).encode(), kinds)
            case ("message", _, frame):
                self._put(frame.encode(), [])
            case ("snapshot", _, kinds, text):
                self._put(messages.to_frame(messages.SnapshotTaken(number=1, json=text)).encode(), kinds)
            case ("bytes", _, data):
                self._put(data, [])
            case ("page", _, moment, slot):
                self._life.order("page", moment, slot)
            case ("close", _):
                self._life.channel.close()
                self._replaced()
            case ("die", _):
                self._life.order("die")
                self._replaced()
            case ("read", _):
                self._read()
            case ("client" | "ask", request):
                self._connect(request)
            case ("more", request) if self._clients:
                with suppress(OSError):
                    self._clients[-1].send(request)
            case ("leave",) if self._clients:
                self._clients.pop(0).close()
            case ("look", request):
                self._tell_looker("look", request.hex() or "00")
            case ("crowd", number):
                self._tell_looker("crowd", str(number))
            case _:
                pass

    def _put(self, data: bytes, kinds: list[str]) -> None:
        opened = [open_descriptor(kind) for kind in kinds]
        arrived = self._life.put(data, opened)
        close_all(opened)
        if not arrived:
            self._replaced()

    def _read(self) -> None:
        with suppress(ChannelLost, BadFrame, ValueError, OSError):
            self._life.read()

    def _replaced(self) -> None:
        self._life = self._impostors.next_life(self._life)
        for earlier in self._impostors.born[: self._impostors.born.index(self._life)]:
            earlier.close()
        del self._impostors.born[: self._impostors.born.index(self._life)]
        self.figures.lives += 1

    def _connect(self, request: bytes) -> None:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        with suppress(OSError):
            client.connect(str(self._folder / "control"))
            client.send(request)
        self._clients.append(client)

    def _tell_looker(self, *words: str) -> None:
        assert self._looker.stdin is not None
        assert self._looker.stdout is not None
        self._looker.stdin.write(" ".join(words).encode() + b"\n")
        self._looker.stdin.flush()
        assert self._looker.stdout.readline() == b"done\n"

    def _leave(self) -> None:
        while self._clients:
            self._clients.pop().close()
        self._tell_looker("leave")

    # what is seen

    def ask(self, verb: str) -> float:
        """Seconds until root has its answer; the hostile child goes on meanwhile."""
        answers: list[Any] = []

        def ask() -> None:
            try:
                answers.append(control_client.ask(self._folder, {"verb": verb}, 20.0))
            except control_protocol.ControlError as error:
                answers.append(error)

        begun = time.monotonic()
        asking = threading.Thread(target=ask)
        asking.start()
        self._lab.hub.until(lambda: self._still_lives() and answers, 20, f"an answer to {verb}")
        asking.join()
        refused = isinstance(answers[0], control_protocol.ControlError) and str(answers[0]).startswith(
            "the reload is refused"
        )
        assert refused or isinstance(answers[0], dict), answers
        return time.monotonic() - begun

    def _still_lives(self) -> bool:
        """Answers what the parent asks of the hostile child, whichever process that is now."""
        self._life = self._impostors.born[-1]
        with suppress(ChannelLost, BadFrame, ValueError, OSError):
            self._impostors.is_configured(self._life)
        return True

    def _assert_unharmed(self) -> None:
        daemon, figures = self.daemon, self.figures
        assert daemon.exit_status is None
        figures.slowest_answer = max(figures.slowest_answer, self.ask("configuration"))
        assert figures.slowest_answer < 5

        def closed() -> bool:
            self._still_lives()
            return open_files(daemon.pid) <= self._open_files

        self._lab.hub.until(closed, 5, lambda: f"open files: {self._open_files}, then {open_files(daemon.pid)}")
        figures.grown = max(figures.grown, memory(daemon.pid) - self._memory)
        assert figures.grown < 150_000_000
        gone = [name for name, pid in self._others.items() if not Path(f"/proc/{pid}/fd/0").is_symlink()]
        assert not gone
        assert not daemon.logged("Traceback|cannot be served")
        if self._name != "vrrp":
            moments = [advert.time for advert in self._lab.wire.adverts(node="a", since=self._began)]
            gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
            figures.longest_gap = max(gaps, default=0.0)
            assert figures.longest_gap < LONGEST_GAP
        killed = daemon.logged(f"killing the {self._name} process")
        assert len(killed) == len(daemon.logged(f"killing the {self._name} process .*: ({REASONS})"))


@contextmanager
def attacked(lab: Lab, name: str) -> Iterator[Attack]:
    """A daemon whose child of this name is hostile, on a host with a group kad."""
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    group = node.write("group", f"root:x:0:\nnogroup:x:{NOBODY}:\nkad:x:{KAD}:\n")
    node.run("mount", "--bind", f"/etc/keepalived/{group.name}", "/etc/group")
    daemon, impostors = start_with_impostors(lab, node, TEXT, name, at_once=True)
    with impostors:
        attack = Attack(lab, node, daemon, impostors, name)
        try:
            yield attack
        finally:
            attack.close()


def fuzz(lab: Lab, name: str, *, seconds: float, most: int = 1_000_000) -> Figures:
    """So long, or so many sequences; what was seen. Raises AssertionError where the daemon was harmed."""
    with attacked(lab, name) as attack:
        end = time.monotonic() + seconds

        # A daemon that was harmed once would fail at every smaller sequence too, so none is searched for.
        @settings(
            max_examples=min(most, 200),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(steps=_STEPS)
        def plays(steps: list[tuple[Any, ...]]) -> None:
            if time.monotonic() < end:
                try:
                    attack.play(steps)
                except AssertionError:
                    print(f"--- the steps\n{steps!r}"[:20_000])
                    raise

        while time.monotonic() < end and attack.figures.sequences < most:
            plays()
        attack.ask("reload")
        return attack.figures
