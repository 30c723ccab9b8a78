"""FRR's vrrpd as a process of a node, and the interfaces that it takes its virtual routers from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.daemons import Daemon
from tests.lab.hub import Hub
from tests.lab.namespaces import Namespaces

FOLDER = Path("/usr/lib/frr")
"""Where Debian puts the daemons."""


def missing() -> list[str]:
    """What this host lacks for FRR; empty when all is there."""
    return [] if (FOLDER / "vrrpd").exists() and shutil.which("vtysh") else ["frr"]


def macvlan(node: Namespaces, vrid: int, family: int, addresses: Sequence[str]) -> None:
    """FRR keeps the addresses of a virtual router on an interface with its MAC, whose carrier it switches on and off.

    The last link-local address is the one that IPv6 adverts leave from.
    """
    name = f"vrrp{family}-{vrid}"
    node.run("ip", "link", "add", name, "link", "eth0", "type", "macvlan", "mode", "bridge")
    node.run("ip", "link", "set", name, "address", f"00:00:5e:00:0{1 if family == 4 else 2}:{vrid:02x}")
    if family == 6:
        node.set_sysctl(f"net.ipv6.conf.{name}.addr_gen_mode", "1")
        node.set_sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "0")
    for address in addresses:
        node.run("ip", "addr", "add", address, "dev", name, *(["nodad"] if family == 6 else []))
    node.run("ip", "link", "set", name, "up", "protodown", "on")


class Zebra(Daemon):
    """What tells vrrpd of the interfaces, and switches their carriers."""

    program = "zebra"

    def __init__(self, hub: Hub, node: Namespaces) -> None:
        # Both give up being root, and write beside their sockets.
        folder = node.files / "run" / "frr"
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, "frr", "frr")
        node.run("mount", "-t", "tmpfs", "none", "/var/tmp")
        nothing = folder / "zebra.conf"
        nothing.touch()
        super().__init__(hub, node, _command("zebra", nothing.name), nothing)
        hub.until((folder / "zserv.api").exists, 5, "zebra listens")


class Vrrpd(Daemon):
    """FRR's vrrpd beside a zebra, in the foreground with its log on standard output."""

    program = "vrrpd"

    def __init__(self, hub: Hub, node: Namespaces, text: str) -> None:
        path = node.files / "run" / "frr" / "vrrpd.conf"
        path.write_text(text)
        super().__init__(hub, node, _command("vrrpd", path.name), path)

    def routers(self) -> dict[tuple[int, int], dict[str, Any]]:
        """What `show vrrp` says, by VRID and family; empty while it does not answer."""
        done = self.node.ask("vtysh", "--vty_socket", "/run/frr", "-c", "show vrrp json")
        shown = json.loads(done.stdout) if done.returncode == 0 and done.stdout.startswith("[") else []
        return {(each["vrid"], family): each[f"v{family}"] for each in shown for family in (4, 6)}


def _command(program: str, file: str) -> list[str]:
    sockets = ["--vty_socket", "/run/frr", "-z", "/run/frr/zserv.api", "-i", f"/run/frr/{program}.pid"]
    return [str(FOLDER / program), *sockets, "-f", f"/run/frr/{file}", "-P", "0", "--log", "stdout"]
