"""Lines that name devices: use_vmac, use_ipvlan, interfaces with their delays, and announcing on other interfaces."""

from __future__ import annotations

import re

import msgspec

from kad.config.remark import Remark, joined
from kad.config.values import (
    WORD,
    Clamped,
    Complaints,
    Value,
    Words,
    Wrong,
    buffer_size,
    decimal,
    quote,
    to_interface_name,
    to_prefix,
)
from kad.model.link_monitoring import InterfaceDelay, Linkbeat
from kad.vrrp.keywords.codes import VrrpCode

_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){4,5}\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*(/.*)?")
_MODES = ("bridge", "private", "vepa")
_LONGEST_PREFIX = 8
"""Bytes: a number of three digits may follow, a dot, and a VRID."""
_PROTOCOL_MACS = ("00:00:5e:00:01:", "00:00:5e:00:02:")


class ExtraAnnouncing(msgspec.Struct, frozen=True, kw_only=True):
    """[all] SECONDS"""

    interval: int
    all_interfaces: bool = False


class Vmac(msgspec.Struct, frozen=True, kw_only=True):
    """use_vmac [IFNAME] [MAC] [netlink_notify_msg] [group GID]"""

    name: str | None = None
    mac: str | None = None
    netlink_notify: bool = False
    group: str | None = None


class Ipvlan(msgspec.Struct, frozen=True, kw_only=True):
    """use_ipvlan [IFNAME] [ADDRESS] [bridge or private or vepa] [group GID]"""

    name: str | None = None
    address: str | None = None
    prefix: int | None = None
    mode: str | None = None
    group: str | None = None


def extra_announcing(least: int) -> Value:
    """[all] SECONDS"""

    def read(words: Words) -> ExtraAnnouncing:
        rest = [word for word in words if word.text != "all"]
        everywhere = len(rest) < len(words)
        if len(rest) != 1 or not rest[0].text.isdecimal() or not least <= int(rest[0].text) <= 86400:
            raise Wrong(VrrpCode.NEEDS_SECONDS(least=least), len(words) - 1)
        return ExtraAnnouncing(interval=int(rest[0].text), all_interfaces=everywhere)

    return Value(
        arguments=f"[all] <SECONDS {least}..86400>",
        pattern=r"(?:\s+(all))?\s+([0-9]{1,6})",
        read=read,
        write=lambda value: f"all {value.interval}" if value.all_interfaces else str(value.interval),
        most=None,
    )


def buffer_policy() -> Value:
    """MTU, ADVERT, or a number of bytes."""

    size = buffer_size()

    def read(words: Words) -> str:
        text = words[0].text
        if text in ("MTU", "ADVERT"):
            return text
        if not text.isdecimal():
            raise Wrong(VrrpCode.NOT_A_PADDING(text=text))
        try:
            return str(size.read(words))
        except Clamped as clamped:
            raise Clamped(clamped.remark, str(clamped.value), is_harmless=clamped.is_harmless) from None

    return Value(arguments="<MTU or ADVERT or BYTES>", pattern=r"\s+(MTU|ADVERT|[0-9]+)", read=read)


def name_prefix() -> Value:
    """How the names of virtual devices begin."""

    def read(words: Words) -> str:
        text = words[0].text
        prefix = to_interface_name(text.encode()[:_LONGEST_PREFIX].decode(errors="ignore"))
        if prefix != text:
            raise Clamped(VrrpCode.TOO_MANY_BYTES(text=text, longest_prefix=_LONGEST_PREFIX), prefix)
        return text

    return Value(arguments="<STRING>", pattern=rf"\s+({WORD})", read=read, write=quote)


def _take(found: dict[str, str | bool], word: str, text: str) -> Remark | None:
    """Take the word into what was found; what is wrong with it, and then it is not taken."""
    if word in found:
        return VrrpCode.SECOND_WORD(text=text, word=word, found=found[word])
    if word == "name":
        try:
            to_interface_name(text)
        except Wrong as wrong:
            return wrong.remark
    if word == "mac" and int(text.partition(":")[0], 16) & 1:
        return VrrpCode.MAC_IS_MULTICAST(text=text)
    if word == "mac" and text.startswith(_PROTOCOL_MACS):
        return VrrpCode.MAC_OF_PROTOCOL(text=text)
    found[word] = text
    return None


