"""The words of virtual_server, real_server and virtual_server_group that the kernel's table is made of."""

from typing import Annotated

from kad.config.command import Command, command
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Head, Lines, keyword
from kad.config.values import boolean, flag, integer, one_of, optional, text
from kad.ipvs.keywords.line_values import (
    LARGEST,
    Forwarding,
    GroupMember,
    ServerName,
    SyncDaemon,
    Timeouts,
    forwarding,
    granularity,
    group_member,
    server_name,
    sync_daemon,
    timeouts,
)

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos")


class ServiceWords(Block, frozen=True, kw_only=True):
    """The service as a whole."""

    ip_family: Annotated[str | None, keyword(one_of("inet", "inet6"), "of a service by firewall mark")] = None
    lb_algo: Annotated[
        str | None,
        keyword(
            one_of(*SCHEDULERS),
            "scheduler",
            aliases=("lvs_sched",),
            default="wlc",
        ),
    ] = None
    lb_kind: Annotated[
        Forwarding | None,
        keyword(forwarding(), "how packets reach the servers", aliases=("lvs_method",), default="NAT"),
    ] = None
    protocol: Annotated[
        str | None,
        keyword(
            one_of("TCP", "UDP", "SCTP", ignore_case=True), "of the service", default="UDP, none for a firewall mark"
        ),
    ] = None
    hashed: Annotated[bool, keyword(flag(), "accepted without effect")] = False
    ops: Annotated[bool, keyword(flag(), "each packet is a connection; UDP")] = False
    flag_1: Annotated[bool, keyword(flag(), "first flag of the scheduler", name="flag-1")] = False
    flag_2: Annotated[bool, keyword(flag(), "second flag of the scheduler", name="flag-2")] = False
    flag_3: Annotated[bool, keyword(flag(), "third flag of the scheduler", name="flag-3")] = False
    sh_port: Annotated[bool, keyword(flag(), "sh hashes the port too", name="sh-port")] = False
    sh_fallback: Annotated[bool, keyword(flag(), "sh tries another server", name="sh-fallback")] = False
    mh_port: Annotated[bool, keyword(flag(), "mh hashes the port too", name="mh-port")] = False
    mh_fallback: Annotated[bool, keyword(flag(), "mh tries another server", name="mh-fallback")] = False
    persistence_engine: Annotated[str | None, keyword(text("NAME", longest=15), "module that recognises a client")] = (
        None
    )
    persistence_timeout: Annotated[
        int | None, keyword(optional(integer(1, 2678400), 360), "seconds a client keeps its server", default="off")
    ] = None
    persistence_granularity: Annotated[
        str | None, keyword(granularity(), "network of clients that counts as one", default="each alone")
    ] = None
    quorum: Annotated[int | None, keyword(integer(1, LARGEST, raised=True), "weight that must be up", default="1")] = (
        None
    )
    hysteresis: Annotated[int | None, keyword(integer(0, LARGEST), "margin of the quorum", default="0")] = None
    quorum_up: Annotated[Command | None, keyword(command(), "run when it is reached", unique=True)] = None
    quorum_down: Annotated[Command | None, keyword(command(), "run when it is lost", unique=True)] = None
    weight: Annotated[int | None, keyword(integer(1, 2147483647), "of servers without one", default="1")] = None
    omega: Annotated[bool, keyword(flag(), "a stop runs the down programs")] = False
    sorry_server: Annotated[
        ServerName | None, keyword(server_name(), "server used while the quorum is lost", default="none")
    ] = None
    sorry_server_inhibit: Annotated[bool, keyword(flag(), "it stays in the table with weight 0")] = False
    sorry_server_lvs_method: Annotated[
        Forwarding | None, keyword(forwarding(), "how packets reach it", default="lb_kind", missing=Complaint.GENERAL)
    ] = None
    snmp_name: Annotated[
        str | None, keyword(text("STRING"), "its name in the MIB", missing=Complaint.GENERAL, exact=True, effect=False)
    ] = None


class DestinationWords(Block, frozen=True, kw_only=True):
    """One real server of the service."""

    weight: Annotated[
        int | None, keyword(integer(0, 2147483647), "its share", default="weight of the virtual_server")
    ] = None
    lvs_method: Annotated[
        Forwarding | None, keyword(forwarding(), "how packets reach it", default="lb_kind", inherits="lb_kind")
    ] = None
    uthreshold: Annotated[int | None, keyword(integer(0, LARGEST), "most connections", default="0, no limit")] = None
    lthreshold: Annotated[
        int | None, keyword(integer(0, LARGEST), "connections below which it gets new ones again", default="0")
    ] = None
    notify_up: Annotated[Command | None, keyword(command(), "run when it comes", unique=True)] = None
    notify_down: Annotated[Command | None, keyword(command(), "run when it goes", unique=True)] = None
    snmp_name: Annotated[
        str | None, keyword(text("STRING"), "its name in the MIB", missing=Complaint.GENERAL, exact=True, effect=False)
    ] = None


class ServiceGroupBlock(Block, frozen=True, kw_only=True):
    """virtual_server_group NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    members: Annotated[tuple[GroupMember, ...], Lines(group_member(), "addresses and marks of one virtual_server")] = ()


class IpvsGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about the kernel's table."""

    lvs_timeouts: Annotated[
        Timeouts | None,
        keyword(timeouts(), "timeouts of sessions", default="the kernel's", missing=Complaint.GENERAL),
    ] = None
    lvs_flush: Annotated[bool, keyword(flag(), "the start clears the table")] = False
    lvs_flush_on_stop: Annotated[
        str | None,
        keyword(
            optional(one_of("VS"), "all"), "the stop clears the table", aliases=("lvs_flush_onstop",), default="off"
        ),
    ] = None
    lvs_sync_daemon: Annotated[
        SyncDaemon | None,
        keyword(
            sync_daemon(), "connections are copied to the backup", default="off", missing=Complaint.GENERAL, unique=True
        ),
    ] = None
    ipvs_required: Annotated[
        bool | None,
        keyword(
            boolean(),
            "FAULT of an instance with an address of a virtual server while the kernel has no IPVS; no: MASTER",
            default="true",
        ),
    ] = None
    nftables_ipvs: Annotated[
        str | None,
        keyword(
            optional(text("TABLE", longest=255), "keepalived_ipvs"),
            "groups become firewall marks",
            default="off",
            unique=True,
        ),
    ] = None
    nftables_ipvs_priority: Annotated[
        int | None, keyword(integer(-2147483648, 2147483647), "of its chains", default="-1")
    ] = None
    nftables_ipvs_start_fwmark: Annotated[
        int | None, keyword(integer(1, LARGEST), "the first mark", default="1000")
    ] = None
    rs_init_notifies: Annotated[
        bool | None, keyword(boolean(), "the first state runs programs too", default="false")
    ] = None
