"""Who may look and who may act at the control socket, and what a client can do to the daemon: nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab
from tests.lab.test_crash import replaced
from tests.lab.test_reload_whole import open_files
from tests.lab.texts import router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
LOOK = (("--dump",), ("--status",), ("--dump", "vrrp"), ("--dump", "memory"))
ACT = (("--reload",), ("--check-reload", "/etc/keepalived/keepalived.conf"))
DRAIN = ("--drain", "192.0.2.9:80", "192.0.2.20:80")
NOBODY, KAD = 65534, 4321

# The command is loaded while it still may be; then it becomes somebody else.
_AS = """
import contextlib, io, os, sys
from kad.cli import main as cli, reload_preview as check_reload
with contextlib.redirect_stderr(io.StringIO()):
    cli.main(["-t", "-f", "/etc/keepalived/keepalived.conf"])
uid, groups, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
os.setgroups([int(group) for group in groups.split(",") if group])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
sys.exit(cli.main(words))
"""


def ask_as(daemon: Kad, uid: int, words: tuple[str, ...], groups: str = "") -> CompletedProcess[str]:
    command = (sys.executable, "-c", _AS, str(uid), groups, *words, "--runtime-dir", daemon.runtime_dir)
    return daemon.node.ask(*command, seconds=10)


@pytest.fixture
def daemon(lab: Lab) -> Kad:
    """On a host with a group kad."""
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    group = node.write("group", f"root:x:0:\nnogroup:x:{NOBODY}:\nkad:x:{KAD}:\n")
    node.run("mount", "--bind", f"/etc/keepalived/{group.name}", "/etc/group")
    started = lab.start_kad(node, router())
    lab.wait_holder(VIP, node, seconds=5)
    started.wait_log("Entering MASTER STATE")
    return started


def test_root_may_look_and_act(daemon: Kad) -> None:
    for words in (*LOOK, *ACT):
        assert ask_as(daemon, 0, words).returncode == 0, words
    told = ask_as(daemon, 0, DRAIN)
    assert told.stderr == "kad: no virtual server is served\n"


@pytest.mark.parametrize(("uid", "groups"), [(NOBODY, f"7,{KAD}"), (KAD, "")], ids=["member", "own group"])
def test_the_group_may_look_and_not_act(daemon: Kad, uid: int, groups: str) -> None:
    for words in LOOK:
        told = ask_as(daemon, uid, words, groups)
        assert told.returncode == 0, told.stderr
        assert told.stdout
    for words in (*ACT, DRAIN):
        told = ask_as(daemon, uid, words, groups)
        assert told.returncode == 1
        assert "no permission for" in told.stderr
    assert not daemon.logged("Reload")


@pytest.mark.parametrize("reachable", [False, True], ids=["as it is", "were the socket open to all"])
def test_others_may_nothing(daemon: Kad, reachable: bool) -> None:
    path = daemon.node.files / "run" / "kad" / "control"
    found = path.stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o660, 0, KAD)
    if reachable:
        path.chmod(0o666)
    for words in (*LOOK, *ACT):
        told = ask_as(daemon, NOBODY, words, "7")
        assert told.returncode == (3 if words == ("--status",) else 1), words
        assert "no permission" in told.stderr
        assert told.stdout == ""
    assert not daemon.logged("Reload")


# what clients do


def connect(daemon: Kad) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(5)
    client.connect(str(daemon.node.files / "run" / "kad" / "control"))
    return client


def test_rubbish_is_answered_or_cut_off(daemon: Kad) -> None:
    rubbish = [b"", b"\n", b"{}\n", b"[]\n", b"null\n", b'{"verb": 7}\n', b'{"verb": "boast"}\n', b"\xff\n"]
    rubbish += [b"[" * 4000 + b"\n", b"x" * 20000, b'{"verb": "dump", "section": {}}\n', b'{"verb": ["dump"]}\n']
    for request in rubbish:
        with connect(daemon) as client:
            answer = b""
            with suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(65536)
        assert not answer or json.loads(answer)["ok"] is False or b"section" in request, request
    assert daemon.dump()["generation"] == 1
    assert daemon.exit_status is None


def test_a_request_in_pieces_is_one_request(daemon: Kad) -> None:
    with connect(daemon) as client:
        for piece in (b'{"verb"', b': "du', b'mp", "section": "generation"}', b"\n"):
            client.sendall(piece)
            time.sleep(0.02)
        assert json.loads(b"".join(iter(partial(client.recv, 65536), b""))) == {"ok": True, "dump": 1}


def test_an_unknown_section_names_the_known_ones(daemon: Kad) -> None:
    told = daemon.ask("--dump", "nothing")
    assert told.returncode == 1
    assert "there is no section nothing; there are: " in told.stderr
    assert "memory" in told.stderr


def test_clients_that_say_nothing_read_nothing_or_leave_hold_nobody_up(lab: Lab, daemon: Kad) -> None:
    files = open_files(daemon)
    with ExitStack() as clients:
        idle = [clients.enter_context(connect(daemon)) for _ in range(40)]
        for client in idle[:20]:
            client.sendall(b'{"verb": "dump"}\n')
        lab.stays(VIP, lab.nodes["a"], 1)
        begin = time.monotonic()
        assert daemon.dump()["generation"] == 1
        assert time.monotonic() - begin < 3
    lab.hub.until(lambda: open_files(daemon) == files, 3, lambda: f"{files} were open, now {open_files(daemon)}")


def test_clients_without_end_take_nothing_that_the_daemon_needs(lab: Lab, daemon: Kad) -> None:
    limits = Path(f"/proc/{daemon.pid}/limits").read_text()
    [limit] = [int(line.split()[3]) for line in limits.splitlines() if "open files" in line]
    before = open_files(daemon)["kad"]
    with ExitStack() as clients, suppress(OSError):
        for _ in range(min(limit, 500)):
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.settimeout(0.5)
            client.connect(str(daemon.node.files / "run" / "kad" / "control"))
        assert open_files(daemon)["kad"] <= before + 70
        old = daemon.child("vrrp")
        os.kill(old, signal.SIGKILL)
        replaced(lab, daemon, "vrrp", old)
        lab.stays(VIP, lab.nodes["a"], 0.5)
        assert daemon.ask("--status").returncode == 0


def test_a_client_has_ten_seconds(lab: Lab, daemon: Kad) -> None:
    with connect(daemon) as client:
        client.sendall(b'{"verb"')
        client.settimeout(13)
        begin = time.monotonic()
        assert client.recv(10) == b""
        assert 9 < time.monotonic() - begin < 12
