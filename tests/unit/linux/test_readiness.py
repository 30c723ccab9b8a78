"""A loop that is told of an error by one descriptor still hears the next thing it has to tell."""

from __future__ import annotations

import socket

import uvloop

from kad.linux.netlink.pollable import readiness


def test_what_comes_after_an_error_is_heard() -> None:
    loop = uvloop.new_event_loop()
    heard: list[str] = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        readiness(sock) as ready,
    ):
        peer.bind(("127.0.0.1", 0))
        address = peer.getsockname()
        sock.bind(("127.0.0.1", 0))
        sock.connect(address)
        sock.setblocking(False)
        peer.close()
        sock.send(b"nobody hears this")  # the kernel answers with an error: connection refused

        def read() -> None:
            try:
                heard.append(sock.recv(100).decode())
                loop.stop()
            except ConnectionRefusedError:
                heard.append("refused")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                    again.bind(address)
                    again.sendto(b"news", sock.getsockname())

        loop.add_reader(ready.fileno(), read)
        loop.call_later(5, loop.stop)
        loop.run_forever()
        loop.remove_reader(ready.fileno())
    loop.close()
    assert heard == ["refused", "news"]
