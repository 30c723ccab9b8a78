"""Requests that add and remove a route, encoded by pyroute2; what it does not know is declared here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6
from typing import Any, ClassVar

from pyroute2.netlink import nla
from pyroute2.netlink.rtnl.rtmsg import nh, rtmsg

from kad.linux.netlink.socket import NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, spans
from kad.model.routing import Encap, Nexthop, Route

RTM_NEWROUTE = 24
RTM_DELROUTE = 25

_PLACEMENT = {"prepend": 0, "append": NLM_F_APPEND, "add": NLM_F_EXCL}
_UNICAST = 1
_REJECTING = (6, 7, 8, 9)
"""blackhole unreachable prohibit throw"""
_ONLINK = 4
_RTA_OIF = 4
_RTA_MULTIPATH = 9
_NLMSG = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_HEADER = _NLMSG.size + 12  # and struct rtmsg
_NEXTHOP = struct.Struct("=HBBi")  # length, flags, weight - 1, index
_METRICS = {
    "mtu": "RTAX_MTU",
    "window": "RTAX_WINDOW",
    "rtt": "RTAX_RTT",
    "rttvar": "RTAX_RTTVAR",
    "ssthresh": "RTAX_SSTHRESH",
    "cwnd": "RTAX_CWND",
    "advmss": "RTAX_ADVMSS",
    "reordering": "RTAX_REORDERING",
    "hoplimit": "RTAX_HOPLIMIT",
    "initcwnd": "RTAX_INITCWND",
    "features": "RTAX_FEATURES",
    "rto_min": "RTAX_RTO_MIN",
    "initrwnd": "RTAX_INITRWND",
    "quickack": "RTAX_QUICKACK",
    "congctl": "RTAX_CC_ALGO",
    "fastopen_no_cookie": "RTAX_FASTOPEN_NO_COOKIE",
}
_ENCAPS = {"mpls": 1, "ip": 2, "ila": 3, "ip6": 4}
_Attributes = list[tuple[str, Any]]


def _tunnel(address: str) -> tuple[tuple[str, str], ...]:
    """The attributes of enum lwtunnel_ip_t, and of lwtunnel_ip6_t."""
    return (
        ("LWTUNNEL_IP_UNSPEC", "none"),
        ("LWTUNNEL_IP_ID", "be64"),
        ("LWTUNNEL_IP_DST", address),
        ("LWTUNNEL_IP_SRC", address),
        ("LWTUNNEL_IP_TTL", "uint8"),
        ("LWTUNNEL_IP_TOS", "uint8"),
        # As the kernel reads them; keepalived 2.2.7 sends them in the order of the host.
        ("LWTUNNEL_IP_FLAGS", "be16"),
    )


class _IpEncap(nla):  # type: ignore[misc]
    nla_map = _tunnel("ip4addr")


class _Ip6Encap(nla):  # type: ignore[misc]
    nla_map = _tunnel("ip6addr")


class _IlaEncap(nla):  # type: ignore[misc]
    nla_map = (("ILA_ATTR_UNSPEC", "none"), ("ILA_ATTR_LOCATOR", "be64"))


class _Metrics(rtmsg.metrics):  # type: ignore[misc]
    nla_map = (*rtmsg.metrics.nla_map, ("RTAX_FASTOPEN_NO_COOKIE", "uint32"))


class _Lacking:
    """What pyroute2's messages do not declare, or not as the kernel reads it."""

    nla_map = (
        *(entry for entry in rtmsg.nla_map if entry[0] != "RTA_EXPIRES"),
        ("RTA_EXPIRES", "uint32"),
        ("RTA_PAD", "hex"),
        ("RTA_UID", "uint32"),
        ("RTA_TTL_PROPAGATE", "uint8"),
    )
    encaps: ClassVar[dict[int, Any]] = {
        **rtmsg.encaps,
        _ENCAPS["ip"]: _IpEncap,
        _ENCAPS["ip6"]: _Ip6Encap,
        _ENCAPS["ila"]: _IlaEncap,
    }
    metrics = _Metrics

    @staticmethod
    def get_nh(*_: object, **__: object) -> type[_Nexthop]:
        return _Nexthop


class _Nexthop(_Lacking, nh):  # type: ignore[misc]
    pass


class _Route(_Lacking, rtmsg):  # type: ignore[misc]
    pass


def encode_route(route: Route) -> tuple[bytes, bytes, tuple[tuple[int, str], ...]]:
    """The requests that add and remove it, and where in them the indexes of interfaces belong, which are 0 now."""
    common = _common(route)
    placement = _PLACEMENT[route.placement] if route.type == _UNICAST else NLM_F_EXCL
    add = _message(route, NLM_F_CREATE | placement, [*common, *_extra(route)])
    delete = _deletion(add, len(common))
    return add, delete, _indexes(route, add)


def _deletion(add: bytes, count: int) -> bytes:
    """The request that deletes what that one adds: it has the first `count` attributes alone."""
    ends = [end for _, _, end in spans(add, _HEADER)]
    end = (ends[count - 1] + 3) & ~3 if count else _HEADER
    _, _, _, sequence, port = _NLMSG.unpack_from(add)
    return _NLMSG.pack(end, RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, sequence, port) + add[_NLMSG.size : end].ljust(
        end - _NLMSG.size, b"\0"
    )


