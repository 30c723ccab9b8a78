"""What the ipvs process tells about itself, one line a virtual server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Plain = Mapping[str, Any]


def lines(ipvs: Plain) -> Iterator[str]:
    """One for each virtual server, in the order of the configuration."""
    failure = ipvs.get("failure", "")
    for service in ipvs.get("virtual_servers", []):
        yield _line(service, failure)


def _line(service: Plain, failure: str) -> str:
    servers = service["real_servers"]
    head = f"virtual_server {service['name']}"
    if failure or service["refused"]:
        return f"{head}: not served ({failure or service['refused']})"
    serving = sum(bool(server["weight_in_table"]) for server in servers)
    line = f"{head}: quorum {'up' if service['quorum_up'] else 'down'}, {serving} of {len(servers)} real servers serve"
    if service["sorry_server_serves"]:
        line += f", sorry server {service['sorry_server']} serves"
    others = "; ".join(_others(servers))
    return f"{line} ({others})" if others else line


def _others(servers: list[Plain]) -> Iterator[str]:
    for server in servers:
        name = f"{server['address']} {server['port']}"
        if server["drain"] is not None:
            yield f"{name} is {'drained' if server['drain']['out'] else 'being drained'}"
        elif not server["up"]:
            yield f"{name} is down: {server['reason']}"
        elif not server["effective_weight"]:
            yield f"{name} has weight 0"
