"""What two configurations of one child differ in, object by object: removed, changed, added; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec


class Difference(NamedTuple):
    """One object, and what becomes of it; `fields` tell old and new value of each that changed."""

    kind: str
    name: str
    what: str
    """removed, changed or added."""
    fields: tuple[tuple[str, Any, Any], ...] = ()


def difference(old: msgspec.Struct, new: msgspec.Struct) -> list[Difference]:
    """Between two slices of one type: removed first, then changed, then added; nothing for what is kept."""
    found: list[Difference] = []
    plain: list[tuple[str, Any, Any]] = []
    for name in new.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if _are_named(before) and _are_named(after) and (before or after):
            found += _of_objects(name, before, after)
        elif before != after:
            plain.append((name, before, after))
    if plain:
        found.append(Difference("settings", "", "changed", tuple(plain)))
    order = {"removed": 0, "changed": 1, "added": 2}
    return sorted(found, key=lambda each: order[each.what])


def _are_named(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, msgspec.Struct) and _name(each) for each in value)


def _name(value: msgspec.Struct) -> str:
    return str(getattr(value, "name", getattr(value, "id", "")))


def _of_objects(kind: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> list[Difference]:
    old = {_name(each): each for each in before}
    new = {_name(each): each for each in after}
    found = [Difference(kind, name, "removed") for name in old if name not in new]
    for name, value in new.items():
        if name not in old:
            found.append(Difference(kind, name, "added"))
        elif old[name] != value:
            found.append(Difference(kind, name, "changed", _fields(old[name], value)))
    return found


def _fields(old: msgspec.Struct, new: msgspec.Struct) -> tuple[tuple[str, Any, Any], ...]:
    if type(old) is not type(new):
        return ()
    names = new.__struct_fields__
    return tuple(
        (name, getattr(old, name), getattr(new, name)) for name in names if getattr(old, name) != getattr(new, name)
    )
