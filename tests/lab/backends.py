"""Thousands of real servers: one nginx behind a whole network of addresses, and nodes that check them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from tests.lab.lab import Lab, Node

PORT = 80
CLOSED_PORT = 81
_NETWORK = ipaddress.ip_network("10.88.0.0/16")
_ADDRESS = "10.77.0.1"
_PER_SERVICE = 100
_BACKLOG = 16384
_NGINX = f"""
worker_processes 1;
worker_rlimit_nofile 20000;
pid /run/nginx.pid;
error_log /run/nginx-error.log;
events {{ worker_connections 16384; multi_accept on; }}
http {{
    access_log off;
    server {{ listen {PORT} backlog={_BACKLOG}; return 200 "well\\n"; }}
}}
"""


class Backends:
    """All the servers are one node."""

    def __init__(self, lab: Lab, *, processor: int | None = None) -> None:
        """`processor`: nginx computes on that one alone."""
        self._lab = lab
        self.node = lab.node("backends", {"eth0": f"{_ADDRESS}/24"})
        self.node.run("ip", "route", "add", "local", str(_NETWORK), "dev", "lo")
        for name in ("net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog"):
            self.node.set_sysctl(name, str(_BACKLOG))
        self.node.write("nginx.conf", _NGINX)
        self.node.run("nginx", "-c", "/etc/keepalived/nginx.conf")
        if processor is not None:
            for pid, name in self.node.processes().items():
                if name == "nginx":
                    os.sched_setaffinity(pid, {processor})
        self._clients = 0

    def client(self, name: str) -> Node:
        """A node that can reach them."""
        self._clients += 1
        address = f"10.77.0.{self._clients + 1}"
        client = self._lab.node(name, {"eth0": f"{address}/24"})
        client.run("ip", "route", "add", str(_NETWORK), "via", _ADDRESS)
        introduce(client, self.node, _ADDRESS)
        introduce(self.node, client, address)
        return client


def introduce(node: Node, other: Node, address: str) -> None:
    """For good: a neighbour that does not say where it is would be an error of this host, not a silent server."""
    hardware = other.ip("link", "show", "eth0")[0]["address"]
    node.run("ip", "neigh", "replace", address, "lladdr", hardware, "dev", "eth0", "nud", "permanent")


def connections(node: Node) -> int:
    """TCP connections that the node has asked for, by the kernel's count."""
    lines = Path(f"/proc/{node.first_process}/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


def addresses(count: int) -> list[str]:
    first = int(_NETWORK.network_address) + 257
    return [str(ipaddress.ip_address(first + number)) for number in range(count)]


def configuration(checks: Mapping[str, str], words: str) -> str:
    """Virtual servers of these real servers, and how each is checked."""
    reals = [f"real_server {address} {PORT} {{\n{check}\n}}\n" for address, check in checks.items()]
    return "".join(
        f"virtual_server 192.0.2.9 {at + 1} {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{words}\n"
        f"{''.join(reals[at : at + _PER_SERVICE])}}}\n"
        for at in range(0, len(reals), _PER_SERVICE)
    )
