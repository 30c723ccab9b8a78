"""Which process of the family has which secret anywhere in its memory, read from /proc/PID/mem by the test."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.more]

Pair = tuple[Lab, Node, Node]
VIP = "10.77.0.100"
CHILDREN = ("runner", "vrrp", "ipvs", "checker", "bfd")
VRRP = {"auth_pass", "AH", "HMAC"}
CHECKER = {"basic_auth", "request_header", "SSL", "private key"}
MAY_HOLD: dict[str, set[str]] = {
    "kad": set(),
    "runner": set(),
    "vrrp": VRRP,
    "ipvs": set(),
    "checker": CHECKER,
    "bfd": set(),
}
_AS_SENT = {"x": b"bWU6UGxudHgtYmFzaWMw", "y": b"bWU6UGxudHktYmFzaWMw"}


def secrets(mark: str) -> dict[str, tuple[bytes, ...]]:
    """The forms of each secret, by its keyword; the second of a basic_auth is how it is sent."""
    return {
        "auth_pass": (f"Plnt{mark}P1".encode(),),
        "AH": (f"Plnt{mark}A2".encode(),),
        "HMAC": (f"Plnt{mark}-hmac-0123456789-0123456789".encode(),),
        "basic_auth": (f"Plnt{mark}-basic0".encode(), _AS_SENT[mark]),
        "request_header": (f"Plnt{mark}-token".encode(),),
        "SSL": (f"Plnt{mark}-ssl".encode(),),
        "private key": (f"Plnt{mark}-private-key".encode(),),
    }


def configuration(mark: str) -> str:
    """Every keyword with a secret, and work for every child."""

    def locked(kind: str, password: str) -> str:
        return f"authentication {{\n auth_type {kind}\n auth_pass {password}\n }}"

    known = {name: forms[0].decode() for name, forms in secrets(mark).items()}
    hmac = f"auth_hmac {{\n key 1 {known['HMAC']}\n active_key 1\n }}\n track_bfd {{\n b1\n }}"
    return (
        global_defs("ipvs_required no", "vrrp_garp_master_refresh 0")
        + "bfd_instance b1 {\n neighbor_ip 10.77.0.2\n}\n"
        + f"SSL {{\n password {known['SSL']}\n key /etc/keepalived/{mark}.pem\n}}\n"
        + instance("V1", version=2, advert_int=1, vrid=51, more=locked("PASS", known["auth_pass"]))
        + instance(
            "V2", version=2, advert_int=1, vrid=52, addresses=("10.77.0.101/24",), more=locked("AH", known["AH"])
        )
        + instance("V3", vrid=53, addresses=("10.77.0.102/24",), more=hmac)
        + f"""virtual_server {VIP} 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.50 80 {{
        SSL_GET {{
            basic_auth me {known["basic_auth"]}
            request_header X-Token {known["request_header"]}
            url {{
                path /
                status_code 200
            }}
        }}
    }}
}}
"""
    )


def written(node: Node, mark: str) -> str:
    """The text of that configuration, whose private key is in place."""
    node.write(f"{mark}.pem", f"Plnt{mark}-private-key\n", mode=0o600)
    return configuration(mark)


def held(pid: int, planted: dict[str, tuple[bytes, ...]]) -> set[str]:
    """The secrets that stand somewhere in the memory of a process."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, last = (int(each, 16) for each in line.split()[0].split("-"))
            if not line.split()[1].startswith("r") or "[v" in line:
                continue
            content = b""
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(first)
                while len(content) < last - first and (part := memory.read(last - first - len(content))):
                    content += part
            found |= {name for name, forms in planted.items() if any(form in content for form in forms)}
    return found


def title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode().removeprefix("kad: ")
    return ""


def table(daemon: Kad, *marks: str) -> dict[str, set[str]]:
    """Process by process: the secrets of these files that it holds."""
    found: dict[str, set[str]] = {}
    for pid in (daemon.pid, *(daemon.child(name) for name in CHILDREN)):
        found[title(pid)] = set().union(*(held(pid, secrets(mark)) for mark in marks))
    return found


def test_each_secret_is_in_its_own_process_alone(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, written(a, "x"))
    daemon.wait_log("Startup complete")
    lab.wait_holder(VIP, a, seconds=12)
    assert table(daemon, "x") == MAY_HOLD
    # What is asked of the daemon brings no secret to anybody.
    daemon.dump()
    daemon.send(signal.SIGUSR1)
    lab.hub.until((a.files / "run" / "kad" / "kad.data").exists, 10, "kad.data is written")
    a.write("other.conf", written(a, "y"))
    told = daemon.ask("--check-reload", "/etc/keepalived/other.conf")
    assert (told.returncode, "password changed" in told.stdout) == (0, False)
    assert "vrrp_instance V1: authentication changed" in told.stdout
    assert table(daemon, "x", "y") == MAY_HOLD
    # Nor does a reload, nor the death of any child.
    daemon.rewrite(written(a, "y"))
    assert daemon.ask("--reload").returncode == 0
    assert table(daemon, "y") == MAY_HOLD
    assert all(found <= MAY_HOLD[name] for name, found in table(daemon, "x").items())
    for name in CHILDREN:
        old, _ = kill(daemon, name)
        replaced(lab, daemon, name, old)
    lab.hub.until(lambda: table(daemon, "y") == MAY_HOLD, 10, lambda: str(table(daemon, "y")))
    # No life of a process has what its predecessor was given.
    assert table(daemon, "x") == {name: set() for name in MAY_HOLD}
    # What one life leaves for the next holds none either.
    left = (a.files / "run" / "kad" / "vrrp.left").read_bytes()
    assert b"10.77.0.100" in left
    assert b"Plnt" not in left
    assert (a.files / "run" / "kad" / "vrrp.left").stat().st_mode & 0o777 == 0o600


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def stopped_sweep(parent: int) -> int | None:
    """The process that releases, stopped while it does; None: it had ended before."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        with contextlib.suppress(OSError, KeyError):
            for pid in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
                if title(pid) == "vrrp":
                    return None
                if title(pid) == "sweep" and status(pid)["Seccomp"] == "2":
                    os.kill(pid, signal.SIGSTOP)
                    return pid if title(pid) == "sweep" else None
    raise AssertionError("the daemon does not start")


def test_what_releases_holds_no_secret_and_one_capability(pair: Pair) -> None:
    lab, a, _ = pair
    for _ in range(5):
        daemon = lab.start_kad(a, written(a, "x"))
        lab.wait_holder(VIP, a, seconds=12)
        daemon.wait_log("Startup complete")
        daemon.kill()
        lab.hub.until(lambda: a.processes() == {}, 12, lambda: f"a process is left: {a.processes()}")
        assert lab.holders(VIP) == {"a"}
        daemon = lab.start_kad(a, written(a, "x"))
        pid = stopped_sweep(daemon.pid)
        if pid is not None:
            break
        daemon.kill()
    else:
        raise AssertionError("it ended each time before it could be looked at")
    assert held(pid, secrets("x")) == set()
    facts = status(pid)
    # 0x1000: CAP_NET_ADMIN
    assert {name: int(facts[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {
        "CapEff": 0x1000,
        "CapPrm": 0x1000,
        "CapBnd": 0x1000,
        "CapInh": 0,
        "CapAmb": 0,
    }
    assert facts["NoNewPrivs"] == "1"
    os.kill(pid, signal.SIGCONT)
    daemon.wait_log("Startup complete", 15)
    lab.wait_holder(VIP, a, seconds=12)
    assert held(daemon.pid, secrets("x")) == set()
