"""Typical mistakes, and literally what is said about each: the value or the words that were meant."""

from __future__ import annotations

import pytest

from kad.config.render import render
from tests.config.hosts import FILE, a_host, judged, said

PAGE = """\
global_defs {
    vrrp_gna_interval 0
    vrrp_garp_interval 0
    lvs_id node1
}
vrrp_instance VI_1 {
    state SLAVE
    interface eth0
    virtual_router_id 51
    lvs_sync_daemon_interface eth0
    authentication {
        auth_type no_auth
        auth_pass 12345678
    }
    virtual_ipaddress {
        192.0.2.9/24
    }
    notify_master /bin/true hello
}
vrrp_sync_group G {
    VI_1
}
virtual_server 192.0.2.9 80 {
    lb_algo rr
    lb_kind DR
    protocol TCP
    persistence_timeout 0
    real_server 192.0.2.20:80 {
        TCP_CHECK {
            retry 1
        }
    }
    real_server 192.0.2.21 80 {
        lvs_method GRE
        TCP_CHECK {
            nb_get_retry 3
        }
    }
}
cat /etc/keepalived/keepalived.conf
"""


def test_a_page_of_mistakes() -> None:
    analysis = judged(PAGE)
    assert analysis.exit_code == 5
    assert said(analysis) == [
        "warning 2 vrrp_gna_interval: 0 is not in 0.000001..4294.967295; using default (0)"
        " -> 0 is the default: remove the line",
        "warning 3 vrrp_garp_interval: 0 is not in 0.000001..4294.967295; using default (0)"
        " -> 0 is the default: remove the line",
        "warning 4 unknown keyword lvs_id in global_defs; the line is ignored -> did you mean router_id?",
        "warning 7 state: SLAVE is not one of MASTER, BACKUP; using default (BACKUP, MASTER with priority 255)"
        " -> did you mean BACKUP?",
        "warning 10 lvs_sync_daemon_interface is deprecated -> write lvs_sync_daemon eth0 VI_1 in global_defs",
        "note 11 VI_1: the authentication has no auth_type; adverts are not authenticated -> add auth_type PASS",
        "warning 12 auth_type: no_auth is not one of PASS, AH; the line is ignored"
        " -> to authenticate nothing, remove the block",
        "warning 18 there is no user hello on this host; the program is not run"
        ' -> quote the whole command: "/bin/true hello"',
        "warning 20 G: the sync group has no member; it is ignored",
        "warning 21 unknown keyword VI_1 in vrrp_sync_group; the line is ignored -> list the members in group { }",
        "warning 27 persistence_timeout: 0 is not in 1..2678400; using default (off)"
        " -> to switch it off, remove the line",
        "warning 28 real_server: 192.0.2.20:80 is not an IP address; the block is ignored"
        " -> did you mean 192.0.2.20 80?",
        "warning 34 lvs_method: GRE is not one of NAT, DR, TUN; using lb_kind DR -> did you mean TUN type gre?",
        "warning 36 unknown keyword nb_get_retry in TCP_CHECK; the line is ignored -> write retry 3",
        "warning 40 unknown keyword cat at the top level; the line is ignored"
        " -> remove the line: it looks like a shell command",
    ]


def test_a_byte_order_mark_is_named_and_nothing_is_lost() -> None:
    text = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.9/24 }\n}\n"
    analysis = judged(b"\xef\xbb\xbf" + text.encode())
    assert render(analysis.diagnostics) == (
        f"{FILE}:1:1: warning: the file begins with a byte-order mark, which keepalived reads as a part of the first"
        " word; it is skipped\n"
        "    vrrp_instance V {\n"
        "    ^\n"
        "    save the file without it\n"
    )
    assert set(analysis.slices) == {"vrrp", "runner"}


def instance(more: str, vip: str = "192.0.2.9/24", name: str = "A", vrid: int = 5) -> str:
    words = f"interface eth0\nvirtual_router_id {vrid}\nvirtual_ipaddress {{\n{vip}\n}}"
    return f"vrrp_instance {name} {{\n{words}\n{more}\n}}\n"


def routes(*lines: str, kind: str = "virtual_routes") -> str:
    return instance(f"{kind} {{\n" + "\n".join(lines) + "\n}")


def service(lb_kind: str, *, port: str = "80", server: str = "80") -> str:
    words = f"lb_algo rr\nlb_kind {lb_kind}\nprotocol TCP\n"
    return f"virtual_server 192.0.2.9 {port} {{\n{words}real_server 192.0.2.20 {server} {{\n}}\n}}\n"


