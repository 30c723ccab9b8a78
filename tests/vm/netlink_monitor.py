"""What a node's programs tell the kernel by generic netlink, seen on an nlmon device of that node."""

from __future__ import annotations

import socket
import struct
import subprocess

from tests.lab.lab import Node

_ETH_P_ALL = 0x0003
_GENERIC = 16
_FIRST_FAMILY = 0x11
"""Below are the answers of the kernel, and the family that names families."""
_CHANGES = {1: "NEW_SERVICE", 2: "SET_SERVICE", 3: "DEL_SERVICE", 5: "NEW_DEST", 6: "SET_DEST", 7: "DEL_DEST"}
"""enum of linux/ip_vs.h: what is no question."""
_HEADER = struct.Struct("=IHHII")


class NetlinkMonitor:
    """IPVS is the only generic family that kad speaks to."""

    def __init__(self, node: Node) -> None:
        subprocess.run(["modprobe", "nlmon"], check=True)
        node.run("ip", "link", "add", "nlmon0", "type", "nlmon")
        node.run("ip", "link", "set", "nlmon0", "up")
        self._socket = node.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind(("nlmon0", _ETH_P_ALL))
        self._socket.setblocking(False)

    def changes(self) -> list[str]:
        """The commands since the last call that change the table."""
        found = []
        while True:
            try:
                data, address = self._socket.recvfrom(1 << 18)
            except BlockingIOError:
                return found
            if address[1] != _GENERIC:
                continue
            offset = 0
            while offset + _HEADER.size < len(data):
                length, kind, _, _, port = _HEADER.unpack_from(data, offset)
                if kind >= _FIRST_FAMILY and not port and (name := _CHANGES.get(data[offset + _HEADER.size])):
                    found.append(name)
                offset += length + -length % 4

    def close(self) -> None:
        self._socket.close()
