"""A password is in the configuration and on the wire, and in nothing else that can be read on the host."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import router

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
PLANTED, SECOND = "Pl4nted7", "Pl4nted8"


def locked(password: str, **settings: object) -> str:
    more = f"authentication {{\n        auth_type PASS\n        auth_pass {password}\n    }}"
    return router(version=2, advert_int=1, more=more, **settings)


def test_nothing_on_the_host_shows_the_password(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, locked(PLANTED), "-d", "-g/run/kad.log")
    lab.wait_holder("10.77.0.100", a, seconds=10)
    said = []
    a.write("other.conf", locked(SECOND))
    a.write("wrong.conf", locked(f"{SECOND}-and-more {SECOND}"))
    for words in (
        ("--check-reload", "/etc/keepalived/other.conf"),
        ("--check-reload", "/etc/keepalived/wrong.conf"),
        ("-t", "/etc/keepalived/wrong.conf"),
        ("-t", "--format", "json", "/etc/keepalived/wrong.conf"),
        ("--print", "-f", "/etc/keepalived/other.conf"),
    ):
        done = daemon.ask(*words)
        said.append(done.stdout + done.stderr)
    daemon.rewrite(locked(f"{SECOND}-and-more {SECOND}"))
    refused = daemon.ask("--reload")
    assert "the password has more than 8 characters; the first 8 are used" in refused.stderr
    daemon.rewrite(locked(SECOND))
    assert daemon.ask("--reload").returncode == 0
    for words in (("--dump",), ("--dump", "events"), ("--why",), ("--status",)):
        done = daemon.ask(*words)
        assert done.stdout
        said.append(done.stdout + done.stderr)
    folder = a.files / "run" / "kad"
    for number, name in ((signal.SIGUSR1, "keepalived.data"), (signal.SIGRTMIN + 2, "keepalived.json")):
        daemon.send(number)
        lab.hub.until((folder / name).exists, 5, f"{name} is written")
    titles = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in daemon.family()]
    # What one life leaves for the next holds it, for root's eyes alone.
    open_to_others = {path for path in (a.files / "run").rglob("*") if path.is_file() and path.stat().st_mode & 0o077}
    dumps = {folder / "kad.data", folder / "keepalived.data", folder / "keepalived.json", folder.with_suffix(".log")}
    files = [path.read_bytes().decode(errors="replace") for path in open_to_others | dumps]
    assert len(files) > 5
    for text in (*said, refused.stdout + refused.stderr, daemon.log, *titles, *files):
        assert "Pl4nted" not in text, text
    [password] = [
        instance["configuration"]["authentication"]["password"] for instance in daemon.dump("vrrp")["instances"]
    ]
    assert password == "****"
