"""What a node's programs tell the kernel by generic netlink, seen on an nlmon device of that node."""

from __future__ import annotations

import socket
import struct
import subprocess

from tests.lab.hub import Hub
from tests.lab.lab import Node

_ETH_P_ALL = 0x0003
_GENERIC = 16
_FIRST_FAMILY = 0x11
"""Below are the answers of the kernel, and the family that names families."""
_CHANGES = {1: "NEW_SERVICE", 2: "SET_SERVICE", 3: "DEL_SERVICE", 5: "NEW_DEST", 6: "SET_DEST", 7: "DEL_DEST"}
"""enum of linux/ip_vs.h: what is no question."""
_HEADER = struct.Struct("=IHHII")
_SO_RCVBUFFORCE = 33
_BUFFER = 32 * 1024 * 1024


class NetlinkMonitor:
    """IPVS is the only generic family that kad speaks to."""

    def __init__(self, hub: Hub, node: Node) -> None:
        subprocess.run(["modprobe", "nlmon"], check=True)
        node.run("ip", "link", "add", "nlmon0", "type", "nlmon")
        node.run("ip", "link", "set", "nlmon0", "up")
        self._changes: list[str] = []
        self._hub = hub
        self._socket = node.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.bind(("nlmon0", _ETH_P_ALL))
        self._socket.setblocking(False)
        hub.watch(self._socket, self._read)

    def changes(self) -> list[str]:
        """The commands since the last call that change the table."""
        found, self._changes = self._changes, []
        return found

    def close(self) -> None:
        self._hub.forget(self._socket)
        self._socket.close()

    def _read(self) -> None:
        for _ in range(100):
            try:
                data, address = self._socket.recvfrom(1 << 18)
            except BlockingIOError:
                return
            if address[1] == _GENERIC:
                self._take(data)

    def _take(self, data: bytes) -> None:
        offset = 0
        while offset + _HEADER.size < len(data):
            length, kind, _, _, port = _HEADER.unpack_from(data, offset)
            name = _CHANGES.get(data[offset + _HEADER.size])
            # What the kernel answers is addressed to a port.
            if name is not None and kind >= _FIRST_FAMILY and not port:
                self._changes.append(name)
            offset += length + -length % 4
