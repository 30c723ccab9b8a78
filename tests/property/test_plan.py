"""Whatever the table was and shall be: the plan leads there, from every step of it, and somebody always serves."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from kad.ipvs.plan import apply, plan
from kad.model.ipvs_table import DestinationKey, DestinationSettings, Entry, ServiceKey, ServiceSettings, Table

KEYS = [
    ServiceKey(4, "TCP", "192.0.2.9", 80),
    ServiceKey(4, "UDP", "192.0.2.9", 80),
    ServiceKey(6, fwmark=3),
]
SERVERS = [DestinationKey(f"10.0.0.{number}", 80) for number in range(1, 5)]

destinations = st.dictionaries(
    st.sampled_from(SERVERS),
    st.builds(DestinationSettings, weight=st.integers(0, 2), method=st.sampled_from(["NAT", "DR"])),
)
entries = st.builds(Entry, st.builds(ServiceSettings, scheduler=st.sampled_from(["rr", "wlc"])), destinations)
tables = st.dictionaries(st.sampled_from(KEYS), entries)


@st.composite
def plights(draw: st.DrawFn) -> tuple[Table, Table, dict[ServiceKey, set[DestinationKey]]]:
    """What is there, what is wanted, and what is ours: all that is wanted, and some of what is there."""
    actual, wanted = draw(tables), draw(tables)
    ours = {key: set(entry.destinations) for key, entry in wanted.items()}
    for key in draw(st.sets(st.sampled_from(KEYS))):
        ours[key] = ours.get(key, set()) | draw(st.sets(st.sampled_from(SERVERS)))
    return actual, wanted, ours


def goal(actual: Table, wanted: Table, ours: dict[ServiceKey, set[DestinationKey]]) -> Table:
    """What is wanted, with what is there and not ours."""
    table = {key: deepcopy(entry) for key, entry in actual.items() if key not in ours}
    for key, entry in wanted.items():
        foreign = {
            each: settings
            for each, settings in (actual[key].destinations if key in actual else {}).items()
            if each not in ours[key]
        }
        table[key] = Entry(entry.settings, {**entry.destinations, **foreign})
    return table


def serves(entry: Entry) -> bool:
    return any(settings.weight for settings in entry.destinations.values())


@given(plights())
def test_it_leads_to_what_is_wanted_and_leaves_what_is_foreign(
    plight: tuple[Table, Table, dict[ServiceKey, set[DestinationKey]]],
) -> None:
    actual, wanted, ours = plight
    table = deepcopy(actual)
    for command in plan(actual, wanted, ours):
        apply(table, command)
    assert table == goal(actual, wanted, ours)
    assert plan(table, wanted, ours) == []


@given(plights(), st.data())
def test_it_leads_there_from_wherever_it_was_broken_off(
    plight: tuple[Table, Table, dict[ServiceKey, set[DestinationKey]]], data: st.DataObject
) -> None:
    actual, wanted, ours = plight
    table = deepcopy(actual)
    commands = plan(actual, wanted, ours)
    for command in commands[: data.draw(st.integers(0, len(commands)))]:
        apply(table, command)
    for command in plan(table, wanted, ours):
        apply(table, command)
    assert table == goal(actual, wanted, ours)


@given(plights())
def test_a_service_that_stays_serves_all_the_time(
    plight: tuple[Table, Table, dict[ServiceKey, set[DestinationKey]]],
) -> None:
    actual, wanted, ours = plight
    stays = [key for key in wanted if key in actual and serves(actual[key]) and serves(wanted[key])]
    table = deepcopy(actual)
    for command in plan(actual, wanted, ours):
        apply(table, command)
        assert all(serves(table[key]) for key in stays), command
