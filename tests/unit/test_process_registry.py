"""A child process is described in its own package, and the parent finds it by one word."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kad.shared import messages
from kad.watchdog.process_registry import PROCESS_SPECS

PACKAGE = Path(messages.__file__).parents[1]
SPEC = """
from kad.child.process_spec import PidOption, ProcessSpec
from kad.shared import messages

SPEC = ProcessSpec(
    name="echo",
    ident="Keepalived_echo",
    title="kad: echo",
    worker="kad.echo.worker:EchoWorker",
    configuration="kad.model.bfd:BfdSlice",
    pid_file="echo.pid",
    pid_option=PidOption("-E", "--echo_pid"),
    capabilities=(),
    stop_order=2,
    sends=frozenset({messages.Event}),
    wants=frozenset({messages.Observation}),
)
"""
WORKER = """
from kad.shared.messages import Event

class EchoWorker:
    def __init__(self, mux, say, log):
        self.say = say

    def prepare(self, generation, content):
        self.content = content

    def commit(self, generation):
        self.say(Event(when=1.0, kind="echo", object="echo", text=self.content.decode()))
"""
SCRIPT = """
import os, select, signal, sys
from kad.child.scheduling import Scheduling
from kad.cli.main import main
from kad.linux.process.memfd import write_memory_file
from kad.shared import messages
from kad.shared.log import Destination, Logger
from kad.watchdog import process_specs
from kad.watchdog.process_registry import PROCESS_SPECS

print(*PROCESS_SPECS)
member = process_specs.Member(PROCESS_SPECS["echo"])
process_specs.fork_member(member, Logger("test", Destination(syslog=False)), None, Scheduling())
descriptor = write_memory_file("slice", b"heard")
member.channel.send(messages.to_frame(messages.Prepare(generation=1)), descriptor=descriptor)
member.channel.send(messages.to_frame(messages.Commit(generation=1)))
received = []
while len(received) < 3:
    select.select([member.channel.fileno()], [], [], 20)
    received += [messages.from_child(frame) for frame in member.channel.receive()]
for message in received:
    member.spec.check(message)
print(*(type(message).__name__ for message in received), received[1].text)
os.kill(member.pid, signal.SIGKILL)
sys.stdout.flush()
sys.argv = ["kad", "--help"]
main()
"""
LIGHT = """
import sys
import kad.watchdog.process_registry
heavy = ("asyncio", "uvloop", "pyroute2", "pyparsing", "psutil", "dns", "smtplib", "ssl")
print(*(name for name in sys.modules if name.partition(".")[0] in heavy or ".keywords" in name or ".worker" in name))
"""


def test_another_process_is_a_package_with_a_spec_and_one_word(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "kad")
    registry = tmp_path / "kad" / "watchdog" / "process_registry.py"
    written = registry.read_text()
    assert written.count('"checker")') == 1
    registry.write_text(written.replace('"checker")', '"checker", "echo")'))
    (tmp_path / "kad" / "echo").mkdir()
    for name, text in (("__init__", ""), ("process_spec", SPEC), ("worker", WORKER)):
        (tmp_path / "kad" / "echo" / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["runner vrrp bfd ipvs checker echo", "Ready Event Configured heard"], done.stderr
    assert "-E FILE, --echo_pid FILE" in done.stdout
    assert "pid file of the echo process" in done.stdout


def test_specs_import_nothing_that_the_parent_would_carry() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("name", PROCESS_SPECS)
def test_a_spec_stands_in_the_package_of_its_process(name: str) -> None:
    spec = PROCESS_SPECS[name]
    assert spec.worker.startswith(f"kad.{name}.")
    assert (PACKAGE / name / "process_spec.py").is_file()
    assert spec.title == f"kad: {name}"
