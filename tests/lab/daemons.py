"""keepalived and kad as processes of a node: start, read the log, signal, stop, ask."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab.hub import Hub
from tests.lab.namespaces import Namespaces, process_stat


class Line(NamedTuple):
    """One line that a daemon printed; `time` in UNIX seconds, when it was read."""

    time: float
    text: str


class Daemon:
    """A running daemon; its pids are those of this side, not those of the node."""

    program = ""

    def __init__(self, hub: Hub, node: Namespaces, words: Sequence[str], configuration: Path) -> None:
        self._hub = hub
        self.node = node
        self.configuration = configuration
        self.lines: list[Line] = []
        self._rest = b""
        self.started = time.time()
        self._process = node.start(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.pid = self._process.pid
        self.exit_status: int | None = None
        self._pidfd = os.pidfd_open(self.pid)
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        hub.watch(self._output, self._read)
        hub.watch(self._pidfd, self._ended)

    @property
    def log(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def logged(self, pattern: str, since: float = 0.0) -> list[Line]:
        """Lines in which the regular expression is found."""
        return [line for line in self.lines if line.time >= since and re.search(pattern, line.text)]

    def wait_log(self, pattern: str, seconds: float = 10, since: float = 0.0) -> Line:
        """The first line in which the pattern is found; raises Late, and shows the log."""

        def found() -> Line | None:
            if lines := self.logged(pattern, since):
                return lines[0]
            if self.exit_status is not None:
                raise AssertionError(f"{self.program} ended with {self.exit_status}, no {pattern!r}\n{self.log}")
            return None

        return self._hub.until(found, seconds, lambda: f"{self.program} on {self.node.name}: {pattern!r}\n{self.log}")

    def wait_exit(self, seconds: float = 10) -> int:
        """The exit status, negative for a signal."""

        def ended() -> bool:
            return self.exit_status is not None

        self._hub.until(ended, seconds, lambda: f"{self.program} on {self.node.name} ends\n{self.log}")
        assert self.exit_status is not None
        return self.exit_status

    def family(self) -> dict[int, str]:
        """The daemon and all that descend from it: pid and command name."""
        found: dict[int, str] = {}
        with contextlib.suppress(OSError):
            found[self.pid] = process_stat(self.pid)[0]
        grown = True
        while grown:
            grown = False
            for pid, name in self.node.processes().items():
                with contextlib.suppress(OSError):
                    if pid not in found and process_stat(pid)[2] in found:
                        found[pid] = name
                        grown = True
        return found

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def rewrite(self, text: str) -> None:
        """Whole or not at all: a reload may be reading the file."""
        new = self.configuration.with_name(f".{self.configuration.name}")
        new.write_text(text)
        new.replace(self.configuration)

    def reload(self, text: str | None = None) -> float:
        """Send HUP, with a new text where given; the moment at which it was sent."""
        if text is not None:
            self.rewrite(text)
        moment = time.time()
        self.send(signal.SIGHUP)
        return moment

    def stop(self, seconds: float = 15) -> int:
        """TERM and the exit status."""
        if self.exit_status is None:
            self.send(signal.SIGTERM)
        return self.wait_exit(seconds)

    def kill(self) -> None:
        """End the whole family at once, so that nobody can say farewell or start a replacement."""
        self.send(signal.SIGSTOP)
        family = self.family()
        for pid in reversed(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._hub.until(lambda: not family.keys() & self.node.processes().keys(), 5, "all are gone")
        self.wait_exit()

    def close(self) -> None:
        """Let go of the pipe and the process; what still runs dies with its node."""
        self._hub.forget(self._output)
        self._output.close()
        if self.exit_status is None:
            self._hub.forget(self._pidfd)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            os.close(self._pidfd)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._output.fileno(), 65536)
            if not data:
                self._hub.forget(self._output)
            *whole, self._rest = (self._rest + data).split(b"\n")
            now = time.time()
            self.lines += [Line(now, text.decode(errors="replace")) for text in whole]

    def _ended(self) -> None:
        self._hub.forget(self._pidfd)
        os.close(self._pidfd)
        self.exit_status = self._process.wait()


class Keepalived(Daemon):
    """Debian's keepalived, in the foreground with its log on standard output."""

    program = "keepalived"

    def __init__(self, hub: Hub, node: Namespaces, configuration: Path, *words: str) -> None:
        pid_files = ("-p", "/run/ka.pid", "-r", "/run/ka-vrrp.pid", "-c", "/run/ka-check.pid")
        command = ("keepalived", "-n", "-l", "-D", "-f", f"/etc/keepalived/{configuration.name}", *pid_files, *words)
        super().__init__(hub, node, command, configuration)


class Kad(Daemon):
    """kad of this project, run by the interpreter that runs the tests."""

    program = "kad"

    def __init__(
        self, hub: Hub, node: Namespaces, configuration: Path, *words: str, runtime_dir: str = "/run/kad"
    ) -> None:
        self.runtime_dir = runtime_dir
        command = ("-n", "-l", "-D", "-f", f"/etc/keepalived/{configuration.name}", "--runtime-dir", runtime_dir)
        super().__init__(hub, node, (sys.executable, "-m", "kad", *command, *words), configuration)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A second kad that talks to this one, whatever its exit status."""
        return self.node.ask(sys.executable, "-m", "kad", *words, "--runtime-dir", self.runtime_dir)

    def dump(self, *section: str) -> Any:
        """What `kad --dump` prints, decoded."""
        done = self.ask("--dump", *section)
        assert done.returncode == 0, f"kad --dump: {done.returncode} {done.stderr}\n{self.log}"
        return json.loads(done.stdout)

    def child(self, name: str) -> int:
        """Pid of the child of that name ("vrrp"), by the title that it gave itself; raises LookupError."""
        for pid in self.family():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").endswith(f"kad: {name}".encode()):
                    return pid
        raise LookupError(f"no child {name} in {self.family()}")
