"""A MASTER whose process is killed is heard of before the next life has looked around."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill
from tests.lab.test_ipv6 import speak_ipv6
from tests.lab.texts import global_defs, instance
from tests.lab.wire import Advert

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
SUBJECTS = {
    "version 2": ({"version": 2}, VIP),
    "version 3": ({"advert_int": 0.5}, VIP),
    "IPv6": ({"addresses": ("fe80::100/64",), "advert_int": 0.5}, "fe80::100"),
    "virtual MAC": ({"more": "use_vmac", "advert_int": 0.5}, VIP),
}


def bare(advert: Advert) -> tuple[str, bytes, bytes]:
    """The source of the frame, and the packet without what the kernel counts: identification and header checksum."""
    packet = advert.packet
    return advert.mac, packet[:4], packet[12:] if packet[0] >> 4 == 4 else packet


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_first_word_of_the_next_life_is_the_last_of_the_one_before(
    pair: tuple[Lab, Node, Node], subject: str
) -> None:
    lab, a, b = pair
    settings, address = SUBJECTS[subject]
    for number, node in enumerate((a, b), start=1):
        speak_ipv6(node, f"fe80::{number}/64")
    first, second = (
        lab.start(program, node, global_defs() + instance(priority=priority, **{"advert_int": 1.0, **settings}))
        for program, node, priority in (("kad", a, 150), ("keepalived", b, 100))
    )
    lab.wait_holder(address, a, seconds=12)
    last = lab.wire.wait_advert(node="a", seconds=3, priority=150)
    _, moment = kill(first, "vrrp")
    # The second comes with the commit, and the third not before an interval is over.
    lab.wire.wait_advert(node="a", since=moment, seconds=0.4, count=2)
    words = lab.wire.adverts(node="a", since=moment)
    assert [bare(each) for each in words] == [bare(last)] * 2
    lab.stays(address, a, 0.8)
    assert not second.logged("MASTER STATE", since=moment)
    before = len(lab.wire.adverts(node="a"))
    counted = first.dump("vrrp")["instances"][0]["statistics"]["advert_sent"]
    assert before <= counted <= len(lab.wire.adverts(node="a"))
