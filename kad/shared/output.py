"""What a command prints: text to standard output and standard error, also where the reader has closed its end."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from kad.model import escaping


class OutputLost(Exception):
    """Standard output takes no more text: its device is full, or broken."""


def to_output(text: str) -> None:
    """Print to standard output, as it is. A reader that has gone is no error; raises OutputLost for all else."""
    _write(sys.stdout, text)


def to_error(text: str) -> None:
    """Print to standard error, escaped as `kad.model.escaping.lines` does; never raises."""
    with contextlib.suppress(OutputLost):
        _write(sys.stderr, escaping.lines(text))


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # it was closed when the command began
        return
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        # Now: what the interpreter would flush at its end, it would also complain about.
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
    except OSError as error:
        _discard(stream)
        raise OutputLost(error.strerror or str(error)) from error


def _discard(stream: TextIO) -> None:
    """Whatever is still in the buffer, and all that follows, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nowhere, stream.fileno())
        with contextlib.suppress(OSError):
            stream.flush()
    finally:
        os.close(nowhere)
