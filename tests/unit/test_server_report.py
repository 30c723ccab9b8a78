"""kad --status of virtual servers: a line each."""

from __future__ import annotations

from typing import Any

import pytest

from kad.cli.server_status import lines


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
            ["virtual_server 192.0.2.9 80: quorum up, 2 of 2 real servers serve"],
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
            [
                "virtual_server 192.0.2.9 80: quorum up, 1 of 4 real servers serve"
                " (10.0.0.1 80 is drained; 10.0.0.2 80 is being drained; 10.0.0.3 80 has weight 0)",
                "virtual_server 192.0.2.9 80: quorum down, 0 of 1 real servers serve,"
                " sorry server [10.0.0.9]:tcp:80 serves (10.0.0.1 80 is down: refused)",
            ],
        ),
        (
            {"virtual_servers": [service(server(1))], "failure": "no IPVS"},
            ["virtual_server 192.0.2.9 80: not served (no IPVS)"],
        ),
        (
            {"virtual_servers": [service(server(1), refused="no mh")]},
            ["virtual_server 192.0.2.9 80: not served (no mh)"],
        ),
        ({}, []),
    ],
)
def test_lines(ipvs: dict[str, Any], expected: list[str]) -> None:
    assert list(lines(ipvs)) == expected
