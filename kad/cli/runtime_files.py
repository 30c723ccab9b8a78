"""Every file that a daemon with these options has for itself, and what each is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from kad.watchdog.process_registry import PROCESS_SPECS

_IN_RUNTIME_DIRECTORY = {
    "control": "the control socket",
    "vrrp.left": "what a later start releases",
    "ipvs.left": "what a later start releases",
    "ipvs.memory": "what a later start releases",
    "kad.data": "a dump",
    "keepalived.data": "a dump",
    "keepalived.stats": "a dump",
    "keepalived.json": "a dump",
}


def daemon_pid_file(options: argparse.Namespace, directory: Path) -> Path:
    """Of the parent."""
    return Path(options.pid) if options.pid else directory / "kad.pid"


def child_pid_files(options: argparse.Namespace, directory: Path) -> dict[str, Path]:
    """By the name of the child."""
    return {
        spec.name: Path((spec.pid_option and getattr(options, spec.pid_option.field)) or directory / spec.pid_file)
        for spec in PROCESS_SPECS.values()
    }


def runtime_files(options: argparse.Namespace, directory: Path, log_file: str | None) -> list[tuple[str, str]]:
    """Absolute paths, without symbolic links, and what each file is; a path twice is a mistake of the options."""
    pid_file = daemon_pid_file(options, directory)
    found = [(directory / name, what) for name, what in _IN_RUNTIME_DIRECTORY.items()]
    found += [(pid_file, "the pid file"), (pid_file.with_name(f".{pid_file.name}.lock"), "the lock of the pid file")]
    found += [(path, f"the pid file of {name}") for name, path in child_pid_files(options, directory).items()]
    if log_file:
        found.append((Path(log_file), "the log file"))
    return [(os.path.realpath(path), what) for path, what in found]


def named_twice(files: list[tuple[str, str]]) -> str:
    """Which of them are the same file, as a sentence; empty where none are."""
    known: dict[str, str] = {}
    for path, what in files:
        if path in known:
            return f"{path} would be {known[path]} and {what}: name two files"
        known[path] = what
    return ""
