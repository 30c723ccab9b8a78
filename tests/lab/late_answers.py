"""The show of many checks that all wait for an answer at once, short in `make test` and long in `make bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab.backends import CLOSED_PORT, PORT, Backends, addresses, configuration
from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node

_REFUSING = 100
"""One server of so many has nobody at its port."""


def late_answers(lab: Lab, count: int) -> int:
    """Nobody answers until every check has been asking for a while; then all do. The most bytes that the checker had.

    Each verdict has to be the true one.
    """
    backends = Backends(lab)
    client = backends.client("client")
    refusing = set(addresses(count)[::_REFUSING])
    checks = {
        each: f"TCP_CHECK {{\nconnect_port {CLOSED_PORT if each in refusing else PORT}\n}}" for each in addresses(count)
    }
    lab.cut(backends.node)
    kad = lab.start_kad(client, configuration(checks, "connect_timeout 60\nwarmup 0.5\ndelay_loop 300"))
    lab.hub.until(lambda: unanswered(client) == count, 60, lambda: f"{count} wait, not {unanswered(client)}")
    assert not kad.logged("is (healthy|failed)")
    lab.heal(backends.node)
    # A question is asked again after 1, 3, 7 and 15 s.
    lab.hub.until(lambda: unanswered(client) == 0, 60, lambda: f"all are answered, but for {unanswered(client)}")
    servers = verdicts(lab, kad)
    assert len(servers) == count
    assert {address for address, (healthy, _) in servers.items() if not healthy} == refusing
    assert {reason for _, reason in servers.values()} == {"connected", "Connection refused"}
    return peak(kad.child("checker"))


def unanswered(client: Node) -> int:
    """Connections that the kernel is asking for."""
    return len(client.run("ss", "-Htn", "state", "syn-sent").stdout.splitlines())


def verdicts(lab: Lab, kad: Kad) -> dict[str, tuple[bool, str]]:
    """By address, once all are known: whether it is healthy, and why."""

    def known() -> list[Any]:
        servers: list[Any] = kad.dump("checker")["servers"]
        return servers if all(server["known"] for server in servers) else []

    found = lab.hub.until(known, 20, "all verdicts are known")
    return {server["address"]: (server["healthy"], server["checks"][0]["reason"]) for server in found}


def peak(pid: int) -> int:
    """The most bytes that the process ever had in memory, those that it shares with others counted."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(kilobytes) * 1024