def vmac() -> Value:
    """[IFNAME] [MAC] [group GID], in any order."""

    def read(words: Words) -> Vmac:
        found: dict[str, str | bool] = {}
        complaints = []
        at = 0
        while at < len(words):
            word = words[at].text
            if word in ("name", "group") and at + 1 < len(words):
                at += 1
                complaints.append(_take(found, word, words[at].text))
            elif word == "netlink_notify_msg":
                found["netlink_notify"] = True
            elif _MAC.match(word):
                complaints.append(_take(found, "mac", word.lower()))
            else:
                complaints.append(_take(found, "name", word))
            at += 1
        value = msgspec.convert(found, Vmac)
        if remarks := [each for each in complaints if each is not None]:
            raise Clamped(joined(remarks), value, "use_vmac goes without it")
        return value

    def write(value: Vmac) -> str:
        words = [value.name and quote(value.name), value.mac, "netlink_notify_msg" if value.netlink_notify else None]
        return " ".join(word for word in (*words, value.group and f"group {value.group}") if word)

    return Value(
        arguments="[<IFNAME>] [<MAC>] [netlink_notify_msg] [group <GID>]",
        pattern=r'(?:\s+([^\s":]+))?',
        read=read,
        write=write,
        least=0,
        most=None,
    )


def ipvlan() -> Value:
    """[IFNAME] [ADDRESS] [bridge or private or vepa] [group GID]"""

    def read(words: Words) -> Ipvlan:
        found: dict[str, str | int] = {}
        complaints = Complaints()
        at = 0
        while at < len(words):
            word = words[at].text
            kind = (
                "mode" if word in ("bridge", "private", "vepa") else "address" if _ADDRESS.fullmatch(word) else "name"
            )
            try:
                if word == "group" and at + 1 < len(words):
                    at += 1
                    found["group"] = words[at].text
                elif kind in found:
                    complaints.add(VrrpCode.SECOND_WORD(text=word, word=kind, found=found[kind]), at)
                elif kind == "address":
                    found["address"], found["prefix"] = to_prefix(word, at)
                else:
                    found[kind] = word if kind == "mode" else to_interface_name(word, at)
            except Wrong as wrong:
                complaints.add(wrong.remark, at)
            at += 1
        return complaints.judged(msgspec.convert(found, Ipvlan), "use_ipvlan goes without it")

    def write(value: Ipvlan) -> str:
        address = f"{value.address}/{value.prefix}" if value.address else None
        words = [value.name and quote(value.name), address, value.mode, value.group and f"group {value.group}"]
        return " ".join(word for word in words if word)

    return Value(
        arguments="[<IFNAME>] [<ADDRESS>] [bridge or private or vepa] [group <GID>]",
        pattern="",
        read=read,
        write=write,
        least=0,
        most=None,
    )


def interface_delay() -> Value:
    """IFNAME DOWN [UP]"""

    def read(words: Words) -> InterfaceDelay:
        name = to_interface_name(words[0].text)
        if len(words) < 2:
            raise Wrong(VrrpCode.DELAY_MISSING())
        complaints = Complaints()
        numbers = []
        for index, word in enumerate(words[1:3], 1):
            if re.fullmatch(r"[0-9]+(\.[0-9]+)?", word.text) and float(word.text) <= 255:
                numbers.append(float(word.text))
            else:
                complaints.add(VrrpCode.NOT_A_DELAY(word=word.text), index)
        if not numbers:
            complaints.refuse()
        return complaints.judged(InterfaceDelay(name=name, down=numbers[0], up=numbers[-1]))

    return Value(
        arguments="<IFNAME> <DOWN 0..255> [<UP 0..255>]",
        pattern=r'\s+([^\s"]+)\s+([0-9.]+)(?:\s+([0-9.]+))?',
        read=read,
        write=lambda value: f"{quote(value.name)} {decimal(value.down)} {decimal(value.up)}",
        most=3,
    )


def linkbeat() -> Value:
    """IFNAME [MII or ETHTOOL or IOCTL]"""

    def read(words: Words) -> Linkbeat:
        name = to_interface_name(words[0].text)
        complaints = Complaints()
        kind = words[1].text if len(words) > 1 else None
        if kind not in (None, "MII", "ETHTOOL", "IOCTL"):
            complaints.add(VrrpCode.NOT_A_LINK_QUERY(kind=kind), 1)
            kind = None
        for index, word in enumerate(words[2:], 2):
            complaints.add(VrrpCode.WORD_TOO_MANY(word=word.text), index)
        return complaints.judged(Linkbeat(name=name, kind=kind))

    return Value(
        arguments="<IFNAME> [MII or ETHTOOL or IOCTL]",
        pattern=r'\s+([^\s"]+)(?:\s+(MII|ETHTOOL|IOCTL))?',
        read=read,
        write=lambda value: quote(value.name) + (f" {value.kind}" if value.kind else ""),
        most=None,
    )
