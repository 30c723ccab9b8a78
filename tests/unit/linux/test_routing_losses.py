"""What a message of rtnetlink says of a route of ours with the same key."""

from __future__ import annotations

import pytest

from kad.linux.netlink.routes import Loss, loss_of
from kad.linux.netlink.socket import Message

NEWROUTE, DELROUTE, NEWRULE, DELRULE = 24, 25, 32, 33
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
BOOT, KEEPALIVED = 3, 18


def body(family: int = 2, protocol: int = BOOT) -> bytes:
    return bytes([family, 24, 0, 0, 254, protocol, 0, 1]) + bytes(4)


@pytest.mark.parametrize(
    ("kind", "flags", "told", "loss"),
    [
        (DELROUTE, 0, body(protocol=KEEPALIVED), Loss()),
        (DELRULE, 0, body(), Loss()),
        (NEWRULE, CREATE, body(), None),
        (NEWROUTE, CREATE | REPLACE, body(), Loss(body())),
        (NEWROUTE, CREATE | EXCL, body(), None),
        (NEWROUTE, CREATE | APPEND, body(), None),
        (NEWROUTE, CREATE, body(), Loss(body(), is_preceded=True)),
        (NEWROUTE, CREATE, body(protocol=KEEPALIVED), None),
        (NEWROUTE, CREATE, body(family=10), None),
    ],
)
def test_what_hurts_a_route_of_ours(kind: int, flags: int, told: bytes, loss: Loss | None) -> None:
    assert loss_of(Message(kind=kind, flags=flags, sequence=0, body=told)) == loss
