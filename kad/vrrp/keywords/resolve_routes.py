"""All routes and rules of a configuration: lines become requests for the kernel, or are refused with reason."""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.keyword import Block
from kad.config.slice_context import EncodeRoute, EncodeRule
from kad.config.values import Wrong
from kad.model.routing import RoutingEntry
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.iproute2_names import Names
from kad.vrrp.keywords.route_numbers import adapted, family_of_rule, to_route, to_rule
from kad.vrrp.keywords.route_words import RouteLine, RuleLine
from kad.vrrp.keywords.routing_text import route_text, rule_text

Dependents = Mapping[str, tuple[str, ...]]
"""Instances by track_group."""

_FIRST_PREFERENCE = 16384


class InstanceRouting(NamedTuple):
    """What is there while one instance is MASTER."""

    routes: tuple[RoutingEntry, ...]
    rules: tuple[RoutingEntry, ...]


class Routings:
    """Judges and encodes; preferences that nobody wrote are given out once in the configuration."""

    def __init__(self, names: Names, encode_route: EncodeRoute, encode_rule: EncodeRule, scope: Scope) -> None:
        self._names = names
        self._encode_route = encode_route
        self._encode_rule = encode_rule
        self._scope = scope
        self._given: Counter[int] = Counter()
        """Preferences by family."""

    def of_instance(
        self, name: str, block: Block, routes: Sequence[RouteLine], rules: Sequence[RuleLine]
    ) -> InstanceRouting:
        """virtual_routes and virtual_rules."""
        made = [
            self._entry(line, self._scope.places.of(block, "virtual_routes", at), name, None)
            for at, line in enumerate(routes)
        ]
        more = [
            self._entry(line, self._scope.places.of(block, "virtual_rules", at), name, None)
            for at, line in enumerate(rules)
        ]
        return InstanceRouting(_kept(made), _kept(more))

    def static(
        self, block: Block, routes: Sequence[RouteLine], rules: Sequence[RuleLine], groups: Dependents
    ) -> tuple[RoutingEntry, ...]:
        """static_routes, then static_rules."""
        made = [
            self._entry(line, self._scope.places.of(block, "static_routes", at), "static_routes", groups)
            for at, line in enumerate(routes)
        ]
        made += [
            self._entry(line, self._scope.places.of(block, "static_rules", at), "static_rules", groups)
            for at, line in enumerate(rules)
        ]
        return _kept(made)

    def _entry(
        self, line: RouteLine | RuleLine, place: Place, who: str, groups: Dependents | None
    ) -> RoutingEntry | None:
        """What is wrong has been said; None for what cannot be put to the kernel."""
        place = place.about(line)
        self._look_at_devices(line, place, who, groups is None)
        group = line.options.get("track_group")
        if group is not None and groups is None:
            self._scope.report.warning(place, VrrpCode.TRACK_GROUP_OF_VIRTUAL_ROUTE().of(who))
        dependents = (groups or {}).get(group or "", ())
        try:
            if isinstance(line, RouteLine):
                for remark in adapted(line):
                    self._scope.report.note(place, remark.of(f"{who}: {line}"))
                return self._route(line, dependents)
            return self._rule(line, dependents)
        except (ValueError, OSError, OverflowError, struct.error) as error:
            remark = error.remark if isinstance(error, Wrong) else VrrpCode.NOT_ENCODABLE(error=error)
            self._scope.report.warning(place, remark.of(f"{who}: {line}").then("it is ignored"))
            return None

    def _route(self, line: RouteLine, dependents: tuple[str, ...]) -> RoutingEntry:
        route = to_route(line, self._names, self._table_of_vrf)
        add, delete, indexes = self._encode_route(route)
        return RoutingEntry(
            kind="route",
            text=str(line),
            keepalived=route_text(line, route),
            add=add,
            delete=delete,
            indexes=indexes,
            device=route.device,
            tracked=line.options.get("no_track") is None,
            dependents=dependents,
        )

    def _rule(self, line: RuleLine, dependents: tuple[str, ...]) -> RoutingEntry:
        preference = 0
        if line.options.get("preference", "priority", "order") is None:
            family = family_of_rule(line)
            preference = _FIRST_PREFERENCE - self._given[family]
            self._given[family] += 1
        rule = to_rule(line, preference, self._names)
        add, delete = self._encode_rule(rule)
        return RoutingEntry(
            kind="rule",
            text=str(line),
            keepalived=rule_text(line, rule),
            add=add,
            delete=delete,
            device=rule.incoming,
            tracked=line.options.get("no_track") is None,
            dependents=dependents,
        )

    def _look_at_devices(self, line: RouteLine | RuleLine, place: Place, who: str, is_virtual: bool) -> None:
        if not is_virtual:
            return  # kad.vrrp.keywords.static_words looks at those.
        names = [each.arguments[-1] for each in line.options.found if each.name in ("dev", "oif", "iif")]
        for each in line.options.found:
            if each.name == "nexthop":
                words = each.arguments
                names += [name for word, name in itertools.pairwise(words) if word in ("dev", "oif")]
        for name in names:
            if name not in self._scope.host.interfaces:
                self._scope.tell_absent(name, place, who)

    def _table_of_vrf(self, name: str) -> int | None:
        interface = self._scope.host.interfaces.get(name)
        return interface.vrf_table if interface is not None else None


def _kept(made: Sequence[RoutingEntry | None]) -> tuple[RoutingEntry, ...]:
    """Each once, in the order of the configuration."""
    return tuple({entry: None for entry in made if entry is not None})
