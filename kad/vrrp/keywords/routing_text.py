"""Routes and rules in the words of keepalived's dumps (format_iproute and format_iprule of 2.2.7)."""

from __future__ import annotations

from collections.abc import Iterator

from kad.config.values import family_of, to_prefix
from kad.model.routing import Encap, Nexthop, Route, Rule
from kad.vrrp.keywords.route_words import RouteLine, RuleLine

_MAIN_TABLE = 254
_LOOK_UP, _GOTO, _NOP = 1, 2, 3
_ACTIONS = {6: "blackhole", 7: "unreachable", 8: "prohibit"}
_PREFERENCES = {0: "medium", 1: "high", 3: "low"}
_TIMES = {"rtt": (8000, 8), "rttvar": (4000, 4), "rto_min": (1000, 1)}
"""Units of the kernel in a second, and in a millisecond."""
_LOCKABLE_COUNTS = ("mtu", "window", "ssthresh", "cwnd", "advmss", "reordering")
_COUNTS = ("hoplimit", "initcwnd", "initrwnd", "quickack")
_WITHOUT_LOCK = ("window",)
_PLACEMENTS = ("add", "append", "prepend")


def route_text(line: RouteLine, route: Route) -> str:
    """A route of virtual_routes as keepalived.data and keepalived.json have it."""
    return " ".join(_of_route(line, route))


def _of_route(line: RouteLine, route: Route) -> Iterator[str]:
    written = {each.name for each in line.options.found}
    has_type = line.type != "unicast"
    # A type that is written shares its bit with "add".
    yield route.placement if written & set(_PLACEMENTS) or not has_type else "add"
    if has_type:
        yield line.type
    yield _destination(line.destination, route.family)
    if route.source is not None:
        yield f"from {_network(route.source, route.source_prefix)}"
    if route.preferred_source is not None:
        yield f"src {route.preferred_source}"
    if written & {"tos", "dsfield"}:
        yield f"tos {route.tos}"
    if route.encap is not None:
        yield from _of_encap(route.encap)
    if route.gateway is not None:
        yield _via(route.gateway)
    device = line.options.get("dev", "oif")
    if device is not None:
        yield f"dev {device}"
    if route.table != _MAIN_TABLE:
        yield f"table {route.table}"
    if "no_track" not in written or "protocol" in written:
        yield f"proto {route.protocol}"
    if "scope" in written and route.family == 4:
        yield f"scope {route.scope}"
    if written & {"metric", "priority", "preference"}:
        yield f"metric {route.metric}"
    if route.family == 4 and route.onlink:
        yield "onlink"
    if route.realms is not None:
        yield _realms(route.realms, route.realms)
    if route.expires is not None:
        yield f"expires {route.expires}sec"
    yield from _of_metrics(route)
    for hop in route.nexthops:
        # The device of an old "or" is said once, before.
        yield from _of_nexthop(hop, route.realms or 0, is_old="or" in written)
    if "no_track" in written or device is None:
        yield "no_track"


def _of_metrics(route: Route) -> Iterator[str]:
    found = dict(route.metrics)
    if route.congestion is not None:
        yield f"congctl {route.congestion}{'lock ' if 'congctl' in route.locked else ''}"
    for name, (second, millisecond) in _TIMES.items():
        if name in found:
            units = found[name]
            time = f"{units / second:g}s" if units >= second else f"{units / millisecond:g}ms"
            yield f"{name}{' lock' if name in route.locked else ''} {time}"
    if found.get("features"):
        yield "features ecn"
    for name in _LOCKABLE_COUNTS:
        if name in found:
            lock = "lock " if name in route.locked and name not in _WITHOUT_LOCK else ""
            yield f"{name} {lock}{found[name]}"
    yield from (f"{name} {found[name]}" for name in _COUNTS if name in found)
    if route.preference is not None:
        yield f"pref {_PREFERENCES.get(route.preference, 'unknown')}"
    if "fastopen_no_cookie" in found:
        yield f"fastopen_no_cookie {found['fastopen_no_cookie']}"
    if route.ttl_propagate is not None:
        yield f"ttl-propagate {'en' if route.ttl_propagate else 'dis'}abled"


