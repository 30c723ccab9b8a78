"""Addresses beyond what one advert can name are held, and not named."""

from __future__ import annotations

import msgspec
import pytest

from kad.analyzer.process import to_message
from kad.model.finding import Identity, Subject
from kad.model.vrrp import VrrpSlice
from tests.config.hosts import judged, said


def text(count: int, *, version: int = 2, ipv6: bool = False) -> str:
    lines = "\n".join(f"2001:db8::{n:x}/64" if ipv6 else f"192.0.2.{n}/32" for n in range(1, count + 1))
    if count > 255 and not ipv6:
        lines = "\n".join(f"192.{n // 250}.2.{n % 250 + 1}/32" for n in range(count))
    head = f"interface eth0\nvirtual_router_id 51\npriority 100\nversion {version}\n"
    return f"vrrp_instance A {{\n{head}virtual_ipaddress {{\n{lines}\n}}\n}}\n"


@pytest.mark.parametrize(
    ("count", "version", "ipv6", "named"),
    [(255, 2, False, 255), (256, 2, False, 255), (300, 3, False, 255), (90, 3, True, 90), (91, 3, True, 90)],
)
def test_an_advert_names_255_or_what_the_mtu_holds(count: int, version: int, ipv6: bool, named: int) -> None:
    analysis = judged(text(count, version=version, ipv6=ipv6))
    (instance,) = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert len(instance.virtual_addresses) == named
    assert len(instance.excluded_addresses) == count - named
    complaint = f"an advert can name {named} addresses; the other {count - named} are held"
    assert any(complaint in line for line in said(analysis)) == (count > named)


def test_addresses_of_no_network_of_the_interface_are_noted_once() -> None:
    # The host of the tests has 192.0.2.0/24 on eth0; an advert names 255 addresses.
    lines = [line for line in said(judged(text(300))) if "in none of the networks" in line]
    assert len(lines) == 1
    assert "192.1.2.1 and 4 more are in none of the networks of eth0: 192.0.2.0/24" in lines[0]


def test_how_many_are_too_many_does_not_make_another_finding() -> None:
    before, after = (to_message(judged(text(count))) for count in (260, 261))
    assert after.refusals == before.refusals
    assert Identity("too-many-addresses", Subject("vrrp_instance A", "virtual_ipaddress")) in before.refusals
    figures = [found.figures for found in after.findings if found.code == "too-many-addresses"]
    assert figures == [{"most": 255, "more": 6}]
    renamed = to_message(judged(text(260).replace("vrrp_instance A", "vrrp_instance B")))
    assert not renamed.refusals & before.refusals
