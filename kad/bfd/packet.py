"""The control packet of RFC 5880 4.1: bytes to values and back; what must be discarded has a reason."""

from __future__ import annotations

import struct
from enum import Enum, IntEnum, IntFlag
from typing import NamedTuple

VERSION = 1
_LAYOUT = struct.Struct("!BBBBIIIII")
LENGTH = _LAYOUT.size
_MICROSECONDS = 1_000_000


class State(IntEnum):
    """Of a session, as it stands in a packet."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(IntEnum):
    """Why a session left Up (RFC 5880 4.1)."""

    NONE = 0
    EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_DOWN = 3
    FORWARDING_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_DOWN = 6
    ADMIN_DOWN = 7
    REVERSE_DOWN = 8


class Flag(IntFlag):
    """The bits behind the state."""

    MULTIPOINT = 0x01
    DEMAND = 0x02
    AUTHENTICATED = 0x04
    CONTROL_PLANE_INDEPENDENT = 0x08
    FINAL = 0x10
    POLL = 0x20


class Reason(Enum):
    """Why a packet is discarded: the words of the log and the names of the counters."""

    SOURCE = "it comes from no neighbour"
    TTL = "its TTL is too low"
    LENGTH = "it has another length than a control packet"
    VERSION = "it is of another version than 1"
    MULTIPLIER = "the detection multiplier is 0"
    MULTIPOINT = "the multipoint bit is set"
    AUTHENTICATED = "it is authenticated, and no session here is"
    POLL_AND_FINAL = "it is poll and final at once"
    NO_DISCRIMINATOR = "its discriminator is 0"
    NOT_DOWN = "it knows no discriminator of this router, but is neither DOWN nor ADMIN_DOWN"
    DIAGNOSTIC = "its diagnostic is unknown"
    NO_SESSION = "it belongs to no session"


class Discard(ValueError):
    """The packet is none that a session may see."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Control(NamedTuple):
    """One control packet; intervals in seconds."""

    state: State
    diagnostic: Diagnostic
    flags: Flag
    multiplier: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx: float
    required_min_rx: float

    def encode(self) -> bytes:
        return _LAYOUT.pack(
            VERSION << 5 | self.diagnostic,
            self.state << 6 | self.flags,
            self.multiplier,
            LENGTH,
            self.my_discriminator,
            self.your_discriminator,
            round(self.desired_min_tx * _MICROSECONDS),
            round(self.required_min_rx * _MICROSECONDS),
            0,
        )


def decode(data: bytes) -> Control:
    """What may be judged (RFC 5880 6.8.6); raises Discard."""
    if len(data) < LENGTH:
        raise Discard(Reason.LENGTH)
    first, second, multiplier, length, mine, yours, min_tx, min_rx, _ = _LAYOUT.unpack_from(data)
    flags = Flag(second & 0x3F)
    reason: Reason | None = None
    if first >> 5 != VERSION:
        reason = Reason.VERSION
    elif length != len(data):
        reason = Reason.LENGTH
    elif multiplier == 0:
        reason = Reason.MULTIPLIER
    elif Flag.MULTIPOINT in flags:
        reason = Reason.MULTIPOINT
    elif Flag.AUTHENTICATED in flags:
        reason = Reason.AUTHENTICATED
    elif Flag.POLL in flags and Flag.FINAL in flags:
        reason = Reason.POLL_AND_FINAL
    elif mine == 0:
        reason = Reason.NO_DISCRIMINATOR
    elif yours == 0 and second >> 6 not in (State.DOWN, State.ADMIN_DOWN):
        reason = Reason.NOT_DOWN
    elif first & 0x1F > Diagnostic.REVERSE_DOWN:
        reason = Reason.DIAGNOSTIC
    if reason is not None:
        raise Discard(reason)
    return Control(
        state=State(second >> 6),
        diagnostic=Diagnostic(first & 0x1F),
        flags=flags,
        multiplier=multiplier,
        my_discriminator=mine,
        your_discriminator=yours,
        desired_min_tx=min_tx / _MICROSECONDS,
        required_min_rx=min_rx / _MICROSECONDS,
    )
