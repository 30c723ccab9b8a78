"""Unicast without an interface: where its addresses go, and what cannot do without one."""

from __future__ import annotations

import msgspec
import pytest

from kad.model.vrrp import VrrpSlice
from tests.config.hosts import a_host, judged, said

SOURCE = "unicast_src_ip 192.0.2.2"
PEER = "unicast_peer {\n192.0.2.3\n}"


def text(words: str, *, name: str = "A", vrid: int = 51, vip: str = "192.0.2.9/24") -> str:
    return f"vrrp_instance {name} {{\nvirtual_router_id {vrid}\n{words}\nvirtual_ipaddress {{\n{vip}\n}}\n}}\n"


@pytest.mark.parametrize(
    ("head", "vip", "device"),
    [
        ("", "192.0.2.9/24", "eth0"),
        ("", "192.0.2.9/24 dev eth1", "eth1"),
        ("global_defs {\ndefault_interface eth1\n}\n", "192.0.2.9/24", "eth1"),
    ],
)
def test_its_addresses_have_one_all_the_same(head: str, vip: str, device: str) -> None:
    whole = head + text(f"{SOURCE}\n{PEER}", vip=vip)
    analysis = judged(whole, a_host(whole))
    assert [line for line in said(analysis) if line.startswith("warning")] == []
    (made,) = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert (made.interface, made.hears_on, made.speaks_on) == ("", "", "")
    assert [each.device for each in made.virtual_addresses] == [device]


@pytest.mark.parametrize(
    ("words", "vip", "complaint", "runs"),
    [
        (SOURCE, "192.0.2.9/24", "A: it has no interface; the instance is ignored", False),
        (PEER, "192.0.2.9/24", "A: it has no interface; the instance is ignored", False),
        (
            "unicast_src_ip 2001:db8::2\nunicast_peer {\nfe80::3\n}",
            "2001:db8::9/64",
            "A: link-local addresses need an interface; the instance is ignored",
            False,
        ),
        (f"{SOURCE}\n{PEER}\nuse_vmac", "192.0.2.9/24", "A: use_vmac needs an interface; it is ignored", True),
        (f"{SOURCE}\n{PEER}\nuse_ipvlan", "192.0.2.9/24", "A: use_ipvlan needs an interface; it is ignored", True),
    ],
)
def test_what_needs_one(words: str, vip: str, complaint: str, runs: bool) -> None:
    whole = text(words, vip=vip)
    analysis = judged(whole, a_host(whole))
    found = [line.split(" -> ")[0] for line in said(analysis) if line.startswith("warning")]
    assert [line.split(" ", 2)[2] for line in found] == [complaint]
    assert ("vrrp" in analysis.slices) == runs


@pytest.mark.parametrize(("peer", "apart"), [("192.0.2.3", False), ("192.0.2.4", True)])
def test_it_hears_what_comes_to_an_interface_too(peer: str, apart: bool) -> None:
    whole = text(f"{SOURCE}\n{PEER}")
    whole += text(f"interface eth0\nunicast_peer {{\n{peer}\n}}", name="B", vip="192.0.2.10/24")
    errors = [line for line in said(judged(whole, a_host(whole))) if line.startswith("error")]
    assert len(errors) == (0 if apart else 1)
    assert all("B and A both use virtual_router_id 51" in line for line in errors)
