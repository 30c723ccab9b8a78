"""What starts kad on a host: the systemd unit is verified, the SysV script is run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT
from tests.lab.texts import global_defs, instance
from tests.lab.wrapped import start_wrapped

pytestmark = pytest.mark.lab

INIT = PROJECT / "init"
ADDRESS = "10.77.0.100"
CONFIGURATION = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority PRIORITY
    advert_int 1
    virtual_ipaddress {
        10.77.0.100/24
    }
}
"""


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"this test needs {program}")


def built_kad(folder: Path) -> Path:
    """An executable that starts the kad of this project."""
    path = folder / "kad"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m kad "$@"\n')
    path.chmod(0o755)
    return path


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    needs("systemd-analyze")
    unit = tmp_path / "kad.service"
    text = (INIT / "kad.service").read_text()
    assert "ExecStart=/usr/bin/kad " in text
    unit.write_text(text.replace("=/usr/bin/kad ", f"={built_kad(tmp_path)} "))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


MOST_EXPOSED = 9.0
"""Of 10; systemd 252 says 8.9, and 9.6 without any hardening. Scripts of the operator run in the unit as root."""


def test_the_unit_is_not_more_exposed_than_it_was() -> None:
    needs("systemd-analyze")
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(INIT / "kad.service")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    found = re.search(r"Overall exposure level for kad\.service: ([0-9.]+) ", done.stdout)
    assert found is not None, done.stdout + done.stderr
    print(found[0])
    assert float(found[1]) <= MOST_EXPOSED


def settings(name: str) -> list[str]:
    """The words of a setting of the unit."""
    lines = (INIT / "kad.service").read_text().splitlines()
    return [word for line in lines if line.startswith(f"{name}=") for word in line.partition("=")[2].split()]


def test_kad_serves_without_the_capabilities_that_the_unit_drops(lab: Lab, host: Node) -> None:
    dropped = settings("CapabilityBoundingSet")
    assert dropped[0] == "~CAP_SYS_TIME"
    without = ",".join(f"-{word.removeprefix('~').removeprefix('CAP_').lower()}" for word in dropped)
    prefix = ("setpriv", f"--bounding-set={without}", "--")
    script = 'vrrp_script fine {\n script "/bin/true"\n interval 1\n}\n'
    words = ("vrrp_rt_priority 10", "vrrp_no_swap")
    text = global_defs(*words) + script + instance(more="track_script {\n fine\n}")
    daemon = start_wrapped(lab, host, text, prefix=prefix)
    lab.wait_holder(ADDRESS, host, seconds=8)
    daemon.wait_log("Startup complete")
    assert not daemon.logged("not permitted|EPERM|refused")
    bounding = next(
        int(line.split()[1], 16)
        for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
        if line.startswith("CapBnd:")
    )
    # CAP_SYS_TIME and CAP_WAKE_ALARM.
    assert not bounding & (1 << 25 | 1 << 35)
    assert daemon.stop() == 0


def test_no_setting_of_the_unit_gives_the_daemon_mounts_of_its_own() -> None:
    """A script that mounts the file system of a service mounts it for the host."""
    own_mounts = (
        "ProtectSystem ProtectHome PrivateTmp PrivateDevices PrivateMounts ProtectProc ProcSubset ProtectKernelTunables"
        " ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectClock ReadOnlyPaths ReadWritePaths"
        " InaccessiblePaths TemporaryFileSystem BindPaths BindReadOnlyPaths RootDirectory DynamicUser"
    )
    assert [name for name in own_mounts.split() if settings(name)] == []


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "Restart=on-failure",
        "ExecReload=/usr/bin/kad $KAD_OPTIONS --reload",
        "KillMode=mixed",
        "LimitMEMLOCK=infinity",
        "WatchdogSec=30",
        "Conflicts=keepalived.service",
        "EnvironmentFile=-/etc/sysconfig/kad",
        "EnvironmentFile=-/etc/default/kad",
    ],
)
def test_the_unit_says(line: str) -> None:
    assert line in (INIT / "kad.service").read_text().splitlines()


