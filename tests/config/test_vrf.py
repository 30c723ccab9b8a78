"""vrf: unicast without an interface, on all interfaces of a VRF; and what is said where there is none."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from kad.model.host import Host, Interface
from kad.model.vrrp import VrrpSlice
from tests.config.hosts import a_host, judged, said

PEER = "unicast_peer {\n192.0.2.3\n}"


def text(words: str) -> str:
    return f"vrrp_instance A {{\nvirtual_router_id 51\n{words}\nvirtual_ipaddress {{\n192.0.2.9/24\n}}\n}}\n"


def host(text: str) -> Host:
    """a_host() with a VRF."""
    made = a_host(text)
    blue = Interface(name="blue", index=9, flags=0x4C1, vrf_table=10)
    return replace(made, interfaces={**made.interfaces, "blue": blue})


def test_it_stands_for_the_interface() -> None:
    words = text(f"vrf blue\nunicast_src_ip 192.0.2.2\n{PEER}")
    analysis = judged(words, host(words))
    assert said(analysis) == [
        "note 6 A: adverts of every host count, also of one that is no peer -> add check_unicast_src"
    ]
    (made,) = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert (made.interface, made.hears_on, made.speaks_on, made.own_interface) == ("blue",) * 4


@pytest.mark.parametrize(
    ("words", "complaint", "runs"),
    [
        (f"vrf red\n{PEER}", "warning 3 A: there is no VRF red on this host", True),
        (f"vrf eth0\n{PEER}", "warning 3 A: eth0 is not a VRF; the instance is ignored", False),
        ("vrf blue", "warning 3 A: a VRF needs unicast_peer; the instance is ignored", False),
        (
            f"vrf blue\ninterface eth0\n{PEER}",
            "warning 3 A: vrf cannot be combined with interface; it is ignored",
            True,
        ),
    ],
)
def test_what_is_wrong_with_it(words: str, complaint: str, runs: bool) -> None:
    analysis = judged(text(words), host(text(words)))
    found = [line.split(" -> ")[0] for line in said(analysis) if line.startswith("warning")]
    assert found == [complaint]
    assert ("vrrp" in analysis.slices) == runs
