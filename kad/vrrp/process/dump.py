"""What the process knows, as plain values for `--dump`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.model import secret
from kad.vrrp.group import SyncGroup
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.tracked_values import Tracking


def plain_instances(
    instances: Iterable[Instance], network: Network, tracking: Tracking, now: Callable[[], float]
) -> Iterator[msgspec.Raw]:
    """One after the other, encoded: between two of them the process may do something else."""
    held = {(each.address, each.prefix) for link in network.links() for each in network.addresses(link.index)}
    for instance in instances:
        plain = instance.snapshot(now(), held)
        for track in plain["tracks"]:
            value = tracking.value(track["kind"], track["name"])
            track["value"], track["reason"] = value.number, value.reason
        yield msgspec.Raw(secret.to_json(plain))


def plain_groups(groups: Iterable[SyncGroup]) -> list[dict[str, Any]]:
    return [
        {"name": group.name, "state": group.state.value, "members": [each.name for each in group.members]}
        for group in groups
    ]


def plain_interfaces(network: Network, is_up: Callable[[Link], bool]) -> list[dict[str, Any]]:
    """`up` is what counts."""
    return [
        {"name": link.name, "index": link.index, "up": is_up(link), "mac": link.mac.hex(":")}
        for link in network.links()
    ]
