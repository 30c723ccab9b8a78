"""Lines of the IPVS words: names of services and servers, members of groups, ways of forwarding."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from kad.config.codes import ConfigCode
from kad.config.line_mistakes import choice
from kad.config.values import (
    Complaints,
    Missing,
    Value,
    Words,
    Wrong,
    bare_address,
    is_multicast,
    quote,
    to_address,
    to_interface_name,
)
from kad.ipvs.keywords.codes import IpvsCode

ADDRESS_PORT = r"\s+([0-9A-Fa-f.:]+)(?:\s+([0-9]{1,5}))?"
LARGEST = (1 << 32) - 1


class ServiceName(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind virtual_server: an address and port, a firewall mark, or a group."""

    text: str
    address: str | None = None
    port: int = 0
    fwmark: int | None = None
    group: str | None = None


class ServerName(msgspec.Struct, frozen=True, kw_only=True):
    """IP [PORT]"""

    address: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.address} {self.port}" if self.port else self.address


class GroupMember(msgspec.Struct, frozen=True, kw_only=True):
    """An address, a range of them, or a firewall mark."""

    first: str | None = None
    last: str | None = None
    port: int = 0
    fwmark: int | None = None
    family: str | None = None

    def __str__(self) -> str:
        if self.fwmark is not None:
            return f"fwmark {self.fwmark}{f' {self.family}' if self.family else ''}"
        addresses = self.first if self.first == self.last else f"{self.first}-{self.last}"
        return f"{addresses} {self.port}" if self.port else str(addresses)


class Forwarding(msgspec.Struct, frozen=True, kw_only=True):
    """lb_kind: NAT, DR or TUN, and the kind of tunnel."""

    method: str
    tunnel: str | None = None
    port: int | None = None
    checksum: str | None = None

    def __str__(self) -> str:
        words = [self.method, *(("type", self.tunnel) if self.tunnel else ())]
        words += ["port", str(self.port)] if self.port is not None else []
        return " ".join([*words, *((self.checksum,) if self.checksum else ())])


def to_port(words: Words, index: int) -> int:
    """The port at this word, 0 where there is none; only zeros mean none too. Raises Wrong."""
    if len(words) <= index:
        return 0
    text = words[index].text
    if not text.isdecimal() or int(text) > 65535:
        raise Wrong(ConfigCode.NOT_A_PORT(text=text), index)
    return int(text)


def to_mark(text: str, index: int) -> int:
    if not text.isdecimal() or int(text) > LARGEST:
        raise Wrong(IpvsCode.NOT_A_FIREWALL_MARK(text=text, largest=LARGEST), index)
    return int(text)


_WITH_PORT = re.compile(r"\[?([0-9A-Fa-f.:]+?)\]?:([0-9]{1,5})")


def _address(text: str, complaints: Complaints) -> str:
    """The address of a service or server; raises Wrong."""
    try:
        return bare_address(text, complaints)
    except Wrong as wrong:
        joined = _WITH_PORT.fullmatch(text)
        proposal = f"{joined[1]} {joined[2]}" if joined else ""
        raise Wrong(wrong.remark, wrong.index, proposal) from None


def service_name() -> Value:
    """IP [PORT], fwmark N, or group NAME."""

    def read(words: Words) -> ServiceName:
        written = [word.text for word in words[:2]]
        kind = words[0].text
        if kind in ("fwmark", "group"):
            if len(words) < 2:
                raise Wrong(IpvsCode.NAME_INCOMPLETE(kind=kind, what="number" if kind == "fwmark" else "name"))
            if kind == "group":
                return ServiceName(text=" ".join(written), group=words[1].text)
            return ServiceName(text=" ".join(written), fwmark=to_mark(words[1].text, 1))
        complaints = Complaints()
        address = _address(kind, complaints)
        if complaints:
            written[0] = address
        name = ServiceName(text=" ".join(written), address=address, port=to_port(words, 1))
        return complaints.judged(name, f"{address} is used")

    return Value(
        arguments="<IP> [<PORT>] or fwmark <N> or group <NAME>",
        pattern=ADDRESS_PORT,
        read=read,
        write=lambda name: f"group {quote(name.group)}" if name.group is not None else name.text,
        most=2,
    )


def server_name() -> Value:
    """IP [PORT]"""

    def read(words: Words) -> ServerName:
        complaints = Complaints()
        address = _address(words[0].text, complaints)
        return complaints.judged(ServerName(address=address, port=to_port(words, 1)), f"{address} is used")

    return Value(arguments="<IP> [<PORT>]", pattern=ADDRESS_PORT, read=read, most=2)


