"""The lines of virtual_ipaddress and of unicast_peer."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec

from kad.config.codes import ConfigCode
from kad.config.remark import Remark
from kad.config.values import (
    UNSIGNED,
    Complaints,
    Value,
    Words,
    Wrong,
    bare_address,
    family_of,
    quote,
    to_address,
    to_interface_name,
    to_prefix,
)
from kad.model.vrrp import UnicastPeer, VirtualAddress
from kad.vrrp.keywords.codes import VrrpCode

SCOPES = {"global": 0, "nowhere": 255, "host": 254, "link": 253, "site": 200}
FLAGS = {
    "home": ("home", True),
    "-nodad": ("nodad", False),
    "mngtmpaddr": ("mngtmpaddr", True),
    "noprefixroute": ("noprefixroute", True),
    "autojoin": ("autojoin", True),
    "no_track": ("no_track", True),
    "use_vmac": ("use_vmac", True),
}
WITH_VALUE = ("dev", "scope", "brd", "broadcast", "label", "peer", "preferred_lft", "track_group")


class AddressLine(msgspec.Struct, frozen=True, kw_only=True):
    """An address with the options written behind it."""

    address: VirtualAddress
    has_scope: bool = False
    track_group: str | None = None


def identity(address: VirtualAddress, interface: str) -> tuple[str, str, int]:
    """What the kernel tells addresses apart by; `interface` is where one without dev is."""
    prefix = 0 if family_of(address.address) == 6 else address.prefix
    return address.device or interface, address.address, prefix


def address_line() -> Value:
    """ADDRESS[/PREFIX] [dev IF] [scope S] [brd B] [label L] [peer A] and flags."""
    return Value(
        arguments="<IP>[/<PREFIX>] [dev <IFNAME>] [scope <SCOPE>] [brd <IPv4> or + or -] [label <LABEL>] [peer <IP>]",
        pattern=r"\s+([0-9A-Fa-f.:]+(?:/[0-9]+)?)(?:\s+(dev)\s+([^\s\"]+))?(?:\s+(label)\s+([^\s\"]+))?",
        read=_read,
        write=_write,
        most=None,
        noun="address",
    )


def _read(words: Words) -> AddressLine:
    options: dict[str, Any] = {}
    more: dict[str, Any] = {}
    complaints = Complaints()
    name, slash, length = words[0].text.partition("/")
    address, prefix = to_prefix(name)
    version = family_of(address)
    if slash:
        if length.isdecimal() and int(length) <= prefix:
            prefix = int(length)
        else:
            complaints.add(VrrpCode.PREFIX_LENGTH_REPLACED(length=length, prefix=prefix))
    at = 1
    while at < len(words):
        word = words[at].text
        at += 1
        if word in FLAGS:
            name, value = FLAGS[word]
            options[name] = value
        elif word in WITH_VALUE and at < len(words):
            complaint = _option(word, words[at].text, at, version, prefix, address, options, more)
            if complaint:
                complaints.add(complaint, at)
            at += 1
        elif word in WITH_VALUE:
            complaints.add(VrrpCode.VALUE_MISSING(name=word), at - 1)
        else:
            complaints.add(VrrpCode.NOT_AN_ADDRESS_OPTION(word=word), at - 1)
    if "peer" in options:
        other, _, length = options["peer"].partition("/")
        if family_of(other) != version:
            complaints.add(VrrpCode.ADDRESS_PEER_OF_OTHER_FAMILY(other=other, address=address))
            del options["peer"]
        else:
            if slash:
                complaints.add(VrrpCode.PREFIX_WITH_PEER(prefix=prefix))
            prefix = int(length) if length else 128 if version == 6 else 32
    if version == 6 and prefix == 128:
        options.setdefault("preferred_lft", 0)
    line = AddressLine(address=VirtualAddress(address=address, prefix=prefix, **options), **more)
    return complaints.judged(line, "the address is kept without it")


def _option(
    word: str,
    text: str,
    at: int,
    version: int,
    prefix: int,
    address: str,
    options: dict[str, Any],
    more: dict[str, Any],
) -> Remark | None:
    """Take one option; what is wrong with it, but does not hurt the address. Raises Wrong."""
    match word:
        case "dev":
            options["device"] = to_interface_name(text, at)
        case "scope":
            if version == 6:
                return VrrpCode.SCOPE_OF_IPV6_ADDRESS()
            if text not in SCOPES and not (text.isdecimal() and int(text) <= 255):
                return ConfigCode.NOT_ONE_OF(text=text, choices=", ".join(SCOPES))
            options["scope"] = SCOPES[text] if text in SCOPES else int(text)
            more["has_scope"] = True
        case "brd" | "broadcast":
            if version == 6:
                return VrrpCode.BROADCAST_OF_IPV6()
            if text in ("+", "-") and prefix > 30:
                return VrrpCode.BROADCAST_OF_SMALL_NETWORK(prefix=prefix)
            try:
                options["broadcast"] = _broadcast(text, address, prefix)
            except Wrong as wrong:
                return wrong.remark
        case "label":
            if len(text) > 15:
                return VrrpCode.LABEL_TOO_LONG(text=text)
            if version == 6:
                return VrrpCode.LABEL_OF_IPV6()
            options["label"] = text
        case "peer":
            # keepalived 2.2.7 takes no prefix here, and then has no peer.
            try:
                peer, length = to_prefix(text, at)
            except Wrong as wrong:
                return wrong.remark.of("peer")
            options["peer"] = f"{peer}/{length}" if "/" in text else peer
        case "preferred_lft":
            if text != "forever" and not (text.isdecimal() and int(text) <= UNSIGNED):
                return VrrpCode.NOT_A_LIFETIME(text=text, unsigned=UNSIGNED)
            options["preferred_lft"] = None if text == "forever" else int(text)
        case "track_group":
            more["track_group"] = text
    return None


def _broadcast(text: str, address: str, prefix: int) -> str:
    if text not in ("+", "-"):
        return to_address(text, family=4)
    network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    return str(network.broadcast_address if text == "+" else network.network_address)


def _write(line: AddressLine) -> str:
    found = line.address
    names = {number: name for name, number in SCOPES.items()}
    words = [found.address if found.peer is not None else f"{found.address}/{found.prefix}"]
    if found.broadcast is not None:
        words += ["brd", found.broadcast]
    if found.device is not None:
        words += ["dev", quote(found.device)]
    if line.has_scope:
        words += ["scope", names.get(found.scope, str(found.scope))]
    if found.label is not None:
        words += ["label", quote(found.label)]
    if found.peer is not None:
        words += ["peer", found.peer]
    words += [word for word, (name, value) in FLAGS.items() if getattr(found, name) is value]
    if found.preferred_lft is not None:
        words += ["preferred_lft", str(found.preferred_lft)]
    elif ":" in found.address and found.prefix == 128:
        words += ["preferred_lft", "forever"]
    if line.track_group is not None:
        words += ["track_group", line.track_group]
    return " ".join(words)


def peer_line() -> Value:
    """ADDRESS [min_ttl N] [max_ttl N]"""

    def read(words: Words) -> UnicastPeer:
        complaints = Complaints()
        address = bare_address(words[0].text, complaints)
        limits: dict[str, int] = {}
        at = 1
        while at < len(words):
            name = words[at].text
            number = words[at + 1].text if at + 1 < len(words) else ""
            if name not in ("min_ttl", "max_ttl"):
                complaints.add(VrrpCode.NOT_A_TTL_BOUND(name=name), at)
                at += 1
                continue
            if number.isdecimal() and int(number) <= 255:
                limits[name] = int(number)
            else:
                complaints.add(VrrpCode.TTL_BOUND_WITHOUT_NUMBER(name=name), at)
            at += 2
        if limits.get("min_ttl", 0) > limits.get("max_ttl", 255):
            complaints.add(VrrpCode.TTL_BOUNDS_REVERSED())
            limits = {}
        return complaints.judged(UnicastPeer(address=address, **limits), "the peer is kept")

    def write(peer: UnicastPeer) -> str:
        limits = [("min_ttl", peer.min_ttl), ("max_ttl", peer.max_ttl)]
        return " ".join([peer.address, *(f"{name} {limit}" for name, limit in limits if limit is not None)])

    return Value(
        arguments="<IP> [min_ttl <0..255>] [max_ttl <0..255>]",
        pattern=r"\s+([0-9A-Fa-f.:]+)(?:\s+(min_ttl)\s+([0-9]+))?(?:\s+(max_ttl)\s+([0-9]+))?",
        read=read,
        write=write,
        most=None,
        noun="peer",
    )
