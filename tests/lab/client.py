"""A client on the LAN that pings an address every 10 ms: what it lost is the outage, whatever the daemons say."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.lab.namespaces import Namespaces

INTERVAL = 0.01
"""Seconds between two requests."""
_PATIENCE = 0.3
"""Seconds that an answer may take: ARP may have to ask first."""
_ECHO = struct.Struct("!BBHHH")


class Outage(NamedTuple):
    """Requests in a row without an answer."""

    began: float
    """UNIX seconds: when the first of them was sent."""
    seconds: float
    """From the first that was lost to the first that was answered again."""
    lost: int


class Pinged(NamedTuple):
    """What a client saw; times are UNIX seconds."""

    answered: tuple[float, ...]
    """When each request that was answered was sent."""
    unanswered: tuple[float, ...]

    def outages(self, since: float = 0.0) -> list[Outage]:
        """In order of time; the last one may not have ended."""
        found: list[Outage] = []
        requests = sorted([(at, True) for at in self.answered] + [(at, False) for at in self.unanswered])
        begin, count = 0.0, 0
        for at, good in requests:
            if at < since:
                continue
            if good and count:
                found.append(Outage(begin, at - begin, count))
                count = 0
            elif not good:
                begin = begin if count else at
                count += 1
        return [*found, Outage(begin, requests[-1][0] - begin, count)] if count else found

    def longest(self, since: float = 0.0) -> float:
        """Seconds of the longest outage; 0.0 when nothing was lost."""
        return max((outage.seconds for outage in self.outages(since)), default=0.0)

    def lost(self, since: float = 0.0) -> int:
        """Requests without an answer."""
        return sum(at >= since for at in self.unanswered)


class Client:
    """Context manager: pings from the node while the block runs; `result` is there afterwards."""

    def __init__(self, node: Namespaces, address: str) -> None:
        words = [sys.executable, "-S", str(Path(__file__).resolve()), address]
        self._process = node.start(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        self.result = Pinged((), ())

    def __enter__(self) -> Client:
        """The address has answered once."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 15)[0] or self._process.stdout.readline() != b"ready\n":
            self._process.kill()
            raise AssertionError("the client got no answer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told, _ = self._process.communicate(timeout=15)
        answered, unanswered = json.loads(told)
        self.result = Pinged(tuple(answered), tuple(unanswered))


# what runs in the node


def _request(identifier: int, sequence: int) -> bytes:
    """RFC 792, with 16 bytes of data."""
    plain = _ECHO.pack(8, 0, 0, identifier, sequence) + bytes(16)
    total = sum(struct.unpack(f"!{len(plain) // 2}H", plain))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return _ECHO.pack(8, 0, ~total & 0xFFFF, identifier, sequence) + bytes(16)


def _sequence(packet: bytes, address: str, identifier: int) -> int | None:
    if socket.inet_ntoa(packet[12:16]) != address:
        return None
    kind, _, _, who, sequence = _ECHO.unpack_from(packet, (packet[0] & 0xF) * 4)
    return int(sequence) if (kind, who) == (0, identifier) else None


def _ping(address: str) -> tuple[list[float], list[float]]:
    """Until standard input ends: when the answered and the unanswered requests were sent."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    connection.setblocking(False)
    connection.connect((address, 0))
    identifier = os.getpid() & 0xFFFF
    sent: list[float] = []
    answered: set[int] = set()
    counting = False
    stop_at = None
    moment = time.monotonic()
    while True:
        now = time.monotonic()
        if stop_at is not None and now >= stop_at:
            break
        if now >= moment:
            # A client that was not scheduled does not send what it missed.
            moment = max(moment + INTERVAL, now)
            if stop_at is None:
                sent.append(time.time())
                with contextlib.suppress(OSError):
                    connection.send(_request(identifier, len(sent) & 0xFFFF))
        ready = select.select([connection, *([] if stop_at else [0])], [], [], max(0.0, moment - time.monotonic()))[0]
        if connection in ready:
            try:
                sequence = _sequence(connection.recv(2048), address, identifier)
            except OSError:
                continue
            if sequence is not None:
                # Only the low bits travel; the answer is to the latest request that has them.
                answered.add(len(sent) - ((len(sent) - sequence) & 0xFFFF))
                if not counting:
                    print("ready", flush=True)
                    sent, answered, counting = [], set(), True
                    identifier ^= 0x5555
        if 0 in ready:
            stop_at = time.monotonic() + _PATIENCE
    numbered = list(enumerate(sent, start=1))
    return [at for n, at in numbered if n in answered], [at for n, at in numbered if n not in answered]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps(_ping(sys.argv[1])))
