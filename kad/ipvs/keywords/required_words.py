"""Which virtual addresses IPVS must serve: an instance that holds one takes no part where the kernel has no IPVS."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import ip_address

from kad.model.ipvs import VirtualServer

_Key = tuple[int, int]
"""Family and number of an address."""


class ServedAddresses:
    """All addresses of virtual servers; those by firewall mark have none."""

    def __init__(self, services: Iterable[VirtualServer]) -> None:
        ranges = sorted((_key(each.first), _key(each.last)) for one in services for each in one.members if each.first)
        self._firsts = [first for first, _ in ranges]
        self._lasts: list[_Key] = []
        """By place in `_firsts`: the greatest end of all ranges up to there."""
        for _, last in ranges:
            self._lasts.append(max(last, self._lasts[-1]) if self._lasts else last)

    def __contains__(self, address: str) -> bool:
        key = _key(address)
        place = bisect_right(self._firsts, key) - 1
        return place >= 0 and key <= self._lasts[place]

    def first_of(self, addresses: Iterable[str]) -> str:
        """The first of these that a virtual server has; empty: none."""
        return next((address for address in addresses if address in self), "")


def _key(address: str) -> _Key:
    number = ip_address(address.partition("%")[0])
    return number.version, int(number)
