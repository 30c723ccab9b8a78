"""Real servers on one node: addresses that listen, and that are silenced and heard again together."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from tests.lab.lab import Lab, Node

NUMBERS = (1, 2, 3)


class Farm:
    """Real server n has the addresses 10.77.0.1n and fd00:77::1n; every service of it is checked at one port."""

    PORT = 81

    def __init__(self, lab: Lab) -> None:
        self.node = lab.node("farm", {"eth0": "10.77.0.1/24"})
        allow_ipv6(self.node, "fd00:77::1/64")
        self._listening: dict[int, list[socket.socket]] = {}
        for number in NUMBERS:
            self.node.run("ip", "addr", "add", f"10.77.0.1{number}/24", "dev", "eth0")
            self.node.run("ip", "addr", "add", f"fd00:77::1{number}/64", "dev", "eth0", "nodad")
        self.listen(NUMBERS)

    def listen(self, numbers: Iterable[int]) -> None:
        """These are up, and all others refuse connections."""
        wanted = set(numbers)
        for number in self._listening.keys() - wanted:
            for listener in self._listening.pop(number):
                listener.close()
        for number in wanted - self._listening.keys():
            self._listening[number] = [
                self._listener(socket.AF_INET, f"10.77.0.1{number}"),
                self._listener(socket.AF_INET6, f"fd00:77::1{number}"),
            ]

    def close(self) -> None:
        self.listen(())

    def _listener(self, family: socket.AddressFamily, address: str) -> socket.socket:
        listener = self.node.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, self.PORT))
        # Nobody accepts: what a check leaves behind stays in the queue.
        listener.listen(4096)
        return listener


def allow_ipv6(node: Node, address: str) -> None:
    """An address on eth0 of a node of the lab, where IPv6 is off."""
    for name in ("all", "eth0", "lo"):
        node.set_sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "0")
    node.run("ip", "addr", "add", address, "dev", "eth0", "nodad")
