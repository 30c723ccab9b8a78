"""Passwords and keys as a type of their own: masked wherever they are printed, whole where they are used.

It is no subclass of str or bytes, so that no encoder and no format takes it for text.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

MASK = "****"
"""Always the same: the length of a secret is not shown either."""
T = TypeVar("T")


class _Hidden:
    """Equal by value."""

    __slots__ = ("_value",)
    _value: str | bytes

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._value == self._value

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return MASK

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")


class Secret(_Hidden):
    """Text that is hidden."""

    __slots__ = ()

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for what needs it."""
        assert isinstance(self._value, str)
        return self._value


class SecretBytes(_Hidden):
    """Bytes that are hidden."""

    __slots__ = ()

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves, for what needs them."""
        assert isinstance(self._value, bytes)
        return self._value


def encode(value: msgspec.Struct) -> bytes:
    """A slice as msgpack, with its secrets: for the process that it belongs to."""
    return msgspec.msgpack.encode(value, enc_hook=_reveal)


def decode(data: bytes, type: type[T]) -> T:
    """A slice from msgpack; raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(data, type=type, dec_hook=_hide)


def to_json(value: Any) -> bytes:
    """Anything as JSON, its secrets masked."""
    return msgspec.json.encode(value, enc_hook=mask)


def mask(value: Any) -> str:
    """What stands for a value that JSON does not know, as msgspec asks for it."""
    if isinstance(value, _Hidden):
        return MASK
    raise NotImplementedError(f"{type(value).__name__} cannot be printed")


def _reveal(value: Any) -> Any:
    if isinstance(value, Secret | SecretBytes):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} is not a part of slices")


def _hide(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is SecretBytes and isinstance(value, bytes):
        return SecretBytes(value)
    raise ValueError(f"expected {kind.__name__}")