ROWS = [
    (
        instance("state slave"),
        "state: slave is not one of MASTER, BACKUP; %BACKUP, MASTER with priority 255%",
        "BACKUP",
    ),
    (instance("state Primary"), "state: Primary is not one of MASTER, BACKUP", "MASTER"),
    (instance("state MASTR"), "state: MASTR is not one of MASTER, BACKUP", "MASTER"),
    (instance("version 4"), "version: 4 is not one of 2, 3; using default (vrrp_version; 3 for IPv6)", None),
    (
        instance("authentication {\nauth_type PASS;\nauth_pass x\n}"),
        "auth_type: PASS; is not one of PASS, AH; the line is ignored",
        "PASS",
    ),
    (instance("virtual_router_id 300"), "virtual_router_id: 300 is not in 1..255; the line is ignored", None),
    (service("GRE"), "lb_kind: GRE is not one of NAT, DR, TUN; using default (NAT)", "TUN type gre"),
    (service("nat"), "lb_kind: nat is not one of NAT, DR, TUN; using default (NAT)", "NAT"),
    (service("DR", port="", server="80"), "with DR the client's port stays; 80 is ignored", None),
    (service("TUN", server="8080"), "with TUN the port stays 80; 8080 is ignored", None),
    (
        routes("10.5.0.0/16 via 10.0.0.254/24 dev eth0"),
        "route 10.5.0.0/16: 10.0.0.254/24 is not an IP address; the route is ignored",
        None,
    ),
    (
        routes("blackhole 10.6.0.0/16"),
        "route 10.6.0.0/16: a blackhole route has no interface to track; write no_track; the route is kept",
        None,
    ),
    (
        routes("10.1.0.0/24 nexthop via 192.0.2.2 dev eth0 nexthop via 192.0.2.3 dev eth1"),
        "route 10.1.0.0/24: the interfaces of several next hops are not tracked; write no_track; the route is kept",
        None,
    ),
    (
        routes("from 10.0.0.0/24 table 1", kind="virtual_rules"),
        "rule from 10.0.0.0/24: the rule has no preference; one from 16384 downwards is used",
        None,
    ),
    (
        routes("to 10.0.0./24 table 1", kind="virtual_rules"),
        "rule to 10.0.0./24: to: 10.0.0. is not an IP address; the rule is ignored",
        None,
    ),
    (
        "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\n"
        + instance("state MASTER\npriority 100")
        + instance("", "192.0.2.10/24", "B", 6),
        "G: the members have different states (A MASTER, B BACKUP); they will all have the same one",
        None,
    ),
    (
        instance("track_interface {\neth0\n}"),
        "A: eth0 is its own interface, already tracked; the line is ignored",
        None,
    ),
]


@pytest.mark.parametrize(("text", "finding", "value"), ROWS)
def test_a_mistake(text: str, finding: str, value: str | None) -> None:
    wanted = finding.replace(" %", " using default (").replace("%", ")")
    found = [one for one in judged(text).diagnostics if one.text.startswith(wanted)]
    assert len(found) == 1, said(judged(text))
    assert found[0].proposal == (f"did you mean {value}?" if value else "")


@pytest.mark.parametrize(
    "line", ["$ vi kad.conf", "root@node1:~# cat kad.conf", "EOF", "sudo systemctl restart kad", "<<EOF"]
)
def test_a_line_of_a_shell_session(line: str) -> None:
    findings = [one for one in judged(f"{line}\n{instance('')}").diagnostics if one.place.line == 1]
    assert "remove the line: it looks like a shell command" in [one.proposal for one in findings], findings


def test_a_redirection_is_no_program() -> None:
    text = 'vrrp_script S {\nscript "</dev/tcp/127.0.0.1/80"\n}\n' + instance("track_script {\nS\n}")
    assert [one for one in said(judged(text)) if "not found" in one] == []


def test_what_is_checked_natively() -> None:
    text = 'vrrp_script S {\nscript "[ -f /etc/kad/web-ok ]"\n}\n' + instance("track_script {\nS\n}")
    wanted = "note 2 [ -f /etc/kad/web-ok ]: checked natively: OK if file /etc/kad/web-ok exists"
    assert wanted in said(judged(text))


def test_addresses_of_no_network_are_one_note_a_file() -> None:
    text = instance("", "10.9.9.9/24") + instance("", "10.9.9.10/24\n10.9.9.11/24", "B", 6)
    interfaces = {"lo": ("127.0.0.1/8",), "eth0": ("192.0.2.2/24", "192.0.2.3/24", "fe80::2/64")}
    assert said(judged(text, a_host(text, interfaces=interfaces))) == [
        "note 5 A: 10.9.9.9 and 2 more are in none of the networks of eth0: 192.0.2.0/24"
    ]
