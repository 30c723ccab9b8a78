"""What each kind of child says is what it may say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from kad.shared import messages
from kad.shared.messages import Message
from kad.watchdog.process_registry import PROCESS_SPECS

PACKAGE = Path(messages.__file__).parents[1]


def made(folder: Path) -> set[type[Message]]:
    """The messages that the files of a folder make."""
    kinds = {kind.__name__: kind for kind in messages.KINDS.values()}
    found: set[type[Message]] = set()
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "kad.shared.messages"
            for alias in node.names
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name)) if imported.get(name) in kinds:
                    found.add(kinds[imported[name]])
                case ast.Call(func=ast.Attribute(value=ast.Name(id="messages"), attr=name)) if name in kinds:
                    found.add(kinds[name])
                case _:
                    pass
    return found


@pytest.mark.parametrize("name", PROCESS_SPECS)
def test_a_room_makes_no_message_that_its_process_may_not_send(name: str) -> None:
    kind = PROCESS_SPECS[name]
    room = PACKAGE / kind.worker.split(":")[0].split(".")[1]
    found = made(room)
    assert found
    assert {each.__name__ for each in found - kind.sends} == set()
