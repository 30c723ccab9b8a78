"""Which package may import which: one order, no circles; decisions are pure and Linux is called in kad/linux alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "kad"
ORDER = (
    {"cli"},
    {"tools", "simulation"},
    {"analyzer"},
    {"watchdog"},
    {"vrrp", "checker", "ipvs", "runner", "bfd"},
    {"tracking"},
    {"child"},
    {"config"},
    {"linux"},
    {"shared"},
    {"model"},
)
"""A package imports only packages that stand behind its own; those of one place do not import one another."""
TOP = {"__init__.py", "__main__.py"}
"""All modules outside packages."""
PURE = (
    "shared/state_machine.py",
    "shared/messages.py",
    "watchdog/supervision.py",
    "config/diagnostics.py",
    "config/lines.py",
    "config/tree.py",
    "config/keyword.py",
    "config/values.py",
    "config/difference.py",
    "checker/check.py",
    "checker/checker_api.py",
    "checker/health.py",
    "tracking/item_words.py",
)
PURE_PACKAGES = ("model", "vrrp", "ipvs", "bfd")
"""Every file of these packages outside process/ is pure; of the others, the keywords and the checks are."""
IMPURE = {"asyncio", "socket", "time", "os", "logging", "random", "subprocess", "select", "selectors", "signal"}
IMPURE |= {"uvloop", "pyroute2", "psutil", "ctypes", "kad.linux"}
LINUX_ONLY = {"pyroute2", "ctypes", "fcntl"}
"""No part of the daemon imports these but kad/linux; what runs beside the daemon, in tools, may."""
NOT_IN_PARENT = {"asyncio", "uvloop", "pyparsing", "kad.child.multiplexer", "kad.config.grammar"}


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


def place(package: str) -> int:
    return next(place for place, packages in enumerate(ORDER) if package in packages)


def offences(file: str) -> list[str]:
    """Every import of a file that breaks a rule."""
    package = file.partition("/")[0]
    found = []
    for line, name in imports(PACKAGE / file):
        what = f"{file}:{line}: {name}"
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        is_package = file not in TOP and top == "kad" and (PACKAGE / other).is_dir()
        if is_package and other not in ("", package) and place(other) <= place(package):
            found.append(f"{what}: kad/{package} stands behind kad/{other} or beside it")
        if is_pure(file) and within(name, IMPURE):
            found.append(f"{what}: a pure file imports nothing from outside")
        if package not in ("linux", "tools") and within(name, LINUX_ONLY):
            found.append(f"{what}: only kad/linux calls Linux")
        if file != "config/grammar.py" and within(name, {"pyparsing"}):
            found.append(f"{what}: only the grammar imports pyparsing")
        if package == "watchdog" and within(name, NOT_IN_PARENT):
            found.append(f"{what}: the parent runs no event loop and no parser")
    return found


def is_pure(file: str) -> bool:
    package, _, name = file.partition("/")
    if file in PURE or name.startswith(("keywords", "checks/")):
        return True
    return package in PURE_PACKAGES and not name.startswith("process") and name != "__init__.py"


def graph() -> dict[str, set[str]]:
    """Module to the modules that it imports."""
    modules = {module_of(file) for file in files()}
    found: dict[str, set[str]] = {}
    for file in files():
        names = {name if name in modules else name.rpartition(".")[0] for _, name in imports(PACKAGE / file)}
        found[module_of(file)] = (names & modules) - {module_of(file)}
    return found


def module_of(file: str) -> str:
    return ".".join(("kad", *Path(file).with_suffix("").parts)).removesuffix(".__init__")


def circles(edges: Mapping[str, set[str]]) -> set[str]:
    """The modules of all circles: what is left when modules without imports left are taken away, from both ends."""
    left = {module: set(others) for module, others in edges.items()}
    for _ in range(2):
        while ends := {module for module, others in left.items() if not others}:
            left = {module: others - ends for module, others in left.items() if module not in ends}
        turned: dict[str, set[str]] = {module: set() for module in left}
        for module, others in left.items():
            for other in others:
                turned[other].add(module)
        left = turned
    return set(left)


@pytest.mark.parametrize("file", files())
def test_imports_keep_to_the_order_of_packages(file: str) -> None:
    assert offences(file) == []


def test_no_module_is_outside_a_package() -> None:
    assert {file for file in files() if "/" not in file} == TOP
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == set().union(*ORDER)


def test_no_imports_form_a_circle() -> None:
    assert circles(graph()) == set()


def test_circles_are_seen() -> None:
    edges = {"start": {"a"}, "a": {"b"}, "b": {"c"}, "c": {"a", "end"}, "end": set(), "x": {"y"}, "y": {"x"}}
    assert circles(edges) == {"a", "b", "c", "x", "y"}


@pytest.mark.parametrize(
    ("file", "text", "offence"),
    [
        ("vrrp/router.py", "import time", "time: a pure file imports nothing from outside"),
        ("vrrp/router.py", "from kad.linux.net import Net", "kad.linux.net.Net: a pure file"),
        ("vrrp/process.py", "from ..runner import script_check", "kad/vrrp stands behind kad/runner or beside it"),
        ("checker/checks/tcp.py", "import socket", "socket: a pure file imports nothing from outside"),
        ("runner/script.py", "import ctypes", "ctypes: only kad/linux calls Linux"),
        ("config/values.py", "import pyparsing as pp", "pyparsing: only the grammar"),
        ("linux/link.py", "from kad.vrrp import router", "kad/linux stands behind kad/vrrp"),
        ("config/keyword.py", "from kad.vrrp.advert import Advertisement", "kad/config stands behind kad/vrrp"),
        ("model/host.py", "if TYPE_CHECKING:\n    from kad.shared import log", "2: kad.shared.log: kad/model stands"),
        ("watchdog/daemon.py", "def f():\n    import asyncio", "2: asyncio: the parent runs no event loop"),
    ],
)
def test_a_broken_rule_is_seen(
    file: str, text: str, offence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for packages in ORDER:
        for package in packages:
            (tmp_path / package).mkdir()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert any(offence in found for found in offences(file)), offences(file)
