"""From the words of ip-route and ip-rule to the numbers of the kernel."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from kad.config.remark import Remark
from kad.config.values import Wrong, family_of, to_prefix
from kad.model.routing import PROTOCOL_KEEPALIVED, Encap, Nexthop, Route, Rule
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.iproute2_names import Names, to_number
from kad.vrrp.keywords.route_options import Options
from kad.vrrp.keywords.route_words import EVERYTHING, LONGEST, TIMES, RouteLine, RuleLine

_TYPES = {
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "brd": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
    "nat": 10,
    "xresolve": 11,
}
_SCOPES = {"local": 254, "broadcast": 253, "brd": 253, "anycast": 253}
"""What the kernel demands of these types where nothing is said (IPv4)."""
_SHORTEST = 200
"""Milliseconds of a time."""
_COUNTS = ("mtu", "advmss", "reordering", "window", "cwnd", "ssthresh", "hoplimit", "initcwnd", "initrwnd")
_FLAGS = ("quickack", "fastopen_no_cookie")
_PREFERENCES = {"low": 3, "medium": 0, "high": 1, "0": 0, "1": 1, "3": 3}
_ACTIONS = {"goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
_LOOK_UP = 1
_ECN = 1

VrfTable = Callable[[str], int | None]
"""The routing table of the VRF of that name; None where it is none."""


def to_route(line: RouteLine, names: Names, table_of_vrf: VrfTable) -> Route:
    """Raises Wrong."""
    options = line.options
    said = options.get
    gateways = [each.arguments[-1] for each in options.found if each.name in ("via", "gw", "or")]
    source = said("from")
    family = _family(line, gateways, source)
    destination, prefix = (None, 0) if line.destination in ("default", "default6") else _network(line.destination)
    hops = [_nexthop(list(each.arguments), names) for each in options.found if each.name == "nexthop"]
    if len(gateways) > 1:
        hops += [Nexthop(gateway=gateway, device=said("dev", "oif")) for gateway in gateways]
    encap = next((each.arguments for each in options.found if each.name == "encap"), None)
    metric = said("metric", "priority", "preference")
    scope = said("scope")
    return Route(
        family=family,
        type=_TYPES[line.type],
        destination=destination,
        prefix=prefix,
        source=_network(source)[0] if source else None,
        source_prefix=_network(source)[1] if source else 0,
        preferred_source=said("src"),
        gateway=gateways[0] if gateways and not hops else None,
        device=None if hops else said("dev", "oif"),
        table=_table(options, names, table_of_vrf),
        tos=names.number("tos", said("tos", "dsfield") or "0"),
        protocol=_protocol(options, names),
        scope=0 if family == 6 else names.number("scope", scope) if scope else _SCOPES.get(line.type, 0),
        metric=int(metric) if metric else 0,
        onlink=said("onlink") is not None,
        metrics=tuple(_metrics(options)),
        locked=tuple(each.name for each in options.found if each.arguments[:1] == ("lock",)),
        congestion=said("congctl"),
        realms=_realms(said("realms"), names),
        preference=_PREFERENCES[pref] if (pref := said("pref")) else None,
        expires=int(expires) if (expires := said("expires")) else None,
        ttl_propagate=None if (propagates := said("ttl-propagate")) is None else propagates == "enabled",
        encap=_encap(list(encap), names) if encap else None,
        nexthops=tuple(hops),
        placement=next((each.name for each in reversed(options.found) if each.name in _PLACEMENTS), "prepend"),
    )


_PLACEMENTS = ("add", "append", "prepend")


def _family(line: RouteLine, gateways: list[str], source: str | None) -> int:
    if ":" in line.destination or line.destination == "default6" or line.options.get("inet6") is not None:
        return 6
    if line.destination != "default":
        return 4
    texts = [*gateways, source, line.options.get("src")]
    texts += [word for each in line.options.found if each.name == "nexthop" for word in each.arguments if ":" in word]
    return 6 if any(text and ":" in text for text in texts) else 4


def _network(text: str) -> tuple[str | None, int]:
    """Bits beyond the prefix are no part of it; everything is no address."""
    address, prefix = to_prefix(text)
    network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    return (str(network.network_address) if prefix else None), prefix


def _table(options: Options, names: Names, table_of_vrf: VrfTable) -> int:
    vrf = options.get("vrf")
    if vrf is not None:
        table = table_of_vrf(vrf)
        if table is None:
            raise Wrong(VrrpCode.NOT_A_VRF_OF_HOST(vrf=vrf))
        return table
    return names.number("table", options.get("table", "lookup") or "main")


def _protocol(options: Options, names: Names) -> int:
    text = options.get("protocol")
    number = PROTOCOL_KEEPALIVED if text is None else names.number("protocol", text)
    # What is answered when somebody removes it must be known for ours.
    return number if options.get("no_track") is not None else PROTOCOL_KEEPALIVED


def _metrics(options: Options) -> Iterator[tuple[str, int]]:
    for name in _COUNTS:
        if text := options.get(name):
            yield name, int(text)
    for name, units in TIMES.items():
        if text := options.get(name):
            yield name, round(min(max(_milliseconds(text, units), _SHORTEST), LONGEST) * units)
    for name in _FLAGS:
        if text := options.get(name):
            yield name, int(text)
    if options.get("features") == "ecn":
        yield "features", _ECN


def adapted(line: RouteLine) -> Iterator[Remark]:
    """What is put in the place of a scope that cannot be, and of times that are too short or too long, in words."""
    options = line.options
    if (scope := options.get("scope")) is not None and ":" in line.destination:
        yield VrrpCode.SCOPE_OF_IPV6_ROUTE(scope=scope)
    for name, units in TIMES.items():
        if (text := options.get(name)) and not _SHORTEST <= _milliseconds(text, units) <= LONGEST:
            nearest = "0.2" if _milliseconds(text, units) < _SHORTEST else LONGEST // 1000
            yield VrrpCode.ROUTE_TIME_ADAPTED(name=name, text=text, longest=LONGEST // 1000, nearest=nearest)


def _milliseconds(text: str, units: int) -> float:
    """As ip-route reads it: a bare number is in units of the kernel."""
    found = re.fullmatch(r"([0-9.]+)(s|ms)?", text)
    assert found is not None
    return float(found[1]) * {"s": 1000, "ms": 1, None: 1 / units}[found[2]]


def _realms(text: str | None, names: Names) -> int | None:
    """[FROM/]TO"""
    if text is None:
        return None
    origin, _, target = text.rpartition("/")
    return (names.number("realm", origin) << 16 if origin else 0) | names.number("realm", target)


def _nexthop(words: list[str], names: Names) -> Nexthop:
    """The words were looked at when the line was read."""
    gateway = device = realms = encap = None
    weight, onlink = 1, False
    while words:
        word = words.pop(0)
        match word:
            case "via":
                gateway = words.pop(0)
                if gateway in ("inet", "inet6"):
                    gateway = words.pop(0)
            case "dev" | "oif":
                device = words.pop(0)
            case "weight":
                weight = int(words.pop(0))
            case "onlink":
                onlink = True
            case "realms":
                realms = _realms(words.pop(0), names)
            case _:
                encap = _encap(words, names)
    return Nexthop(gateway=gateway, device=device, weight=weight, onlink=onlink, realms=realms, encap=encap)


def _encap(words: list[str], names: Names) -> Encap:
    """Takes its words away."""
    kind = words.pop(0)
    if kind == "mpls":
        labels = tuple(map(to_number, words.pop(0).split("/")))
        if not all(label is not None and label < 1 << 20 for label in labels):
            raise Wrong(VrrpCode.NOT_MPLS_LABELS())
        return Encap(kind=kind, labels=tuple(label for label in labels if label is not None))
    if kind == "ila":
        parts = words.pop(0).split(":")
        if len(parts) != 4 or not all(re.fullmatch("[0-9A-Fa-f]{1,4}", part) for part in parts):
            raise Wrong(VrrpCode.NOT_AN_ILA_LOCATOR())
        return Encap(kind=kind, locator=int("".join(part.zfill(4) for part in parts), 16))
    known = {"id", "dst", "src", "tos", "tc", "ttl", "hoplimit", "flags"}
    found: dict[str, str] = {}
    while words and words[0] in known:
        name = words.pop(0)
        found[name] = words.pop(0)
    addresses = [found[name] for name in ("dst", "src") if name in found]
    if any(family_of(address) != (4 if kind == "ip" else 6) for address in addresses):
        raise Wrong(VrrpCode.ENCAPSULATION_OF_OTHER_FAMILY(kind=kind, family=4 if kind == "ip" else 6))
    ttl = found.get("ttl", found.get("hoplimit"))
    field = found.get("tos", found.get("tc"))
    return Encap(
        kind=kind,
        id=int(found["id"]) if "id" in found else None,
        destination=found.get("dst"),
        source=found.get("src"),
        tos=names.number("tos", field) if field is not None else None,
        ttl=int(ttl) if ttl is not None else None,
        flags=int(found["flags"]) if "flags" in found else None,
    )


def to_rule(line: RuleLine, preference: int, names: Names) -> Rule:
    """Raises Wrong; `preference` is for a line without one."""
    options = line.options
    said = options.get
    source, source_prefix = _selector(said("from"))
    destination, destination_prefix = _selector(said("to"))
    action = next((number for word, number in _ACTIONS.items() if said(word) is not None), _LOOK_UP)
    looks_up = said("table", "lookup") is not None
    written = said("preference", "priority", "order")
    mark, _, mask = (said("fwmark") or "").partition("/")
    tunnel, protocol, group = said("tunnel-id"), said("ipproto"), said("suppress_ifgroup", "sup_group")
    length, goto = said("suppress_prefixlength", "sup_pl"), said("goto")
    return Rule(
        family=family_of_rule(line),
        action=action,
        preference=preference if written is None else _c_number(written),
        table=names.number("table", said("table", "lookup") or "0") if looks_up else 0,
        goto=int(goto) if goto is not None else None,
        inverted=said("not") is not None,
        source=source,
        source_prefix=source_prefix,
        destination=destination,
        destination_prefix=destination_prefix,
        tos=names.number("tos", said("tos", "dsfield") or "0"),
        mark=_c_number(mark) if mark else None,
        mask=_c_number(mask) if mask else None,
        realms=_realms(said("realms"), names),
        suppress_prefixlength=int(length) if length is not None else None,
        suppress_group=names.number("group", group) if group is not None else None,
        incoming=said("iif", "dev"),
        outgoing=said("oif"),
        tunnel_id=int(tunnel) if tunnel is not None else None,
        users=_range(said("uidrange")),
        l3mdev=said("l3mdev") is not None,
        protocol=_protocol(options, names),
        ip_protocol=names.ip_protocol(protocol) if protocol is not None else None,
        source_ports=_range(said("sport"), 65535),
        destination_ports=_range(said("dport"), 65535),
    )


def family_of_rule(line: RuleLine) -> int:
    if line.options.get("inet6") is not None:
        return 6
    return 6 if any(":" in (line.options.get(name) or "") for name in ("from", "to")) else 4


def _c_number(text: str) -> int:
    return to_number(text) or 0


def _selector(text: str | None) -> tuple[str | None, int]:
    return (None, 0) if text is None or text in EVERYTHING else to_prefix(text)


def _range(text: str | None, limit: int = 0xFFFFFFFF) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    if not int(first) <= int(last) <= limit:
        raise Wrong(VrrpCode.NOT_A_RANGE(text=text, limit=limit))
    return int(first), int(last)
