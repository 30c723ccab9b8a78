"""Frames of a channel: a header with the kind and the generation, and the body as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct("!IHH")
LARGEST_FRAME = 64 * 1024 * 1024
LARGEST_OF_CHILD = 4 * 1024 * 1024
"""What the parent takes from a child; a larger snapshot comes in a memory file."""


class Frame(NamedTuple):
    """One message as bytes: what the parent routes."""

    kind: int
    key: str
    body: bytes

    def encode(self) -> bytes:
        key = self.key.encode()
        return _HEADER.pack(len(key) + len(self.body), self.kind, len(key)) + key + self.body


class BadFrame(ValueError):
    """The bytes are no frame of ours; the channel is lost."""


class Assembler:
    """Frames out of a byte stream that arrives in any pieces."""

    def __init__(self, largest: int = LARGEST_FRAME) -> None:
        self._bytes = bytearray()
        self._largest = largest

    @property
    def is_between(self) -> bool:
        """No frame has begun whose end has not come."""
        return not self._bytes

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Each frame that is complete now; raises BadFrame."""
        self._bytes += data
        while len(self._bytes) >= _HEADER.size:
            length, kind, key_length = _HEADER.unpack_from(self._bytes)
            if length > self._largest or key_length > length:
                self._bytes.clear()
                raise BadFrame(f"frame of {length} bytes with a key of {key_length}")
            end = _HEADER.size + length
            if len(self._bytes) < end:
                return
            split = _HEADER.size + key_length
            key = bytes(self._bytes[_HEADER.size : split]).decode(errors="replace")
            body = bytes(self._bytes[split:end])
            del self._bytes[:end]
            yield Frame(kind, key, body)
