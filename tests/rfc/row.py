"""A row of a table of rules: who demands it, what it says, what shows that it is kept, and what would break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from kad.model import secret
from kad.model.vrrp import VrrpInstance, VrrpSlice
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import Advertisement, Expectation, Finding, examine
from kad.vrrp.events import AdvertReceived, Announce, HoldAddresses, ReleaseAddresses, SendAdvert, State
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.wire import advert_sockets
from tests.config.hosts import judged
from tests.play import Play
from tests.unit.vrrp.packets import Packet, expecting, expecting_v6
from tests.unit.vrrp.samples import OURS, advert, entered, instance, instance_v6


@dataclass(frozen=True)
class Row:
    """`kept` shows the rule at work, `broken` what is refused or does not happen; or `why` it does not apply."""

    id: str
    """Section and number within it."""
    level: str
    """MUST, MUST NOT, SHOULD …; RULE where the document defines without such a word."""
    text: str
    """The rule in our words."""
    kept: Callable[[], None] | None = None
    broken: Callable[[], None] | None = None
    why: str = ""


def plays(play: Play) -> None:
    assert play


def demanded(packet: Packet, effective_priority: int = 100, **changes: Any) -> Expectation:
    """What a router of the packet's family demands."""
    return (expecting_v6 if ":" in packet.source else expecting)(effective_priority, **changes)


def accepted(packet: Packet, effective_priority: int = 100, **changes: Any) -> None:
    examined = examine(packet.datagram, demanded(packet, effective_priority, **changes))
    assert examined.rejection is None
    assert examined.advert is not None


def refused(finding: Finding, packet: Packet, effective_priority: int = 100, **changes: Any) -> None:
    assert examine(packet.datagram, demanded(packet, effective_priority, **changes)).rejection is finding


def reported(finding: Finding, packet: Packet, **changes: Any) -> None:
    """Said, though the packet counts."""
    examined = examine(packet.datagram, demanded(packet, **changes))
    assert examined.findings == (finding,)
    assert examined.rejection is None


def equals(found: object, wanted: object) -> None:
    assert found == wanted


def sent(priority: int = 100, **changes: Any) -> bytes:
    """The datagram that leaves from 10.77.0.1."""
    return _built(instance(**changes), OURS, priority)


def sent_v6(priority: int = 100, **changes: Any) -> bytes:
    """The datagram that leaves from fe80::1."""
    return _built(instance_v6(**changes), "fe80::1", priority)


def _built(configuration: VrrpInstance, source: str, priority: int) -> bytes:
    router = Instance(configuration, 0.0)
    router.source = source
    segment: Any = SimpleNamespace(link=SimpleNamespace(index=1))
    router.segment = segment
    ours: Any = SimpleNamespace()
    with patch.object(advert_sockets, "Datagram", lambda payload, _: payload):
        (payload,) = advert_sockets.Conversations._build(ours, router, priority)
    assert isinstance(payload, bytes)
    return payload


def received(datagram: bytes, **changes: Any) -> Advertisement:
    """What another router of the same configuration makes of it."""
    examined = examine(datagram, expecting(**changes))
    assert examined.findings == ()
    assert examined.advert is not None
    return examined.advert


def hears(priority: int, source: str = "10.77.0.2", interval: float = 1.0, version: int = 2) -> AdvertReceived:
    return AdvertReceived(advert(priority, source, interval, version))


def takes_over(play: Play, reason: str, priority: int = 100) -> Play:
    """The timer has fired: an advert, the addresses, gratuitous ARP, and MASTER."""
    return (
        play
        >> DeadlineReached()
        << SendAdvert(priority)
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, reason)
    )


def yields(play: Play, event: AdvertReceived) -> Play:
    return play >> event << ReleaseAddresses() << ...


def configured(*lines: str, vrid: int | None = 51) -> tuple[VrrpInstance, ...]:
    """What a file makes of one vrrp_instance on eth0 with that VRID and these lines."""
    identity = () if vrid is None else (f"virtual_router_id {vrid}",)
    body = "\n".join(("interface eth0", *identity, *lines))
    analysis = judged(f"vrrp_instance VI_1 {{\n{body}\n}}\n")
    if "vrrp" not in analysis.slices:
        return ()
    return secret.decode(analysis.slices["vrrp"], VrrpSlice).instances
