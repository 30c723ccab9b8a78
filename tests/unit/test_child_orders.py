"""What a child may order: programs of the configuration, told facts in their form, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from kad.shared.messages import BadFrame, Notify
from kad.watchdog.notify_rules import check_order

STATE = dict.fromkeys(("KAD_INSTANCE", "KAD_STATE", "KAD_PREVIOUS_STATE", "KAD_REASON", "KAD_PRIORITY"), "x")
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("vrrp", {"program": "V/notify", "object": "V", "arguments": ("INSTANCE", "V", "MASTER", "100")}),
    ("vrrp", {"program": "group:G/notify", "object": "group:G", "arguments": ("GROUP", "G", "FAULT", "0")}),
    ("vrrp", {"program": "V/notify_master", "object": "V", "environment": STATE, "awaited_until": 2.0}),
    ("vrrp", {"program": "V/notify_master_rx_lower_pri", "object": "V"}),
    ("checker", {"program": "check:/bin/true/misc_path", "object": "check:/bin/true/misc_path 1a", "timeout": 5.0}),
    ("ipvs", {"program": "service:s/10.0.0.1 80/notify_down", "object": "o", "environment": {"KAD_REASON": "r"}}),
    ("ipvs", {"program": "service:s/quorum_up", "object": "service:s"}),
]
BAD: list[tuple[str, dict[str, Any]]] = [
    ("checker", {"program": "V/notify_master", "object": "V"}),
    ("checker", {"program": "check:/bin/true/misc_path", "object": "o", "arguments": ("-c", "id")}),
    ("checker", {"program": "check:/bin/true/misc_path", "object": "o", "environment": {"BASH_ENV": "/tmp/x"}}),
    ("ipvs", {"program": "V/notify_master", "object": "V"}),
    ("ipvs", {"program": "service:s/quorum_up", "object": "o", "arguments": ("x",)}),
    ("vrrp", {"program": "check:/bin/true/misc_path", "object": "o"}),
    ("vrrp", {"program": "V/notify", "object": "V", "environment": {**STATE, "LD_AUDIT": "/tmp/x"}}),
    ("vrrp", {"program": "V/notify", "object": "V", "environment": {"KAD_REASON": "a\0b"}}),
    ("vrrp", {"program": "V/notify", "object": "V", "environment": {"KAD_REASON": "x" * 5000}}),
    ("vrrp", {"program": "V/notify_master", "object": "V", "arguments": ("INSTANCE", "V", "MASTER", "100")}),
    ("vrrp", {"program": "V/notify", "object": "V", "arguments": ("INSTANCE", "W", "MASTER", "100")}),
    ("vrrp", {"program": "V/notify", "object": "V", "arguments": ("INSTANCE", "V", "-c", "100")}),
    ("vrrp", {"program": "V/notify", "object": "V", "arguments": ("INSTANCE", "V", "MASTER", "100;id")}),
    ("vrrp", {"program": "V/notify", "object": "V", "arguments": ("INSTANCE", "V", "MASTER", "1", "more")}),
    ("vrrp", {"program": "V/notify", "object": "V", "timeout": float("nan")}),
    ("bfd", {"program": "V/notify", "object": "V"}),
    ("runner", {"program": "V/notify", "object": "V"}),
]


@pytest.mark.parametrize(("sender", "fields"), GOOD)
def test_what_kad_orders_is_run(sender: str, fields: dict[str, Any]) -> None:
    check_order(sender, Notify(generation=1, sequence=1, **fields))


@pytest.mark.parametrize(("sender", "fields"), BAD)
def test_anything_else_is_refused(sender: str, fields: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        check_order(sender, Notify(generation=1, sequence=1, **fields))
