"""Small files with the class of exit code that keepalived 2.4 gives them, and what kad says about them.

Where kad decides otherwise (a shell runs strings that are meant for it; a missing file is an error) the row says so.
"""

from __future__ import annotations

import pytest

from tests.config.hosts import judged, said

VIP = "virtual_ipaddress { 192.0.2.9/24 }"


def instance(more: str = "", *, name: str = "A", state: str = "BACKUP", interface: str = "eth0", vip: str = VIP) -> str:
    return f"vrrp_instance {name} {{\nstate {state}\ninterface {interface}\nvirtual_router_id 5\n{more}\n{vip}\n}}\n"


def service(more: str = "", *, servers: str = "real_server 192.0.2.20 80 {\n}", all_set: bool = True) -> str:
    words = "lb_algo rr\nlb_kind NAT\nprotocol TCP\n" if all_set else ""
    return f"virtual_server 192.0.2.9 80 {{\n{words}{more}\n{servers}\n}}\n"


def check(more: str) -> str:
    return service(servers=f"real_server 192.0.2.20 80 {{\n{more}\n}}")


def script(more: str) -> str:
    return f"vrrp_script S {{\n{more}\n}}\n" + instance("track_script {\nS\n}")


CASES: list[tuple[str, int, list[str]]] = [
    (
        check("HTTP_GET {\nurl {\npath /\nregex a(b\n}\n}"),
        0,
        ["note 10 the regex a(b is ignored: missing closing parenthesis at character 3"],
    ),
    (
        check("HTTP_GET {\nurl {\npath /\n}\nnb_get_retry 3\n}"),
        5,
        ["warning 11 nb_get_retry is deprecated -> write retry 3"],
    ),
    (instance(), 0, []),
    ("foo {\nbar 1\n}\n" + instance(), 5, ["warning 1 unknown keyword foo at the top level; the block is ignored"]),
    (
        "global_defs {\nrouter_id\n}\n" + instance(),
        5,
        ["warning 2 router_id needs <STRING>; the line is ignored"],
    ),
    (instance("priority"), 2, ["error 5 priority needs <INTEGER 1..255>"]),
    (instance("preempt_delay"), 2, ["error 5 preempt_delay needs <SECONDS 0..1000>"]),
    (instance("garp_master_delay"), 2, []),
    (instance("notify_master"), 2, []),
    ("vrrp_script {\n}\n" + instance(), 2, []),
    (
        instance("priority 5s"),
        5,
        ["warning 5 priority: 5s is not a whole number; 5 is used"],
    ),
    (instance("priority +3"), 0, []),
    (instance("priority 0x10"), 5, []),
    (
        instance().rstrip("}\n"),
        5,
        [
            "error 1 the block vrrp_instance is not closed before the end of the file -> add }",
            "error 6 the block virtual_ipaddress is not closed before the end of the file -> add }",
        ],
    ),
    (instance() + "}\n", 5, ["error 8 unmatched } -> remove }"]),
    (instance() + "# " + "x" * 1100 + "\n", 5, []),
    (instance() + instance(), 5, ["warning 8 vrrp_instance A is already defined; this block is ignored"]),
    (
        instance(interface="lo"),
        5,
        [
            "error 0 nothing that is configured here can run",
            "warning 3 A: lo is a loopback interface, without other routers; the instance is ignored",
        ],
    ),
    (
        instance(interface="eht0"),
        5,
        ["warning 3 A: there is no interface eht0 on this host -> did you mean eth0?"],
    ),
    (instance("track_interface {\nnope\n}"), 5, ["warning 6 A: there is no interface nope on this host"]),
    (
        instance(vip="virtual_ipaddress { 192.0.2.9/24 dev nope }"),
        5,
        ["warning 6 A: there is no interface nope on this host"],
    ),
    (
        "linkbeat_interfaces {\nnope\n}\n" + instance(),
        4,
        ["warning 2 there is no interface nope on this host"],
    ),
    (
        instance("virtual_routes {\n198.51.100.0/24 dev eth9\n}"),
        5,
        ["warning 6 A: there is no interface eth9 on this host -> did you mean eth1?"],
    ),
    (
        instance("virtual_routes {\n198.51.100.0/24 dev eth1 table nope\n}"),
        5,
        ["warning 6 A: 198.51.100.0/24 dev eth1 table nope: there is no table nope; it is ignored"],
    ),
    (
        instance("virtual_routes {\n198.51.100.0/24 via 192.0.2.9\n}"),
        5,
        [
            "warning 6 route 198.51.100.0/24: without dev no link is tracked for it; write dev or no_track;"
            " the route is kept"
        ],
    ),
    (
        instance("virtual_rules {\nfrom 198.51.100.0/24 table 7 preference 9 track_group G\n}"),
        5,
        ["warning 6 A: track_group is for static routes and rules; it is ignored"],
    ),
    (instance("virtual_routes {\n198.51.100.0/24 dev eth1 encap ip dst 192.0.2.9 ttl 9\n}"), 0, []),
    (
        instance(vip="virtual_ipaddress { 192.0.2.9 peer 2001:db8::1 }"),
        5,
        ["warning 6 192.0.2.9: the peer 2001:db8::1 is not of the family of 192.0.2.9; the address is kept without it"],
    ),
    (
        "static_ipaddress {\n192.0.2.9/24 dev eth0\n198.51.100.9/24 dev eth1\n}\n" + instance(),
        0,
        ["note 2 static_ipaddress: 192.0.2.9 is a virtual address of A; it is ignored here"],
    ),
    (
        "interface_up_down_delays {\neth0 3\n}\n" + instance(),
        0,
        ["note 2 eth0: after 3 s without adverts a peer has taken over; 2 s are used"],
    ),
    ("static_routes {\n198.51.100.0/24 dev eth1\n}\n", 0, []),
    (
        instance("nopreempt\npriority 100", state="MASTER"),
        5,
        ["warning 5 A: nopreempt cannot be combined with state MASTER; it is ignored -> write state BACKUP"],
    ),
    (
        instance("advert_int 0.5"),
        5,
        ["warning 5 A: version 2 counts whole seconds; advert_int 0.5 becomes 1"],
    ),
    (
        instance("version 3\nadvert_int 0.505"),
        5,
        ["warning 6 A: version 3 counts hundredths of a second; advert_int 0.505 becomes 0.51"],
    ),
    (
        instance("authentication {\nauth_type PASS\nauth_pass 123456789\n}"),
        5,
        ["warning 7 auth_pass: the password has more than 8 characters; the first 8 are used"],
    ),
    (
        instance("version 3\nauthentication {\nauth_type PASS\nauth_pass 1234\n}"),
        5,
        ["warning 6 A: version 3 does not support authentication; it is ignored"],
    ),
    (instance("version 3", vip=""), 5, []),
    (instance("strict_mode", vip=""), 5, []),
    (
        instance(vip=""),
        5,
        ["warning 1 A: it has no virtual_ipaddress -> add virtual_ipaddress { ADDRESS }, or no_virtual_ipaddress"],
    ),
    (instance("no_virtual_ipaddress", vip=""), 0, []),
    (
        instance(vip="virtual_ipaddress {\n192.0.2.9/24\n2001:db8::9/64\n}"),
        5,
        [
            "warning 8 A: the instance is IPv4, 2001:db8::9 is not; it is ignored"
            " -> put it into virtual_ipaddress_excluded"
        ],
    ),
    (
        instance("version 2", vip="virtual_ipaddress { fe80::9/64 }"),
        5,
        ["warning 5 A: version 2 does not support IPv6; version 3 is used"],
    ),
    (
        instance() + instance(name="B", vip="virtual_ipaddress { 192.0.2.10/24 }"),
        5,
        ["error 11 B and A both use virtual_router_id 5 on eth0 -> give one of them another number"],
    ),
    (
        instance("unicast_peer {\n192.0.2.4\n192.0.2.3\n}")
        + instance("unicast_peer {\n192.0.2.3\n}", name="B", vip="virtual_ipaddress { 192.0.2.10/24 }"),
        5,
        [
            "note 6 A: adverts of every host count, also of one that is no peer -> add check_unicast_src",
            "error 14 B and A both use virtual_router_id 5 on eth0 -> give one of them another number",
            "note 16 B: adverts of every host count, also of one that is no peer -> add check_unicast_src",
        ],
    ),
    (
        instance("unicast_peer {\n192.0.2.4\n}")
        + instance("unicast_peer {\n192.0.2.3\n}", name="B", vip="virtual_ipaddress { 192.0.2.10/24 }")
        + instance(name="C", vip="virtual_ipaddress { 192.0.2.11/24 }"),
        0,
        [
            "note 6 A: adverts of every host count, also of one that is no peer -> add check_unicast_src",
            "note 15 B: adverts of every host count, also of one that is no peer -> add check_unicast_src",
        ],
    ),
    (instance("auth_hmac {\n}"), 5, []),
    (
        instance("unicast_peer {\n}"),
        5,
        ["warning 5 A: unicast_peer is empty; multicast is used -> add unicast_peer { ADDRESS }"],
    ),
    ("static_rules {\nfrom 192.0.2.0/24 table 5\n}\n" + instance(), 5, []),
    ("static_rules {\nsport 80 table 5 preference 1\n}\n" + instance(), 5, []),
    (
        instance("virtual_routes {\n2001:db8::/64 dev eth1 scope link\n}"),
        0,
        ["note 6 A: 2001:db8::/64 dev eth1 scope link: an IPv6 route has no scope; link is ignored"],
    ),
    (
        instance("virtual_routes {\n198.51.100.0/24 dev eth1 features nope as to 192.0.2.9\n}"),
        5,
        [
            "warning 6 route 198.51.100.0/24: as is for MPLS routes, and is ignored;"
            " nope is not a feature of a route (only ecn is) and is ignored; the route is kept"
        ],
    ),
    (
        instance(vip="virtual_ipaddress { 192.0.2.9/31 brd + }"),
        5,
        ["warning 6 192.0.2.9/31: a network of /31 has no broadcast address; the address is kept without it"],
    ),
    (
        instance("virtual_rules {\ninet6 from 192.0.2.0/24 table 7 preference 9\n}"),
        5,
        ["warning 6 rule from 192.0.2.0/24: IPv4 and IPv6 are mixed: inet6 192.0.2.0/24; the rule is ignored"],
    ),
    (
        "track_group G {\ngroup {\nA\nX\n}\n}\n" + instance(),
        5,
        ["warning 4 G: there is no vrrp_instance X"],
    ),
    ("static_routes {\n198.51.100.0/24 gw 192.0.2.1 dev eth0\n}\n" + instance(), 5, []),
    (instance("skip_check_adv_addr off"), 0, []),
    (
        instance("priority 0"),
        5,
        ["warning 5 priority: 0 is not in 1..255; using default (100; 255 with state MASTER)"],
    ),
    (instance("priority 300"), 5, []),
    (
        script("interval 1"),
        5,
        [
            'warning 1 vrrp_script S has no script; it is ignored -> add script "COMMAND"',
            "warning 9 A: there is no vrrp_script S, or it cannot be used; it is not tracked",
        ],
    ),
    # keepalived disables this one as not found and exits with 5; kad gives it to a shell.
    (script('script "[[ -f /x ]] && exit 1"'), 6, []),
    (
        script('script "/bin/true && /bin/true"'),
        6,
        [
            "note 2 /bin/true && /bin/true: needs a shell; /bin/bash runs it",
            "warning 2 scripts run without enable_script_security"
            " -> put enable_script_security and script_user into global_defs",
        ],
    ),
    (
        service(all_set=False),
        5,
        [
            "warning 1 virtual_server 192.0.2.9 80 has no protocol; UDP is used -> add protocol TCP",
            "warning 1 virtual_server 192.0.2.9 80 has no lb_algo; wlc is used -> add lb_algo rr",
            "warning 1 virtual_server 192.0.2.9 80 has no lb_kind; NAT is used -> add lb_kind NAT, DR or TUN",
        ],
    ),
    (service(servers=""), 5, []),
    (service("hashed"), 5, []),
    (service("ops"), 5, []),
    (service(servers="real_server 192.0.2.20 80 {\n}\nreal_server 192.0.2.20 80 {\n}"), 5, []),
    (service() + service(), 0, []),
    (check("HTTP_GET {\nurl {\npath /\n}\ntls_compliant\n}"), 5, []),
    (check("HTTP_GET {\n}"), 5, []),
    (check('MISC_CHECK {\nmisc_path "/bin/true"\n}'), 6, []),
    (check('MISC_CHECK {\nmisc_path "/bin/nope"\n}'), 0, []),
    (check('MISC_CHECK {\nmisc_path "killall -0 nope"\n}'), 6, []),
    (check("MISC_CHECK {\n}"), 5, []),
    (check("FILE_CHECK {\ntrack_file nope\n}"), 5, []),
    (check("BFD_CHECK {\nname nope\n}"), 5, []),
    (instance("track_script {\nnope\n}"), 5, []),
    (instance("track_file {\nnope\n}"), 5, []),
    (instance("track_process {\nnope\n}"), 5, []),
    (instance("track_bfd {\nnope\n}"), 5, []),
    ("bfd_instance B {\n}\n" + instance(), 5, []),
    (
        "vrrp_sync_group G {\ngroup {\nA\nX\n}\n}\n" + instance(),
        5,
        [
            "warning 3 G: the sync group has one member, A",
            "warning 4 G: there is no vrrp_instance X",
        ],
    ),
    ("vrrp_sync_group G {\ngroup {\nX\n}\n}\n" + instance(), 5, []),
    ("include missing.conf\n" + instance(), 0, []),
    ("includer missing.conf\n" + instance(), 0, []),
    ("includem missing.conf\n" + instance(), 6, []),
    ("includew missing*.conf\n" + instance(), 6, []),
    ("includeb {missing}.conf\n" + instance(), 0, []),
    ("includea missing.conf\n" + instance(), 6, []),
]


