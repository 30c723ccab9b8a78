"""What a daemon's family costs: CPU seconds by the scheduler's own count, and memory by proportional share."""

from __future__ import annotations

from pathlib import Path

from tests.lab.daemons import Daemon


def cpu_seconds(daemon: Daemon) -> float:
    """CPU time of the whole family so far."""
    total = 0
    for pid in daemon.family():
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def megabytes(daemon: Daemon) -> float:
    """Proportional set size of the whole family."""
    kilobytes = 0
    for pid in daemon.family():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024
