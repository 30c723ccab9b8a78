"""Mail alerts as they come: joins their queue to the short-lived processes that send letters."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from kad.child.multiplexer import Mux
from kad.linux.process import fork
from kad.linux.process.fork import Birth
from kad.linux.process.spawn import reap
from kad.model.runner import Mailing
from kad.runner import mail_queue
from kad.runner.mail_queue import Letter, MailQueue, Outcome
from kad.runner.process.deadline_timer import Schedule
from kad.runner.script_check import Report
from kad.runner.sequences import Sequences
from kad.shared.log import Logger
from kad.shared.messages import Event, Mail, MailKept, Message
from kad.shared.state_machine import DeadlineReached

LAST_LETTERS = 1.0
"""Seconds that a server gets for the last letters when kad ends; the process that sends them goes on without us."""
_LOOK = 0.01


class Mails:
    """Every alert of the daemon; nothing is sent while the configuration names no server or nobody to tell."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger, schedule: Schedule) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._schedule = schedule
        self._mailing: Mailing | None = None
        self._queue = MailQueue("")
        self._sequences = Sequences()
        self._kept: list[Mail] = []
        self._sending: Birth | None = None

    def remember(self, message: MailKept) -> None:
        """An earlier life of this process had not sent it yet."""
        self._kept.append(message.mail)

    def configure(self, mailing: Mailing | None) -> None:
        """Another server is tried at once with what waits."""
        before, self._mailing = self._mailing, mailing
        kept, self._kept = self._kept, []
        if mailing is None:
            for alert in kept:
                self._say(MailKept(mail=alert, deleted=True))
            return
        self._queue.router_id = mailing.router_id
        for alert in kept:
            self.take(alert)
        if before is not None and before != mailing and self._queue.waiting:
            self._do(self._queue.handle(mail_queue.Hurried(), self._mux.now()))

    def take(self, alert: Mail) -> None:
        """Tell by mail."""
        if self._mailing is None or not self._sequences.advance(alert.object, alert.sequence):
            return
        if alert.state == "FAULT" and not self._mailing.faults:
            return
        self._say(MailKept(mail=alert))
        self._do(self._queue.handle(mail_queue.Alerted(alert), self._mux.now()))

    def snapshot(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "server": None if self._mailing is None else f"{self._mailing.server} {self._mailing.port}",
            "waiting": len(self._queue.waiting),
            "sending_pid": None if self._sending is None else self._sending.pid,
            "letters_sent": self._queue.sent,
            "alerts_lost": self._queue.lost,
            "last_error": self._queue.last_error,
        }

    async def stop(self) -> None:
        """Everything that waits leaves now, or never."""
        end = self._mux.now() + LAST_LETTERS
        self._do(self._queue.handle(mail_queue.Hurried(), self._mux.now()))
        queue = self._queue
        while self._mux.now() < end and (queue.is_sending or (queue.waiting and not queue.is_troubled)):
            await asyncio.sleep(_LOOK)
            self._do(queue.handle(mail_queue.Hurried(), self._mux.now()))
        if queue.waiting:
            self._complain(f"mail alerts that are not sent: {len(queue.waiting)} ({queue.last_error})")

    def _complain(self, text: str) -> None:
        self._log.warning(text)
        self._say(Event(when=time.time(), kind="mail", object="mail", text=text))

    def _do(self, actions: list[mail_queue.Action]) -> None:
        for action in actions:
            match action:
                case mail_queue.SendLetters(letters):
                    self._send(letters)
                case mail_queue.Settled(alert):
                    self._say(MailKept(mail=alert, deleted=True))
                case mail_queue.Note(text):
                    self._log.info(text)
                case Report(text):
                    self._complain(text)
        self._schedule.watch(self._queue, lambda now: self._do(self._queue.handle(DeadlineReached(), now)))

    def _send(self, letters: tuple[Letter, ...]) -> None:
        mailing = self._mailing
        if mailing is None:
            self._mux.loop.call_soon(self._end, b"", "no server is configured any more")
            return
        birth = self._sending = fork.fork(lambda end: _send(end, mailing, letters))
        told = bytearray()

        def ended() -> None:
            ending = reap(birth.pidfd)
            if ending is None:
                return
            self._mux.unwatch(birth.pidfd)
            self._mux.unwatch(birth.end.fileno())
            _read(birth, told)
            os.close(birth.pidfd)
            birth.end.close()
            self._sending = None
            self._end(bytes(told), f"the process that sends mail {ending}")

        self._mux.watch(birth.end.fileno(), lambda: self._hear(birth, told))
        self._mux.watch(birth.pidfd, ended)

    def _hear(self, birth: Birth, told: bytearray) -> None:
        if not _read(birth, told):
            self._mux.unwatch(birth.end.fileno())

    def _end(self, told: bytes, reason: str) -> None:
        whole = told[: told.rfind(b"\n") + 1]
        outcomes = tuple(Outcome(*json.loads(line)) for line in whole.splitlines())
        self._do(self._queue.handle(mail_queue.Ended(outcomes, reason), self._mux.now()))


def _read(birth: Birth, told: bytearray) -> bool:
    """Take what is there; False at the end of file."""
    try:
        data = birth.end.recv(65536)
    except BlockingIOError:
        return True
    except OSError:
        return False
    told += data
    return bool(data)


def _send(end: socket.socket, mailing: Mailing, letters: Sequence[Letter]) -> NoReturn:
    """In the new process: only one that sends mail pays for the libraries of mail, a megabyte."""
    from kad.runner import mail_sender

    mail_sender.live(end, mailing, letters)
