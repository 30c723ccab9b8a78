"""Weights that a program or a file says reach the kernel's table at once and go back, as they do under keepalived."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.lab import Lab, Node

pytestmark = [pytest.mark.lab, pytest.mark.vm(guest="directors")]

TEXT = """
global_defs {
    script_user root
    enable_script_security
}
track_file load {
    file "/etc/keepalived/load"
    weight 1
    init_file 0
}
virtual_server 192.0.2.1 80 {
    delay_loop 1
    warmup 0
    lb_algo wrr
    lb_kind DR
    protocol TCP
    real_server 10.77.0.11 80 {
        weight 10
        MISC_CHECK {
            misc_path "/etc/keepalived/weigh"
            misc_dynamic
        }
    }
    real_server 10.77.0.12 80 {
        weight 20
        FILE_CHECK {
            track_file load
            weight 1
        }
    }
    real_server 10.77.0.13 80 {
        weight 30
        inhibit_on_failure
        MISC_CHECK {
            misc_path "/etc/keepalived/weigh"
            misc_dynamic
        }
    }
}
"""
STATUSES = (132, 134, 135, 136, 137, 139, 143)
"""Exit statuses that a shell gives for a command that died of a signal: they are weights like any other."""
ENDS = (
    """
virtual_server 192.0.2.2 80 {
    delay_loop 60
    warmup 0
    lb_algo wrr
    lb_kind DR
    protocol TCP
"""
    + "".join(
        f"""
    real_server 10.77.0.{number} 80 {{
        weight 10
        MISC_CHECK {{
            misc_path "{program}"
            misc_dynamic
        }}
    }}
"""
        for number, program in [
            *((status, f"/etc/keepalived/exit {status}") for status in STATUSES),
            (31, "/etc/keepalived/die 9"),
        ]
    )
    + "}\n"
)
STEPS = [
    # exit status of the program, content of the file, weights
    ("0", "0", {11: 10, 12: 20, 13: 30}),
    ("102", "0", {11: 100, 12: 20, 13: 100}),
    ("102", "-15", {11: 100, 12: 5, 13: 100}),
    ("2", "5", {11: 0, 12: 25, 13: 0}),
    ("1", "5", {12: 25, 13: 0}),
    ("255", "0", {11: 253, 12: 20, 13: 253}),
    ("0", "-40", {11: 10, 12: 0, 13: 30}),
    ("0", "0", {11: 10, 12: 20, 13: 30}),
]
"""keepalived.conf(5): 1 is a failure, 0 the configured weight, others two less; FILE_CHECK adds to the weight."""


@dataclass
class Site:
    lab: Lab
    nodes: tuple[Node, Node]

    def weigh(self, status: str, load: str) -> None:
        for node in self.nodes:
            for name, text in (("status", status), ("load", load)):
                # Whole or not at all: somebody may be reading it.
                new = node.write(f".{name}", f"{text}\n")
                new.replace(new.with_name(name))

    def weights(self, node: Node, service: str = "192.0.2.1:80") -> dict[int, int]:
        lines = node.ask("ipvsadm", "-L", "-n", "-t", service).stdout.splitlines()
        found = [line.split() for line in lines if "-> 10.77.0." in line]
        return {int(words[1].removesuffix(":80").rpartition(".")[2]): int(words[3]) for words in found}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_wrr"], check=True)
    with Lab(observed=False) as lab:
        theirs, ours = (lab.node(name, {"eth0": f"10.77.0.{at}/24"}) for at, name in ((2, "theirs"), (3, "ours")))
        site = Site(lab, (theirs, ours))
        for node in site.nodes:
            node.write("exit", "#!/bin/sh\nexit $1\n", 0o755)
            node.write("die", "#!/bin/sh\nkill -$1 $$\n", 0o755)
            node.write("weigh", "#!/bin/sh\nread status </etc/keepalived/status\nexit $status\n", 0o755)
        site.weigh(*STEPS[0][:2])
        lab.start_keepalived(theirs, TEXT + ENDS)
        lab.start_kad(ours, TEXT + ENDS)
        yield site


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_the_table_has_the_weights_that_are_said(site: Site, step: int) -> None:
    status, load, wanted = STEPS[step]
    site.weigh(status, load)
    for node in reversed(site.nodes):
        site.lab.hub.until(
            lambda node=node: site.weights(node) == wanted or None,  # type: ignore[misc]
            8,
            lambda node=node: f"{node.name}: {wanted}, not {site.weights(node)}",  # type: ignore[misc]
        )


def test_an_exit_status_above_128_is_a_weight_and_a_signal_is_a_failure(site: Site) -> None:
    """The last server's script kills itself: it is in no table."""
    wanted = {132: 130, 134: 132, 135: 133, 136: 134, 137: 135, 139: 137, 143: 141}
    for node in reversed(site.nodes):
        site.lab.hub.until(
            lambda node=node: site.weights(node, "192.0.2.2:80") == wanted or None,  # type: ignore[misc]
            8,
            lambda node=node: f"{node.name}: {wanted}, not {site.weights(node, '192.0.2.2:80')}",  # type: ignore[misc]
        )
