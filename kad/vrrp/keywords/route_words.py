"""The lines of virtual_routes and virtual_rules, as ip-route and ip-rule write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from kad.config.remark import Remark, joined
from kad.config.values import Clamped, Missing, Value, Words, Wrong, to_address
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.route_options import (
    ANY,
    INTERFACE,
    NAMED,
    UNSIGNED,
    Check,
    Option,
    Options,
    among,
    ip,
    mark,
    matching,
    network,
    number,
    take,
)

_TYPES = [
    "local",
    "nat",
    "broadcast",
    "brd",
    "anycast",
    "multicast",
    "prohibit",
    "unreachable",
    "blackhole",
    "xresolve",
    "unicast",
    "throw",
]
TIMES = {"rtt": 8, "rttvar": 4, "rto_min": 1}
"""Units of the kernel in a millisecond."""
LONGEST = 120_000
"""Milliseconds of these times."""


def _time(name: str) -> Check:
    """keepalived takes a number as large as the longest time is in units of the kernel, whatever its own unit is."""
    form = matching(r"([0-9]+\.?[0-9]*|\.[0-9]+)(s|ms)?", "a time")
    largest = LONGEST * TIMES[name]

    def check(text: str) -> str:
        number = float(form(text).rstrip("ms")) * (1 if text.endswith("ms") or not text.endswith("s") else 1000)
        if number > largest:
            raise Wrong(VrrpCode.TIME_TOO_LONG(text=text, largest=largest // 1000))
        return text

    return check


_REALMS = matching(r"[\w.]+(/[\w.]+)?", "realms")
_TUNNEL = number(0, (1 << 64) - 1)
_BITS = number(0, 65535)
_RANGE = matching(r"[0-9]+-[0-9]+", "a range START-END")

ROUTE_OPTIONS: dict[str, Check | None] = {
    "src": ip,
    "from": network,
    "tos": NAMED,
    "dsfield": NAMED,
    "table": NAMED,
    "protocol": NAMED,
    "scope": NAMED,
    "metric": UNSIGNED,
    "priority": UNSIGNED,
    "preference": UNSIGNED,
    "dev": INTERFACE,
    "oif": INTERFACE,
    "onlink": None,
    "expires": UNSIGNED,
    "mtu": UNSIGNED,
    "hoplimit": number(0, 255),
    "advmss": UNSIGNED,
    "rtt": _time("rtt"),
    "rttvar": _time("rttvar"),
    "reordering": UNSIGNED,
    "window": UNSIGNED,
    "cwnd": UNSIGNED,
    "ssthresh": UNSIGNED,
    "realms": _REALMS,
    "rto_min": _time("rto_min"),
    "initcwnd": UNSIGNED,
    "initrwnd": UNSIGNED,
    "features": ANY,
    "quickack": number(0, 1),
    "congctl": ANY,
    "pref": among("low", "medium", "high", "0", "1", "3"),
    "ttl-propagate": among("enabled", "disabled"),
    "fastopen_no_cookie": number(0, 1),
    "add": None,
    "append": None,
    "prepend": None,
    "no_track": None,
    "track_group": ANY,
    "vrf": INTERFACE,
}
_LOCKABLE = frozenset(("mtu", "advmss", "rtt", "rttvar", "reordering", "cwnd", "ssthresh", "rto_min", "congctl"))
_ENCAP = {
    "ip": {"id": _TUNNEL, "dst": ip, "src": ip, "tos": NAMED, "ttl": number(0, 255), "flags": _BITS},
    "ip6": {"id": _TUNNEL, "dst": ip, "src": ip, "tc": NAMED, "hoplimit": number(0, 255), "flags": _BITS},
}
EVERYTHING = ("all", "any", "default")
RULE_OPTIONS: dict[str, Check | None] = {
    "from": lambda text: text if text in EVERYTHING else network(text),
    "to": lambda text: text if text in EVERYTHING else network(text),
    "table": NAMED,
    "lookup": NAMED,
    "not": None,
    "preference": number(0, (1 << 32) - 1, any_base=True),
    "priority": number(0, (1 << 32) - 1, any_base=True),
    "order": number(0, (1 << 32) - 1, any_base=True),
    "tos": NAMED,
    "dsfield": NAMED,
    "fwmark": mark,
    "realms": _REALMS,
    "suppress_prefixlength": number(0, 2147483647),
    "sup_pl": number(0, 2147483647),
    "suppress_ifgroup": NAMED,
    "sup_group": NAMED,
    "dev": INTERFACE,
    "iif": INTERFACE,
    "oif": INTERFACE,
    "tunnel-id": _TUNNEL,
    "uidrange": _RANGE,
    "l3mdev": None,
    "protocol": NAMED,
    "ipproto": NAMED,
    "sport": _RANGE,
    "dport": _RANGE,
    "goto": UNSIGNED,
    "nop": None,
    "blackhole": None,
    "unreachable": None,
    "prohibit": None,
    "no_track": None,
    "track_group": ANY,
}
_FOR_TABLES = ("realms", "suppress_prefixlength", "sup_pl", "suppress_ifgroup", "sup_group")
_ACTIONS = ("table", "lookup", "goto", "nop", "blackhole", "unreachable", "prohibit", "l3mdev")


class RouteLine(msgspec.Struct, frozen=True, kw_only=True):
    """[to] [TYPE] DESTINATION and options."""

    type: str = "unicast"
    destination: str
    """ADDRESS/PREFIX, ADDRESS, default or default6."""
    options: Options = Options()

    def __str__(self) -> str:
        return f"{'' if self.type == 'unicast' else self.type + ' '}{self.destination} {self.options}".strip()


class RuleLine(msgspec.Struct, frozen=True, kw_only=True):
    """Selectors and one action."""

    options: Options = Options()

    def __str__(self) -> str:
        return str(self.options)


def route_line() -> Value:
    """[to] [TYPE] ADDRESS[/PREFIX] and options; nexthop comes last."""
    return Value(
        arguments="[to] [<TYPE>] <IP[/PREFIX] or default or default6> [via <IP>] [dev <IFNAME>] [<OPTION> <VALUE>] ...",
        pattern="",
        read=_read_route,
        write=str,
        most=None,
        noun="route",
        subject=_route_subject,
    )


def _route_subject(words: Words) -> str:
    """By its destination."""
    texts = [word.text for word in words if word.text not in ("to", "inet", "inet6", *_TYPES)]
    return f"route {texts[0]}" if texts else "route"


def _read_route(words: Words) -> RouteLine:
    kind, destination, at = "unicast", None, 0
    found: list[Option] = []
    complaints: list[Remark] = []
    while at < len(words):
        word = words[at].text
        if word in ("via", "gw", "or"):
            option, at = _gateway(words, at)
            found.append(option)
            if word != "via":
                complaints.append(VrrpCode.OPTION_DEPRECATED(word=word, modern="via" if word == "gw" else "nexthop"))
        elif word in ("nexthop", "encap"):
            option, at = _rest(words, at)
            found.append(option)
        elif word in ("inet", "inet6"):
            # keepalived passes over the word behind the family, so that it loses the route.
            found.append(Option(word))
            at += 1
        elif word == "as":
            at += 3 if [word.text for word in words[at + 1 : at + 2]] == ["to"] else 2
            complaints.append(VrrpCode.AS_WITHOUT_MPLS())
        elif word in _TYPES and destination is None:
            kind, at = word, at + 1
        elif word in ROUTE_OPTIONS:
            option, at = take(words, at, ROUTE_OPTIONS, _LOCKABLE)
            found.append(option)
        elif word == "to" and at + 1 < len(words) and destination is None:
            at += 1
        elif destination is None:
            destination, at = _destination(words[at].text, at), at + 1
        else:
            raise Wrong(VrrpCode.NOT_A_ROUTE_OPTION(word=word), at)
    if destination is None:
        raise Wrong(VrrpCode.NO_DESTINATION())
    line = RouteLine(type=kind, destination=destination, options=Options(found=tuple(found)))
    _tell_mixed(words, [*_families(line.options), line.destination, line.options.get("src"), *_gateways(line.options)])
    _tell_family(line)
    if line.options.get("features") not in (None, "ecn"):
        complaints.append(VrrpCode.NOT_A_FEATURE(feature=line.options.get("features")))
    if line.options.get("no_track") is None:
        if line.options.get("dev", "oif") is None:
            complaints.append(_untracked(line))
        if line.options.get("protocol") is not None:
            complaints.append(VrrpCode.ROUTE_OF_OTHER_PROTOCOL())
    if complaints:
        raise Clamped(joined(complaints), line, "the route is kept")
    return line


def _untracked(line: RouteLine) -> Remark:
    """Why no link is tracked for a route without dev."""
    if line.type in ("blackhole", "unreachable", "prohibit", "throw"):
        return VrrpCode.UNTRACKED_TYPE(type=line.type)
    if line.options.get("nexthop") is not None:
        return VrrpCode.UNTRACKED_NEXT_HOPS()
    return VrrpCode.UNTRACKED_WITHOUT_DEV()


def _destination(text: str, at: int) -> str:
    try:
        return text if text in ("default", "default6") else network(text)
    except Wrong as wrong:
        raise Wrong(wrong.remark, at) from None


def _gateway(words: Words, at: int) -> tuple[Option, int]:
    name = words[at].text
    at += 1
    family: tuple[str, ...] = ()
    if at < len(words) and words[at].text in ("inet", "inet6"):
        family, at = (words[at].text,), at + 1
    if at >= len(words):
        raise Missing(VrrpCode.GATEWAY_MISSING(name=name), at - 1)
    return Option(name, (*family, to_address(words[at].text, index=at))), at + 1


def _rest(words: Words, at: int) -> tuple[Option, int]:
    """nexthop and encap take words of their own."""
    name, start = words[at].text, at
    at += 1
    if name == "encap":
        kind = words[at].text if at < len(words) else ""
        if kind in ("mpls", "ila"):
            if at + 1 >= len(words):
                raise Wrong(VrrpCode.ENCAPSULATION_WITHOUT_VALUE(kind=kind), at)
            return Option(name, (kind, words[at + 1].text)), at + 2
        if kind not in _ENCAP:
            # keepalived keeps the route, by which packets then go unwrapped.
            raise Wrong(VrrpCode.NOT_AN_ENCAPSULATION(kind=kind or "nothing"), min(at, len(words) - 1))
        at += 1
        while at < len(words) and words[at].text in _ENCAP[kind]:
            _, at = take(words, at, _ENCAP[kind], frozenset())
    else:
        hop = {"dev": INTERFACE, "oif": INTERFACE, "weight": number(1, 256), "onlink": None, "realms": _REALMS}
        while at < len(words) and words[at].text != "nexthop":
            if words[at].text == "via":
                _, at = _gateway(words, at)
            elif words[at].text == "encap":
                _, at = _rest(words, at)
            else:
                _, at = take(words, at, hop, frozenset())
    return Option(name, tuple(word.text for word in words[start + 1 : at])), at


def _families(options: Options) -> list[str]:
    return [each.name for each in options.found if each.name in ("inet", "inet6")]


def _gateways(options: Options) -> Iterator[str]:
    for each in options.found:
        if each.name in ("via", "gw", "or"):
            yield from each.arguments
        elif each.name == "nexthop" and "via" in each.arguments:
            at = each.arguments.index("via") + 1
            yield from each.arguments[at : at + 1 + (each.arguments[at] in ("inet", "inet6"))]


def _is_v6(text: str) -> bool:
    return ":" in text or text in ("inet6", "default6")


def _tell_mixed(words: Words, texts: Sequence[str | None]) -> None:
    """Addresses and names of families that stand in one line are of one family."""
    told = [text for text in texts if text and re.match(r"[0-9A-Fa-f]*[.:]|inet|default6", text)]
    others = [text for text in told if _is_v6(text) is not _is_v6(told[0])]
    if others:
        at = next((at for at, word in enumerate(words) if word.text == others[0]), 0)
        raise Wrong(VrrpCode.FAMILIES_MIXED(word=" ".join(told)), at)


def _tell_family(line: RouteLine) -> None:
    is_v6 = _is_v6(line.destination)
    for name, only_v6 in (("expires", True), ("pref", True), ("from", True), ("realms", False)):
        if line.options.get(name) is not None and is_v6 is not only_v6:
            raise Wrong(VrrpCode.OPTION_OF_OTHER_FAMILY(name=name, family=6 if only_v6 else 4))


def rule_line() -> Value:
    """Selectors and an action, as in ip-rule."""
    return Value(
        arguments="[from <IP[/PREFIX]>] [to <IP[/PREFIX]>] [<SELECTOR> <VALUE>] ... table <TABLE> preference <NUMBER>",
        pattern="",
        read=_read_rule,
        write=str,
        most=None,
        noun="rule",
        subject=_rule_subject,
    )


def _rule_subject(words: Words) -> str:
    """By what it selects."""
    texts = [word.text for word in words]
    at = next((at for at, text in enumerate(texts[:-1]) if text in ("from", "to")), None)
    return f"rule {' '.join(texts[:2] if at is None else texts[at : at + 2])}"


def _read_rule(words: Words) -> RuleLine:
    found: list[Option] = []
    at = 0
    while at < len(words):
        if words[at].text in ("inet", "inet6", "type"):
            found.append(Option(words[at].text))
            at += 1
            # keepalived passes over the word behind the family, so that it may be anything.
            at += found[-1].name != "type" and at < len(words) and words[at].text in EVERYTHING
            continue
        # Where an ipproto or a port cannot be understood, keepalived keeps a rule that all packets follow.
        option, at = take(words, at, RULE_OPTIONS, frozenset())
        found.append(option)
    line = RuleLine(options=Options(found=tuple(found)))
    options = line.options
    if options.get("table", "lookup") == "0":
        raise Wrong(VrrpCode.TABLE_ZERO())
    actions = [each.name for each in options.found if each.name in _ACTIONS]
    if not actions:
        raise Wrong(VrrpCode.RULE_WITHOUT_ACTION(actions=" ".join(_ACTIONS)))
    if len(actions) > 1:
        raise Wrong(VrrpCode.RULE_ACTIONS_COMBINED(actions=" and ".join(actions)))
    if options.get("table", "lookup") is None and options.get(*_FOR_TABLES) is not None:
        raise Wrong(VrrpCode.RULE_NEEDS_TABLE(for_tables=" ".join(_FOR_TABLES)))
    told = [*_families(options), *filter(None, (options.get("from"), options.get("to")))]
    _tell_mixed(words, told)
    if options.get("realms") is not None and any(map(_is_v6, told)):
        raise Wrong(VrrpCode.REALMS_WITH_IPV6())
    preference, target = options.get("preference", "priority", "order"), options.get("goto")
    if target is not None and preference is None:
        raise Wrong(VrrpCode.GOTO_WITHOUT_PREFERENCE(target=target))
    if target is not None and preference is not None and int(preference) >= int(target):
        raise Wrong(VrrpCode.GOTO_BACKWARDS(target=target, preference=preference))
    if preference is None:
        raise Clamped(VrrpCode.RULE_WITHOUT_PREFERENCE(), line, "one from 16384 downwards is used")
    if options.get("protocol") is not None and options.get("no_track") is None:
        raise Clamped(VrrpCode.RULE_OF_OTHER_PROTOCOL(), line, "protocol keepalived is used")
    return line
