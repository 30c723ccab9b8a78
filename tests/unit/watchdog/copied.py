"""A copy of the package with files added to it, and a real daemon that runs from the copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

import kad
from kad.cli import control_client
from kad.shared.control_protocol import ControlError

PACKAGE = Path(kad.__file__).parent
_DAEMON = """
import grp, sys
from kad.cli.main import main
from kad.watchdog import control_socket

control_socket.GROUP = grp.getgrgid(65534).gr_name
sys.exit(main())
"""
_CLIENT = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect("control")
connection.sendall(sys.argv[2].encode() + b"\\n")
while part := connection.recv(65536):
    sys.stdout.write(part.decode())
"""


class Copy:
    """The copy, and what its daemon answers."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "kad"
        self.files = folder / "run"
        self.log = folder / "log"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.files.mkdir()
        self.files.chmod(0o755)

    def write(self, path: str, text: str) -> None:
        """A new file; raises FileExistsError."""
        (self.package / path).parent.mkdir(exist_ok=True)
        with (self.package / path).open("x") as file:
            file.write(text)

    @contextmanager
    def daemon(self, text: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """kad with this configuration, which is in force."""
        configuration = self.files / "kad.conf"
        configuration.write_text(text)
        options = ["-n", "-l", "-f", str(configuration), "--runtime-dir", str(self.files)]
        command = [sys.executable, "-c", _DAEMON, *options]
        with self.log.open("wb") as log, subprocess.Popen(command, cwd=self.package.parent, stderr=log) as process:
            try:
                self.until(lambda: self._answers(process))
                yield process
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log.read_text()
        try:
            return bool(self.ask("status")["dump"]["generation"])
        except ControlError:
            return False

    def until(self, condition: Any, seconds: float = 30) -> Any:
        """What it is, once it is true."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.01)
        return found

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Raises ControlError."""
        return control_client.ask(self.files, {"verb": verb, **arguments})

    def ask_as_group(self, verb: str) -> dict[str, Any]:
        """As a process without privileges that is in the group of the control socket."""
        command = [sys.executable, "-c", _CLIENT, str(self.files), f'{{"verb": "{verb}"}}']
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        answer: dict[str, Any] = msgspec.json.decode(done.stdout)
        return answer
