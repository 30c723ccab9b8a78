"""The table of processes in docs/threat-model.md, row by row, as the kernel itself answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT
from tests.lab.process_facts import Facts, facts, standing
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
SCRIPT = 'vrrp_script fine {\n script "/bin/true"\n interval 1\n}\n'
BFD = "bfd_instance peer {\n neighbor_ip 10.77.0.2\n}\n"
TRACKED = "track_script {\n fine\n}\n track_bfd {\n peer weight 1\n }\n"
PRIVILEGED = "fwmark 7\n bind_port 700\n"
ROWS = (
    "parent",
    "runner",
    "vrrp",
    "vrrp, with `vrrp_no_swap`",
    "bfd",
    "ipvs",
    "checker",
    "checker, with `fwmark` and `bind_port` below 1024",
)


def page() -> dict[str, Facts]:
    """The rows of the page's first table, by process."""
    lines = (PROJECT / "docs" / "threat-model.md").read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| process | user |"))
    rows: dict[str, Facts] = {}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = Facts(*cells)
    return rows


def served(check: str = "") -> str:
    return f"""virtual_server {VIP} 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.50 80 {{
        TCP_CHECK {{
            {check}
        }}
    }}
}}
"""


def text(*words: str, check: str = "") -> str:
    return global_defs("ipvs_required no", *words) + SCRIPT + BFD + instance(more=TRACKED) + served(check)


def have_user(node: Node, *, exists: bool) -> None:
    """A user and a group kad (uid and gid 4321), or none, whatever this host has."""
    for name, line in (("passwd", "kad:x:4321:4321::/:/bin/false"), ("group", "kad:x:4321:")):
        lines = [each for each in Path(f"/etc/{name}").read_text().splitlines() if not each.startswith("kad:")]
        known = node.write(name, "\n".join([*lines, *[line] * exists]) + "\n")
        node.run("mount", "--bind", f"/etc/keepalived/{known.name}", f"/etc/{name}")


def known_facts(name: str, pid: int, everything: int) -> Facts:
    """Without the netlink socket that the ipvs process has where the kernel has IPVS."""
    found = facts(pid, everything)
    if name == "ipvs":
        return found._replace(descriptors=found.descriptors.replace(", netlink socket", ""))
    return found


def test_the_page_has_these_rows() -> None:
    assert tuple(page()) == ROWS


@pytest.mark.parametrize("has_user", [True, False], ids=["with a user kad", "without"])
@pytest.mark.parametrize("is_privileged", [False, True], ids=["usual", "with what needs more"])
def test_each_process_is_and_may_what_the_page_says(lab: Lab, has_user: bool, is_privileged: bool) -> None:
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    have_user(node, exists=has_user)
    words = text("vrrp_no_swap", check=PRIVILEGED) if is_privileged else text()
    daemon = lab.start_kad(node, words)
    lab.wait_holder(VIP, node, seconds=8)
    daemon.wait_log("Startup complete")
    # Each process that answers has its configuration, and has given up what that does not need.
    daemon.dump()
    everything = int(standing(daemon.pid)["CapBnd"], 16)
    rows = page()
    if is_privileged:
        rows["vrrp"], rows["checker"] = rows[ROWS[3]], rows[ROWS[7]]
    for name in ("parent", "runner", "vrrp", "bfd", "ipvs", "checker"):
        pid = daemon.pid if name == "parent" else daemon.child(name)
        wanted = rows[name] if has_user else rows[name]._replace(user="root")
        assert known_facts(name, pid, everything) == wanted, name
        if wanted.user == "kad":
            assert standing(pid)["Groups"] == ""
        # Nobody traces it, and it is scheduled like every other process.
        assert standing(pid)["TracerPid"] == "0"
        assert os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
