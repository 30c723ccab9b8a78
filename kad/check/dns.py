"""DNS_CHECK: a server is well that answers a question without an error."""

from __future__ import annotations

import secrets
import struct

from kad.check.attempt import Ended, Outcome
from kad.check.exchange import Exchange
from kad.check.keywords import DnsCheck
from kad.check.udp import send
from kad.linux import check_socket
from kad.mux import Mux

_HEADER = struct.Struct("!6H")  # id, flags, counts of questions, answers, authorities, additions (RFC 1035 4.1.1)
_RECURSION_DESIRED = 0x0100
_RESPONSE = 0x8000
_CODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


def query(check: DnsCheck, number: int) -> bytes:
    return _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0) + check.question


def judge(data: bytes, number: int) -> Outcome | None:
    """What a datagram says about the question of that number; None: it is no answer to it."""
    if len(data) < _HEADER.size:
        return None
    found, flags, *_ = _HEADER.unpack_from(data)
    if found != number or not flags & _RESPONSE:
        return None
    code = flags & 0xF
    return Outcome(code == 0, f"DNS {_CODES[code] if code < len(_CODES) else f'response code {code}'}")


def begin(mux: Mux, check: DnsCheck, ended: Ended) -> Exchange:
    """Raises Unreachable, Exhausted."""
    number = secrets.randbits(16)
    timeout = check.connection.timeout
    sock = check_socket.datagram(check.connection)
    send(sock, query(check, number))

    def silence(seconds: float) -> Outcome:
        return Outcome(False, f"no DNS response within {seconds:g} s")

    return Exchange(mux, sock, timeout, lambda data: judge(data, number), silence, ended)
