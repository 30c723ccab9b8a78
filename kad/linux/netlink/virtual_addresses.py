"""Virtual addresses on interfaces: encoded once, added or removed in one batch, and what the kernel refused."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TypeAlias

from kad.linux.netlink import address
from kad.linux.netlink.network_table import Network


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


Refusals: TypeAlias = "list[tuple[Placed, int]]"
"""What the kernel does not do, and its errno."""


def hold(network: Network, placed: Sequence[Placed]) -> Refusals:
    """Add what is not there."""
    return _request(network, placed, [each.add for each in placed], address.ALREADY_THERE)


def release(network: Network, placed: Sequence[Placed]) -> Refusals:
    """Remove what is there."""
    return _request(network, placed, [each.delete for each in placed], address.NOT_THERE)


def probe(network: Network, placed: Sequence[Placed]) -> Refusals:
    """Add what is not there and remove it again, within one system call: what the kernel would refuse."""
    missing = [each for each in placed if not network.has(each)]
    answers = network.request([request for each in missing for request in (each.add, each.delete)])
    return _refused(network, missing, answers[::2], address.ALREADY_THERE)


def _request(network: Network, placed: Sequence[Placed], requests: list[bytes], harmless: int) -> Refusals:
    return _refused(network, placed, network.request(requests), harmless)


def _refused(network: Network, placed: Sequence[Placed], answers: Sequence[int], harmless: int) -> Refusals:
    refused = [(each, answer) for each, answer in zip(placed, answers, strict=True) if answer not in (0, harmless)]
    if any(answer == errno.ENODEV for _, answer in refused):
        # An interface that is gone by now is a matter of the interface.
        network.catch_up()
        refused = [each for each in refused if each[1] != errno.ENODEV or network.link_at(each[0].index) is not None]
    return refused