def group_member() -> Value:
    """IP, IP/PREFIX, IP-LAST or IP-IP, each with [PORT]; or fwmark N [inet or inet6]."""

    def read(words: Words) -> GroupMember:
        if words[0].text == "fwmark":
            if len(words) < 2:
                raise Missing(IpvsCode.FIREWALL_MARK_MISSING())
            family = words[2].text if len(words) > 2 else None
            if family not in (None, "inet", "inet6"):
                raise Wrong(IpvsCode.NOT_AN_IP_FAMILY(family=family), 2)
            return GroupMember(fwmark=to_mark(words[1].text, 1), family=family)
        first, last = _range(words[0].text)
        return GroupMember(first=first, last=last, port=to_port(words, 1))

    return Value(
        arguments="<IP or IP/PREFIX or IP-LAST or IP-IP> [<PORT>] or fwmark <N> [inet or inet6]",
        pattern=r"\s+([0-9A-Fa-f.:]+(?:[-/][0-9A-Fa-f.:]+)?)(?:\s+([0-9]{1,5}))?",
        read=read,
        most=3,
    )


def _range(text: str) -> tuple[str, str]:
    if "/" in text:
        to_address(text.partition("/")[0])
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise Wrong(IpvsCode.BAD_RANGE(text=text, error=error)) from None
        return str(network[0]), str(network[-1])
    first, dash, last = text.partition("-")
    start = ipaddress.ip_address(to_address(first))
    if not dash:
        return str(start), str(start)
    end = ipaddress.ip_address(_complete(str(start), last))
    if end.version != start.version or int(end) < int(start):
        raise Wrong(IpvsCode.RANGE_REVERSED(text=text))
    return str(start), str(end)


def _complete(first: str, last: str) -> str:
    """The last address of a range that may be written as its last part alone."""
    if re.fullmatch(r"[0-9]{1,3}", last) and ":" not in first and int(last) < 256:
        return f"{first.rpartition('.')[0]}.{last}"
    if re.fullmatch(r"[0-9A-Fa-f]{1,4}", last) and ":" in first:
        exploded = ipaddress.ip_address(first).exploded
        return to_address(f"{exploded.rpartition(':')[0]}:{last}")
    return to_address(last)


_METHODS = {
    "gre": "TUN type gre",
    "gue": "TUN type gue port 6080",
    "ipip": "TUN",
    "tunnel": "TUN",
    "masq": "NAT",
    "route": "DR",
    "gateway": "DR",
    "direct": "DR",
}
"""What other tools call the ways of forwarding."""
_TUNNELS = ("ipip", "gue", "gre")


def forwarding() -> Value:
    """NAT, DR or TUN [type ipip or gue or gre] [port N] [nocsum or csum or remcsum]"""

    def read(words: Words) -> Forwarding:
        method = words[0].text
        if method not in ("NAT", "DR", "TUN"):
            raise Wrong(IpvsCode.NOT_A_METHOD(method=method), proposal=choice(method, ("NAT", "DR", "TUN"), _METHODS))
        complaints = Complaints()
        tunnel, port, checksum, at = None, None, None, 1
        while at < len(words):
            word = words[at].text
            text = words[at + 1].text if at + 1 < len(words) else ""
            if word in ("nocsum", "csum", "remcsum"):
                checksum = word
            elif word == "type":
                at += 1
                if text in _TUNNELS:
                    tunnel = text
                else:
                    complaints.add(IpvsCode.TUNNEL_WITHOUT_TYPE(tunnels=" ".join(_TUNNELS)), min(at, len(words) - 1))
            elif word == "port":
                at += 1
                try:
                    port = to_port(words, at) or None
                except Wrong as wrong:
                    complaints.add(wrong.remark, at)
            else:
                complaints.add(IpvsCode.NOT_A_TUNNEL_OPTION(word=word), at)
            at += 1
        if (tunnel == "gue") is (port is None):
            complaints.add(IpvsCode.TUNNEL_PORT())
            tunnel, port = None if tunnel == "gue" else tunnel, None
        found = Forwarding(method=method, tunnel=tunnel, port=port, checksum=checksum)
        return complaints.judged(found, f"{found} is used")

    return Value(
        arguments="<NAT or DR or TUN> [type <ipip or gue or gre>] [port <N>] [nocsum or csum or remcsum]",
        pattern=r"\s+(NAT|DR|TUN)",
        read=read,
        most=None,
    )