@pytest.mark.parametrize(("text", "exit_code", "findings"), CASES)
def test_a_small_file(text: str, exit_code: int, findings: list[str]) -> None:
    analysis = judged(text)
    assert analysis.exit_code == exit_code, said(analysis)
    if findings:
        assert said(analysis) == findings


def test_a_missing_file_is_an_error_of_class_six() -> None:
    from kad.analyzer.process import Options, analyze
    from tests.config.hosts import a_host

    analysis = analyze("/etc/kad/none.conf", a_host(""), Options(test=True))
    assert (analysis.exit_code, analysis.fatal) == (6, True)


def test_priority_by_omission_is_a_note_alone() -> None:
    analysis = judged(instance(state="MASTER"))
    assert (analysis.exit_code, said(analysis)) == (
        0,
        [
            "note 2 A: state MASTER without priority means priority 255, the owner of the addresses"
            " -> add priority 100, or another one, if it does not own them"
        ],
    )


@pytest.mark.parametrize(
    "text",
    [
        instance("check_unicast_src\nunicast_peer {\n192.0.2.4\n}"),
        "global_defs {\nvrrp_check_unicast_src\n}\n" + instance("unicast_peer {\n192.0.2.4\n}"),
        # A limit for the TTL of one peer turns the check of the source on.
        instance("unicast_peer {\n192.0.2.4\n192.0.2.5 min_ttl 254\n}"),
        instance("unicast_peer {\n192.0.2.4 max_ttl 255\n}"),
    ],
)
def test_nothing_is_said_of_adverts_of_other_hosts_where_their_source_is_checked(text: str) -> None:
    assert said(judged(text)) == []
