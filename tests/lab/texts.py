"""Configuration texts for the lab, short where the subject allows."""

from __future__ import annotations

import pytest

FAST = 0.1
"""Seconds between adverts in tests that need not wait; version 3."""


def global_defs(*lines: str) -> str:
    """global_defs with short announcing, and more lines."""
    return "\n    ".join(("global_defs {", "vrrp_garp_master_delay 1", "script_user root", *lines)) + "\n}\n"


def instance(
    name: str = "VI_1",
    *,
    interface: str = "eth0",
    vrid: int = 51,
    priority: int = 100,
    state: str = "BACKUP",
    version: int = 3,
    advert_int: float = FAST,
    addresses: tuple[str, ...] = ("10.77.0.100/24",),
    more: str = "",
) -> str:
    """One vrrp_instance; `more` is put in before its end."""
    held = "\n".join(f"        {address}" for address in addresses)
    return f"""vrrp_instance {name} {{
    state {state}
    interface {interface}
    virtual_router_id {vrid}
    priority {priority}
    version {version}
    advert_int {advert_int:g}
    virtual_ipaddress {{
{held}
    }}
    {more}
}}
"""


def router(*, more: str = "", **settings: object) -> str:
    """A whole file: global_defs and one instance."""
    return global_defs() + instance(more=more, **settings)  # type: ignore[arg-type]


PAIRS = [
    pytest.param("keepalived", "keepalived", id="keepalived-keepalived"),
    pytest.param("kad", "keepalived", id="kad-keepalived"),
    pytest.param("keepalived", "kad", id="keepalived-kad"),
    pytest.param("kad", "kad", id="kad-kad"),
]
"""Who runs on the first node and who on the second; the first row proves that a test asks what keepalived does."""

BOTH = ["keepalived", "kad"]
