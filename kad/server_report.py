"""What the ipvs process tells about itself, one line a virtual server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kad.report import Status

Plain = Mapping[str, Any]


def status(ipvs: Plain) -> Status:
    """Exit code: 0 every virtual server is served and has its quorum; 1 some; 2 none; 3 there is none."""
    services = ipvs.get("virtual_servers", [])
    if not services:
        return Status("", 3)
    failure = ipvs.get("failure", "")
    well = sum(service["quorum_up"] and not (failure or service["refused"]) for service in services)
    exit_code = 0 if well == len(services) else 1 if well else 2
    return Status("".join(f"{_line(service, failure)}\n" for service in services), exit_code)


def together(vrrp: Status, servers: Status) -> Status:
    """Instances and virtual servers; where there is only one kind, the other does not count."""
    if servers.exit_code == 3:
        return vrrp
    if vrrp.exit_code == 3:
        return servers
    return Status(vrrp.text + servers.text, max(vrrp.exit_code, servers.exit_code))


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
