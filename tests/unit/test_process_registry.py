"""A child process is described in its own package, and the parent finds it by one word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kad.shared import messages
from kad.watchdog.process_registry import PROCESS_SPECS
from tests.unit.watchdog.copied import Copy

PACKAGE = Path(messages.__file__).parents[1]
SPEC = """
import msgspec
from kad.child.process_spec import PidOption, ProcessSpec
from kad.shared import messages

class EchoSlice(msgspec.Struct):
    word: str

SPEC = ProcessSpec(
    name="echo",
    ident="Keepalived_echo",
    title="kad: echo",
    worker="kad.echo.worker:EchoWorker",
    configuration="kad.echo.process_spec:EchoSlice",
    pid_file="echo.pid",
    pid_option=PidOption("-E", "--echo_pid"),
    capabilities=(),
    stop_order=2,
    sends=frozenset({messages.Event}),
    wants=frozenset({messages.Observation}),
)
"""
RESOLVE = """
from kad.echo.process_spec import EchoSlice

def slice(file, context):
    return EchoSlice(context.daemon.router_id) if context.daemon.router_id else None
"""
WORKER = """
import msgspec
from kad.echo.process_spec import EchoSlice

class EchoWorker:
    def __init__(self, mux, say, log):
        pass

    def prepare(self, generation, content):
        self.prepared = msgspec.msgpack.decode(content, type=EchoSlice)

    def commit(self, generation):
        self.slice = self.prepared

    def snapshot(self, clear_statistics):
        return {"word": self.slice.word}

    def problems(self):
        return []

    async def stop(self, release, handover):
        pass
"""
LIGHT = """
import sys
import kad.watchdog.process_registry
heavy = ("asyncio", "uvloop", "pyroute2", "pyparsing", "psutil", "dns", "smtplib", "ssl")
print(*(name for name in sys.modules if name.partition(".")[0] in heavy or ".keywords" in name or ".worker" in name))
"""


def test_another_process_is_a_package_with_a_spec_and_one_word(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    registry = copy.package / "watchdog" / "process_registry.py"
    written = registry.read_text()
    assert written.count('"checker")') == 1
    registry.write_text(written.replace('"checker")', '"checker", "echo")'))
    copy.write("echo/__init__.py", "")
    copy.write("echo/process_spec.py", SPEC)
    copy.write("echo/worker.py", WORKER)
    copy.write("echo/keywords/__init__.py", "")
    copy.write("echo/keywords/resolve.py", RESOLVE)
    with copy.daemon("global_defs {\n router_id heard\n}\n") as process:
        first = copy.ask("dump", section="echo")["dump"]
        assert first == {"problems": [], "word": "heard"}
        pid = copy.ask("dump")["dump"]["processes"]["echo"]["pid"]
        assert (copy.files / "echo.pid").read_text() == f"{pid}\n"
        os.kill(pid, signal.SIGKILL)

        def replacement() -> int:
            """Its pid, when it runs its configuration."""
            echo = copy.ask("dump")["dump"]["processes"]["echo"]
            return int(echo["pid"] or 0) if echo["restarts"] == 1 and echo.get("generation") == 1 else 0

        assert copy.until(replacement) != pid
        assert copy.ask("dump", section="echo")["dump"] == first
        copy.ask("stop")
        assert process.wait(30) == 0
    command = [sys.executable, "-m", "kad", "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "-E FILE, --echo_pid FILE" in told
    assert "pid file of the echo process" in told


def test_specs_import_nothing_that_the_parent_would_carry() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("name", PROCESS_SPECS)
def test_a_spec_stands_in_the_package_of_its_process(name: str) -> None:
    spec = PROCESS_SPECS[name]
    assert spec.worker.startswith(f"kad.{name}.")
    assert (PACKAGE / name / "process_spec.py").is_file()
    assert spec.title == f"kad: {name}"
