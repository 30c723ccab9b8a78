"""Virtual addresses on interfaces: encoded once, added or removed in one batch, and what the kernel refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

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


def hold(network: Network, placed: Iterable[Placed]) -> list[str]:
    """Add what is not there; what went wrong, in words."""
    missing = [each for each in placed if not network.has(each.index, each.address, each.prefix)]
    return _request(network, [(each, each.add) for each in missing], address.ALREADY_THERE, "adding")


def release(network: Network, placed: Iterable[Placed]) -> list[str]:
    """Remove what is there; what went wrong, in words."""
    harmless = address.NOT_THERE
    return _request(network, [(each, each.delete) for each in placed], harmless, "removing")


def _request(network: Network, batch: list[tuple[Placed, bytes]], harmless: int, doing: str) -> list[str]:
    if not batch:
        return []
    answers = network.request([request for _, request in batch])
    return [
        f"{doing} {each.address}/{each.prefix}: {os.strerror(answer)}"
        for (each, _), answer in zip(batch, answers, strict=True)
        if answer not in (0, harmless, errno.ENODEV)
    ]
