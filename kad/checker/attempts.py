"""What checks make their attempts by: connections, datagrams, echo requests, programs of the runner."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable
from typing import NoReturn

from kad.checker.background_match import Background
from kad.checker.checker_api import Attempt, Conversation, Ended, Outcome
from kad.checker.datagram_attempt import Exchange
from kad.checker.program_attempt import Courier
from kad.checker.tcp_attempt import StreamAttempt
from kad.checker.tls import Contexts
from kad.child.multiplexer import Mux
from kad.linux.sockets import check_socket
from kad.linux.sockets.check_socket import Unreachable
from kad.linux.sockets.epoll_set import Sockets
from kad.linux.sockets.icmp import Echo
from kad.model.checker import Check, Connection, Tls, Url
from kad.shared.messages import Notified


class SocketAttempts:
    """The checker_api.Attempts of one process."""

    def __init__(self, mux: Mux, courier: Courier) -> None:
        self._mux = mux
        self._courier = courier
        self._sockets = Sockets()
        mux.watch(self._sockets.fileno(), self.serve, "checking servers")
        self._stream = functools.partial(StreamAttempt, mux.now, self._sockets, background=Background(mux))
        self.contexts = Contexts()

    def stream(
        self,
        connection: Connection,
        ended: Ended,
        conversation: Conversation | None = None,
        tls: tuple[Tls | None, Url] | None = None,
    ) -> Attempt:
        layer = self.contexts.layer(tls[0], tls[1]) if tls is not None and tls[0] is not None else None
        return self._stream(connection, ended, conversation, layer)

    def datagram(
        self,
        connection: Connection,
        payload: bytes,
        judge: Callable[[bytes], Outcome | None],
        silence: Callable[[float], Outcome],
        ended: Ended,
    ) -> Attempt:
        sock = check_socket.datagram(connection)
        _send(sock, payload)
        return Exchange(self._mux, sock, connection.timeout, judge, silence, ended)

    def echo(
        self, connection: Connection, reply: Outcome, silence: Callable[[float], Outcome], ended: Ended
    ) -> Attempt:
        echo = Echo(connection)

        def judge(data: bytes) -> Outcome | None:
            return reply if echo.is_reply(data) else None

        return Exchange(self._mux, echo.socket, connection.timeout, judge, silence, ended)

    def program(
        self, check: Check, program: str, timeout: float, judge: Callable[[Notified], Outcome], ended: Ended
    ) -> Attempt:
        return self._courier.begin(check, program, timeout, judge, ended)

    def refuse(self, reason: str) -> NoReturn:
        raise Unreachable(reason)

    def serve(self) -> None:
        """Go on with some attempts over TCP whose servers have answered; the loop does so too."""
        self._sockets.serve()

    def serve_all(self) -> None:
        """Go on with each of them."""
        self._sockets.serve_all()


def _send(sock: socket.socket, payload: bytes) -> None:
    """One datagram; a socket that cannot send it is closed. Raises Unreachable."""
    try:
        sock.send(payload)
    except OSError as error:
        sock.close()
        raise Unreachable(os.strerror(error.errno or 0)) from error
