"""Virtual addresses on interfaces: encoded once, added or removed in one batch, and what the kernel refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TypeAlias

from kad.linux import address
from kad.linux.network import Network


class Placed:
    """One address on one interface, with the requests that add and remove it."""

    __slots__ = ("add", "address", "delete", "index", "prefix")

    def __init__(
        self,
        index: int,
        text: str,
        prefix: int,
        *,
        broadcast: str | None,
        label: str | None,
        scope: int,
        peer: str | None,
        flags: int | None,
        preferred_lft: int | None,
    ) -> None:
        self.index = index
        self.address = text
        self.prefix = prefix
        self.add = address.encode_add(
            index,
            text,
            prefix,
            broadcast=broadcast,
            label=label,
            scope=scope,
            peer=peer,
            flags=flags,
            preferred_lft=preferred_lft,
        )
        self.delete = address.encode_delete(index, text, prefix, peer=peer)


Refusals: TypeAlias = "list[tuple[Placed, str]]"
"""What the kernel does not do, and why."""


def hold(network: Network, placed: Sequence[Placed]) -> Refusals:
    """Add what is not there."""
    return _request(network, placed, [each.add for each in placed], address.ALREADY_THERE)


def release(network: Network, placed: Sequence[Placed]) -> Refusals:
    """Remove what is there."""
    return _request(network, placed, [each.delete for each in placed], address.NOT_THERE)


def _request(network: Network, placed: Sequence[Placed], requests: list[bytes], harmless: int) -> Refusals:
    return [
        (each, os.strerror(answer))
        for each, answer in zip(placed, network.request(requests), strict=True)
        if answer not in (0, harmless, errno.ENODEV)
    ]
