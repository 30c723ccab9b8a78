"""A reload is refused for a faulty line that is new, also where another line of the same block had the same fault."""

from __future__ import annotations

import pytest

from kad.analyzer.process import to_message
from tests.config.hosts import judged


def text(keyword: str, line: str) -> str:
    head = "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.9\n}"
    return f"vrrp_instance A {{\n{head}\n{keyword} {{\n{line}\n}}\n}}\n"


@pytest.mark.parametrize(
    ("keyword", "before", "after"),
    [
        ("virtual_rules", "from 192.0.2.9 tabel 5", "from 192.0.2.8 tabel 5"),
        ("virtual_routes", "10.0.0.0/8 via 192.0.2.1 metrik 5", "11.0.0.0/8 via 192.0.2.1 metrik 5"),
        ("virtual_ipaddress_excluded", "192.0.2.300", "192.0.2.301"),
        ("track_interface", "eth0 weight 300", "eth1 weight 300"),
    ],
)
def test_the_same_fault_of_another_line_is_another_finding(keyword: str, before: str, after: str) -> None:
    old, new = (to_message(judged(text(keyword, line))).refusals for line in (before, after))
    assert old
    assert new - old
