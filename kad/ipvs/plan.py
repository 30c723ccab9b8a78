"""From the table that is there to the table that is wanted: commands in an order that serves all the time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

from kad.model.ipvs_table import DestinationKey, DestinationSettings, Entry, ServiceKey, ServiceSettings, Table


class AddService(NamedTuple):
    """A service without destinations yet."""

    service: ServiceKey
    settings: ServiceSettings


class SetService(NamedTuple):
    """Its destinations and connections stay."""

    service: ServiceKey
    settings: ServiceSettings


class DeleteService(NamedTuple):
    """Its destinations go with it."""

    service: ServiceKey


class AddDestination(NamedTuple):
    """One more destination."""

    service: ServiceKey
    destination: DestinationKey
    settings: DestinationSettings


class SetDestination(NamedTuple):
    """Its connections stay."""

    service: ServiceKey
    destination: DestinationKey
    settings: DestinationSettings


class DeleteDestination(NamedTuple):
    """The kernel decides what becomes of its connections."""

    service: ServiceKey
    destination: DestinationKey


Command: TypeAlias = AddService | SetService | DeleteService | AddDestination | SetDestination | DeleteDestination
Named: TypeAlias = Mapping[ServiceKey, Collection[DestinationKey]]
"""What is ours: what the configuration names, and what an earlier one named; the rest is left alone."""


def plan(actual: Table, wanted: Table, ours: Named) -> list[Command]:
    """The commands that make what is ours in the table what it shall be; first what is wanted, then what is not."""
    commands: list[Command] = []
    for key, entry in wanted.items():
        commands += plan_service(key, actual.get(key), entry, ours.get(key, ()))
    for key in ours:
        if key not in wanted and key in actual:
            commands.append(DeleteService(key))
    return commands


def plan_service(
    key: ServiceKey, actual: Entry | None, wanted: Entry, ours: Collection[DestinationKey]
) -> list[Command]:
    """What can serve comes and what serves on is changed before anything is taken away.

    So a service that could serve before and can afterwards can do so after each command.
    """
    if actual is None:
        added = [AddDestination(key, each, settings) for each, settings in wanted.destinations.items()]
        return [AddService(key, wanted.settings), *added]
    if actual == wanted:
        return []
    before = actual.destinations
    serving: list[Command] = []
    idle: list[Command] = []
    for each, settings in wanted.destinations.items():
        known = before.get(each)
        if known != settings:
            command = AddDestination if known is None else SetDestination
            (serving if settings.weight else idle).append(command(key, each, settings))
    gone = [DeleteDestination(key, each) for each in before if each not in wanted.destinations and each in ours]
    changed = [SetService(key, wanted.settings)] if actual.settings != wanted.settings else []
    return [*changed, *serving, *idle, *gone]


def plan_destination(
    key: ServiceKey, actual: Entry, destination: DestinationKey, wanted: DestinationSettings | None
) -> list[Command]:
    """The command that makes this destination of ours what it shall be, if one is needed."""
    known = actual.destinations.get(destination)
    if known == wanted:
        return []
    if wanted is None:
        return [DeleteDestination(key, destination)]
    return [(AddDestination if known is None else SetDestination)(key, destination, wanted)]


def apply(table: Table, command: Command) -> None:
    """Do to the values what the kernel does to its table. Raises KeyError where the kernel would refuse."""
    match command:
        case AddService(key, settings):
            if key in table:
                raise KeyError(key)
            table[key] = Entry(settings)
        case SetService(key, settings):
            table[key].settings = settings
        case DeleteService(key):
            del table[key]
        case AddDestination(key, destination, placed):
            if destination in table[key].destinations:
                raise KeyError(destination)
            table[key].destinations[destination] = placed
        case SetDestination(key, destination, placed):
            if destination not in table[key].destinations:
                raise KeyError(destination)
            table[key].destinations[destination] = placed
        case DeleteDestination(key, destination):
            del table[key].destinations[destination]
