"""The network namespace in which the real keepalived judges configurations, and the same host as a value for kad."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

from kad.model.host import Host, Interface

NETWORK = f"kad-oracle-{os.getpid()}"


@contextlib.contextmanager
def network() -> Iterator[Host]:
    """A namespace with the interfaces of tests.config.hosts.a_host() and far, and that as a value for kad."""
    from kad.linux.netlink.host import gather

    subprocess.run(["ip", "netns", "add", NETWORK], check=True)
    commands = ["link add eth0 type veth peer name far", "link add eth1 type veth peer name away"]
    commands += ["addr add 192.0.2.2/24 dev eth0", "addr add 198.51.100.2/24 dev eth1"]
    commands += ["link set eth0 up", "link set eth1 up"]
    try:
        for command in commands:
            subprocess.run(["ip", "-n", NETWORK, *command.split()], check=True)
        addresses = {"eth0": ("192.0.2.2/24", "fe80::2/64"), "eth1": ("198.51.100.2/24",), "far": (), "away": ()}
        interfaces = {"lo": Interface(name="lo", index=1, flags=0x8)} | {
            name: Interface(name=name, index=index, flags=0x1003, addresses=own)
            for index, (name, own) in enumerate(addresses.items(), 2)
        }
        yield replace(gather(), interfaces=interfaces)
    finally:
        subprocess.run(["ip", "netns", "del", NETWORK], check=True)
