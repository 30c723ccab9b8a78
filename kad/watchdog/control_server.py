"""The control socket: clients are accepted, their requests read and given to the verbs, the answers written."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kad.shared.control_protocol import ControlError
from kad.shared.log import Logger
from kad.watchdog import control_socket
from kad.watchdog.control_clients import MOST_WAITING_BYTES, Clients
from kad.watchdog.control_socket import Conversation
from kad.watchdog.selector_loop import SelectorLoop
from kad.watchdog.verb import DaemonParts
from kad.watchdog.verb_registry import VERBS

_CONVERSATION = 10.0
"""Seconds that a client has for its request, and again for reading the answer."""
_OWED = 30.0
"""Seconds that it may last until it is answered; whoever is asked for it has answered or been given up before."""


@dataclass(frozen=True)
class _Client:
    """A Client (kad.watchdog.verb) of this server."""

    server: ControlServer
    conversation: Conversation

    def reply(self, answer: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        self.server.reply(self.conversation, answer, descriptors)

    def refuse(self, error: str) -> None:
        self.server.reply(self.conversation, {"ok": False, "error": error})

    def allow(self, seconds: float) -> None:
        self.server.allow(self.conversation, seconds)

    def on_end(self, callback: Callable[[], None]) -> None:
        self.conversation.on_end.append(callback)


class ControlServer:
    """A Timed of the loop; never waits."""

    def __init__(self, loop: SelectorLoop, log: Logger, parts: DaemonParts) -> None:
        self._loop = loop
        self._log = log
        self._parts = parts
        self._clients = Clients()

    @property
    def deadline(self) -> float | None:
        return min(self._clients.deadlines, default=None)

    def fall_due(self, now: float) -> None:
        """End clients that take too long."""
        for conversation in self._clients.late(now):
            self._end(conversation)

    def accept(self, listener: socket.socket) -> None:
        """A client has come."""
        try:
            conversation = Conversation(listener.accept()[0])
        except OSError:
            return
        leaving = self._clients.in_the_way(conversation)
        if leaving is conversation:
            conversation.close()
            return
        if leaving is not None:
            self._end(leaving)
        self._clients.last(conversation, time.monotonic() + _CONVERSATION)
        self._loop.watch(conversation.connection, lambda: self._guard(conversation, self._read))

    def close(self) -> None:
        """End every client."""
        for conversation in self._clients:
            self._end(conversation)

    def _guard(self, conversation: Conversation, serve: Callable[[Conversation], None]) -> None:
        """Serve the client; a failure ends this conversation alone."""
        try:
            serve(conversation)
        except Exception:
            self._log.error(traceback.format_exc())
            self._end(conversation)

    def _end(self, conversation: Conversation) -> None:
        if self._clients.forget(conversation):
            self._loop.unwatch(conversation.connection)
            conversation.close()
            for callback in conversation.on_end:
                callback()

    def _read(self, conversation: Conversation) -> None:
        try:
            request = conversation.read()
            if request is None:
                return
            self._serve(conversation, request)
        except ControlError:
            self._end(conversation)

    def _serve(self, conversation: Conversation, request: bytes) -> None:
        """Raises ControlError: this is no request."""
        name = control_socket.verb_of(request)
        verb = VERBS.get(name)
        arguments = control_socket.arguments_of(request, verb.arguments) if verb is not None else None
        self._loop.unwatch(conversation.connection)
        self.allow(conversation, _OWED)
        client = _Client(self, conversation)
        if verb is None:
            client.refuse(f"unknown request {name}")
        elif not control_socket.may(conversation.connection, verb.permission):
            client.refuse(f"no permission for {name}")
        else:
            # That this process serves its clients is known at once, however long a child, or a reload, takes.
            conversation.begin()
            verb.answer(self._parts, client, arguments)

    def allow(self, conversation: Conversation, seconds: float) -> None:
        """It may last for so long from now, unless it has ended."""
        if conversation in self._clients:
            self._clients.last(conversation, time.monotonic() + seconds)

    def reply(self, conversation: Conversation, answer: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Write the answer as the client reads it; one that has ended is not answered."""
        if conversation not in self._clients:
            return
        self.allow(conversation, _CONVERSATION)
        encoded = msgspec.json.encode(answer)
        if not conversation.may_act and self._clients.waiting_bytes + len(encoded) > MOST_WAITING_BYTES:
            error = "too many answers wait to be read by others: ask again"
            encoded = msgspec.json.encode({"ok": False, "error": error})
        try:
            conversation.answer(encoded, descriptors)
        except OSError as error:
            conversation.close_descriptors()
            conversation.answer(msgspec.json.encode({"ok": False, "error": str(error.strerror)}))
        self._write(conversation)

    def _write(self, conversation: Conversation) -> None:
        if conversation.write():
            self._end(conversation)
        else:
            self._loop.watch(
                conversation.connection, lambda: self._guard(conversation, self._write), read=False, write=True
            )
