"""Who may import whom: the rooms stay apart, Linux stays in its room, and decisions stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "kad"

PURE = (
    "shared/state_machine.py",
    "shared/messages.py",
    "watchdog/supervision.py",
    "config/tree.py",
    "config/keyword.py",
    "config/values.py",
    "config/difference.py",
    "checker/health.py",
    "tracking/item_words.py",
)
PURE_ROOMS = ("model", "vrrp", "ipvs", "bfd")
"""Every file of these packages outside process/ is pure; of the others, the keywords are."""
OUTSIDE = {"asyncio", "socket", "time", "os", "logging", "random", "subprocess", "select", "selectors", "signal"}
OUTSIDE |= {"uvloop", "pyroute2", "psutil", "ctypes", "kad.linux"}
ROOMS = ("vrrp", "checker", "ipvs", "runner", "bfd")
LINUX_ONLY = {"pyroute2", "ctypes", "fcntl"}
"""No part of the daemon imports these but kad/linux; what runs beside the daemon, in tools, may."""
ABOVE_LINUX = {f"kad.{room}" for room in (*ROOMS, "tracking", "config")}
LANGUAGE = tuple(f"config/{name}.py" for name in ("grammar", "preprocess", "tree", "keyword", "values", "difference"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports when it runs; `if TYPE_CHECKING` counts too."""
    package = ("kad", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = list(package[: len(package) - node.level + 1]) if node.level else []
            base = ".".join([*origin, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def files() -> list[str]:
    return sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def offences(file: str) -> list[str]:
    """Every import of a file that breaks a rule."""
    path = PACKAGE / file
    room = file.partition("/")[0]
    found = []
    for line, name in imports(path):
        said = f"{file}:{line}: {name}"
        if is_pure(file) and within(name, OUTSIDE):
            found.append(f"{said}: a pure file imports nothing from outside")
        if room in ROOMS and within(name, {f"kad.{other}" for other in ROOMS if other != room}):
            found.append(f"{said}: rooms talk by messages only")
        if room not in ("linux", "tools") and within(name, LINUX_ONLY):
            found.append(f"{said}: only kad/linux touches Linux")
        if file != "config/grammar.py" and within(name, {"pyparsing"}):
            found.append(f"{said}: only the grammar imports pyparsing")
        if room == "linux" and within(name, ABOVE_LINUX):
            found.append(f"{said}: linux knows value types only")
        if room == "watchdog" and within(
            name, {"asyncio", "uvloop", "pyparsing", "kad.child.multiplexer", "kad.config.grammar"}
        ):
            found.append(f"{said}: the parent runs no event loop and no parser")
        if file in LANGUAGE and within(name, {f"kad.{other}" for other in ROOMS}):
            found.append(f"{said}: the language knows no keyword")
    return found


def is_pure(file: str) -> bool:
    room, _, name = file.partition("/")
    if file in PURE or name.startswith("keywords"):
        return True
    # A process may be a file or, where it is long, a folder.
    return room in PURE_ROOMS and not name.startswith("process") and name != "__init__.py"


@pytest.mark.parametrize("file", files())
def test_imports_keep_to_the_rooms(file: str) -> None:
    assert offences(file) == []


@pytest.mark.parametrize(
    ("file", "text", "offence"),
    [
        ("vrrp/router.py", "import time", "time: a pure file imports nothing from outside"),
        ("vrrp/router.py", "from kad.linux.net import Net", "kad.linux.net.Net: a pure file"),
        (
            "vrrp/process.py",
            "from ..runner import script_check",
            "kad.runner.script_check: rooms talk by messages only",
        ),
        ("runner/script.py", "import ctypes", "ctypes: only kad/linux touches Linux"),
        ("config/values.py", "import pyparsing as pp", "pyparsing: only the grammar"),
        ("linux/link.py", "from kad.vrrp import router", "kad.vrrp.router: linux knows value types only"),
        ("config/keyword.py", "from kad.vrrp.advert import Advertisement", "the language knows no keyword"),
        ("watchdog/daemon.py", "def f():\n    import asyncio", "2: asyncio: the parent runs no event loop"),
    ],
)
def test_a_broken_rule_is_seen(
    file: str, text: str, offence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert any(offence in said for said in offences(file)), offences(file)