def _message(route: Route, flags: int, attributes: _Attributes) -> bytes:
    message = _Route()
    message["header"]["type"] = RTM_NEWROUTE
    message["header"]["flags"] = flags | NLM_F_REQUEST | NLM_F_ACK
    message["family"] = AF_INET6 if route.family == 6 else AF_INET
    message["dst_len"], message["src_len"] = route.prefix, route.source_prefix
    message["tos"] = route.tos
    message["table"] = route.table if route.table < 256 else 0
    message["proto"], message["scope"], message["type"] = route.protocol, route.scope, route.type
    message["flags"] = _ONLINK if route.onlink else 0
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)


def _common(route: Route) -> _Attributes:
    """What tells the route from others."""
    named: _Attributes = [
        ("RTA_DST", route.destination),
        ("RTA_SRC", route.source),
        ("RTA_TABLE", route.table if route.table > 255 else None),
        ("RTA_GATEWAY", route.gateway),
        ("RTA_OIF", 0 if _leads_out(route) else None),
        ("RTA_PRIORITY", route.metric or None),
        ("RTA_PREFSRC", route.preferred_source),
    ]
    found = [(name, value) for name, value in named if value is not None]
    if route.nexthops:
        found.append(("RTA_MULTIPATH", [_nexthop(each) for each in route.nexthops]))
    return found


def _leads_out(route: Route) -> bool:
    """IPv6 routes that reject are on lo, whatever interface was asked for, and are not found on that one again."""
    return route.device is not None and not (route.family == 6 and route.type in _REJECTING)


def _extra(route: Route) -> _Attributes:
    """What is said about it beside."""
    named: _Attributes = [
        ("RTA_FLOW", route.realms),
        ("RTA_PREF", route.preference),
        ("RTA_EXPIRES", route.expires),
        ("RTA_TTL_PROPAGATE", None if route.ttl_propagate is None else int(route.ttl_propagate)),
    ]
    found = [(name, value) for name, value in named if value is not None]
    metrics: _Attributes = [(_METRICS[name], value) for name, value in route.metrics]
    if route.congestion is not None:
        metrics.append(("RTAX_CC_ALGO", route.congestion))
    if route.locked:
        numbers = [entry[0] for entry in _Metrics.nla_map]
        metrics.insert(0, ("RTAX_LOCK", sum(1 << numbers.index(_METRICS[name]) for name in route.locked)))
    if metrics:
        found.append(("RTA_METRICS", {"attrs": metrics}))
    return [*found, *_encap(route.encap)]


def _nexthop(hop: Nexthop) -> dict[str, object]:
    named: _Attributes = [("RTA_GATEWAY", hop.gateway), ("RTA_FLOW", hop.realms)]
    attributes = [(name, value) for name, value in named if value is not None]
    return {
        "flags": _ONLINK if hop.onlink else 0,
        "hops": hop.weight - 1,
        "oif": 0,
        "attrs": [*attributes, *_encap(hop.encap)],
    }


def _encap(encap: Encap | None) -> _Attributes:
    if encap is None:
        return []
    named: _Attributes
    if encap.kind == "mpls":
        labels = [{"label": label, "ttl": 0, "bos": 0, "tc": 0} for label in encap.labels]
        labels[-1]["bos"] = 1
        named = [("MPLS_IPTUNNEL_DST", labels)]
    elif encap.kind == "ila":
        named = [("ILA_ATTR_LOCATOR", encap.locator)]
    else:
        named = [
            ("LWTUNNEL_IP_ID", encap.id),
            ("LWTUNNEL_IP_DST", encap.destination),
            ("LWTUNNEL_IP_SRC", encap.source),
            ("LWTUNNEL_IP_TTL", encap.ttl),
            ("LWTUNNEL_IP_TOS", encap.tos),
            ("LWTUNNEL_IP_FLAGS", encap.flags),
        ]
    return [
        # The type goes first: by it the encoder knows how to write the rest.
        ("RTA_ENCAP_TYPE", _ENCAPS[encap.kind]),
        ("RTA_ENCAP", {"attrs": [(name, value) for name, value in named if value is not None]}),
    ]


def _indexes(route: Route, add: bytes) -> tuple[tuple[int, str], ...]:
    found = []
    if route.device and _leads_out(route):
        found.append((_place(add, _RTA_OIF), route.device))
    if route.nexthops:
        found += [(place, hop.device) for place, hop in zip(_hops(add), route.nexthops, strict=True) if hop.device]
    return tuple(found)


def _place(message: bytes, kind: int) -> int:
    """Where the payload of the attribute of that type begins."""
    return next(start for found, start, _ in spans(message, _HEADER) if found == kind)


def _hops(message: bytes) -> Iterator[int]:
    """Where each nexthop has the index of its interface."""
    at, end = next((start, end) for found, start, end in spans(message, _HEADER) if found == _RTA_MULTIPATH)
    while at < end:
        yield at + 4
        length = _NEXTHOP.unpack_from(message, at)[0]
        at += (length + 3) & ~3
