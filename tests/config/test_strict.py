"""vrrp_strict line by line: what it refuses and what it forces, beside the complaints of keepalived -t."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kad.model import secret
from kad.model.vrrp import VrrpSlice
from tests.config.hosts import a_host, judged, said
from tests.config.test_oracle import verdict_of_keepalived

VIP = "192.0.2.9/24"
SILENT = "in strict mode a router that does not own its addresses is silent"


def text(words: str = "", *, version: int = 3, priority: int = 100, vips: str = VIP, defaults: str = "") -> str:
    held = f"virtual_ipaddress {{\n{vips}\n}}" if vips else ""
    head = f"global_defs {{\nvrrp_strict\n{defaults}\n}}\nvrrp_instance A {{\n"
    common = f"interface eth0\nvirtual_router_id 51\npriority {priority}\nversion {version}\n"
    return f"{head}{common}{words}\n{held}\n}}\n"


PASS = "authentication {\nauth_type PASS\nauth_pass abc\n}"
ROWS: list[Any] = [
    # What is written, what is said of it (nothing: it is fine), what holds.
    pytest.param(text(), "", {"accept": False, "authentication": None}, id="plain"),
    pytest.param(
        text(vips="", version=2), "strict mode needs a virtual_ipaddress; the instance is ignored", None, id="no-vip"
    ),
    pytest.param(
        text(vips="2001:db8::9/64\nfe80::9/64"),
        "the first address of an IPv6 instance should be link-local, not 2001:db8::9",
        {"family": 6},
        id="first-is-global",
    ),
    pytest.param(text(vips="fe80::9/64\n2001:db8::9/64"), "", {"family": 6, "version": 3}, id="first-is-local"),
    pytest.param(
        text(vips="fe80::9/64", version=2),
        "version 2 does not support IPv6; version 3 is used",
        {"version": 3},
        id="IPv6-2",
    ),
    pytest.param(
        text(PASS, version=2),
        "strict mode does not support authentication; it is ignored",
        {"authentication": None},
        id="authentication",
    ),
    pytest.param(
        text("mcast_dst_ip 224.0.0.99\nunicast_peer {\n192.0.2.3\n}"),
        "mcast_dst_ip has no effect with unicast_peer; it is ignored",
        {"multicast_group": "224.0.0.18"},
        id="group-and-peers",
    ),
    pytest.param(
        text("state MASTER\nnopreempt"),
        "in strict mode an instance of priority 100 starts as BACKUP; state MASTER is ignored",
        {"state": "BACKUP", "preempt": False},
        id="MASTER",
    ),
    pytest.param(
        text("state BACKUP", priority=255),
        "in strict mode an instance of priority 255 starts as MASTER; state BACKUP is ignored",
        {"state": "MASTER", "accept": False, "owner_ignore_adverts": True},
        id="owner-BACKUP",
    ),
    pytest.param(
        text("state MASTER\nnopreempt", priority=255),
        "nopreempt cannot be combined with state MASTER; it is ignored",
        {"preempt": True},
        id="owner-nopreempt",
    ),
    pytest.param(
        text("preempt_delay 5"),
        "preempt_delay cannot be combined with strict mode; it is ignored",
        {"preempt_delay": 0.0},
        id="preempt_delay",
    ),
    pytest.param(
        text("accept", version=2),
        "strict mode of version 2 accepts nothing (RFC 3768); accept is ignored",
        {"accept": False},
        id="accept-2",
    ),
    pytest.param(text("accept"), "", {"accept": True}, id="accept-3"),
    pytest.param(
        text("garp_lower_prio_repeat 3"),
        "garp_lower_prio_repeat cannot be combined with strict mode; it is ignored",
        {},
        id="garp_lower_prio_repeat",
    ),
    pytest.param(
        text("garp_lower_prio_delay 3"),
        "garp_lower_prio_delay cannot be combined with strict mode; it is ignored",
        {},
        id="garp_lower_prio_delay",
    ),
    pytest.param(text(defaults="vrrp_garp_lower_prio_repeat 3"), "", {}, id="vrrp_garp_lower_prio_repeat"),
    pytest.param(
        text("lower_prio_no_advert false"),
        "lower_prio_no_advert cannot be combined with strict mode; it is ignored",
        {"lower_prio_no_advert": True},
        id="lower_prio_no_advert",
    ),
    pytest.param(
        text("higher_prio_send_advert true"),
        "higher_prio_send_advert cannot be combined with strict mode; it is ignored",
        {"higher_prio_send_advert": False},
        id="higher_prio_send_advert",
    ),
    pytest.param(
        text("down_timer_adverts 2"),
        "down_timer_adverts cannot be combined with strict mode; it is ignored",
        {"down_timer_adverts": 3},
        id="down_timer_adverts",
    ),
    pytest.param(
        text(defaults="vrrp_down_timer_adverts 2"),
        "down_timer_adverts cannot be combined with strict mode; it is ignored",
        {"down_timer_adverts": 3},
        id="vrrp_down_timer_adverts",
    ),
    pytest.param(text("down_timer_adverts 3"), "", {"down_timer_adverts": 3}, id="down_timer_adverts-3"),
    pytest.param(
        text("use_vmac\nvmac_xmit_base"),
        "strict mode sends from the virtual MAC; vmac_xmit_base is ignored",
        {"transmits_by_base": False},
        id="vmac_xmit_base",
    ),
    pytest.param(
        text("use_vmac 02:01:02:03:04:05"),
        "strict mode needs the virtual MAC; it is used",
        {},
        id="MAC",
    ),
    pytest.param(text("strict_mode off\ndown_timer_adverts 2\nstate MASTER"), "", {"down_timer_adverts": 2}, id="off"),
]


@pytest.mark.parametrize(("text", "complaint", "holds"), ROWS)
def test_a_line_of_strict_mode(text: str, complaint: str, holds: dict[str, Any] | None) -> None:
    analysis = judged(text, a_host(text))
    warnings = [line.split(" A: ")[1] for line in said(analysis) if line.startswith("warning") and " A: " in line]
    assert [line.split(" -> ")[0] for line in warnings] == ([complaint] if complaint else [])
    if holds is None:
        assert analysis.exit_code != 0
        return
    (made,) = secret.decode(analysis.slices["vrrp"], VrrpSlice).instances
    assert {name: getattr(made, name) for name in holds} == holds
    if made.strict:
        assert (made.lower_prio_no_advert, made.higher_prio_send_advert, made.down_timer_adverts) == (True, False, 3)
        assert (made.announcing.lower_prio_repeat, made.announcing.lower_prio_delay) == (0, 0.0)
        assert made.owner_ignore_adverts
        assert made.device is None or made.device.mac == "00:00:5e:00:01:33"
        silent = [line for line in said(analysis) if SILENT in line]
        assert len(silent) == (0 if made.accept or made.priority == 255 else 1)


@pytest.mark.lab
@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(("text", "complaint", "holds"), ROWS)
def test_keepalived_complains_of_the_same_lines(
    tmp_path: Path, text: str, complaint: str, holds: dict[str, Any] | None
) -> None:
    path = tmp_path / "k.conf"
    path.write_text(text)
    assert verdict_of_keepalived(path) == ("complaint" if complaint else "clean")
