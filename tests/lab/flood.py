"""The show of wrong packets, short in `make test` and long in `make soak`."""

from __future__ import annotations

import socket
import time
from itertools import islice
from typing import Any

from tests.lab import rubbish
from tests.lab.lab import Lab, Node
from tests.lab.texts import router

VIP = "10.77.0.100"
_BATCH, _PAUSE = 20, 0.01


def flood(lab: Lab, a: Node, b: Node, *, version: int, advert_int: float, count: int, seed: int) -> None:
    """A MASTER and a BACKUP, both kad, hear wrong packets from a third host and count each; neither stirs."""
    stranger = lab.node("stranger", {"eth0": "10.77.0.66/24"})
    settings: dict[str, Any] = {"version": version, "advert_int": advert_int}
    daemons = [
        lab.start_kad(a, router(priority=150, **settings)),
        lab.start_kad(b, router(priority=100, **settings)),
    ]
    lab.wait_holder(VIP, a, seconds=8)
    daemons[1].wait_log("Entering BACKUP STATE")
    before = [daemon.dump("vrrp") for daemon in daemons]
    families = [daemon.family() for daemon in daemons]
    begin = time.time()
    speaker = stranger.socket(socket.AF_PACKET, socket.SOCK_RAW)
    speaker.bind(("eth0", 0))
    mac = stranger.ip("link", "show", "eth0")[0]["address"]
    made = rubbish.packets(count, seed, vrid=51, version=version, address=VIP, source="10.77.0.66")
    while batch := list(islice(made, _BATCH)):
        for packet in batch:
            speaker.send(rubbish.frame(packet, mac))
        # At a pace that a router can follow: a storm of 20,000 packets a second also makes keepalived's adverts late.
        lab.hub.never(lambda: lab.moves(VIP, begin), _PAUSE, "the address moves")
    speaker.close()
    lab.stays(VIP, a, 4 * advert_int)
    assert lab.moves(VIP, begin) == []
    assert [daemon.family() for daemon in daemons] == families
    for daemon, earlier in zip(daemons, before, strict=True):
        assert not daemon.logged("Entering|Traceback", since=begin)
        after = daemon.dump("vrrp")
        [old], [new] = earlier["instances"], after["instances"]
        assert new["since"] == old["since"]
        told = {reason: times - old["discarded"].get(reason, 0) for reason, times in new["discarded"].items()}
        assert len(told) >= 5, told
        # About half of the packets name this router and get past the kernel; the test would be idle if none did.
        assert sum(told.values()) > count / 4, told
