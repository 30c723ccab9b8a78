"""The file that tells the next daemon what this one put into the IPVS table."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.model.daemon import WatchdogSlice
from kad.shared.messages import IpvsLeft, Message
from kad.watchdog.ipvs_cleanup import IpvsCleanup
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.supervision import Event, Unwanted
from kad.watchdog.two_phase_commit import Configuration, MemoryFiles, RunningConfiguration


class Daemon:
    """What IpvsCleanup is given."""

    def __init__(self, directory: Path, *, release: bool = True) -> None:
        self._directory = directory
        self._release = release
        self.running = RunningConfiguration()
        self.sent: list[tuple[str, Message]] = []
        self.supervised: list[tuple[str, Event]] = []
        self.errors: list[str] = []
        self.members = {name: Member(spec) for name, spec in PROCESS_SPECS.items()}

    def send(self, member: Member, message: Message) -> None:
        self.sent.append((member.name, message))

    def supervise(self, member: Member, event: Event) -> None:
        self.supervised.append((member.name, event))

    def cleanup(self) -> IpvsCleanup:
        children: Any = self
        log: Any = SimpleNamespace(error=self.errors.append, warning=self.errors.append)
        return IpvsCleanup(children, self.running, log, self._directory, release_at_stop=self._release)

    def run(self, content: bytes | None) -> IpvsCleanup:
        """A configuration with that part for the ipvs process is in force."""
        slices = {} if content is None else {"ipvs": write_memory_file("test", content)}
        self.in_force(slices)
        left = self.cleanup()
        left.remember()
        return left

    def in_force(self, slices: dict[str, int], words: WatchdogSlice | None = None) -> None:
        self.running.current = Configuration(1, MemoryFiles(slices), words or WatchdogSlice(), frozenset())


def told(directory: Path) -> list[tuple[str, Message]]:
    """What the children of the next daemon hear."""
    daemon = Daemon(directory)
    left = daemon.cleanup()
    for member in daemon.members.values():
        left.tell(member)
    return daemon.sent


def test_the_next_daemon_hears_of_one_that_was_killed(tmp_path: Path) -> None:
    assert told(tmp_path) == []
    Daemon(tmp_path).run(b"services")
    assert (tmp_path / "ipvs.left").stat().st_mode & 0o777 == 0o600
    assert told(tmp_path) == [("ipvs", IpvsLeft(slice=b"services"))]


def test_it_hears_what_the_ipvs_process_kept_too(tmp_path: Path) -> None:
    left = Daemon(tmp_path).run(b"services")
    left.keep(b"memory")
    assert told(tmp_path) == [("ipvs", IpvsLeft(slice=b"services", memory=b"memory"))]
    left.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("release", "expected"), [(True, 0), (False, 1)])
def test_an_end_in_order_leaves_nothing_unless_the_table_stays(tmp_path: Path, release: bool, expected: int) -> None:
    Daemon(tmp_path, release=release).run(b"services").forget()
    assert len(told(tmp_path)) == expected


def test_a_configuration_in_force_ends_the_matter(tmp_path: Path) -> None:
    Daemon(tmp_path).run(b"services")
    daemon = Daemon(tmp_path)
    left = daemon.run(b"others")
    left.tell(Member(PROCESS_SPECS["ipvs"]))
    assert daemon.sent == []
    assert told(tmp_path) == [("ipvs", IpvsLeft(slice=b"others"))]
    Daemon(tmp_path).run(None)
    assert told(tmp_path) == []


def test_without_virtual_servers_an_heir_takes_away_what_was_left(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.cleanup().start_cleanup(slices := {"vrrp": 9})
    assert slices == {"vrrp": 9}
    Daemon(tmp_path).run(b"services")
    left = daemon.cleanup()
    left.start_cleanup(served := {"ipvs": 9})
    assert served == {"ipvs": 9}
    left.start_cleanup(slices)
    assert read_memory_file(slices["ipvs"]) == b"\x80"
    daemon.in_force(slices, WatchdogSlice(child_wait_time=7.0))
    left.end_cleanup()
    assert slices == {"vrrp": 9}
    assert daemon.supervised == [("ipvs", Unwanted(7.0))]


@pytest.mark.parametrize("name", ["ipvs.left", "ipvs.memory"])
def test_a_file_that_no_channel_would_take_is_not_sent(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 100_000_000)
    daemon = Daemon(tmp_path)
    left = daemon.cleanup()
    left.tell(Member(PROCESS_SPECS["ipvs"]))
    assert daemon.sent == []
    assert daemon.errors == [f"{tmp_path / name}: it is too large: what an earlier daemon left is not known"]
