"""A checker is one file: put into a copy of the package, it has its words, its attempts, its verdict and its dump."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
CHECKER = '''"""BANNER_CHECK: the server must greet with a line that begins as configured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended, Outcome
from kad.checker.keywords.check_words import ConnectionWords, TimingWords
from kad.config.keyword import Block, Inline, keyword
from kad.config.values import text
from kad.model.checker import Connection, Timing

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance

LONGEST = 512


class BannerCheck(Question, frozen=True, kw_only=True, tag="BANNER_CHECK"):
    """The first line that the server sends begins with `begins`."""

    connection: Connection
    timing: Timing
    begins: str

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        return attempts.stream(self.connection, ended, Banner(self.begins))


class Banner:
    """Reads one line."""

    awaited = "banner"

    def __init__(self, begins: str) -> None:
        self._begins = begins.encode()
        self._line = b""

    def begin(self) -> bytes:
        return b""

    def hear(self, data: bytes) -> bytes | Outcome:
        self._line += data
        if b"\\n" not in self._line and len(self._line) < LONGEST:
            return b""
        line = self._line.partition(b"\\n")[0][:40]
        return Outcome(line.startswith(self._begins), f"the banner is {line.decode(errors='replace')!r}")

    def end(self) -> Outcome:
        return Outcome(False, "the connection was closed without a banner")


class BannerBlock(Block, frozen=True, kw_only=True):
    """BANNER_CHECK { }: it reads the first line."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    begins: Annotated[str | None, keyword(text("STRING"), "how the banner begins", default="any")] = None


def resolve(
    blocks: tuple[BannerBlock, ...], resolver: "CheckResolver", above: "Inheritance"
) -> Iterator[BannerCheck]:
    for block in blocks:
        connection = resolver.connection(block, above, block.connection)
        yield BannerCheck(connection=connection, timing=above.timing(block.timing), begins=block.begins or "")


CHECKER = Checker(BannerCheck, 45, (CheckBlock("BANNER_CHECK", BannerBlock, "it must greet", resolve),))
'''
CONFIGURATION = """
virtual_server 192.0.2.9 25 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 127.0.0.1 {port} {{
        BANNER_CHECK {{
            begins "READY 1"
            delay_loop 0.05
            retry 0
            warmup 0
        }}
        TCP_CHECK {{
            warmup 0
        }}
    }}
}}
"""
RUN = """
import json
import sys
from kad.analyzer.process import Options, analyze
from kad.linux.netlink.host import gather
from tests.unit.checker.room import Stage

slices = analyze(sys.argv[1], gather(), Options()).slices
stage = Stage()
stage.room.prepare(1, slices["checker"])
stage.room.commit(1)
health = lambda: [one for one in stage.said if hasattr(one, "checks")][-1]
stage.until(lambda: health().known)
[server] = stage.room.snapshot(False)["servers"]
print(json.dumps([[check["kind"], check["target"], check["reason"]] for check in server["checks"]]), flush=True)
input()
stage.until(lambda: not health().healthy)
print(json.dumps([health().reason, [line for line in stage.log.lines if "BANNER" in line and "failed" in line][0]]))
"""


class LineServer:
    """Greets each connection with one line."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.line = b"READY 1.0 here\r\n"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self.line)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def line_server() -> Iterator[LineServer]:
    server = LineServer()
    yield server
    server.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package with one more file."""
    shutil.copytree(TOP / "kad", tmp_path / "kad", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "kad/checker/checks/banner.py").write_text(CHECKER)
    return tmp_path


def kad(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kad", *words], cwd=copy, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_checker_of_one_file_is_a_part_of_the_language(copy: Path) -> None:
    file = copy / "kad.conf"
    file.write_text(CONFIGURATION.format(port=25))
    done = kad(copy, "-t", "-f", str(file))
    assert (done.returncode, "BANNER" in done.stderr) == (0, False), done.stderr
    assert "how the banner begins" in kad(copy, "--explain", "begins").stdout
    printed = kad(copy, "-t", "--print", "-f", str(file))
    assert '            begins "READY 1"' in printed.stdout, printed
    file.write_text(CONFIGURATION.format(port=25).replace("begins", "begin"))
    done = kad(copy, "-t", "-f", str(file))
    assert "unknown keyword begin in BANNER_CHECK" in done.stderr


def test_a_checker_of_one_file_checks_a_server_and_is_in_the_dump(copy: Path, line_server: LineServer) -> None:
    file = copy / "kad.conf"
    file.write_text(CONFIGURATION.format(port=line_server.port))
    path = os.pathsep.join((str(copy), str(TOP)))
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(file)],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        target = f"[127.0.0.1]:tcp:{line_server.port}"
        assert json.loads(process.stdout.readline()) == [
            ["TCP_CHECK", target, "connected"],
            ["BANNER_CHECK", target, "the banner is 'READY 1.0 here\\r'"],
        ]
        line_server.line = b"BUSY\r\n"
        process.stdin.write("\n")
        process.stdin.flush()
        reason = "the banner is 'BUSY\\r'"
        assert json.loads(process.stdout.readline()) == [
            f"BANNER_CHECK {target}: {reason}",
            f"BANNER_CHECK on service {target} failed: {reason}",
        ]
