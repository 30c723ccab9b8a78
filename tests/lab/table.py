"""`python -m tests.lab.table`: what a client loses and how often an address moves, kad and keepalived in one run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

from tests.lab.client import Client
from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import missing
from tests.lab.texts import router

VIP = "10.77.0.100"
PROGRAMS = ("keepalived", "kad")
WATCHED = 9.0
"""Seconds after the event: two takeovers of three seconds and a half fit in."""


class Outcome(NamedTuple):
    """What one event did."""

    outage: float
    """Seconds of the longest silence that the client saw."""
    moves: int
    """How often a node got the address."""
    holders: int
    """Nodes that hold it at the end."""


def text(priority: int) -> str:
    return router(priority=priority, advert_int=1, version=2)


def vrrp_child(daemon: Daemon) -> int:
    if isinstance(daemon, Kad):
        return daemon.child("vrrp")
    [child] = [pid for pid in daemon.family() if pid != daemon.pid]
    return child


def kill_child(lab: Lab, master: Daemon, node: Node) -> None:
    os.kill(vrrp_child(master), signal.SIGKILL)


def stop_child(lab: Lab, master: Daemon, node: Node) -> None:
    os.kill(vrrp_child(master), signal.SIGSTOP)


def stop(lab: Lab, master: Daemon, node: Node) -> None:
    master.send(signal.SIGTERM)


def kill_parent(lab: Lab, master: Daemon, node: Node) -> None:
    os.kill(master.pid, signal.SIGKILL)


def cut(lab: Lab, master: Daemon, node: Node) -> None:
    lab.cut(node)


def delete_address(lab: Lab, master: Daemon, node: Node) -> None:
    node.run("ip", "addr", "del", f"{VIP}/24", "dev", "eth0")


def change_priority(lab: Lab, master: Daemon, node: Node) -> None:
    master.reload(text(140))


def break_file(lab: Lab, master: Daemon, node: Node) -> None:
    master.reload(text(150).replace("interface eth0", "interface"))


EVENTS: dict[str, Callable[[Lab, Daemon, Node], None]] = {
    "SIGKILL of the VRRP child": kill_child,
    "SIGSTOP of the VRRP child": stop_child,
    "orderly stop (SIGTERM)": stop,
    "SIGKILL of the parent": kill_parent,
    "silent death of the node": cut,
    "the address is deleted by hand": delete_address,
    "reload with another priority": change_priority,
    "reload of a file with a mistake": break_file,
}


def measure(program: str, happen: Callable[[Lab, Daemon, Node], None]) -> Outcome:
    """One event on the MASTER of a pair of that program."""
    with Lab() as lab:
        a, b = lab.node("a", {"eth0": "10.77.0.1/24"}), lab.node("b", {"eth0": "10.77.0.2/24"})
        c = lab.node("c", {"eth0": "10.77.0.9/24"})
        master = lab.start(program, a, text(150))
        lab.wait_holder(VIP, a, seconds=10)
        lab.start(program, b, text(100)).wait_log("Entering BACKUP STATE")
        # Both rounds of announcing are over.
        lab.wire.wait_announcements(10, node="a", address=VIP, seconds=8)
        lab.stays(VIP, a, 1.5)
        with Client(c, VIP) as client:
            begin = lab.wire.wait_advert(node="a", seconds=3).time
            happen(lab, master, a)
            lab.hub.never(lambda: None, WATCHED, "nothing")
            # A node that is cut off holds the address for itself alone.
            holders = lab.holders(VIP) - ({"a"} if happen is cut else set())
        moves = sum(event.added for event in lab.moves(VIP, begin))
        # Their logs are not wanted.
        lab.daemons.clear()
        return Outcome(client.result.longest(begin), moves, len(holders))


def cell(outcomes: list[Outcome]) -> str:
    """The median outage, the moves, and what is wrong at the end."""
    outage, moves = median(each.outage for each in outcomes), median(each.moves for each in outcomes)
    both = " (two hold it)" if any(each.holders > 1 for each in outcomes) else ""
    nobody = " (nobody holds it)" if any(each.holders == 0 for each in outcomes) else ""
    return f"{outage * 1000:.0f} ms | {moves:.0f}{both}{nobody}"


def show(times: int) -> None:
    """Print the table: medians of so many; both programs wait at the same time, each in a lab of its own."""
    print(f"| event, advert_int 1 s | {' | '.join(f'{program}: outage | moves' for program in PROGRAMS)} |")
    print("|---" * (1 + 2 * len(PROGRAMS)) + "|")
    with ThreadPoolExecutor(len(PROGRAMS)) as together:
        for event, happen in EVENTS.items():
            found: dict[str, list[Outcome]] = {program: [] for program in PROGRAMS}
            for _ in range(times):
                running = {program: together.submit(measure, program, happen) for program in PROGRAMS}
                for program, outcome in running.items():
                    found[program].append(outcome.result())
            print(f"| {event} | {' | '.join(cell(found[program]) for program in PROGRAMS)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.lab.table", description=__doc__)
    parser.add_argument("--times", type=int, default=3, metavar="N", help="medians of so many (default 3)")
    times = parser.parse_args().times
    if lacking := missing():
        print(f"the lab lacks {', '.join(lacking)}", file=sys.stderr)
        return 1
    show(times)
    return 0


if __name__ == "__main__":
    sys.exit(main())
