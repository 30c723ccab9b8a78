"""Servers of the tests, each a thread with one way to behave, friendly or hostile."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import struct
import threading
from collections.abc import Callable

Behaviour = Callable[[socket.socket], None]
_RESET = struct.pack("ii", 1, 0)


class Servers:
    """Listens on ports of this host until closed; `asked` counts the connections of each port."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self.asked: dict[int, int] = {}

    def tcp(self, behave: Behaviour, family: socket.AddressFamily = socket.AF_INET) -> int:
        """Port of a server that does this with each connection."""
        listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        port = int(listener.getsockname()[1])
        self.asked[port] = 0
        self._sockets.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                self.asked[port] += 1
                self._sockets.append(connection)
                connection.settimeout(10)
                self._start(functools.partial(self._serve, behave, connection))

        self._start(accept)
        return port

    def udp(self, answer: Callable[[bytes], bytes | None]) -> int:
        """Port of a server that answers each datagram so, or not."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
        self.asked[port] = 0
        self._sockets.append(sock)

        def serve() -> None:
            while True:
                try:
                    data, sender = sock.recvfrom(65536)
                except OSError:
                    return
                if self._closing.is_set():
                    return
                self.asked[port] += 1
                said = answer(data)
                if said is not None:
                    sock.sendto(said, sender)

        self._start(serve)
        return port

    def drip(self, text: bytes, pause: float = 0.05, ahead: bytes = b"") -> Behaviour:
        """Sends `ahead`, and then the text again and again, a byte at a time."""

        def behave(connection: socket.socket) -> None:
            connection.sendall(ahead)
            while not self._closing.wait(pause):
                for byte in text:
                    connection.sendall(bytes((byte,)))
                    if self._closing.wait(pause):
                        return

        return behave

    def silent(self, connection: socket.socket) -> None:
        """Accepts and says nothing."""
        self._closing.wait(20)

    def flood(self, head: bytes, piece: bytes) -> Behaviour:
        """Sends the head, and then the piece without end."""

        def behave(connection: socket.socket) -> None:
            connection.sendall(head)
            while not self._closing.is_set():
                connection.sendall(piece)

        return behave

    def close(self) -> None:
        self._closing.set()
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self, behave: Behaviour, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            behave(connection)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()


def http(answer: bytes, *, keep_open: bool = False, heard: list[bytes] | None = None) -> Behaviour:
    """Reads a request and answers it."""

    def behave(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65536)
            if not data:
                return
            request += data
        if heard is not None:
            heard.append(request)
        connection.sendall(answer)
        if keep_open:
            connection.recv(1)

    return behave


def page(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def lines(*turns: bytes) -> Behaviour:
    """Says the first one, and each next one when it has heard a line."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(turns[0])
        for turn in turns[1:]:
            if not connection.recv(4096):
                return
            connection.sendall(turn)
        connection.recv(4096)

    return behave


def reset(connection: socket.socket) -> None:
    """Lets the connection fall."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def over_tls(context: ssl.SSLContext, behave: Behaviour, *, orderly: bool = True) -> Behaviour:
    """The same within TLS, which is ended in order or not."""

    def wrapped(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as tls:
            behave(tls)
            if orderly:
                tls.unwrap()

    return wrapped
