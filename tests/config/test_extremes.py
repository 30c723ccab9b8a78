"""Files of any size and shape: the end comes soon, and work grows with the file, not faster."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from tests.config.hosts import a_host, judged

SERVICE = """
virtual_server 10.{high}.{low}.1 80 {{
    delay_loop 6
    lb_algo rr
    lb_kind NAT
    protocol TCP
{servers}}}
"""
SERVER = """    real_server 192.168.{low}.{number} 80 {{
        weight 1
        HTTP_GET {{
            url {{
                path /check{high}{low}
                status_code 200
            }}
            connect_timeout 3
            retry 3
            delay_before_retry 3
        }}
    }}
"""


def services(count: int) -> str:
    """So many virtual servers with four real servers each: 54 lines a service."""
    return "".join(
        SERVICE.format(
            high=at >> 8,
            low=at & 255,
            servers="".join(SERVER.format(high=at >> 8, low=at & 255, number=number) for number in range(1, 5)),
        )
        for at in range(count)
    )


def seconds_for(text: str) -> float:
    host = a_host(text)
    start = time.process_time()
    assert judged(text, host).exit_code == 0
    return time.process_time() - start


def test_the_time_grows_with_the_file() -> None:
    """27,000 and 108,000 lines: four times the work, with a margin for a busy machine."""
    seconds_for(services(50))
    short, long = seconds_for(services(500)), seconds_for(services(2000))
    assert long < short * 7
    assert long < 8.0


def test_the_memory_is_bounded() -> None:
    text = services(500)
    tracemalloc.start()
    try:
        judged(text)
        assert tracemalloc.get_traced_memory()[1] < 22_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        "}" * 1_000_000,
        ("{" * 500 + "\n") * 200,
        ("}" * 500 + "\n") * 200,
        "{\n}\n" * 50_000,
        "a {\n" * 1000 + "}\n" * 1000,
        "vrrp_instance A {\n" * 1000,
        '"' * 1001,
        ('"' * 501 + "\n") * 100,
        " " * 60_000 + "#",
        "x " * 30_000,
        "$A=" + "x" * 60_000 + "\n$A",
        "$A=$A$A$A\n" * 100 + "$A$A\n",
        "~SEQ(a, 1, 1000000000) ~SEQ(b, 1, 1000000000) x\n",
        "~SEQ(a, 1, 1000000000) {\n",
        "${" * 20_000,
        "\\" * 60_000,
        "unknown\n" * 50_000,
        "".join(f"unknown{number} x\n" for number in range(20_000)),
        "vrrp_instance A {\n" + "priority x\n" * 20_000 + "}\n",
        b"\x7fELF" + bytes(range(256)) * 400,
        b"\xff" * 100_000,
        "é" * 30_000,
    ],
    ids=range(23),
)
def test_no_file_takes_long(text: str | bytes) -> None:
    start = time.process_time()
    analysis = judged(text)
    assert analysis.diagnostics
    assert time.process_time() - start < 20.0


def test_includes_that_multiply_come_to_an_end() -> None:
    more = {f"/etc/kad/{depth}": f"include {depth + 1}\ninclude {depth + 1}\n" for depth in range(60)}
    analysis = judged("", a_host("include 0", more={**more, "/etc/kad/60": "x\n"}))
    assert any("too many included files" in one.text for one in analysis.diagnostics)
    assert analysis.exit_code == 6


def test_very_many_findings_are_counted() -> None:
    analysis = judged("vrrp_instance A {\n" + "priority x\n" * 6000 + "}\n}\n")
    assert len(analysis.diagnostics) == 5001
    assert any("more findings are not shown" in one.text for one in analysis.diagnostics)
    assert analysis.fatal
    assert analysis.exit_code == 5
