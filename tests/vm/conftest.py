"""A test marked `vm` runs in the guest; what this side's pytest reports is what happened there."""

from __future__ import annotations

import functools

import pytest

from tests.vm.kernel import Kernel, Unavailable, kernel, missing
from tests.vm.relay import INSIDE, Recorder, Relay

_RELAYS = pytest.StashKey[dict[str, Relay]]()


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
    if _RELAYS not in item.config.stash:
        item.config.stash[_RELAYS] = _start(item.session, found)
    relay = item.config.stash[_RELAYS][_guest(item)]
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in relay.reports(item.nodeid):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _start(session: pytest.Session, kernel: Kernel) -> dict[str, Relay]:
    """All guests that are needed, beside one another: while one waits another computes."""
    tests: dict[str, list[str]] = {}
    for item in filter(_elsewhere, session.items):
        tests.setdefault(_guest(item), []).append(item.nodeid)
    relays = {name: Relay(session.config, kernel, each) for name, each in tests.items()}
    for relay in relays.values():
        session.config.add_cleanup(relay.close)
    return relays


def _guest(item: pytest.Item) -> str:
    """The name of the guest that runs the test: vm(guest=NAME)."""
    marker = item.get_closest_marker("vm")
    return str(marker.kwargs.get("guest", "")) if marker is not None else ""


def _elsewhere(item: pytest.Item) -> bool:
    return not INSIDE and item.get_closest_marker("vm") is not None


@functools.cache
def _kernel() -> Kernel:
    if lacking := missing():
        raise Unavailable(", ".join(lacking))
    return kernel()
