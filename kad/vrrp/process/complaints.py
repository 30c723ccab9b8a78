"""What the log says of packets, each cause at most once a minute."""

from __future__ import annotations

from collections.abc import Callable, Hashable, MutableMapping
from typing import Any

from kad.log import Logger
from kad.vrrp.advert import Examined, Finding
from kad.vrrp.process.instance import Instance

_INTERVAL = 60.0
"""Seconds between two log lines of one cause."""
_MOST_CAUSES = 100
"""Causes that are remembered: whoever forges sources must not fill the memory."""


class Complaints:
    """A logger that does not repeat itself."""

    def __init__(self, now: Callable[[], float], log: Logger) -> None:
        self._now = now
        self._log = log
        self._last: dict[Hashable, float] = {}

    def rarely(self, cause: Hashable, text: str) -> None:
        """A warning, unless this cause had one within the minute."""
        if self._is_due(self._last, cause):
            self._log.warning(text)

    def about(self, instance: Instance, source: str, examined: Examined) -> None:
        """What is wrong with a packet of that source."""
        finding = examined.rejection or examined.findings[0]
        if self._is_due(instance.complained, f"{finding.value} {source}"):
            done = "discarded" if examined.rejection else "accepted all the same"
            self._log.warning(f"({instance.name}) advert from {source} {done}: {_EXPLANATIONS[finding]}")

    def _is_due(self, last: MutableMapping[Any, float], cause: Hashable) -> bool:
        now = self._now()
        if now - last.get(cause, -_INTERVAL) < _INTERVAL:
            return False
        if len(last) >= _MOST_CAUSES:
            for old in [each for each, when in last.items() if now - when >= _INTERVAL]:
                del last[old]
            if len(last) >= _MOST_CAUSES:
                return False
        last[cause] = now
        return True


_EXPLANATIONS = {
    Finding.TRUNCATED: "too short to be VRRP",
    Finding.AH_UNEXPECTED: "authentication header where none is configured, or none where one is",
    Finding.LENGTH: "its length does not fit the number of its addresses",
    Finding.TTL: "its TTL is not 255",
    Finding.VERSION: "it is of another VRRP version than this instance",
    Finding.AUTH_TYPE_INVALID: "unknown authentication type",
    Finding.AUTH_TYPE_DIFFERS: "its authentication type is not the configured one",
    Finding.AUTH_FAILURE: "wrong password",
    Finding.INTERVAL_DIFFERS: "its advertisement interval is not ours",
    Finding.TYPE: "it is no advertisement",
    Finding.TOTAL_LENGTH: "its IP length is not what was received",
    Finding.INTERVAL_OTHER: "its advertisement interval is not ours",
    Finding.CHECKSUM: "wrong checksum",
    Finding.DESTINATION_KIND: "multicast where unicast is configured, or the reverse",
    Finding.OWNER_IGNORES: "the owner of the addresses listens to nobody",
    Finding.ADDRESS_LIST: "its addresses are not ours",
    Finding.SOURCE_UNKNOWN: "its sender is no configured peer",
}
