"""A parent that serves one turn at a time, and children and clients that the tests play."""

from __future__ import annotations

import array
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from kad.child.scheduling import Scheduling
from kad.linux.process.pid_file import PidFile
from kad.linux.sockets.channel import Channel, ChannelLost, pair
from kad.shared import control_protocol, framing, messages
from kad.shared.framing import Frame
from kad.shared.log import Destination, Logger
from kad.shared.messages import Analyzed, Message
from kad.watchdog import control_socket, supervision
from kad.watchdog.daemon import Options, Watchdog
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member


class Log(Logger):
    """Keeps its lines."""

    def __init__(self) -> None:
        super().__init__("test", Destination(syslog=False, detail=True))
        self.lines: list[str] = []

    def write(self, level: int, text: str) -> None:
        self.lines += text.splitlines()


class Impostor:
    """One life of a child: a process that does nothing, and its end of the channel."""

    def __init__(self, member: Member) -> None:
        self.member = member
        ours, self.end = pair()
        self.channel = Channel(self.end)
        self.received: list[Message] = []
        pid = os.posix_spawn("/bin/sleep", ["/bin/sleep", "600"], {})
        member.pid, member.pidfd, member.channel = pid, os.pidfd_open(pid), Channel(ours, framing.LARGEST_OF_CHILD)
        member.trace = os.open(os.devnull, os.O_RDONLY)
        member.is_refused = False
        member.configured_generation = None
        member.offered_generation = 1

    def say(self, *said: Message, descriptor: int | None = None) -> None:
        for message in said:
            self.put(messages.to_frame(message).encode(), [] if descriptor is None else [descriptor])

    def raw(self, kind: int, body: bytes, key: str = "", descriptors: Sequence[int] = ()) -> None:
        """A frame of these bytes."""
        self.put(Frame(kind, key, body).encode(), descriptors)

    def put(self, data: bytes, descriptors: Sequence[int] = ()) -> int:
        """Bytes that need be no frame; how many of them the socket took."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            return self.end.sendmsg([data], rights)
        return 0

    def read(self) -> list[Message]:
        """All that has come so far."""
        with suppress(ChannelLost):
            self.received += [messages.from_frame(frame) for frame in self.channel.receive()]
        return self.received


class Parent:
    """A Watchdog with a listening control socket, and lives of those children that were wanted."""

    def __init__(self, folder: Path) -> None:
        self.log = Log()
        options = Options(
            files="none",
            runtime_directory=folder,
            analyze=_analyze,
            child_pid_files={name: folder / f"{name}.pid" for name in PROCESS_SPECS},
        )
        self.folder = folder
        self._pid_file = PidFile(folder / "kad.pid")
        self.watchdog = Watchdog(options, self.log, self._pid_file)
        self.lives: dict[str, list[Impostor]] = {name: [] for name in PROCESS_SPECS}
        self.listener = control_socket.listen(folder)
        self.watchdog.loop.watch(self.listener, lambda: self.watchdog.control.accept(self.listener))

    def fork_member(
        self, member: Member, log: Logger, title: str | None, scheduling: Scheduling, held: int | None
    ) -> None:
        """In place of family.fork_member."""
        member.page.clear()
        self.lives[member.name].append(Impostor(member))

    def child(self, name: str) -> Impostor:
        """The present life of this child, which runs its configuration."""
        member = self.watchdog.children.members[name]
        if member.channel is None:
            self.watchdog.children.supervise(member, supervision.Wanted())
        life = self.lives[name][-1]
        if member.configured_generation is None:
            life.say(messages.Configured(generation=1))
            self.until(lambda: member.configured_generation == 1)
        return life

    def turn(self, seconds: float = 0.0) -> None:
        """Serve what is ready within so many seconds."""
        for serve in self.watchdog.loop.ready(seconds):
            serve()

    def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        """Turn until that is true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "\n".join(self.log.lines[-20:])
            self.turn(0.01)

    def rest(self) -> None:
        """Serve until nothing is left to be served."""
        while calls := self.watchdog.loop.ready(0.0):
            for serve in calls:
                serve()

    def is_at_rest(self) -> bool:
        """Nothing is to be served now."""
        return not self.watchdog.loop.ready(0.0)

    def client(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(5)
        connection.connect(str(control_protocol.socket_path(self.folder)))
        return connection

    def close(self) -> None:
        for lives in self.lives.values():
            for life in lives:
                life.channel.close()
        for member in self.watchdog.children.members.values():
            _end(member)
        self.listener.close()
        self.watchdog.control.close()
        self.watchdog.loop.close()
        self._pid_file.remove()


def _end(member: Member) -> None:
    if member.pid is not None and member.pidfd is not None and member.channel is not None:
        os.kill(member.pid, signal.SIGKILL)
        os.waitpid(member.pid, 0)
        os.close(member.pidfd)
        member.channel.close()
        if member.trace is not None:
            os.close(member.trace)


def _analyze() -> tuple[Analyzed, dict[str, bytes]]:
    raise AssertionError("nothing is analyzed here")


def descriptors() -> set[int]:
    """What this process has open."""
    return {int(name) for name in os.listdir("/proc/self/fd")}


def close_all(numbers: Iterable[int]) -> None:
    for number in numbers:
        with suppress(OSError):
            os.close(number)
