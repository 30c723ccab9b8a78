"""A test marked `vm` runs in the guest; what this side's pytest reports is what happened there."""

from __future__ import annotations

import functools

import pytest

from tests.vm.kernel import Kernel, Unavailable, kernel, missing
from tests.vm.relay import INSIDE, Recorder, Relay

_RELAY = pytest.StashKey[Relay]()


def pytest_configure(config: pytest.Config) -> None:
    if INSIDE:
        config.pluginmanager.register(Recorder(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # The guest sets the limits: the first test waits for its boot.
        if _elsewhere(item):
            item.add_marker(pytest.mark.timeout(0))


def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if not _elsewhere(item):
        return None
    try:
        found = _kernel()
    except Unavailable as reason:
        item.add_marker(pytest.mark.skip(f"the VM lab needs {reason}"))
        return None
    stash = item.config.stash
    if _RELAY not in stash:
        stash[_RELAY] = Relay(item.config, found, [each.nodeid for each in item.session.items if _elsewhere(each)])
        item.config.add_cleanup(stash[_RELAY].close)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in stash[_RELAY].reports(item.nodeid):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _elsewhere(item: pytest.Item) -> bool:
    return not INSIDE and item.get_closest_marker("vm") is not None


@functools.cache
def _kernel() -> Kernel:
    if lacking := missing():
        raise Unavailable(", ".join(lacking))
    return kernel()
