"""Who is told of real servers and quorums: programs, FIFO and mail, once each and in keepalived's order.

No kernel with ip_vs is needed: what is told follows from the checks.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_mail import WORDS, letters, sink, subjects
from tests.lab.texts import global_defs

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
OUTLETS = ("lvs_notify_fifo /run/lvs", 'lvs_notify_fifo_script "/etc/keepalived/reader.sh"', "smtp_server 127.0.0.1")
SERVICE = """
virtual_server 192.0.2.9 80 {{
    delay_loop 0.2
    delay_before_retry 0.05
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    quorum 2
    omega
    quorum_up "/etc/keepalived/record.sh quorum_up"
    quorum_down "/etc/keepalived/record.sh quorum_down"
{servers}
}}
"""
SERVER = """
    real_server 10.77.0.2 {port} {{
        notify_up "/etc/keepalived/record.sh up {port}"
        notify_down "/etc/keepalived/record.sh down {port}"
        TCP_CHECK {{
        }}
    }}
"""
NAME = "[192.0.2.9]:tcp:80"
FIRST, SECOND = (f"RS [10.77.0.2]:tcp:{port} {NAME}" for port in (8080, 8081))


def lines(node: Node, name: str) -> list[str]:
    try:
        return node.read_run(name).splitlines()
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def serving(node: Node, port: int) -> Iterator[None]:
    """A real server on the node."""
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "10.77.0.2", "--directory", "/run"]
    with node.start(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def test_everybody_is_told_once_and_in_order_over_crashes_to_the_end(pair: Pair) -> None:
    lab, a, b = pair
    a.write("record.sh", '#!/bin/sh\necho "$*: $KAD_STATE, $KAD_REASON" >>/run/told\n', 0o755)
    a.write("reader.sh", '#!/bin/sh\nexec cat "$1" >>/run/lines\n', 0o755)
    text = global_defs(*WORDS, *OUTLETS) + SERVICE.format(
        servers="".join(SERVER.format(port=port) for port in (8080, 8081))
    )

    def told(number: int, of_fifo: int, of_mail: int) -> None:
        for name, wanted in (("told", number), ("lines", of_fifo)):
            lab.hub.until(lambda name=name, wanted=wanted: len(lines(a, name)) >= wanted, 8, lambda: f"{state()}")  # type: ignore[misc]
        lab.hub.until(lambda: len(letters(a)) >= of_mail, 8, lambda: f"letters: {subjects(a)}")

    def state() -> str:
        return f"told {lines(a, 'told')}, FIFO {lines(a, 'lines')}, mail {subjects(a)}"

    with sink(a), serving(b, 8081), contextlib.ExitStack() as first:
        first.enter_context(serving(b, 8080))
        daemon = lab.start_kad(a, text)
        lab.hub.until(lambda: len(daemon.logged("real_server .* is healthy")) == 2, 8, "both answer")
        before = len(lines(a, "told")), len(lines(a, "lines")), len(letters(a))
        first.close()
        told(before[0] + 2, before[1] + 2, before[2] + 2)
        assert lines(a, "lines")[before[1] :] == [f"{FIRST} DOWN", f"VS {NAME} DOWN"]
        # Programs of a server and of its service run side by side, as keepalived's do.
        down, lost = sorted(lines(a, "told")[before[0] :])
        assert re.fullmatch(r"down 8080: DOWN, .*Connection refused.*", down)
        assert lost.startswith("quorum_down: DOWN, ")
        assert sorted(subjects(a)[before[2] :]) == [
            f"[NODE_A] Realserver [10.77.0.2]:tcp:8080 of virtual server {NAME} - DOWN",
            f"[NODE_A] Virtualserver {NAME} - DOWN",
        ]
        [quorum] = [one["body"] for one in letters(a) if "Virtualserver" in one["headers"]["Subject"]][-1:]
        assert quorum.splitlines()[0] == "=> Lost quorum 2-0=2 > 1 <="

        # Nothing is told twice, whoever dies.
        for child in ("ipvs", "checker", "runner"):
            begin = time.time()
            os.kill(daemon.child(child), signal.SIGKILL)
            daemon.wait_log(f"Starting the {child} process", 5, begin)
        first.enter_context(serving(b, 8080))
        told(before[0] + 4, before[1] + 4, before[2] + 4)
        assert lines(a, "lines")[before[1] + 2 :] == [f"{FIRST} UP", f"VS {NAME} UP"]
        up = sorted(line.partition(":")[0] for line in lines(a, "told")[before[0] + 2 :])
        assert up == ["quorum_up", "up 8080"]

        assert daemon.stop() == 0
        told(before[0] + 7, before[1] + 7, before[2] + 7)
        assert lines(a, "lines")[before[1] + 4 :] == [f"{FIRST} DOWN", f"{SECOND} DOWN", f"VS {NAME} DOWN"]
        assert sorted(line.partition(":")[0] for line in lines(a, "told")[before[0] + 4 :]) == [
            "down 8080",
            "down 8081",
            "quorum_down",
        ]
        assert {one["body"].splitlines()[0] for one in letters(a)[before[2] + 4 :]} == {"=> Shutting down <="}
