"""Random children and clients of a parent: frames, bytes, descriptors, deaths and requests, in any order."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from kad.linux.sockets.channel import ChannelLost
from kad.shared import messages
from kad.shared.framing import Frame
from kad.watchdog import process_specs
from kad.watchdog.daemon import Watchdog
from kad.watchdog.process_registry import PROCESS_SPECS
from tests.unit.watchdog import Parent, close_all, descriptors

NAMES = tuple(PROCESS_SPECS)
_KINDS = st.sampled_from(sorted(messages.KINDS)) | st.integers(0, 65535)
_PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(max_size=20),
        st.binary(max_size=20),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def _of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if kind == dict[str, Any]:
        return st.dictionaries(st.text(max_size=8), _PLAIN, max_size=4)
    return st.from_type(kind)


def _fields(kind: int) -> st.SearchStrategy[bytes]:
    """Values for the fields of this kind: mostly of the right type, sometimes of any."""
    if kind not in messages.KINDS:
        return st.binary(max_size=50)
    fields = msgspec.structs.fields(messages.KINDS[kind])
    right = {field.name: _of(field.type) | _PLAIN for field in fields}
    return st.fixed_dictionaries({}, optional=right).map(_encoded)


def _encoded(plain: dict[str, Any]) -> bytes:
    with suppress(Exception):
        return msgspec.msgpack.encode(plain)
    return b"\xc1"


def _valid(kind: int) -> st.SearchStrategy[Frame]:
    """A message of this kind as kad would send it."""
    fields = msgspec.structs.fields(messages.KINDS[kind])
    return st.builds(messages.KINDS[kind], **{field.name: _of(field.type) for field in fields}).map(_framed)


def _framed(message: messages.Message) -> Frame:
    with suppress(OverflowError, TypeError, struct.error):
        return messages.to_frame(message)
    return Frame(message.KIND, "", b"\xc1")


_NESTED = st.integers(0, 200_000).map(lambda depth: b"\x91" * depth + b"\xc0")
_BODIES = _KINDS.flatmap(lambda kind: st.tuples(st.just(kind), _fields(kind) | st.binary(max_size=200) | _NESTED))
_CHILD = st.sampled_from(NAMES)
REQUEST = (
    st.binary(max_size=200)
    | st.sampled_from([b'{"verb": "dump"}\n', b'{"verb": "status"}\n', b'{"verb": "dump", "section": "events"}\n'])
    | _PLAIN.map(lambda plain: msgspec.json.encode({"verb": plain}) + b"\n")
    | st.fixed_dictionaries({"verb": st.sampled_from(["dump", "drain", "configuration"]), "section": _PLAIN}).map(
        lambda plain: msgspec.json.encode(plain) + b"\n"
    )
)
_DESCRIPTOR = st.sampled_from(["pipe", "zero", "memory", "sealed", "large", "socket"])
STEP = st.one_of(
    st.tuples(st.just("frame"), _CHILD, _BODIES, st.text(max_size=10), st.lists(_DESCRIPTOR, max_size=5)),
    st.tuples(st.just("message"), _CHILD, st.sampled_from(sorted(messages.KINDS)).flatmap(_valid)),
    st.tuples(st.just("snapshot"), _CHILD, st.lists(_DESCRIPTOR, max_size=1), st.binary(max_size=30) | st.none()),
    st.tuples(st.just("bytes"), _CHILD, st.binary(max_size=100)),
    st.tuples(st.just("page"), _CHILD, st.floats(), st.integers(0, 100)),
    st.tuples(st.just("close"), _CHILD),
    st.tuples(st.just("die"), _CHILD),
    st.tuples(st.just("read"), _CHILD),
    st.tuples(st.just("client"), REQUEST),
    st.tuples(st.just("more"), REQUEST),
    st.tuples(st.just("leave")),
    st.tuples(st.just("turn")),
)
STEPS = st.lists(STEP, max_size=30)


def open_descriptor(kind: str) -> int:
    match kind:
        case "pipe":
            reader, writer = os.pipe()
            os.close(writer)
            return reader
        case "zero":
            return os.open("/dev/zero", os.O_RDONLY)
        case "socket":
            return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach()
        case _:
            descriptor = os.memfd_create("m", os.MFD_ALLOW_SEALING)
            if kind == "large":
                os.ftruncate(descriptor, 64 << 40)
            else:
                os.write(descriptor, b'{"process": {"memory": {}}}')
            if kind in ("sealed", "large"):
                fcntl.fcntl(descriptor, 1033, 0xF)
            return descriptor


class Play:
    """The steps, done to one parent."""

    def __init__(self, parent: Parent, stack: ExitStack) -> None:
        self.parent = parent
        self._stack = stack
        self._clients: list[socket.socket] = []

    def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("frame", name, (kind, body), key, kinds):
                self._put(name, Frame(kind, key, body).encode(), kinds)
            case ("message", name, frame):
                self._put(name, frame.encode(), [])
            case ("snapshot", name, kinds, json):
                frame = messages.to_frame(messages.SnapshotTaken(number=1, json=json))
                self._put(name, frame.encode(), kinds)
            case ("bytes", name, data):
                self._put(name, data, [])
            case ("page", name, moment, slot):
                page = self.parent.watchdog.children.members[name].page
                page.turn(moment, bytes(112))
                page.spoke_at[slot] = page.interval[slot] = page.entered_at[slot] = moment
            case ("close", name):
                self.parent.child(name).channel.close()
            case ("die", name):
                member = self.parent.child(name).member
                if member.pid is not None:
                    os.kill(member.pid, signal.SIGKILL)
            case ("read", name):
                with suppress(ChannelLost, ValueError, OSError):
                    self.parent.child(name).channel.receive()
            case ("client", request):
                with suppress(OSError):
                    client = self._stack.enter_context(self.parent.client())
                    client.setblocking(False)
                    self._clients.append(client)
                    client.send(request)
            case ("more", request) if self._clients:
                with suppress(OSError):
                    self._clients[-1].send(request)
            case ("leave",) if self._clients:
                self._clients.pop(0).close()
            case _:
                self.parent.watchdog.loop.fall_due()

    def _put(self, name: str, data: bytes, kinds: list[str]) -> None:
        opened = [open_descriptor(kind) for kind in kinds]
        with suppress(OSError):
            self.parent.child(name).put(data, opened)
        close_all(opened)


def play(steps: list[tuple[Any, ...]]) -> None:
    """All of them, and then the parent serves as ever. Raises what the parent raises."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        before = descriptors()
        patch.setattr(Watchdog, "stop", lambda watchdog, status, reason: None)
        parent = Parent(Path(folder))
        patch.setattr(process_specs, "fork_member", parent.fork_member)
        # A reload would fork the tests themselves.
        patch.setattr(parent.watchdog.reload, "ask", lambda: None)
        stack.callback(parent.close)
        acts = Play(parent, stack)
        for step in steps:
            acts.do(step)
            parent.turn()
        for _ in range(20):
            parent.rest()
            parent.watchdog.loop.fall_due()
        assert not any("Traceback" in line for line in parent.log.lines), "\n".join(parent.log.lines)
        with parent.client() as client:
            client.sendall(b'{"verb": "dump", "section": "events"}\n')
            parent.until(lambda: not parent.watchdog.control._clients.waiting_bytes and parent.is_at_rest())
            assert client.recv(11).startswith(b' {"ok":true')
        assert len(descriptors() - before) < 200
