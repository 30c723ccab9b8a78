"""What the log says of packets: what is discarded at most once a minute, what is merely odd once for each router."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from ipaddress import ip_address

from kad.shared.log import Logger
from kad.shared.log_limit import ComplaintLimit
from kad.vrrp.advert import Advertisement, Checksum, Examined, Finding
from kad.vrrp.process.instance import MOST_CAUSES, Instance


class Complaints:
    """A logger that does not repeat itself."""

    def __init__(self, now: Callable[[], float], log: Logger) -> None:
        self._now = now
        self._log = log
        self._limit = ComplaintLimit(MOST_CAUSES)

    def rarely(self, cause: Hashable, text: str) -> None:
        """A warning, unless this cause had one within the minute."""
        if self._limit.is_due(cause, self._now()):
            self._log.warning(text)

    def about(self, instance: Instance, source: str, examined: Examined) -> None:
        """What is wrong with a packet of that source."""
        rejection, advert = rejection_of(examined), examined.advert
        if rejection is not None:
            if instance.complained.is_due((rejection, source), self._now()):
                why = explain(rejection, instance, advert)
                self._log.warning(f"({instance.name}) advert from {source} discarded: {why}")
        elif advert is not None:
            for finding in examined.findings:
                self._once(instance, source, finding.value, _explain_accepted(finding, instance, advert))

    def of_checksum(self, instance: Instance, source: str, theirs: Checksum, ours: Checksum) -> None:
        """Two rules are in use for version 3 over IPv4, and both are understood here."""
        text = f"{source} makes its checksums over {theirs.value}, this router over {ours.value}"
        self._once(instance, source, "checksum", f"{text}: accepted; v3_checksum_as_v2 changes this router's")

    def _once(self, instance: Instance, source: str, topic: str, text: str) -> None:
        """Unless just that was said of this source already."""
        noticed = instance.noticed
        if noticed.get((source, topic)) == text:
            return
        if self._limit.is_due((instance.name, source, topic), self._now()):
            if len(noticed) >= MOST_CAUSES:
                noticed.clear()
            noticed[source, topic] = text
            self._log.warning(f"({instance.name}) {text}")


def rejection_of(examined: Examined) -> Finding | None:
    """Why the packet does not count; None when it does."""
    if examined.rejection is not None and examined.advert is not None and Finding.VERSION in examined.findings:
        # What else is wrong with it was judged by the rules of another version.
        return Finding.VERSION
    return examined.rejection


def explain(finding: Finding, instance: Instance, advert: Advertisement | None) -> str:
    """Why a packet does not count, in words."""
    if advert is not None:
        configuration = instance.configuration
        if finding is Finding.VERSION:
            return f"it is of VRRP version {advert.version}, this router of version {configuration.version}"
        if finding is Finding.TTL and configuration.family == 6:
            return "its hop limit is not 255"
        if finding is Finding.INTERVAL_DIFFERS:
            return (
                f"its advertisement interval is {advert.interval:g} s, ours {configuration.advertisement_interval:g} s"
            )
    return _EXPLANATIONS[finding]


def _explain_accepted(finding: Finding, instance: Instance, advert: Advertisement) -> str:
    configuration = instance.configuration
    if finding is Finding.ADDRESS_LIST:
        theirs = " ".join(str(ip_address(each)) for each in advert.addresses) or "none"
        return f"{advert.source} uses VRID {advert.virtual_router_id} with other addresses: {theirs}"
    if finding is Finding.SOURCE_NO_PEER:
        return f"adverts of {advert.source} count, which is no unicast_peer: check_unicast_src refuses them"
    if finding is Finding.EXTENSION_ABSENT:
        return f"{advert.source} does not sign its adverts; the mode of auth_hmac lets them pass"
    if finding is Finding.EXTENSION_SKEW:
        return f"the clock of {advert.source} is more than half of time_window from ours"
    ours = configuration.advertisement_interval
    return f"{advert.source} sends adverts every {advert.interval:g} s, this router every {ours:g} s"


_EXPLANATIONS = {
    Finding.TRUNCATED: "too short to be VRRP",
    Finding.AH_UNEXPECTED: "authentication differs: a header where none is configured, or none where one is",
    Finding.LENGTH: "its length does not fit the number of its addresses",
    Finding.TTL: "its TTL is not 255",
    Finding.EXTENSION_MISSING: "it is not signed, and mode enforce demands it",
    Finding.EXTENSION_MALFORMED: "its signature is of an unknown kind",
    Finding.EXTENSION_STALE: "the time in its signature is further from ours than time_window",
    Finding.EXTENSION_UNKNOWN_KEY: "it is signed with a key that is not configured",
    Finding.EXTENSION_INVALID: "its signature is wrong",
    Finding.EXTENSION_REPLAY: "its sequence number was heard before",
    Finding.AUTH_TYPE_INVALID: "unknown authentication type",
    Finding.AUTH_TYPE_DIFFERS: "authentication differs",
    Finding.AUTH_FAILURE: "wrong password",
    Finding.AH_NEXT_HEADER: "its authentication header covers something else than VRRP",
    Finding.AH_ICV: "wrong password, or something of it was changed on the way",
    Finding.AH_SPI: "its security parameter index is not its sender's address",
    Finding.AH_SEQUENCE: "its sequence number was heard before",
    Finding.TYPE: "it is no advertisement",
    Finding.TOTAL_LENGTH: "its IP length is not what was received",
    Finding.CHECKSUM: "wrong checksum",
    Finding.DESTINATION_KIND: "multicast where unicast is configured, or the reverse",
    Finding.OTHER_GROUP: "it was sent to another multicast group",
    Finding.OWNER_IGNORES: "the owner of the addresses listens to nobody",
    Finding.SOURCE_UNKNOWN: "its sender is no configured peer",
    Finding.PEER_TTL: "its TTL is not within min_ttl and max_ttl of that peer",
}
