"""The host on which kad and the real keepalived judge the same configurations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from kad.model.host import Host
from tests.config.oracle_network import network


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    missing = [name for name in ("keepalived", "ip", "unshare") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs {' '.join(missing) or 'root'}")
    with network() as made:
        yield made
