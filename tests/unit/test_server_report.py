"""kad --status of virtual servers: a line each, and an exit code for monitoring."""

from __future__ import annotations

from typing import Any

import pytest

from kad.report import Status
from kad.server_report import status, together


def server(number: int, **changes: Any) -> dict[str, Any]:
    plain = {"address": f"10.0.0.{number}", "port": 80, "up": True, "reason": "connected", "effective_weight": 1}
    return {**plain, "weight_in_table": 1, "drain": None, **changes}


def service(*servers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    plain = {"name": "192.0.2.9 80", "quorum_up": True, "refused": "", "sorry_server": None}
    return {**plain, "sorry_server_serves": False, "real_servers": list(servers), **changes}


DOWN = service(server(1, up=False, reason="refused", weight_in_table=None), quorum_up=False)


@pytest.mark.parametrize(
    ("ipvs", "expected"),
    [
        (
            {"virtual_servers": [service(server(1), server(2))]},
            Status("virtual_server 192.0.2.9 80: quorum up, 2 of 2 real servers serve\n", 0),
        ),
        (
            {
                "virtual_servers": [
                    service(
                        server(1, drain={"out": True}, weight_in_table=None),
                        server(2, drain={"out": False}, weight_in_table=0),
                        server(3, effective_weight=0, weight_in_table=0),
                        server(4),
                    ),
                    {**DOWN, "sorry_server": "[10.0.0.9]:tcp:80", "sorry_server_serves": True},
                ]
            },
            Status(
                "virtual_server 192.0.2.9 80: quorum up, 1 of 4 real servers serve"
                " (10.0.0.1 80 is drained; 10.0.0.2 80 is being drained; 10.0.0.3 80 has weight 0)\n"
                "virtual_server 192.0.2.9 80: quorum down, 0 of 1 real servers serve,"
                " sorry server [10.0.0.9]:tcp:80 serves (10.0.0.1 80 is down: refused)\n",
                1,
            ),
        ),
        (
            {"virtual_servers": [service(server(1))], "failure": "no IPVS"},
            Status("virtual_server 192.0.2.9 80: not served (no IPVS)\n", 2),
        ),
        (
            {"virtual_servers": [service(server(1), refused="no mh")]},
            Status("virtual_server 192.0.2.9 80: not served (no mh)\n", 2),
        ),
        ({}, Status("", 3)),
    ],
)
def test_status(ipvs: dict[str, Any], expected: Status) -> None:
    assert status(ipvs) == expected


def test_instances_and_virtual_servers_count_where_they_are() -> None:
    vrrp, none = Status("VI: MASTER\n", 0), Status("no vrrp_instance is running\n", 3)
    assert together(vrrp, status({})) == vrrp
    assert together(none, status({"virtual_servers": [DOWN]})).exit_code == 2
    both = together(vrrp, status({"virtual_servers": [DOWN, service(server(1))]}))
    assert (both.text.splitlines()[0], both.exit_code) == ("VI: MASTER", 1)
    assert together(none, status({})) == none
