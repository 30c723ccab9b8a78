"""Children of a real parent whose end of the channel the test holds: it may send the parent whatever it likes."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from collections.abc import Sequence

from kad.linux.sockets.channel import Channel, ChannelLost
from kad.shared import framing, messages
from kad.shared.messages import Message
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT
from tests.lab.wrapped import WrappedKad

_INSTEAD_OF_LIVING = """
import array
import os
import signal
import socket
import time

import kad.child.main
import kad.watchdog.supervision

real = kad.child.main.live
if "IMPOSTORS_AT_ONCE" in os.environ:
    kad.watchdog.supervision.BACK_OFF = (0.0,)

def write_page(page, moment, slot):
    page.turn(moment, bytes(112))
    page.spoke_at[slot] = page.interval[slot] = page.entered_at[slot] = moment

def live(name, channel, *words, page, trace, **settings):
    if name not in os.environ["IMPOSTORS"].split(","):
        real(name, channel, *words, page=page, trace=trace, **settings)
    for number in range(34, 65):
        signal.signal(number, signal.SIG_IGN)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect("/run/impostors")
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [channel.fileno(), trace]))
    connection.sendmsg([f"{name} {os.getpid()}".encode()], [rights])
    channel.close()
    os.close(trace)
    connection.settimeout(0.05)
    while True:
        page.turn(time.monotonic(), bytes(112))
        try:
            order = connection.recv(100)
        except TimeoutError:
            continue
        match order.decode().split():
            case ["page", moment, slot]:
                write_page(page, float(moment), int(slot))
            case ["die"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                time.sleep(0.05)

kad.child.main.live = live
"""


class Impostor:
    """One life of a child: alive by its page, and everything else is up to the test."""

    def __init__(self, name: str, pid: int, end: socket.socket, trace: int, orders: socket.socket) -> None:
        self.name = name
        self.pid = pid
        """As the node knows it."""
        self.end = end
        self.trace = trace
        self._orders = orders
        self.channel = Channel(end)
        self.received: list[Message] = []
        self.configured = False

    def say(self, *said: Message, descriptor: int | None = None) -> None:
        for message in said:
            self.channel.send(messages.to_frame(message), descriptor=descriptor)

    def raw(self, kind: int, body: bytes, key: str = "", descriptors: Sequence[int] = ()) -> None:
        """A frame of these bytes."""
        self.put(framing.Frame(kind, key, body).encode(), descriptors)

    def put(self, data: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Bytes that need be no frame at all; False: the socket did not take them within 5 s."""
        self.end.settimeout(5)
        with contextlib.suppress(OSError):
            if descriptors:
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
                sent = self.end.sendmsg([data], [rights])
                data = data[sent:]
            if data:
                self.end.sendall(data)
            self.end.setblocking(False)
            return True
        return False

    def order(self, *words: object) -> None:
        """What its process does itself: "page", a moment, a slot: writes that to its page; "die"."""
        with contextlib.suppress(OSError):
            self._orders.send(" ".join(map(str, words)).encode())

    def read(self) -> list[Message]:
        """All that has come so far."""
        with contextlib.suppress(ChannelLost):
            self.received += [messages.from_frame(frame) for frame in self.channel.receive()]
        for descriptor in self.channel.descriptors:
            os.close(descriptor)
        self.channel.descriptors.clear()
        return self.received

    def close(self) -> None:
        os.close(self.trace)
        self._orders.close()
        self.channel.close()


class Impostors:
    """All lives of the children that the test plays, as they are forked; a context."""

    def __init__(self, lab: Lab, node: Node) -> None:
        self._lab = lab
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(node.files / "run" / "impostors"))
        self._listener.listen(64)
        self._listener.setblocking(False)
        self.born: list[Impostor] = []
        lab.hub.watch(self._listener, self._accept)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        data, ancillary, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(8))
        [(_, _, rights)] = ancillary
        channel, trace = struct.unpack("2i", rights)
        name, pid = data.decode().split()
        end = socket.socket(fileno=channel)
        self.born.append(Impostor(name, int(pid), end, trace, connection))

    def wait(self, *names: str, after: Impostor | None = None, seconds: float = 10) -> list[Impostor]:
        """The latest life of each child, or the one that comes after another, once it runs its configuration."""
        place = self.born.index(after) + 1 if after is not None else 0

        def configured() -> list[Impostor] | None:
            lives = {each.name: each for each in self.born[place:]}
            found = [lives[name] for name in names if name in lives and self.is_configured(lives[name])]
            return found if len(found) == len(names) else None

        return self._lab.hub.until(configured, seconds, f"{names} run their configuration")

    def next_life(self, after: Impostor, seconds: float = 10) -> Impostor:
        """The life that replaces this one, once it runs its configuration."""
        [impostor] = self.wait(after.name, after=after, seconds=seconds)
        return impostor

    def is_configured(self, impostor: Impostor) -> bool:
        """It says ready to what it is given, and that it is in force."""
        for message in impostor.read():
            match message:
                case messages.Prepare(generation=generation):
                    impostor.say(messages.Ready(generation=generation))
                case messages.Commit(generation=generation):
                    impostor.say(messages.Configured(generation=generation))
                    impostor.configured = True
        impostor.received.clear()
        return impostor.configured

    def __enter__(self) -> Impostors:
        return self

    def __exit__(self, *_error: object) -> None:
        self._lab.hub.forget(self._listener)
        self._listener.close()
        for impostor in self.born:
            impostor.close()


def start_with_impostors(
    lab: Lab, node: Node, text: str, *names: str, words: Sequence[str] = (), at_once: bool = False
) -> tuple[WrappedKad, Impostors]:
    """kad, whose children of these names are played by the test; at_once: no replacement of a child has to wait."""
    impostors = Impostors(lab, node)
    node.write("sitecustomize.py", _INSTEAD_OF_LIVING)
    prefix = ["env", f"PYTHONPATH=/etc/keepalived:{PROJECT}", f"IMPOSTORS={','.join(names)}"]
    prefix += ["IMPOSTORS_AT_ONCE=yes"] * at_once
    daemon = WrappedKad(lab, node, text, prefix, words, "/run/kad")
    return lab.began(daemon), impostors
