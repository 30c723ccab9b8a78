"""The log writes whole lines or counts what it could not write, and never waits."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kad.shared.log import Destination, Logger

F_SETPIPE_SZ = 1031


@contextmanager
def console(wanted: int) -> Iterator[tuple[int, int]]:
    """A pipe in place of the console: its reading end, and the size of its buffer."""
    saved = os.dup(2)
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, F_SETPIPE_SZ, wanted)
    os.dup2(writer, 2)
    os.close(writer)
    try:
        yield reader, size
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(reader)


def test_a_full_console_costs_a_line_and_no_time() -> None:
    log = Logger("Keepalived_vrrp", Destination(console=True, syslog=False))
    with console(8192) as (reader, size):
        for _ in range(1000):
            log.info("x" * 100)
        written = os.read(reader, 2 * size).decode()
    assert written.endswith("\n")
    assert len(written) <= size
    assert log.dropped == 1000 - written.count("\n")
    assert log.dropped > 900


def test_a_line_says_when_who_and_what() -> None:
    with console(65536) as (reader, _):
        Logger("Keepalived", Destination(console=True, syslog=False)).warning("(VI_1) Entering MASTER STATE\nand why")
        lines = os.read(reader, 4096).decode().splitlines()
    assert len(lines) == 2
    assert re.fullmatch(
        rf"\w{{3}} \w{{3}} [ \d]\d \d\d:\d\d:\d\d\.\d{{6}} Keepalived\[{os.getpid()}\]: \(VI_1\) Entering MASTER STATE",
        lines[0],
    )
    assert lines[1].endswith(":     and why")


def test_the_log_file_is_no_link(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "log").symlink_to(target)
    log = Logger("Keepalived", Destination(syslog=False, file=str(tmp_path / "log")))
    log.info("a line")
    assert target.read_text() == "precious"


def test_debug_lines_need_detail(tmp_path: Path) -> None:
    for detail in (False, True):
        Logger("Keepalived", Destination(syslog=False, file=str(tmp_path / str(detail)), detail=detail)).debug("a line")
    assert not (tmp_path / "False").exists()
    assert (tmp_path / "True").read_text().endswith(": a line\n")