def granularity() -> Value:
    """An IPv4 netmask or an IPv6 prefix length."""

    def read(words: Words) -> str:
        text = words[0].text
        if text.isdecimal():
            if not 1 <= int(text) <= 128:
                raise Wrong(IpvsCode.NOT_A_NETMASK_LENGTH(text=text))
            return text
        return to_address(text, family=4)

    return Value(arguments="<NETMASK or PREFIX 1..128>", pattern=r"\s+([0-9.]+)", read=read)


_TIMEOUTS = ("tcp", "tcpfin", "udp")


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that sessions of the kernel's table live; None leaves the kernel's value."""

    tcp: int | None = None
    tcpfin: int | None = None
    udp: int | None = None


def timeouts() -> Value:
    """[tcp N] [tcpfin N] [udp N]"""

    def read(words: Words) -> Timeouts:
        found: dict[str, int] = {}
        complaints = Complaints()
        at = 0
        while at < len(words):
            name = words[at].text
            number = words[at + 1].text if at + 1 < len(words) else ""
            if name not in _TIMEOUTS:
                complaints.add(ConfigCode.NOT_ONE_OF(text=name, choices=", ".join(_TIMEOUTS)), at)
            elif not number.isdecimal() or int(number) > 2678400:
                complaints.add(IpvsCode.TIMEOUT_WITHOUT_SECONDS(name=name), at)
                at += 1
            else:
                found[name] = int(number)
                at += 1
            at += 1
        if not found and complaints:
            complaints.refuse()
        return complaints.judged(msgspec.convert(found, Timeouts))

    def write(value: Timeouts) -> str:
        numbers = ((name, getattr(value, name)) for name in _TIMEOUTS)
        return " ".join(f"{name} {number}" for name, number in numbers if number is not None)

    return Value(
        arguments="[tcp <N>] [tcpfin <N>] [udp <N>]",
        pattern=r"(?:\s+(tcp)\s+([0-9]{1,7}))?(?:\s+(tcpfin)\s+([0-9]{1,7}))?(?:\s+(udp)\s+([0-9]{1,7}))?",
        read=read,
        write=write,
        most=None,
    )


class SyncDaemon(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's daemon that copies connections to the backup."""

    interface: str
    instance: str | None = None
    id: int | None = None
    maxlen: int | None = None
    port: int | None = None
    ttl: int | None = None
    group: str | None = None


_SYNC_BOUNDS = {"id": (0, 255), "maxlen": (1, 65507), "port": (1, 65535), "ttl": (1, 255)}


def sync_daemon() -> Value:
    """IF [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group IP]"""

    def read(words: Words) -> SyncDaemon:
        found: dict[str, str | int] = {"interface": to_interface_name(words[0].text)}
        complaints = Complaints()
        at = 1
        while at < len(words):
            word = words[at].text
            text = words[at + 1].text if at + 1 < len(words) else ""
            if word in _SYNC_BOUNDS:
                low, high = _SYNC_BOUNDS[word]
                if text.isdecimal() and low <= int(text) <= high:
                    found[word] = int(text)
                else:
                    complaints.add(IpvsCode.OPTION_WITHOUT_NUMBER(word=word, low=low, high=high), at)
                at += 1
            elif word == "group":
                try:
                    group = bare_address(text, complaints)
                except Wrong:
                    group = ""
                if group and is_multicast(group):
                    found[word] = group
                else:
                    complaints.add(IpvsCode.SYNC_GROUP_MISSING(), at)
                at += 1
            elif word == "inst":
                found["instance"] = text
                at += 1
            elif at == 1:
                found["instance"] = word
            else:
                complaints.add(IpvsCode.NOT_A_SYNC_OPTION(word=word), at)
            at += 1
        return complaints.judged(msgspec.convert(found, SyncDaemon), "the rest of the line holds")

    def write(value: SyncDaemon) -> str:
        words = [quote(value.interface), *(("inst", quote(value.instance)) if value.instance else ())]
        for name in (*_SYNC_BOUNDS, "group"):
            if getattr(value, name) is not None:
                words += [name, str(getattr(value, name))]
        return " ".join(words)

    return Value(
        arguments="<IFNAME> [[inst] <INSTANCE>] [id <N>] [maxlen <N>] [port <N>] [ttl <N>] [group <IP>]",
        pattern=r'\s+([^\s"]+)',
        read=read,
        write=write,
        most=None,
    )
