"""Random SIGKILL and SIGSTOP of random children on two nodes, short in `make test` and long in `make soak`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from typing import NamedTuple

from tests.lab.addresses import AddressEvent
from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

INTERVAL = 0.5
TAKEOVER = 3 * INTERVAL + INTERVAL * 156 / 256
CHILDREN = ("vrrp", "vrrp", "runner", "ipvs", "checker")
BALANCED = """global_defs {
    ipvs_required no
}
virtual_server 10.77.0.100 80 {
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.50 80 {
        TCP_CHECK {
        }
    }
}
"""


class Span(NamedTuple):
    """How long an address was on so many nodes at once."""

    address: str
    holders: int
    began: float
    seconds: float


def text(priorities: dict[int, int]) -> str:
    """Four instances, each with a script that adds to its priority."""
    script = 'vrrp_script fine {\n script "/bin/true"\n interval 1\n weight 2\n}\n'
    tracking = "track_script {\n fine\n}\ngarp_master_repeat 2"
    return (
        global_defs()
        + script
        + BALANCED
        + "".join(
            instance(
                f"VI_{n}", vrid=n, priority=priority, advert_int=INTERVAL, addresses=(f"10.77.1.{n}/32",), more=tracking
            )
            for n, priority in priorities.items()
        )
    )


def spans(events: list[AddressEvent], held: dict[str, set[str]], end: float) -> list[Span]:
    """Every time in which an address was on no node or on more than one; `held` is how it began."""
    found: list[Span] = []
    for address, holders in held.items():
        now, since = set(holders), 0.0
        for event in [event for event in events if event.address == address] + [None]:
            moment = end if event is None else event.time
            if len(now) != 1:
                found.append(Span(address, len(now), since, moment - since))
            if event is not None:
                (now.add if event.added else now.discard)(event.node)
                since = event.time
    return found


def deaths(lab: Lab, a: Node, b: Node, *, times: int, pause: float, seed: int) -> Counter[str]:
    """So many deaths; what happened how often. Raises AssertionError where something was lost."""
    chance = random.Random(seed)
    nodes = (a, b)
    daemons: tuple[Kad, Kad] = (
        lab.start_kad(a, text({1: 150, 2: 150, 3: 100, 4: 100})),
        lab.start_kad(b, text({1: 100, 2: 100, 3: 150, 4: 150})),
    )
    wanted = {f"10.77.1.{n}": nodes[n > 2] for n in (1, 2, 3, 4)}
    for address, node in wanted.items():
        lab.wait_holder(address, node, seconds=10)
    # A death soon after the start is an early one, and says something about the configuration.
    lab.hub.never(lambda: ended(daemons), 1.2, "a daemon ended")
    begin = time.time()
    happened: Counter[str] = Counter()
    victims: set[int] = set()
    for _ in range(times):
        daemon, name = chance.choice(daemons), chance.choice(CHILDREN)
        number = chance.choice((signal.SIGKILL, signal.SIGSTOP))
        # Where it is away because it was killed too often, nobody can be killed.
        with contextlib.suppress(LookupError, ProcessLookupError):
            victim = daemon.child(name)
            os.kill(victim, number)
            victims.add(victim)
            happened[f"{signal.Signals(number).name} {name}"] += 1
        lab.hub.never(lambda: ended(daemons), chance.uniform(0.2, 2 * pause - 0.2), "a daemon ended")
    # What was stopped last must be noticed and replaced, what was let go must be elected again.
    lab.hub.until(lambda: not [each for each in daemons if victims & each.family().keys()], 4, "all are replaced")
    for address, node in wanted.items():
        lab.wait_holder(address, node, seconds=12)
    end = time.time()
    events = sorted(event for node in nodes for event in node.watch.events if event.time >= begin)
    found = spans(events, {address: {node.name} for address, node in wanted.items()}, end)
    alone = [span for span in found if span.holders == 0 and span.seconds > TAKEOVER + INTERVAL]
    twice = [span for span in found if span.holders > 1 and span.seconds > INTERVAL]
    assert not alone, f"nobody had an address for too long: {alone}"
    assert not twice, f"two had an address for too long: {twice}"
    happened["moves of an address"] = sum(event.added for event in events)
    happened["longest without a holder, ms"] = longest(found, 0)
    happened["longest with two holders, ms"] = longest(found, 2)
    for daemon, node in zip(daemons, nodes, strict=True):
        healthy(lab, daemon, node)
    return happened


def ended(daemons: tuple[Kad, Kad]) -> bool:
    return any(daemon.exit_status is not None for daemon in daemons)


def longest(found: list[Span], holders: int) -> int:
    return round(max((span.seconds for span in found if span.holders == holders), default=0.0) * 1000)


def healthy(lab: Lab, daemon: Kad, node: Node) -> None:
    """It answers, reloads, has all children once and no other process, and leaves in order."""
    assert daemon.ask("--status").returncode in (0, 1, 2)
    moment = daemon.reload()
    daemon.wait_log("Reload complete", since=moment)
    titles = ["kad", "kad: checker", "kad: ipvs", "kad: runner", "kad: vrrp"]
    assert sorted(name for name in node.processes().values() if name.startswith("kad")) == titles
    assert not daemon.logged("Traceback")
    assert daemon.stop() == 0
    lab.hub.until(lambda: node.processes() == {}, 3, lambda: f"left: {node.processes()}")
