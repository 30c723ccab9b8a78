"""What `kad --status` prints: what is wrong now, a line for each instance and virtual server, and its exit status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kad.cli import server_status

Plain = Mapping[str, Any]

WELL, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
"""Exit statuses, those of monitoring plug-ins."""
_WORDS = {WARNING: "WARNING", CRITICAL: "CRITICAL"}


class Status(NamedTuple):
    """The text and the exit status."""

    text: str
    exit_status: int


def status(dump: Plain) -> Status:
    """Of the parent's answer to a status.

    The exit status is that of the worst problem; 3 when there is no problem, no instance and no virtual server.
    """
    problems = dump.get("problems", [])
    objects = [*_instance_lines(dump.get("vrrp", {})), *server_status.lines(dump.get("ipvs", {}))]
    lines = [f"{_WORDS[problem['severity']]}: {problem['text']}{_since(problem)}" for problem in problems]
    worst = max((problem["severity"] for problem in problems), default=WELL if objects else UNKNOWN)
    if not objects and not problems:
        lines.append("no vrrp_instance is running")
    return Status("".join(f"{line}\n" for line in [*lines, *objects]), worst)


def critical(text: str) -> Status:
    """Of a daemon that does not answer."""
    return Status(f"{_WORDS[CRITICAL]}: {text}\n", CRITICAL)


def _since(problem: Plain) -> str:
    since = problem.get("since")
    return "" if since is None else f", since {_time(since)}"


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _instance_lines(vrrp: Plain) -> Iterator[str]:
    for instance in vrrp.get("instances", []):
        line = f"{instance['name']}: {instance['state']} since {_time(instance['since'])}"
        line += f", priority {instance['effective_priority']}"
        addresses = [*instance["virtual_addresses"], *instance["excluded_addresses"]]
        held = [address["address"] for address in addresses if address.get("held")]
        if held:
            line += f", holds {', '.join(held)}"
        elif instance.get("master_address"):
            line += f", master is {instance['master_address']}"
        refused = [f"{each['address']} ({each['refused']})" for each in addresses if each.get("refused")]
        if refused:
            line += f", lacks {', '.join(refused)}"
        causes = instance.get("faults") or [instance.get("reason")]
        reason = "; ".join(cause for cause in causes if cause)
        yield line + (f" ({reason})" if reason else "")
