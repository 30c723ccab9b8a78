"""A descriptor that is readable whenever a socket has data or an error to tell, and that never has an error itself.

libuv stops watching a descriptor for good when it reports an error, and a netlink socket reports each overrun as one.
"""

from __future__ import annotations

import select
import socket


def readiness(sock: socket.socket) -> select.epoll:
    """For the loop instead of the socket; to be closed with it."""
    ready = select.epoll()
    ready.register(sock, select.EPOLLIN)
    return ready
