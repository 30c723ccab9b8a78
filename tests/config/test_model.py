"""What comes of a file: the slices, with every default filled in and every inheritance resolved."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest

from kad.checker.checker_slice import CheckedServer, CheckerSlice
from kad.checker.checks.http import HttpCheck
from kad.checker.checks.tcp import TcpCheck
from kad.model import secret
from kad.model.checker import Connection, Timing, Url
from kad.model.host import Host
from kad.model.ipvs import IpvsSlice, Member, RealServer, VirtualServer
from kad.model.notification import GroupSubject, InstanceSubject
from kad.model.runner import Program, RunnerSlice, VrrpScript
from kad.model.secret import Secret
from kad.model.tracking import TrackItem
from kad.model.vrrp import (
    Announcing,
    Authentication,
    GarpGroup,
    SyncGroup,
    UnicastPeer,
    VirtualAddress,
    VrrpInstance,
    VrrpSlice,
)
from tests.config.hosts import a_host, judged, said

S = TypeVar("S", bound=msgspec.Struct)
SLICES = {VrrpSlice: "vrrp", RunnerSlice: "runner", IpvsSlice: "ipvs", CheckerSlice: "checker"}
MINIMAL = "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.9/24\n}\n"
VIP = VirtualAddress(address="192.0.2.9", prefix=24)
PLAIN = VrrpInstance(name="A", interface="eth0", virtual_router_id=51, virtual_addresses=(VIP,))


def sliced(text: str, kind: type[S], host: Host | None = None) -> S:
    return secret.decode(judged(text, host).slices[SLICES[kind]], kind)


def only(words: str = "", defaults: str = "", minimal: str = MINIMAL) -> VrrpInstance:
    """The one instance of a file with these words in it and in global_defs."""
    text = f"global_defs {{\n{defaults}\n}}\nvrrp_instance A {{\n{minimal}{words}\n}}\n"
    (instance,) = sliced(text, VrrpSlice).instances
    return instance


def changed(**fields: object) -> VrrpInstance:
    return msgspec.structs.replace(PLAIN, **fields)


def announcing(**fields: object) -> Announcing:
    return msgspec.structs.replace(Announcing(), **fields)


def test_groups_of_interfaces_that_announce_in_turn() -> None:
    groups = (
        "garp_group {\ngarp_interval 0.5\ninterface eth0\n}\n",
        "garp_group {\ngna_interval 0.25\ngarp_interval 1\ninterfaces {\neth0 eth1\n}\n}\n",
        "garp_group {\ninterfaces {\neth1\n}\n}\n",
    )
    text = "".join(groups) + f"vrrp_instance A {{\n{MINIMAL}}}\n"
    assert sliced(text, VrrpSlice).garp_groups == (
        GarpGroup(interfaces=("eth0",), garp_interval=0.5),
        GarpGroup(interfaces=("eth1",), garp_interval=1.0, gna_interval=0.25),
    )
    assert [line for line in said(judged(text)) if "garp_group" in line] == [
        "warning 5 eth0 is in a garp_group already; it is ignored in this one",
        "warning 12 eth1 is in a garp_group already; it is ignored in this one",
        "warning 12 the garp_group has neither garp_interval nor gna_interval; it is ignored"
        " -> add garp_interval SECONDS",
    ]


def test_an_instance_of_nothing_but_what_it_must_have() -> None:
    assert only() == PLAIN
    assert PLAIN.priority == 100
    assert PLAIN.advertisement_interval == 1.0
    assert PLAIN.multicast_group == "224.0.0.18"


@pytest.mark.parametrize(
    ("words", "defaults", "expected"),
    [
        ("state MASTER\npriority 150", "", changed(state="MASTER", priority=150)),
        ("state MASTER", "", changed(state="MASTER", priority=255)),
        ("priority 255", "", changed(state="MASTER", priority=255)),
        ("state BACKUP\npriority 255", "", changed(priority=255)),
        ("priority 300", "", PLAIN),
        ("advert_int 0.5", "", changed(advertisement_interval=1.0)),
        ("advert_int 2.6", "", changed(advertisement_interval=3.0)),
        ("version 3\nadvert_int 0.1", "", changed(version=3, advertisement_interval=0.1)),
        ("advert_int 0.505", "vrrp_version 3", changed(version=3, advertisement_interval=0.51)),
        ("version 3\nadvert_int 41", "", changed(version=3, advertisement_interval=40.95)),
        ("version 2", "vrrp_version 3", PLAIN),
        ("", "vrrp_mcast_group4 224.3.1.10", changed(multicast_group="224.3.1.10")),
        ("mcast_dst_ip 224.3.1.11", "vrrp_mcast_group4 224.3.1.10", changed(multicast_group="224.3.1.11")),
        ("mcast_src_ip 192.0.2.3", "", changed(source_address="192.0.2.3")),
        ("mcast_src_ip 2001:db8::1", "", PLAIN),
        ("mcast_src_ip 192.0.2.3\ntrack_src_ip", "", changed(source_address="192.0.2.3", track_source=True)),
        ("track_src_ip", "", PLAIN),
        ("nopreempt", "", changed(preempt=False)),
        ("nopreempt\nstate MASTER\npriority 5", "", changed(state="MASTER", priority=5)),
        ("preempt_delay 60.5", "", changed(preempt_delay=60.5)),
        ("preempt_delay 60\nstate MASTER\npriority 5", "", changed(state="MASTER", priority=5)),
        ("dont_track_primary", "", changed(track_primary=False)),
        (
            "authentication {\nauth_type PASS\nauth_pass Mcy1995\n}",
            "",
            changed(authentication=Authentication(type="PASS", password=Secret("Mcy1995"))),
        ),
        ("authentication {\nauth_type PASS\nauth_type Mcy9586\n}", "", PLAIN),
        ("authentication {\nauth_pass Mcy1995\n}", "", PLAIN),
        ("version 3\nauthentication {\nauth_type PASS\nauth_pass x\n}", "", changed(version=3)),
        (
            "state MASTER\npriority 9\nauthentication {\nauth_type AH\nauth_pass x\n}",
            "",
            changed(priority=9, authentication=Authentication(type="AH", password=Secret("x"))),
        ),
        (
            "unicast_src_ip 192.0.2.3\nunicast_ttl 64\nunicast_peer {\n192.0.2.4\n192.0.2.5 min_ttl 3 max_ttl 9\n}",
            "",
            changed(
                source_address="192.0.2.3",
                unicast_ttl=64,
                check_unicast_src=True,
                unicast_peers=(
                    UnicastPeer(address="192.0.2.4"),
                    UnicastPeer(address="192.0.2.5", min_ttl=3, max_ttl=9),
                ),
            ),
        ),
        ("", "vrrp_check_unicast_src", changed(check_unicast_src=True)),
        ("garp_master_delay 7", "", changed(announcing=announcing(master_delay=7.0))),
        (
            "garp_master_repeat 2",
            "vrrp_garp_master_repeat 3\nvrrp_garp_lower_prio_repeat 0\nvrrp_garp_interval 0.001",
            changed(
                announcing=announcing(master_repeat=2, lower_prio_repeat=0, lower_prio_pause=0.0, garp_interval=0.001)
            ),
        ),
        (
            "garp_master_refresh 60\ngarp_master_refresh_repeat 2",
            "",
            changed(announcing=announcing(master_refresh=60.0, master_refresh_repeat=2)),
        ),
        (
            "",
            "vrrp_min_garp",
            changed(
                announcing=announcing(master_delay=0.0, master_repeat=1, lower_prio_delay=0.0, lower_prio_repeat=1)
            ),
        ),
        ("", "vrrp_garp_extra_if all 7", changed(announcing=announcing(elsewhere=7.0, elsewhere_all=True))),
        ("garp_extra_if 9", "vrrp_garp_extra_if all 7", changed(announcing=announcing(elsewhere=9.0))),
        ("garp_lower_prio_repeat 5", "", changed(announcing=announcing(lower_prio_pause=0.0))),
        ("nopreempt\ntimer_expired_backup 90", "", changed(preempt=False, timer_expired_backup=90)),
        ("nopreempt\ntimer_expired_backup", "", changed(preempt=False, timer_expired_backup=254)),
        ("timer_expired_backup", "", PLAIN),
        ("garp_master_repeat 0", "", changed(announcing=announcing(master_repeat=1))),
        ("down_timer_adverts 5", "vrrp_down_timer_adverts 4", changed(down_timer_adverts=5)),
        ("", "vrrp_down_timer_adverts 4", changed(down_timer_adverts=4)),
        ("lower_prio_no_advert", "", changed(lower_prio_no_advert=True)),
        ("lower_prio_no_advert off", "vrrp_lower_prio_no_advert", PLAIN),
        ("higher_prio_send_advert on", "", changed(higher_prio_send_advert=True)),
        ("skip_check_adv_addr off", "", changed(skip_check_adv_addr=True)),
        ("v3_checksum_as_v2", "", changed(v3_checksum_as_v2=True)),
        ("v3_checksum_as_v2 off", "v3_checksum_as_v2", PLAIN),
        ("no_accept", "", changed(accept=False)),
        ("notify_deleted", "", changed(notify_deleted=True)),
        ("smtp_alert", "", changed(smtp_alert=True)),
        ("", "smtp_alert", changed(smtp_alert=True)),
        ("smtp_alert off", "smtp_alert_vrrp", PLAIN),
        (
            "strict_mode\npreempt_delay 9\ndown_timer_adverts 5\nhigher_prio_send_advert",
            "",
            changed(
                strict=True,
                accept=False,
                lower_prio_no_advert=True,
                owner_ignore_adverts=True,
                invites_successor=False,
                announcing=announcing(lower_prio_delay=0.0, lower_prio_repeat=0),
            ),
        ),
        (
            "track_interface {\neth1\nlo weight -20\n}",
            "",
            changed(
                tracks=(
                    TrackItem(kind="interface", name="eth1"),
                    TrackItem(kind="interface", name="lo", weight=-20),
                )
            ),
        ),
        (
            "track_interface {\neth1 weight 254 reverse\n}",
            "",
            changed(tracks=(TrackItem(kind="interface", name="eth1", weight=253, reverse=True),)),
        ),
        ("track_interface {\neth0\n}", "", PLAIN),
    ],
)
def test_words_of_an_instance(words: str, defaults: str, expected: VrrpInstance) -> None:
    assert only(words, defaults) == expected


def test_an_ipv6_instance() -> None:
    minimal = "interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\nFE80::0:9/64\n2001:db8::9\n}\n"
    assert only(minimal=minimal) == changed(
        version=3,
        family=6,
        multicast_group="ff02::12",
        virtual_addresses=(
            VirtualAddress(address="fe80::9", prefix=64),
            VirtualAddress(address="2001:db8::9", prefix=128, preferred_lft=0),
        ),
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("192.0.2.9", VirtualAddress(address="192.0.2.9", prefix=32)),
        ("192.0.2.9/33", VirtualAddress(address="192.0.2.9", prefix=32)),
        (
            "192.0.2.9/24 brd + dev eth1",
            VirtualAddress(address="192.0.2.9", prefix=24, broadcast="192.0.2.255", device="eth1"),
        ),
        ("192.0.2.9/24 broadcast -", VirtualAddress(address="192.0.2.9", prefix=24, broadcast="192.0.2.0")),
        ("192.0.2.9/24 brd 192.0.2.7", VirtualAddress(address="192.0.2.9", prefix=24, broadcast="192.0.2.7")),
        (
            "192.0.2.9/24 scope link label eth0:0",
            VirtualAddress(address="192.0.2.9", prefix=24, scope=253, label="eth0:0"),
        ),
        ("192.0.2.9/24 scope 77", VirtualAddress(address="192.0.2.9", prefix=24, scope=77)),
        ("192.0.2.9 peer 192.0.2.8/24", VirtualAddress(address="192.0.2.9", prefix=24, peer="192.0.2.8/24")),
        (
            "192.0.2.9/24 preferred_lft 60 no_track noprefixroute",
            VirtualAddress(address="192.0.2.9", prefix=24, preferred_lft=60, no_track=True, noprefixroute=True),
        ),
        ("192.0.2.9/24 -nodad home", VirtualAddress(address="192.0.2.9", prefix=24, nodad=False, home=True)),
        ("192.0.2.9/24 colour red", VirtualAddress(address="192.0.2.9", prefix=24)),
        ("192.0.2.9/24 brd x no_track", VirtualAddress(address="192.0.2.9", prefix=24, no_track=True)),
        ("192.0.2.9/24 label abcdefghijklmnop home", VirtualAddress(address="192.0.2.9", prefix=24, home=True)),
        ("192.0.2.9/24 peer x", VirtualAddress(address="192.0.2.9", prefix=24)),
        ("192.0.2.9/24 dev", VirtualAddress(address="192.0.2.9", prefix=24)),
    ],
)
def test_lines_of_virtual_ipaddress(line: str, expected: VirtualAddress) -> None:
    instance = only(minimal=f"interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{\n{line}\n}}\n")
    assert instance.virtual_addresses == (expected,)


@pytest.mark.parametrize("line", ["192.0.2", "default", "192.0.2.9/24 dev a/b"])
def test_lines_that_are_no_address(line: str) -> None:
    text = f"interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{\n192.0.2.10/24\n{line}\n}}\n"
    assert [address.address for address in only(minimal=text).virtual_addresses] == ["192.0.2.10"]


def test_excluded_addresses_may_be_of_the_other_family() -> None:
    instance = only("virtual_ipaddress_excluded {\n2001:db8::9/64\n192.0.2.10/24\n}")
    assert [address.address for address in instance.excluded_addresses] == ["2001:db8::9", "192.0.2.10"]


GROUPED = """
vrrp_script S {
    script "/bin/true -x"
    interval 2
    weight -10
    fall 3
    rise 2
    user nobody
}
vrrp_script unused {
    script /bin/true
}
vrrp_sync_group G {
    group {
        A B
    }
    track_script {
        S
    }
    track_interface {
        eth1
    }
    notify_master "/etc/keepalived/notify.sh group"
    %s
}
vrrp_instance A {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.9/24
    }
    track_script {
        S weight 5
    }
    notify "/etc/keepalived/notify.sh"
    notify_fault "/nowhere/x"
}
vrrp_instance B {
    interface eth0
    virtual_router_id 52
    virtual_ipaddress {
        192.0.2.10/24
    }
}
"""
SCRIPT = TrackItem(kind="script", name="S", weight=-10)
LINK = TrackItem(kind="interface", name="eth1")


def test_a_group_tracks_for_its_members() -> None:
    found = sliced(GROUPED % "sync_group_tracking_weight", VrrpSlice)
    assert [instance.tracks for instance in found.instances] == [
        (TrackItem(kind="script", name="S", weight=5), LINK),
        (LINK, SCRIPT),
    ]
    assert found.groups == (SyncGroup(name="G", members=("A", "B"), notifies=("notify_master",), tracking_weight=True),)


def test_the_weights_of_a_member_do_not_count_inside_a_group_but_those_of_the_group_do() -> None:
    found = sliced(GROUPED % "", VrrpSlice)
    assert [instance.tracks for instance in found.instances] == [(LINK, SCRIPT), (LINK, SCRIPT)]


FILES = "track_file one {\nfile /one\n}\ntrack_file two {\nfile /two\nweight 2\n}\n"
TRACKED = "track_file {\none\ntwo\n}\n"
FAULTY = TrackItem(kind="file", name="one")
OTHER = f"vrrp_instance B {{\n{MINIMAL.replace('51', '52')}}}\n"


@pytest.mark.parametrize(
    ("text", "tracks"),
    [
        (f"vrrp_instance A {{\n{MINIMAL}priority 255\n{TRACKED}}}\n", (FAULTY,)),
        (f"vrrp_instance A {{\n{MINIMAL}{TRACKED}}}\nvrrp_sync_group G {{\ngroup {{\nA\nB\n}}\n}}\n", (FAULTY,)),
        (
            f"vrrp_instance A {{\n{MINIMAL}priority 255\n}}\nvrrp_sync_group G {{\ngroup {{\nA\nB\n}}\n{TRACKED}}}\n",
            (FAULTY, TrackItem(kind="file", name="two")),
        ),
    ],
    ids=["owner", "member", "group of an owner"],
)
def test_where_no_weight_counts_a_file_of_weight_1_counts_as_one_of_weight_0(
    text: str, tracks: tuple[TrackItem, ...]
) -> None:
    assert sliced(FILES + text + OTHER, VrrpSlice).instances[0].tracks == tracks


def test_the_runner_is_given_programs_and_tracked_scripts() -> None:
    notify = Program(
        id="A/notify",
        text="/etc/keepalived/notify.sh",
        argv=("/etc/keepalived/notify.sh",),
        subject=InstanceSubject(name="A"),
    )
    group = Program(
        id="group:G/notify_master",
        text="/etc/keepalived/notify.sh group",
        argv=("/etc/keepalived/notify.sh", "group"),
        subject=GroupSubject(name="G"),
    )
    program = Program(id="script:S", text="/bin/true -x", argv=("/bin/true", "-x"), user="nobody")
    script = VrrpScript(name="S", program=program, interval=2.0, timeout=2.0, weight=-10, rise=2, fall=3)
    text = GROUPED % "sync_group_tracking_weight"
    assert sliced(text, RunnerSlice) == RunnerSlice(programs=(notify, group), scripts=(script,))
    assert sliced(text, VrrpSlice).instances[0].notifies == ("notify",)


def test_strings_that_are_meant_for_a_shell() -> None:
    text = 'vrrp_script S {\nscript "[[ -f /x ]] && exit 1 || exit 0"\n}\n'
    text += f"vrrp_instance A {{\n{MINIMAL}track_script {{\nS\n}}\n}}\n"
    (script,) = sliced(text, RunnerSlice).scripts
    assert script.program.shell
    assert script.program.argv == ("/bin/bash", "-c", "[[ -f /x ]] && exit 1 || exit 0")


def test_a_shell_that_is_there_is_taken() -> None:
    text = f'vrrp_instance A {{\n{MINIMAL}notify "killall -0 x || exit 1"\n}}\n'
    host = a_host(text)
    host.files.looks.pop("/bin/bash")  # type: ignore[attr-defined]
    (program,) = sliced(text, RunnerSlice, host).programs
    assert program.argv == ("/bin/sh", "-c", "killall -0 x || exit 1")


def test_process_words_reach_the_vrrp_process() -> None:
    text = "global_defs {\nvrrp_rt_priority 50\nvrrp_rlimit_rtime 20000\nvrrp_no_swap\nvrrp_cpu_affinity 0 1\n"
    text += "vrrp_priority -5\nvrrp_startup_delay 2.5\nlog_unknown_vrids\n}\n"
    found = sliced(text + f"vrrp_instance A {{\n{MINIMAL}}}\n", VrrpSlice)
    assert msgspec.structs.replace(found, instances=()) == VrrpSlice(
        startup_delay=2.5,
        log_unknown_vrids=True,
        priority=-5,
        rt_priority=50,
        rlimit_rttime=20000,
        no_swap=True,
        cpu_affinity=(0, 1),
    )


def test_global_defs_may_come_in_pieces_and_after_what_they_are_for() -> None:
    text = f"global_defs {{\nvrrp_version 3\nvrrp_garp_master_repeat 2\n}}\nvrrp_instance A {{\n{MINIMAL}}}\n"
    text += "global_defs {\nvrrp_garp_master_repeat 3\n}\n"
    (instance,) = sliced(text, VrrpSlice).instances
    assert instance == changed(version=3, announcing=announcing(master_repeat=3, lower_prio_repeat=3))


def test_what_the_parent_is_given() -> None:
    text = "child_wait_time 9\nglobal_defs {\nrouter_id R\nprocess_names\nvrrp_process_name v\n"
    text += 'startup_script "/bin/true a"\nstartup_script_timeout 3\numask IRUSR|IWUSR\n}\n'
    watchdog = judged(text).watchdog
    assert watchdog.child_wait_time == 9.0
    assert watchdog.router_id == "R"
    assert watchdog.process_names == {"vrrp": "v", "checker": "keepalived_lvs", "bfd": "keepalived_bfd"}
    assert watchdog.startup_script is not None
    assert watchdog.startup_script.argv == ("/bin/true", "a")
    assert watchdog.startup_script_timeout == 3.0
    assert watchdog.umask == 0o600


def test_the_router_id_is_the_host_name_where_none_is_given() -> None:
    assert judged("").watchdog.router_id == "node1.example"


SERVICE = """
virtual_server 192.0.2.9 80 {
    lb_algo rr
    lb_kind DR
    protocol TCP
    weight 3
    real_server 192.0.2.20 80 {
        weight 2
        TCP_CHECK {
        }
        HTTP_GET {
            url {
                path /
            }
        }
    }
    real_server 192.0.2.21 {
    }
}
"""


def test_virtual_servers_reach_ipvs_and_checker() -> None:
    assert sliced(SERVICE, IpvsSlice) == IpvsSlice(
        virtual_servers=(
            VirtualServer(
                name="192.0.2.9 80",
                address="192.0.2.9",
                port=80,
                protocol="TCP",
                members=(Member(first="192.0.2.9", last="192.0.2.9", port=80),),
                scheduler="rr",
                real_servers=(
                    RealServer(address="192.0.2.20", port=80, weight=2, method="DR"),
                    RealServer(address="192.0.2.21", port=80, weight=3, method="DR"),
                ),
            ),
        )
    )
    asked = Connection(address="192.0.2.20", port=80, timeout=5.0)
    assert sliced(SERVICE, CheckerSlice) == CheckerSlice(
        servers=(
            CheckedServer(
                service="192.0.2.9 80",
                address="192.0.2.20",
                port=80,
                checks=(
                    TcpCheck(connection=asked, timing=Timing()),
                    HttpCheck(
                        connection=asked,
                        timing=Timing(delay_before_retry=3.0, urls=1),
                        urls=(Url(path="/", host="192.0.2.20:80"),),
                    ),
                ),
            ),
            CheckedServer(service="192.0.2.9 80", address="192.0.2.21", port=80, checks=()),
        )
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", set()),
        (f"vrrp_instance A {{\n{MINIMAL}}}\n", {"vrrp", "runner"}),
        (SERVICE, {"ipvs", "checker"}),
        (f"{SERVICE}vrrp_instance A {{\n{MINIMAL}}}\n", {"vrrp", "runner", "ipvs", "checker"}),
    ],
)
def test_a_child_without_work_has_no_slice(text: str, parts: set[str]) -> None:
    assert set(judged(text).slices) == parts


def test_the_same_said_otherwise_is_equal() -> None:
    one = f"vrrp_instance A {{\n{MINIMAL}priority 90\nstate BACKUP\n}}\n"
    other = "! a comment\n$ID=51\nvrrp_instance A\n{ state BACKUP\n  priority 90 interface_is_below\n"
    other += "  interface eth0 # here\n virtual_router_id $ID\n virtual_ipaddress { 192.0.2.9/24 } }\n"
    assert judged(one).slices == judged(other).slices


EVERYWHERE = "linkbeat_use_polling\n"
"""At the root; in an instance it is for its own interface."""


def two_instances(first: str = "", second: str = "") -> str:
    """On eth0 and eth1, with more lines."""
    blocks = []
    for number, more in enumerate((first, second)):
        own = f"interface eth{number}\nvirtual_router_id {number + 5}\n{more}"
        blocks.append(f"vrrp_instance VI_{number} {{\n{own}virtual_ipaddress {{\n10.0.{number}.9\n}}\n}}\n")
    return "".join(blocks)


@pytest.mark.parametrize(
    ("text", "polled"),
    [
        (two_instances(EVERYWHERE), {"eth0": None}),
        (EVERYWHERE + two_instances(), {"eth0": None, "eth1": None}),
        (
            "linkbeat_use_polling\n" + two_instances("track_interface {\neth2\n}\n"),
            dict.fromkeys(("eth0", "eth1", "eth2")),
        ),
        (
            "linkbeat_interfaces {\neth1 MII\n}\n" + two_instances("linkbeat_use_polling\n"),
            {"eth0": None, "eth1": "MII"},
        ),
        (two_instances(), {}),
    ],
)
def test_whose_link_is_asked_for(text: str, polled: dict[str, str | None]) -> None:
    assert {each.name: each.kind for each in sliced(text, VrrpSlice).polled_links} == polled
