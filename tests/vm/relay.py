"""The reports of the guest's tests on their way to the host's pytest: one JSON line each."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.namespaces import PROJECT
from tests.vm.guest import Guest
from tests.vm.kernel import Kernel

INSIDE = os.environ.get("KAD_GUEST", "")
"""In the guest: the folder that the host sees too."""
_FILE = "reports"
_PATIENCE = 400
"""Seconds without any word from the guest; a boot, or the longest fixture, on a slow host."""
_LONGEST_TEST = 360


class Recorder:
    """A plugin of the guest's pytest: writes down what becomes of each test."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._file = (Path(INSIDE) / _FILE).open("a")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write({"finished": nodeid})

    def pytest_unconfigure(self) -> None:
        self._file.close()

    def _write(self, told: dict[str, Any]) -> None:
        self._file.write(json.dumps(told) + "\n")
        self._file.flush()


class Relay:
    """A guest that runs these tests, and their reports as they come."""

    def __init__(self, config: pytest.Config, kernel: Kernel, tests: Sequence[str]) -> None:
        self._config = config
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._finished: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="kad-vm-")
        folder = Path(self._folder.name)
        (folder / _FILE).touch()
        self._file = (folder / _FILE).open()
        self._rest = ""
        self._guest = Guest(kernel, _command(tests), folder)

    def reports(self, test: str) -> Iterator[pytest.TestReport]:
        """Of its setup, call and teardown; one that failed when the guest does not tell."""
        heard = time.monotonic()
        while test not in self._finished:
            alive = self._guest.alive
            if self._read():
                heard = time.monotonic()
            elif not alive or time.monotonic() > heard + _PATIENCE:
                why = "says nothing any more" if alive else "is gone"
                self._guest.close()
                yield _failed(test, f"the guest {why}; its console:\n{self._guest.console[-20000:]}")
                return
            else:
                time.sleep(0.1)
        yield from self._reports.pop(test, [])

    def close(self) -> None:
        self._guest.close()
        self._file.close()
        self._folder.cleanup()

    def _read(self) -> bool:
        """Whether the guest said anything."""
        data = self._file.read()
        *lines, self._rest = (self._rest + data).split("\n")
        for line in lines:
            told = json.loads(line)
            if "finished" in told:
                self._finished.add(told["finished"])
            else:
                if isinstance(told["longrepr"], list):  # the place and reason of a skip
                    told["longrepr"] = tuple(told["longrepr"])
                report = self._config.hook.pytest_report_from_serializable(config=self._config, data=told)
                self._reports.setdefault(report.nodeid, []).append(report)
        return bool(data)


def _command(tests: Sequence[str]) -> str:
    settings = {"HOME": "/root", "LC_ALL": "C.UTF-8", "KAD_GUEST": "/run/report", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    settings["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    settings["KAD_NOTHING_SKIPPED"] = os.environ.get("KAD_NOTHING_SKIPPED", "")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_timeout", "-p", "no:cacheprovider"]
    words += ["-o", f"timeout={_LONGEST_TEST}", "-m", "vm or soak", *tests]
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
    return f"{exports}cd {shlex.quote(str(PROJECT))}\nexec {shlex.join(words)}\n"


def _failed(test: str, text: str) -> pytest.TestReport:
    return pytest.TestReport(test, (test.partition("::")[0], None, test), {}, "failed", text, "call")
