"""The exit statuses of kad's processes, and how the end of a process is described."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FATAL = 1
EXIT_CONFIGURATION = 2
EXIT_NO_PERMISSION = 4
EXIT_NO_FILE = 6
EXIT_SOFTWARE = 70


def describe(status: int) -> str:
    """An exit status in words."""
    return f"died of signal {status - 128}" if status > 128 else f"exited with status {status}"
