"""The show of a sync group with many members, short in `make test` and long in `make soak`."""

from __future__ import annotations

import time

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

_ON_INTERFACE = 250
"""Members on each interface, which has 255 VRIDs."""


def addresses(members: int) -> list[str]:
    return [f"10.{100 + number // _ON_INTERFACE}.0.{number % _ON_INTERFACE + 1}" for number in range(members)]


def text(members: int, priority: int, advert_int: float) -> str:
    """One group of all of them; each has an address."""
    names = "\n ".join(f"VI_{number}" for number in range(members))
    whole = "child_wait_time 60\n" + global_defs("vrrp_garp_master_repeat 1")
    whole += f"vrrp_sync_group G {{\n group {{\n {names}\n }}\n}}\n"
    for number, address in enumerate(addresses(members)):
        whole += instance(
            f"VI_{number}",
            interface=f"eth{number // _ON_INTERFACE}",
            vrid=number % _ON_INTERFACE + 1,
            priority=priority,
            advert_int=advert_int,
            addresses=(f"{address}/32",),
        )
    return whole


def hosts(lab: Lab, members: int) -> tuple[Node, Node]:
    made = []
    for number, name in enumerate("ab", start=1):
        node = lab.node(name, {})
        for place in range(-(-members // _ON_INTERFACE)):
            lab.add_interface(node, f"eth{place}", f"10.{100 + place}.255.{number}/16", lan=f"lan{place}")
        made.append(node)
    return made[0], made[1]


def held(node: Node, members: int) -> bool:
    """Whether the node has every address."""
    return set(addresses(members)) <= node.watch.held()


def free(node: Node, members: int) -> bool:
    """Whether it has none."""
    return not set(addresses(members)) & node.watch.held()


def show(lab: Lab, *, members: int, seconds: float) -> None:
    """An election, a takeover from a MASTER that died silently, its return, and its orderly stop."""
    a, b = hosts(lab, members)
    daemons = [lab.start_kad(a, text(members, 150, 1.0))]
    lab.hub.until(lambda: held(a, members), seconds, "a has all")
    daemons.append(lab.start_kad(b, text(members, 100, 1.0)))
    daemons[1].wait_log(rf"\(VI_{members - 1}\) Entering BACKUP STATE", seconds)
    begin = time.time()
    # More than the master_down_interval: 3 s and 156/256 of one.
    lab.hub.never(lambda: b.watch.held() & {addresses(members)[0]}, 4.0, "an address moves")
    families = [daemon.family() for daemon in daemons]
    lab.cut(a)
    lab.hub.until(lambda: held(b, members), seconds, "b has all")
    lab.heal(a)
    # Both are MASTER: the lower one yields, whole.
    lab.hub.until(lambda: free(b, members), seconds, "b has none")
    assert held(a, members)
    daemons[0].stop(seconds)
    lab.hub.until(lambda: held(b, members), seconds, "b has all again")
    assert families[1] == daemons[1].family()
    for daemon in daemons:
        assert not daemon.logged("killing the vrrp process|no sign of life|Traceback", since=begin)
