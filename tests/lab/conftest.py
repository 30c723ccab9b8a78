"""Fixtures of the lab: each test gets its own LAN, and none runs where something is missing."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.namespaces import environment, missing
from tests.lab.texts import router


@functools.cache
def _lacking() -> str:
    return ", ".join(missing())


@functools.cache
def _kad_lacking() -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(router(interface="lo", version=2, advert_int=1))
        file.flush()
        command = [sys.executable, "-m", "kad", "-t", "-f", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd="/")
    return "" if done.returncode in (0, 5) else f"a kad that starts ({done.stderr.strip().splitlines()[-1:]})"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty LAN."""
    if _lacking():
        pytest.skip(f"the lab needs {_lacking()}")
    with Lab() as made:
        yield made


@pytest.fixture
def pair(lab: Lab) -> tuple[Lab, Node, Node]:
    """A LAN with the nodes a and b: eth0, 10.77.0.1/24 and 10.77.0.2/24."""
    return lab, lab.node("a", {"eth0": "10.77.0.1/24"}), lab.node("b", {"eth0": "10.77.0.2/24"})


@pytest.fixture(autouse=True)
def kad(request: pytest.FixtureRequest) -> None:
    """Tests that run kad, by this fixture's name or a parameter, need one that starts."""
    asked = request.node.get_closest_marker("usefixtures")
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    wanted = "kad" in parameters or (asked and "kad" in asked.args)
    if wanted and _kad_lacking():
        pytest.skip(f"this test needs {_kad_lacking()}")
