"""Which virtual addresses IPVS must serve."""

from __future__ import annotations

import pytest

from kad.ipvs.keywords.required_words import ServedAddresses
from kad.model.ipvs import Member, VirtualServer

SERVED = ServedAddresses(
    [
        VirtualServer(name="a", address="192.0.2.1", members=(Member(first="192.0.2.1", last="192.0.2.1", port=80),)),
        VirtualServer(
            name="group",
            group="g",
            members=(
                Member(first="192.0.2.10", last="192.0.2.40", port=80),
                Member(first="192.0.2.12", last="192.0.2.13", port=80),
                Member(fwmark=7),
                Member(first="2001:db8::10", last="2001:db8::1f", port=80, family=6),
            ),
        ),
        VirtualServer(name="mark", fwmark=1, members=(Member(fwmark=1),)),
    ]
)


@pytest.mark.parametrize(
    ("address", "served"),
    [
        ("192.0.2.1", True),
        ("192.0.2.0", False),
        ("192.0.2.2", False),
        ("192.0.2.10", True),
        ("192.0.2.20", True),
        ("192.0.2.40", True),
        ("192.0.2.41", False),
        ("2001:db8::10", True),
        ("2001:db8:0:0::1f", True),
        ("2001:db8::20", False),
        ("fe80::1%eth0", False),
    ],
)
def test_which_addresses_are_served(address: str, served: bool) -> None:
    assert (address in SERVED) is served
    assert SERVED.first_of(["10.0.0.1", address]) == (address if served else "")


def test_without_virtual_servers_nothing_is() -> None:
    assert "192.0.2.1" not in ServedAddresses([])
