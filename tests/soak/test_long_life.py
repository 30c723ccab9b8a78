"""A million adverts and ten thousand reloads and transitions in a row: the memory of no process grows beyond 2 MB."""

from __future__ import annotations

import contextlib
import subprocess

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import environment
from tests.lab.test_memory import rollup
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.soak]

MEGABYTE = 1_000_000
ADVERTS, INSTANCES = 1_000_000, 100
RELOADS, LINKS_DOWN, CHANGING = 400, 500, 20
ROUNDS = 10


def join(a: Node, b: Node) -> None:
    """A cable between two nodes that nobody listens to: a million adverts would fill the observer's memory."""
    ends = ("eth1", "netns", str(a.first_process), "type", "veth", "peer", "name", "eth1")
    words = ["ip", "link", "add", *ends, "netns", str(b.first_process)]
    subprocess.run(words, check=True, env=environment())
    for number, node in enumerate((a, b), start=1):
        node.run("ip", "addr", "add", f"10.78.0.{number}/16", "dev", "eth1")
        node.run("ip", "link", "set", "eth1", "up")


def memory(daemon: Kad) -> dict[str, int]:
    """Private memory of each process: what is shared since the fork is counted once it is no longer shared."""
    found = {}
    for pid, name in daemon.family().items():
        if name.startswith("kad"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # one that lives for a moment
                found[name] = rollup(pid, "Pss")
    return found


def growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before if name in after}


def sent(daemon: Kad) -> int:
    return sum(each["statistics"]["advert_sent"] for each in daemon.dump("vrrp")["instances"])


def test_a_million_adverts(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    join(a, b)

    def text(priority: int) -> str:
        return global_defs() + "".join(
            instance(
                f"VI_{n}",
                interface="eth1",
                vrid=n,
                priority=priority,
                advert_int=0.02,
                addresses=(f"10.78.1.{n}/32",),
                more="garp_master_repeat 1",
            )
            for n in range(1, INSTANCES + 1)
        )

    first, second = lab.start_kad(a, text(150)), lab.start_kad(b, text(100))
    lab.wait_holder(f"10.78.1.{INSTANCES}", a, seconds=10)
    found = []
    for _ in range(ROUNDS):
        wanted = sent(first) + ADVERTS // ROUNDS
        while sent(first) < wanted:
            lab.hub.never(lambda: first.exit_status is not None or second.exit_status is not None, 2, "a daemon ended")
        found.append((memory(first), memory(second)))
        print(sent(first), found[-1])
    for which in (0, 1):
        grown = growth(found[0][which], found[-1][which])
        assert max(grown.values()) < 2 * MEGABYTE, grown
    assert not first.logged("died|killing")
    assert not second.logged("died|killing")


def test_ten_thousand_reloads_and_transitions(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair

    def text(number: int) -> str:
        script = f'vrrp_script s{number} {{\n script "/bin/true"\n interval 1\n weight 1\n}}\n'
        return (
            global_defs()
            + script
            + "".join(
                instance(
                    f"VI_{number}_{n}" if n % 2 else f"VI_{n}",
                    vrid=n,
                    priority=100 + number % 50,
                    advert_int=0.05,
                    addresses=(f"10.77.1.{n}/32", f"10.77.2.{number % 200 + 1}/32"),
                    more='garp_master_repeat 1\nnotify "/bin/true"',
                )
                for n in range(1, CHANGING + 1)
            )
        )

    daemon = lab.start_kad(a, text(0))
    last = f"10.77.1.{CHANGING}"
    lab.wait_holder(last, a, seconds=10)
    found = []
    reloads = 0
    for _ in range(ROUNDS):
        for _ in range(RELOADS // ROUNDS):
            reloads += 1
            moment = daemon.reload(text(reloads))
            daemon.wait_log("Reload complete", since=moment)
        for _ in range(LINKS_DOWN // ROUNDS):
            lab.link_down(a)
            lab.hub.until(lambda: last not in a.watch.held(), 5, "FAULT")
            lab.heal(a)
            lab.hub.until(lambda: last in a.watch.held(), 5, "MASTER")
        daemon.lines.clear()
        found.append(memory(daemon))
        print(reloads, found[-1])
    # By the middle the journal of the parent has as many events as it keeps.
    grown = growth(found[ROUNDS // 2 - 1], found[-1])
    assert max(grown.values()) < MEGABYTE / 2, grown
    transitions = sum(each["transitions"] for each in daemon.dump("vrrp")["instances"])
    assert transitions + reloads >= 10_000
    assert {each["restarts"] for each in daemon.dump()["processes"].values() if "restarts" in each} == {0}