def _of_nexthop(hop: Nexthop, realms: int, *, is_old: bool) -> Iterator[str]:
    yield "nexthop"
    if hop.gateway is not None:
        yield _via(hop.gateway)
    if hop.device is not None and not is_old:
        yield f"dev {hop.device}"
    if hop.weight != 1:
        yield f"weight {hop.weight}"
    if hop.onlink:
        yield "onlink"
    if hop.realms is not None:
        yield _realms(hop.realms, realms)
    if hop.encap is not None:
        yield from _of_encap(hop.encap)


def _of_encap(encap: Encap) -> Iterator[str]:
    yield f"encap {encap.kind}"
    if encap.kind == "mpls":
        yield "/".join(f"{label:x}" for label in encap.labels)
    elif encap.kind == "ila":
        yield str(encap.locator)
    is_four = encap.kind == "ip"
    values = {
        "id": encap.id,
        "dst": encap.destination,
        "src": encap.source,
        "tos" if is_four else "tc": encap.tos,
        "ttl" if is_four else "hoplimit": encap.ttl,
        "flags": None if encap.flags is None else f"0x{encap.flags:x}",
    }
    yield from (f"{name} {value}" for name, value in values.items() if value is not None)


def rule_text(line: RuleLine, rule: Rule) -> str:
    """A rule of virtual_rules as keepalived.data and keepalived.json have it."""
    return " ".join(_of_rule(line, rule))


def _of_rule(line: RuleLine, rule: Rule) -> Iterator[str]:
    written = {each.name for each in line.options.found}
    if rule.family == 6 and rule.source is None and rule.destination is None:
        yield "inet6"
    if rule.inverted:
        yield "not"
    yield f"from {_network(rule.source, rule.source_prefix) if rule.source is not None else 'all'}"
    if rule.destination is not None:
        yield f"to {_network(rule.destination, rule.destination_prefix)}"
    yield f"priority {rule.preference}"
    yield f"tos 0x{rule.tos:x}"
    if rule.mark is not None or rule.mask is not None:
        mask = f"/0x{rule.mask:x}" if rule.mask not in (None, 0xFFFFFFFF) else ""
        yield f"fwmark 0x{rule.mark or 0:x}{mask}"
    yield from (f"{name} {value}" for name, value in _selectors(rule) if value is not None)
    if rule.l3mdev:
        yield "l3mdev"
    if "no_track" not in written or "protocol" in written:
        yield f"protocol {rule.protocol}"
    if rule.ip_protocol is not None:
        yield f"ipproto {rule.ip_protocol}"
    for name, ports in (("sport", rule.source_ports), ("dport", rule.destination_ports)):
        if ports is not None:
            yield f"{name} {ports[0]}-{ports[1]}"
    if rule.realms is not None:
        yield f"realms {rule.realms >> 16}/{rule.realms & 0xFFFF}"
    yield _action(rule)
    if "no_track" in written:
        yield "no_track"


def _selectors(rule: Rule) -> tuple[tuple[str, object], ...]:
    users = None if rule.users is None else f"{rule.users[0]}-{rule.users[1]}"
    return (
        ("iif", rule.incoming),
        ("oif", rule.outgoing),
        ("suppress_prefixlen", rule.suppress_prefixlength),
        ("suppress_ifgroup", rule.suppress_group),
        ("tunnel-id", rule.tunnel_id),
        ("uidrange", users),
    )


def _action(rule: Rule) -> str:
    match rule.action:
        case 1:
            return f"lookup {rule.table}"
        case 2:
            return f"goto {rule.goto}"
        case 3:
            return "nop"
        case action:
            return f"type {_ACTIONS[action]}"


def _via(gateway: str) -> str:
    return f"via {'inet6' if family_of(gateway) == 6 else 'inet'} {gateway}"


def _destination(text: str, family: int) -> str:
    if text in ("default", "default6"):
        return "::/0" if family == 6 else "0.0.0.0/0"
    return _network(*to_prefix(text))


def _network(address: str, prefix: int) -> str:
    """A host has no length."""
    return address if prefix == (128 if ":" in address else 32) else f"{address}/{prefix}"


def _realms(realms: int, of_route: int) -> str:
    """keepalived looks at those of the route whether two are to be printed, also for a nexthop."""
    return f"realms {realms >> 16}/{realms & 0xFFFF}" if of_route & 0xFFFF0000 else f"realm {realms & 0xFFFF}"
