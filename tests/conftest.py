"""What holds for every test: long shows run only when asked for, and nothing is skipped where nothing may be."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# How long an example takes is the load of this machine.
settings.register_profile("kad", deadline=None)
settings.load_profile("kad")

_NOTHING_SKIPPED = os.environ.get("KAD_NOTHING_SKIPPED", "") not in ("", "0")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "timing: measures milliseconds; never beside other tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "soak" in (config.option.markexpr or ""):
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _NOTHING_SKIPPED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"KAD_NOTHING_SKIPPED is set, and this was to be skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if _NOTHING_SKIPPED and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"KAD_NOTHING_SKIPPED is set, and this was to be skipped: {report.longrepr}"
    return report
