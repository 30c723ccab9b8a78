"""What files of real hosts hold, judged as keepalived judges them: doubles, groups, spaces, what the host lacks."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from kad.analyzer.process import Analysis
from kad.model.ipvs import IpvsSlice
from kad.model.vrrp import VrrpInstance, VrrpSlice
from tests.config.hosts import a_host, judged, said

VIP = "virtual_ipaddress { 192.0.2.9/24 }"


def instance(*more: str, name: str = "A", number: int = 5, vip: str = VIP) -> str:
    words = "\n".join(more)
    return f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {number}\n{words}\n{vip}\n}}\n"


def service(*more: str, name: str = "192.0.2.9 80", server: str = "") -> str:
    words = "\n".join(("lb_algo rr", "lb_kind NAT", "protocol TCP", *more))
    return f"virtual_server {name} {{\n{words}\nreal_server 198.51.100.20 80 {{\n{server}\n}}\n}}\n"


def routers(analysis: Analysis) -> dict[str, VrrpInstance]:
    return {one.name: one for one in msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances}


SECURE = "global_defs {\nenable_script_security\nscript_user root\n}\n"
CASES: list[tuple[str, int, list[str]]] = [
    # Of two the first counts where keepalived says so, and the last elsewhere.
    (
        instance("state MASTER", "state BACKUP", "priority 9"),
        5,
        ["warning 5 state is written twice; the first one is used"],
    ),
    (instance("state BACKUP", "state BACKUP"), 0, []),
    (
        instance("state BACKUP", "state MASTER", "priority 7", "priority 8"),
        0,
        [],
    ),
    (instance("version 3", "version 2"), 5, ["warning 5 version is written twice; the first one is used"]),
    (
        "global_defs {\nnftables a\nnftables a\nlvs_sync_daemon eth0 A\nlvs_sync_daemon eth1 A\n}\n" + instance(),
        5,
        [
            "warning 3 nftables is written twice; the first one is used",
            "warning 5 lvs_sync_daemon is written twice; the first one is used",
        ],
    ),
    (
        "global_defs {\nnotify_fifo /run/a\nnotify_fifo /run/b\nvmac_prefix a\nvmac_prefix b\n}\n" + instance(),
        5,
        [
            "warning 3 notify_fifo is written twice; the first one is used",
            "warning 5 vmac_prefix is written twice; the first one is used",
        ],
    ),
    (
        SECURE + service("quorum_up /bin/true", "quorum_up /bin/sh"),
        5,
        ["warning 10 quorum_up is written twice; the first one is used"],
    ),
    # Groups.
    (
        "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\nvrrp_sync_group H {\ngroup {\nA\nB\n}\n}\n"
        + instance()
        + instance(name="B", number=6, vip=VIP.replace(".9", ".8")),
        5,
        [
            "warning 9 H: A is already in the sync group G; it is ignored here",
            "warning 9 H: the sync group has no member; it is ignored",
            "warning 10 H: B is already in the sync group G; it is ignored here",
        ],
    ),
    (
        "vrrp_sync_group G {\ngroup {\nA\nB\n}\ntrack_interface {\neth1\n}\n}\n"
        + instance("track_interface {\neth1\n}")
        + instance(name="B", number=6, vip=VIP.replace(".9", ".8")),
        5,
        ["warning 7 A: its sync group G tracks eth1 as well; its own line counts -> remove eth1 from one of them"],
    ),
    # What is defined below.
    (
        SECURE + instance("track_script {\nS\n}") + "vrrp_script S {\nscript /bin/true\n}\n",
        0,
        [
            "note 9 A: vrrp_script S is defined below, where keepalived does not find it"
            " -> move its block above this one"
        ],
    ),
    # One of which nothing is there is not tracked.
    (
        "vrrp_script S {\ninterval 1\n}\n" + instance("track_script {\nS\n}"),
        5,
        [
            'warning 1 vrrp_script S has no script; it is ignored -> add script "COMMAND"',
            "warning 8 A: there is no vrrp_script S, or it cannot be used; it is not tracked",
        ],
    ),
    (
        SECURE + service(server='MISC_CHECK {\nmisc_path "/nosuch/check.sh"\n}'),
        0,
        ["warning 11 /nosuch/check.sh is not found on this host; its check fails until it can be run"],
    ),
    # Odd spaces.
    (
        instance("\u00a0 priority 7", "#\u00a0a comment", 'notify_fault "/bin/true\u00a0"')[:-1],
        6,
        ["warning 4 no-break space (U+00A0) is read as a space; keepalived does not read it so"],
    ),
    (
        "\ufeff" + instance(),
        5,
        [
            "warning 1 the file begins with a byte-order mark, which keepalived reads as a part of the first word;"
            " it is skipped -> save the file without it"
        ],
    ),
    (instance("priority\t7", "\vadvert_int\f2").replace("\n", "\r\n"), 0, []),
    # A comment inside a definition of several lines.
    (
        "$V= \\\n"
        + instance().replace("\n", " \\\n").replace("virtual_router", "# priority 3 \\\nvirtual_router")
        + "\n$V\n",
        0,
        ["note 4 the definition goes on behind this comment; keepalived 2.4 ends it here"],
    ),
    # Addresses.
    (
        instance("unicast_src_ip 192.0.2.99", "unicast_peer {\n192.0.2.2\n}", "check_unicast_src"),
        0,
        [
            "note 4 A: 192.0.2.99 is not an address of this host",
            "note 6 A: the peer 192.0.2.2 is an address of this host",
        ],
    ),
    (
        instance("use_ipvlan"),
        5,
        [
            "warning 4 A: an ipvlan needs an address of its own; without one the instance is in FAULT"
            " -> write use_ipvlan ADDRESS/PREFIX"
        ],
    ),
    (
        instance("use_ipvlan", "mcast_src_ip 192.0.2.2"),
        5,
        ["warning 4 A: an ipvlan needs an address of its own -> write use_ipvlan ADDRESS/PREFIX"],
    ),
    (
        instance("native_ipv6"),
        5,
        ["warning 4 A: native_ipv6 cannot be combined with IPv4 addresses; the instance is IPv4"],
    ),
    (
        instance("owner_ignore_adverts"),
        0,
        ["note 4 A: owner_ignore_adverts has no effect with priority 100, only with 255"],
    ),
    (
        instance('authentication {\nauth_type PASS\nauth_pass ""\n}'),
        5,
        ["warning 4 A: the authentication has no auth_pass; adverts are not authenticated -> add auth_pass"],
    ),
    # Virtual servers.
    (
        service("sorry_server 198.51.100.20 80", "sorry_server_inhibit"),
        5,
        [
            "warning 5 sorry_server 198.51.100.20 80 is also a real_server, which leaves when it fails;"
            " sorry_server_inhibit is ignored"
        ],
    ),
    (
        service("sorry_server 198.51.100.20 80", server="inhibit_on_failure"),
        5,
        [
            "warning 5 sorry_server 198.51.100.20 80 is also a real_server, which stays with weight 0 when it fails;"
            " sorry_server_inhibit is set"
        ],
    ),
    (
        service("sorry_server 2001:db8::9 80"),
        5,
        ["warning 5 sorry_server 2001:db8::9 80 is not of the family of 192.0.2.9 80; it is ignored"],
    ),
    (
        service(name="2001:db8::9 80", server="TCP_CHECK {\nconnect_ip fe80::1\n}").replace(
            "198.51.100.20", "2001:db8::8"
        ),
        5,
        ["warning 6 fe80::1 is a link-local address, which needs an interface; the check fails -> add bind_if IFNAME"],
    ),
    (
        "virtual_server_group G {\n192.0.2.9 80\nfwmark 2\n}\n" + service(name="group G"),
        0,
        [],
    ),
    (
        "virtual_server_group G {\n192.0.2.9 80\nfwmark 2\n}\n" + service(name="group G").replace("NAT", "DR"),
        5,
        ["warning 9 DR keeps the port of the client; 80 is ignored for fwmark 2"],
    ),
    (
        "virtual_server_group G {\nfwmark 2\n}\n" + service(name="group G"),
        5,
        ["warning 7 a service by firewall mark has no protocol; TCP is ignored"],
    ),
    (
        "global_defs {\nsmtp_server **\n}\n" + instance(),
        5,
        ["warning 2 smtp_server: ** is neither an IP address nor a host name; using default (none, port 25)"],
    ),
    (
        "global_defs {\nscript_user root ghosts\n}\n" + instance(),
        5,
        ["warning 2 there is no group ghosts on this host"],
    ),
    (
        "global_defs {\ndynamic_interfaces\n}\n" + instance("track_interface {\nnope\n}").replace("eth0", "gone"),
        0,
        [
            "note 5 A: there is no interface gone on this host yet",
            "note 8 A: there is no interface nope on this host yet",
        ],
    ),
]


@pytest.mark.parametrize(("text", "exit_code", "findings"), CASES)
def test_a_file(text: str, exit_code: int, findings: list[str]) -> None:
    analysis = judged(text)
    assert analysis.exit_code == exit_code, said(analysis)
    told = [one for one in said(analysis) if "sysctl" not in one and "without enable_script_security" not in one]
    assert [one for one in told if "networks of" not in one] == findings
    assert not analysis.fatal


def test_what_counts_of_two() -> None:
    made = routers(judged(instance("state BACKUP", "state MASTER", "priority 7", "priority 8")))["A"]
    assert (made.state, made.priority) == ("MASTER", 8)
    made = routers(judged(instance("state MASTER", "state BACKUP", "version 3", "version 2")))["A"]
    assert (made.state, made.version) == ("MASTER", 3)


def test_an_instance_is_in_one_sync_group() -> None:
    text = "vrrp_sync_group G {\ngroup {\nA\nA\nB\n}\n}\nvrrp_sync_group H {\ngroup {\nB\nC\n}\n}\n"
    text += "".join(instance(name=name, number=at, vip=VIP.replace(".9", f".{at}")) for at, name in enumerate("ABC", 5))
    groups = msgspec.msgpack.decode(judged(text).slices["vrrp"], type=VrrpSlice).groups
    assert [group.members for group in groups] == [("A", "B"), ("C",)]


def test_addresses_that_differ_in_what_the_kernel_does_not_tell_apart_are_one() -> None:
    lines = ["192.0.2.9/24", "192.0.2.9/24 label eth0:1", "192.0.2.9/24 dev eth0 scope link", "192.0.2.9/32"]
    lines += ["192.0.2.9/24 dev eth1", "192.0.2.8/24 label eth0:2", "192.0.2.8/24 label eth0:3"]
    excluded = "virtual_ipaddress_excluded {\n192.0.2.9/24\n192.0.2.7/24\n192.0.2.7/24 label eth0:4\n}"
    analysis = judged(instance(excluded, vip="virtual_ipaddress {\n" + "\n".join(lines) + "\n}"))
    assert [one for one in said(analysis) if "twice" in one] == [
        "note 5 A: 192.0.2.9 is listed twice; the first one is used",
        "note 7 A: 192.0.2.7 is listed twice; the first one is used",
        "note 11 A: 192.0.2.9 is listed twice; the first one is used",
        "note 12 A: 192.0.2.9 is listed twice; the first one is used",
        "note 16 A: 192.0.2.8 is listed twice; the first one is used",
    ]
    made = routers(analysis)["A"]
    held = [(one.address, one.prefix, one.device, one.label) for one in made.virtual_addresses]
    assert held == [
        ("192.0.2.9", 24, None, None),
        ("192.0.2.9", 32, None, None),
        ("192.0.2.9", 24, "eth1", None),
        ("192.0.2.8", 24, None, "eth0:2"),
    ]
    assert [one.address for one in made.excluded_addresses] == ["192.0.2.7"]
    # keepalived lists and counts them again in its adverts, and refuses adverts with another count.
    assert made.repeated_addresses == ("192.0.2.9", "192.0.2.9", "192.0.2.8")


def test_processors_that_are_not_there() -> None:
    text = "global_defs {\nvrrp_cpu_affinity 0 1 2 63\nchecker_cpu_affinity 7\n}\n" + instance() + service()
    analysis = judged(text, replace(a_host(text), processors=2))
    assert [one for one in said(analysis) if "processor" in one] == [
        "warning 2 this host has no processor 2 63 (0..1); the others are used",
        "warning 3 this host has no processor 7 (0..1); all processors are used",
    ]
    assert msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).cpu_affinity == (0, 1)
    assert all(one.about_host for one in analysis.diagnostics if "processor" in one.text)


def test_a_sorry_server_that_is_a_real_server_has_its_inhibit() -> None:
    text = service("sorry_server 198.51.100.20 80", server="inhibit_on_failure")
    [made] = msgspec.msgpack.decode(judged(text).slices["ipvs"], type=IpvsSlice).virtual_servers
    assert made.sorry_server is not None
    assert made.sorry_server.inhibit
    text = service("sorry_server 198.51.100.20 80", "sorry_server_inhibit")
    [made] = msgspec.msgpack.decode(judged(text).slices["ipvs"], type=IpvsSlice).virtual_servers
    assert made.sorry_server is not None
    assert not made.sorry_server.inhibit


@pytest.mark.parametrize(
    ("lines", "family"),
    [
        ("native_ipv6\nvirtual_ipaddress {\n192.0.2.9/24\n}", 4),
        ("virtual_ipaddress {\n192.0.2.9/24\n}\nnative_ipv6", 4),
        ("virtual_ipaddress {\n192.0.2.9/24\nfe80::9\n}\nnative_ipv6", 4),
        ("native_ipv6\nvirtual_ipaddress {\n192.0.2.9/24\nfe80::9\n}", 6),
        ("virtual_ipaddress {\nfe80::9\n192.0.2.9/24\n}\nnative_ipv6", 6),
        ("virtual_ipaddress {\nfe80::9\n}", 6),
    ],
)
def test_native_ipv6(lines: str, family: int) -> None:
    analysis = judged(instance(lines, vip=""))
    assert routers(analysis)["A"].family == family
    assert analysis.exit_code == (0 if "192" not in lines else 5)


def test_with_security_and_without_a_user_no_check_is_run() -> None:
    text = "global_defs {\nenable_script_security\n}\nvrrp_script S {\nscript /bin/true\n}\n"
    text += instance("track_script {\nS\n}", "notify /bin/true") + service(
        server='MISC_CHECK {\nmisc_path "/bin/true"\n}'
    )
    analysis = judged(text)
    assert analysis.exit_code == 5
    needs = "enable_script_security without script_user needs a user keepalived_script"
    proposal = " -> add script_user USER to global_defs, or create the user keepalived_script"
    assert [one for one in said(analysis) if one.startswith("warning")] == [
        f"warning 5 {needs}; the check is ignored{proposal}",
        "warning 11 A: there is no vrrp_script S, or it cannot be used; it is not tracked",
        f"warning 13 {needs}; the program is not run{proposal}",
        f"warning 22 {needs}; the check is ignored{proposal}",
    ]
    assert b"/bin/true" not in analysis.slices.get("runner", b"")
    assert routers(analysis)["A"].tracks == ()
