"""Many instances between a MASTER and a BACKUP of the same program: CPU per advert, and memory."""

from __future__ import annotations

import time
from typing import NamedTuple

from tests.bench.cost import cpu_seconds, megabytes
from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

_PER_LAN = 250
"""Instances on one LAN; a virtual router identifier is a byte."""


class Load(NamedTuple):
    """CPU microseconds an advert, and megabytes of the MASTER's family."""

    sent: float
    received: float
    memory: float
    adverts: float
    """Adverts a second that really went."""


def measure(program: str, instances: int, *, advert_int: float = 0.1, seconds: float = 10) -> Load:
    lans = -(-instances // _PER_LAN)
    with Lab(observed=False) as lab:
        nodes = lab.node("a", {}), lab.node("b", {})
        for lan in range(lans):
            ends = [(node, f"10.{lan + 1}.0.{number}/16") for number, node in enumerate(nodes, start=1)]
            lab.cable(f"eth{lan}", *ends)
        wanted = {address(number) for number in range(instances)}
        first = lab.start(program, nodes[0], text(instances, 150, advert_int))
        lab.hub.until(lambda: wanted <= nodes[0].watch.held(), 60, "all are MASTER")
        # Only now the other one: a thousand elections at once between two beginners keep both busy for minutes.
        second = lab.start(program, nodes[1], text(instances, 100, advert_int))
        second.wait_log(rf"\(VI_{instances - 1}\) Entering BACKUP STATE", 60)
        pause(lab, 1)
        lab.hub.until(lambda: not wanted & nodes[1].watch.held(), 60, "the other one is BACKUP")
        # The gratuitous ARPs of the election are over after garp_master_delay 1.
        pause(lab, 3)
        return observe(lab, nodes[0], [first, second], seconds)


def observe(lab: Lab, master: Node, daemons: list[Daemon], seconds: float) -> Load:
    packets, cpu, begin = sent_packets(master), [cpu_seconds(each) for each in daemons], time.monotonic()
    pause(lab, seconds)
    spent = [cpu_seconds(each) - before for each, before in zip(daemons, cpu, strict=True)]
    adverts = sent_packets(master) - packets
    took = time.monotonic() - begin
    return Load(spent[0] / adverts * 1e6, spent[1] / adverts * 1e6, megabytes(daemons[0]), adverts / took)


def pause(lab: Lab, seconds: float) -> None:
    lab.hub.never(lambda: [each for each in lab.daemons if each.exit_status is not None], seconds, "a daemon ended")


def sent_packets(node: Node) -> int:
    """Packets that left all interfaces of the node but lo."""
    return sum(link["stats64"]["tx"]["packets"] for link in node.ip("-s", "link") if link["ifname"] != "lo")


def text(instances: int, priority: int, advert_int: float) -> str:
    return global_defs() + "".join(
        instance(
            f"VI_{number}",
            interface=f"eth{number // _PER_LAN}",
            vrid=number % _PER_LAN + 1,
            priority=priority,
            advert_int=advert_int,
            addresses=(address(number) + "/32",),
            more="garp_master_repeat 1",
        )
        for number in range(instances)
    )


def address(number: int) -> str:
    return f"10.{number // _PER_LAN + 1}.1.{number % _PER_LAN + 1}"
