"""Two hosts, one address, a cable that is pulled: kad in one terminal, without root and without any other program."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import IO

from kad.linux.refused import Refused
from kad.tools import demo_client, demo_host
from kad.tools.demo_lan import BRIDGE, Forbidden, Lan, enter_own_world
from kad.tools.demo_screen import LOST, HostView, PlainScreen, Screen, View, open_screen

ROOM = Path(__file__).resolve().parents[2]
VIRTUAL_ADDRESS = "192.0.2.100"
CLIENT_ADDRESS = "192.0.2.10"
PREFIX = 24
PING_INTERVAL = 0.05
START, ELECTION, TAKEOVER, RETURN, FAREWELL = 10.0, 8.0, 8.0, 8.0, 5.0
"""Seconds after which a scene has failed."""
_STATE = re.compile(r"\((\w+)\) (Entering (MASTER|BACKUP|FAULT) STATE.*)")


class SceneFailed(Exception):
    """What should have happened did not."""


@dataclass
class Host:
    """A host of the LAN and the kad on it."""

    view: HostView
    mac: bytes
    configuration: Path
    runtime_directory: Path
    process: subprocess.Popen[bytes] | None = None
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> str:
        return f"port-{self.view.name}"

    def states(self) -> list[str]:
        """Every state that its kad said it entered."""
        return [found[3] for line in self.log if (found := _STATE.search(line))]


@dataclass(frozen=True)
class Ping:
    """One request of the client."""

    sent: float
    host: str


class Demo:
    """The stage and the play."""

    def __init__(self, directory: Path) -> None:
        configurations = ROOM / "conf"
        self.hosts = [
            Host(
                HostView(f"node{number}", f"192.0.2.{number}"),
                bytes([2, 0, 0, 0, 0, number]),
                configurations / f"single-master-node{number}.conf",
                directory / f"node{number}",
            )
            for number in (1, 2)
        ]
        self.view = View(VIRTUAL_ADDRESS, [host.view for host in self.hosts])
        self.pings: list[Ping] = []
        self.screen: Screen = PlainScreen()
        self._names = {host.mac.hex(":"): host.view.name for host in self.hosts}
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[int, bytes] = {}
        self._client: subprocess.Popen[bytes] | None = None
        self._wakeup, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._buffers[self._wakeup] = b""
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._leave)

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """A signal: it is acted on where the demo waits, never between the start of a process and its note of it."""
        os.write(self._waker, f"{signal.Signals(number).name}\n".encode())

    def run(self) -> None:
        """Build, play, and take down; raises SceneFailed, Refused."""
        with ExitStack() as stack:
            stack.callback(self._take_down)
            lan = stack.enter_context(Lan())
            self.screen = open_screen(self.view)
            stack.callback(self.screen.close)
            self.screen.event(
                f"two hosts run kad; beside them a client asks {VIRTUAL_ADDRESS} every {PING_INTERVAL * 1000:.0f} ms"
            )
            self._build(lan)
            self._play(lan)

    # the stage

    def _build(self, lan: Lan) -> None:
        lan.set_up("lo")
        lan.create_bridge(BRIDGE)
        lan.add_address(BRIDGE, CLIENT_ADDRESS, PREFIX)
        for host in self.hosts:
            self._start(lan, host)
            # Both wait as long for a master, but for their skew; the first host must not be the later one.
            self._until(START, host.states, f"kad starts on {host.view.name}")
        command = [sys.executable, "-m", demo_client.__name__, VIRTUAL_ADDRESS, str(PING_INTERVAL)]
        self._client = _popen(command)
        self._watch(self._client.stdout, self._ping_line)

    def _start(self, lan: Lan, host: Host) -> None:
        host.runtime_directory.mkdir()
        kad = [sys.executable, "-m", "kad", "-n", "-l", "-G", "-f", str(host.configuration)]
        kad += ["--runtime-dir", str(host.runtime_directory), "-p", str(host.runtime_directory / "kad.pid")]
        command = [sys.executable, "-m", demo_host.__name__, f"{host.view.address}/{PREFIX}", *kad]
        host.process = _popen(command)
        assert host.process.stdout is not None
        assert host.process.stdin is not None
        answer = host.process.stdout.readline().decode().strip()
        if answer != demo_host.READY:
            raise SceneFailed(answer or f"{host.view.name} did not start")
        lan.create_cable(host.port, demo_host.INTERFACE, host.mac, host.process.pid)
        lan.plug(host.port)
        host.process.stdin.write(b"go\n")
        host.process.stdin.close()
        self._watch(host.process.stdout, lambda line: self._log_line(host, line))

    def _watch(self, stream: IO[bytes] | None, take: Callable[[str], None]) -> None:
        assert stream is not None
        os.set_blocking(stream.fileno(), False)
        self._buffers[stream.fileno()] = b""
        self._selector.register(stream.fileno(), selectors.EVENT_READ, take)

    def _take_down(self) -> None:
        """Nothing is left, whatever happened."""
        processes = [host.process for host in self.hosts if host.process is not None]
        for process in processes:
            process.terminate()
        if self._client is not None:
            self._client.kill()
            self._client.wait()
        for process in processes:
            try:
                process.wait(FAREWELL)
            except subprocess.TimeoutExpired:
                # A session of its own, so the group is this kad and its children.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    # the play

    def _play(self, lan: Lan) -> None:
        one, two = self.hosts
        self._until(ELECTION, lambda: self._answered_by(one), f"{one.view.name} is elected")
        self.screen.event(f"{one.view.name} has the higher priority and answers for {VIRTUAL_ADDRESS}")
        self._pause(1.5)

        self.screen.event(f"--- the cable of {one.view.name} is cut ---")
        lan.unplug(one.port)
        one.view.plugged = False
        cut = time.monotonic()
        self._until(TAKEOVER, lambda: self._answered_by(two), f"{two.view.name} takes over")
        outage = self._gap(cut)
        self.screen.event(f"{two.view.name} answers; the client was without an answer for {outage:.2f} s")
        self._pause(1.5)

        self.screen.event(f"--- the cable of {one.view.name} is back ---")
        lan.plug(one.port)
        one.view.plugged = True
        healed = time.monotonic()
        self._until(
            RETURN,
            lambda: self._answered_by(one) and two.states()[-1:] == ["BACKUP"],
            f"{one.view.name} takes the address back",
        )
        self._pause(1.5)
        lost = sum(ping.host == LOST for ping in self.pings if ping.sent > healed)
        self.screen.event(f"{one.view.name} answers again, and {two.view.name} stands by; pings lost meanwhile: {lost}")
        self.screen.event(
            f"done: outage {outage:.2f} s; the standby takes over 3.61 s after the last advert that it heard"
        )

    def _answered_by(self, host: Host) -> bool:
        """The last quarter of a second of pings."""
        latest = self.pings[-5:]
        return len(latest) == 5 and all(ping.host == host.view.name for ping in latest)

    def _gap(self, since: float) -> float:
        """Seconds from the last answered ping before the first lost one to the next answered one."""
        answered = [ping.sent for ping in self.pings if ping.host != LOST]
        before = max((sent for sent in answered if sent <= since), default=since)
        gaps = [later - earlier for earlier, later in pairwise(answered) if earlier >= before]
        return max(gaps, default=0.0)

    def _pause(self, seconds: float) -> None:
        self._turn(time.monotonic() + seconds, lambda: False)

    def _until(self, seconds: float, condition: Callable[[], object], scene: str) -> None:
        if not self._turn(time.monotonic() + seconds, condition):
            raise SceneFailed(f"{scene}: not within {seconds:.0f} s")

    def _turn(self, deadline: float, condition: Callable[[], object]) -> bool:
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self._selector.select(left):
                self._read(key.fd, key.data)
            self._look_for_deaths()
        return True

    def _leave(self, name: str) -> None:
        raise KeyboardInterrupt(name)

    def _read(self, descriptor: int, take: Callable[[str], None]) -> None:
        data = os.read(descriptor, 65536)
        if not data:
            self._selector.unregister(descriptor)
            return
        *lines, self._buffers[descriptor] = (self._buffers[descriptor] + data).split(b"\n")
        for line in lines:
            take(line.decode(errors="replace"))

    def _look_for_deaths(self) -> None:
        for name, process in [("client", self._client), *((host.view.name, host.process) for host in self.hosts)]:
            if process is not None and process.poll() is not None:
                raise SceneFailed(f"{name} ended with status {process.returncode}")

    def _log_line(self, host: Host, line: str) -> None:
        host.log.append(line)
        if found := _STATE.search(line):
            host.view.state = found[3]
            self.screen.event(f"{host.view.name}: {found[2]}")

    def _ping_line(self, line: str) -> None:
        sent, _, mac = line.partition(" ")
        ping = Ping(float(sent), self._names.get(mac, LOST))
        self.pings.append(ping)
        self.view.answers.append(ping.host)


def _popen(command: list[str]) -> subprocess.Popen[bytes]:
    """Our Python's environment, a session of its own: Ctrl-C reaches the demo alone, which ends it all in order."""
    environment = os.environ | {"PYTHONPATH": f"{ROOM}:{os.environ.get('PYTHONPATH', '')}", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Ctrl-C, TERM and HUP."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def main() -> int:
    """0 all shown; 1 something did not happen, or the kernel forbids it; 130 interrupted."""
    is_root = os.geteuid() == 0
    try:
        enter_own_world()
    except Forbidden as error:
        print(
            f"kad demo: this kernel gives no network namespaces, not even to root ({error})"
            if is_root
            else f"kad demo: this kernel gives an ordinary user no network namespaces ({error}); try: sudo make demo",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="kad-demo-") as directory:
        demo = Demo(Path(directory))
        try:
            with _handled_by(demo.interrupt):
                demo.run()
        except KeyboardInterrupt:
            print("kad demo: interrupted; all is taken down", file=sys.stderr)
            return 130
        except (SceneFailed, Refused) as error:
            print(f"kad demo: {error}", file=sys.stderr)
            for host in demo.hosts:
                print(f"--- {host.view.name}", *host.log[-20:], sep="\n", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