def test_tmpfiles_make_the_runtime_directory(tmp_path: Path) -> None:
    needs("systemd-tmpfiles")
    folder = tmp_path / "usr/lib/tmpfiles.d"
    folder.mkdir(parents=True)
    shutil.copy(INIT / "kad.tmpfiles", folder / "kad.conf")
    words = ["systemd-tmpfiles", "--create", f"--root={tmp_path}", "kad.conf"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run/kad").stat().st_mode & 0o7777 == 0o755


def test_the_environment_file_is_shell_and_leaves_options_as_words() -> None:
    read = ["sh", "-uc", f". {INIT / 'kad.sysconfig'}; echo $KAD_OPTIONS"]
    assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == "-D\n"


class Service:
    """`service kad …` on one node."""

    def __init__(self, node: Node, daemon: Path) -> None:
        self._node = node
        self._environment = os.environ | {"DAEMON": str(daemon), "LC_ALL": "C"}

    def __call__(self, verb: str) -> tuple[int, str]:
        """The exit status and what was printed."""
        to_one_pipe = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = self._node.ask(str(INIT / "kad.sysv"), verb, env=self._environment, seconds=30, **to_one_pipe)
        return done.returncode, done.stdout

    def configure(self, priority: int | str) -> None:
        self._node.write("keepalived.conf", CONFIGURATION.replace("PRIORITY", str(priority)))


@pytest.fixture
def host(lab: Lab) -> Node:
    return lab.node("a", {"eth0": "10.77.0.1/24"})


@pytest.fixture
def service(host: Node, tmp_path: Path) -> Service:
    tmp_path.chmod(0o755)
    return Service(host, built_kad(tmp_path))


def test_the_sysv_script_starts_reloads_and_stops(lab: Lab, host: Node, service: Service) -> None:
    service.configure(100)
    assert service("status") == (3, "kad: not running\n")
    assert service("configtest")[0] == 0
    assert service("start") == (0, "kad: started\n")
    lab.wait_holder(ADDRESS, host, seconds=8)
    pid = host.read_run("kad/kad.pid").strip()
    assert service("status") == (0, f"kad: running (pid {pid})\n")
    assert service("start") == (0, f"kad: already running (pid {pid})\n")

    service.configure(150)
    assert service("reload") == (0, "kad: reloading\n")
    lab.hub.until(lambda: [a for a in lab.wire.adverts() if a.priority == 150], 5, "the new priority is on the wire")

    service.configure("")
    status, said = service("configtest")
    assert status == 2
    assert "priority" in said
    for verb in ("reload", "restart"):
        status, said = service(verb)
        assert (status, said.startswith("kad: the configuration has an error, the running one stays")) == (6, True)
    assert service("status") == (0, f"kad: running (pid {pid})\n")

    service.configure(150)
    assert service("restart") == (0, "kad: stopped\nkad: started\n")
    assert host.read_run("kad/kad.pid").strip() != pid
    lab.wait_holder(ADDRESS, host, seconds=8)

    assert service("stop") == (0, "kad: stopped\n")
    lab.wait_holder(ADDRESS, seconds=1)
    assert service("status") == (3, "kad: not running\n")
    assert service("stop") == (0, "kad: not running\n")
    assert host.processes() == {}


def test_the_sysv_script_does_not_start_what_cannot_run(host: Node, service: Service) -> None:
    host.write("keepalived.conf", "vrrp_instance VI_1 {\n")
    status, said = service("start")
    assert status == 1
    assert said.endswith("kad: could not be started\n")
    assert "keepalived.conf" in said
    assert service("status") == (3, "kad: not running\n")
    assert host.processes() == {}


def test_the_sysv_script_touches_no_process_that_is_not_kad(host: Node, service: Service) -> None:
    stranger = host.start(["sh", "-c", "mkdir /run/kad; echo $$ > /run/kad/kad.pid; exec sleep 1000"])
    try:
        while not (host.files / "run/kad/kad.pid").exists() or not host.read_run("kad/kad.pid"):
            assert stranger.poll() is None
        assert service("status") == (1, "kad: dead, but /run/kad/kad.pid exists\n")
        assert service("reload") == (7, "kad: not running\n")
        assert service("stop") == (0, "kad: not running\n")
        assert stranger.poll() is None
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()


@pytest.mark.parametrize("words", [[], ["dance"]])
def test_the_sysv_script_explains_itself(words: list[str]) -> None:
    done = subprocess.run([str(INIT / "kad.sysv"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "{start|stop|restart|try-restart|reload|force-reload|status|configtest}" in done.stderr
