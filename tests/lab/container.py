"""Nodes that are containers: their interface is a macvlan, ipvlan or VLAN of a card that is in another namespace."""

from __future__ import annotations

import subprocess
from typing import NamedTuple

from tests.lab.lab import Lab, Node
from tests.lab.namespaces import environment


class Container(NamedTuple):
    """`host` has the card, eth0, on the LAN; `node` has what was made of it."""

    host: Node
    node: Node


def container(lab: Lab, name: str) -> Container:
    """A host with a card and no address, and a container on it that has no interface yet."""
    return Container(lab.node(f"{name}h", {"eth0": ""}), lab.node(name, {}))


def give(
    pair: Container, interface: str, address: str, *, kind: tuple[str, ...] = ("macvlan", "mode", "bridge"), same: bool
) -> None:
    """The container gets an interface on its host's card; `same`: its first one, with the card's index on the host."""
    host, node = pair
    (card,) = host.ip("link", "show", "eth0")
    # Linux 6.1 takes the index for that of an interface of the host; the first one of a namespace comes to it anyway.
    numbered = () if same else ("index", str(card["ifindex"] + 100 + len(node.ip("link", "show"))))
    words = ["nsenter", "-t", str(host.first_process), "-n", "ip", "link", "add", interface, *numbered]
    words += ["link", "eth0", "netns", str(node.first_process), "type", *kind]
    subprocess.run(words, check=True, env=environment())
    node.run("ip", "addr", "add", address, "brd", "+", "dev", interface)
    node.run("ip", "link", "set", interface, "up")
    (made,) = node.ip("link", "show", interface)
    assert made["link_index"] == card["ifindex"]
    assert (made["ifindex"] == card["ifindex"]) == same
