"""What a daemon's family costs: CPU seconds by the scheduler's own count, and memory by proportional share."""

from __future__ import annotations

from pathlib import Path

from tests.lab.daemons import Daemon


def cpu_seconds(daemon: Daemon) -> float:
    """CPU time of the whole family so far."""
    return sum(process_seconds(pid) for pid in daemon.family())


def process_seconds(pid: int) -> float:
    """CPU time of one process so far."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def megabytes(daemon: Daemon) -> float:
    """Proportional set size of the whole family."""
    kilobytes = 0
    for pid in daemon.family():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024
