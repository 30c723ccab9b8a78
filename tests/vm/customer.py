"""A client that asks a web server again and again, and remembers who answered."""

from __future__ import annotations

import itertools
import json
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.lab.namespaces import Namespaces

INTERVAL = 0.1
"""Seconds between the end of one question and the next."""
PATIENCE = 1.0
"""Seconds that an answer may take."""


class Answer(NamedTuple):
    """`when` in UNIX seconds; `text` is empty when there was no answer."""

    when: float
    text: str


class Customer:
    """Context manager: asks while the block runs; `answers` are there afterwards."""

    def __init__(self, node: Namespaces, address: str) -> None:
        words = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), address]
        self._process = node.start(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        self.answers: list[Answer] = []

    def __enter__(self) -> Customer:
        """It has been answered once."""
        self.wait_answered()
        return self

    def wait_answered(self) -> None:
        """For the first time, or again after questions without an answer; raises AssertionError."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 30)[0] or self._process.stdout.readline() != b"answered\n":
            self._process.kill()
            raise AssertionError("the customer got no answer")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told, _ = self._process.communicate(timeout=30)
        self.answers = [Answer(*each) for each in json.loads(told.splitlines()[-1])]

    def unanswered(self, since: float = 0.0) -> list[float]:
        return [answer.when for answer in self.answers if answer.when >= since and not answer.text]

    def longest_wait(self) -> float:
        """Seconds between two answers."""
        times = [answer.when for answer in self.answers if answer.text]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


def _ask(address: str) -> str:
    """The body; empty when there is none."""
    data = b""
    try:
        with socket.create_connection((address, 80), PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while part := connection.recv(4096):
                data += part
    except OSError:
        return ""
    return data.partition(b"\r\n\r\n")[2].decode().strip()


def _ask_on(address: str) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    answered = ready = False
    while not select.select([0], [], [], INTERVAL)[0]:
        when = time.time()
        text = _ask(address)
        if text and not answered:
            ready = True
            print("answered", flush=True)
        answered = bool(text)
        if ready:
            found.append((when, text))
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps(_ask_on(sys.argv[1])))
