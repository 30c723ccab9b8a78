"""Requests that add and remove a policy rule, encoded by pyroute2."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6
from typing import Any

from pyroute2.netlink.rtnl.fibmsg import fibmsg

from kad.linux.netlink.socket import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST
from kad.model.routing import Rule

RTM_NEWRULE = 32
RTM_DELRULE = 33

_TYPE_AND_FLAGS = struct.Struct("=HH")
_INVERT = 2
_ALL_BITS = 0xFFFFFFFF


def encode_rule(rule: Rule) -> tuple[bytes, bytes]:
    """The requests that add and remove it."""
    add = _addition(rule)
    return add, add[:4] + _TYPE_AND_FLAGS.pack(RTM_DELRULE, NLM_F_REQUEST | NLM_F_ACK) + add[8:]


def _addition(rule: Rule) -> bytes:
    message = fibmsg()
    message["header"]["type"] = RTM_NEWRULE
    message["header"]["flags"] = NLM_F_CREATE | NLM_F_EXCL | NLM_F_REQUEST | NLM_F_ACK
    message["family"] = AF_INET6 if rule.family == 6 else AF_INET
    message["dst_len"], message["src_len"] = rule.destination_prefix, rule.source_prefix
    message["tos"], message["action"] = rule.tos, rule.action
    message["table"] = rule.table if rule.table < 256 else 0
    message["flags"] = _INVERT if rule.inverted else 0
    message["attrs"] = [(name, value) for name, value in _attributes(rule) if value is not None]
    message.encode()
    return bytes(message.data)


def _attributes(rule: Rule) -> list[tuple[str, Any]]:
    return [
        ("FRA_PRIORITY", rule.preference),
        ("FRA_TABLE", rule.table if rule.table > 255 else None),
        ("FRA_SRC", rule.source),
        ("FRA_DST", rule.destination),
        ("FRA_IIFNAME", rule.incoming),
        ("FRA_OIFNAME", rule.outgoing),
        ("FRA_GOTO", rule.goto),
        ("FRA_FWMARK", rule.mark),
        ("FRA_FWMASK", rule.mask if rule.mask != _ALL_BITS else None),
        ("FRA_FLOW", rule.realms),
        ("FRA_TUN_ID", rule.tunnel_id),
        ("FRA_SUPPRESS_IFGROUP", rule.suppress_group),
        ("FRA_SUPPRESS_PREFIXLEN", rule.suppress_prefixlength),
        ("FRA_L3MDEV", 1 if rule.l3mdev else None),
        ("FRA_UID_RANGE", _range(rule.users)),
        ("FRA_PROTOCOL", rule.protocol),
        ("FRA_IP_PROTO", rule.ip_protocol),
        ("FRA_SPORT_RANGE", _range(rule.source_ports)),
        ("FRA_DPORT_RANGE", _range(rule.destination_ports)),
    ]


def _range(ends: tuple[int, int] | None) -> str | None:
    return f"{ends[0]}:{ends[1]}" if ends else None
