"""kad's -t beside keepalived 2.2.7's, on every file of these tests and on generated ones: the same class of exit code.

Where they differ, kad does better and says so, or keepalived is older or crashes: each such difference has a name.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from kad.analyzer.language import language
from kad.analyzer.process import Options, analyze
from kad.config.explain import words
from kad.model.host import Host
from tests.config.generated import a_file
from tests.config.oracle_network import NETWORK
from tests.config.test_oracle import CLASSES, NEWER, PATIENCE
from tests.config.test_words import ROWS

pytestmark = pytest.mark.lab

AT_ONCE = 4


class Difference(NamedTuple):
    """A kind of file of which the two judge otherwise, and why."""

    name: str
    theirs: str
    ours: str
    text: str
    """Found in the file."""
    finding: str = ""
    """Found among what kad says."""


_NEWER = "|".join(sorted(NEWER))
_OWN = "|".join(sorted({word for _, word, _, _ in words(language())} - {row[1] for row in ROWS}))
"""Keywords that kad alone has."""
ALLOWED = [
    Difference("keepalived looks above for what is tracked", "complaint", "clean", "track_script", "is defined below"),
    # It has lost a block by the space, and reads what follows as something else.
    Difference("a space that keepalived does not know", "fatal", "complaint", "\u00a0", "is read as a space"),
    Difference("such a space in a name, which keepalived keeps", "clean", "complaint", "\u00a0", "is read as a space"),
    Difference("keywords that 2.2.7 does not know", "complaint", "clean", rf"(?m)^\s*({_NEWER})\b"),
    Difference("keywords of kad's own", "complaint", "clean", rf"(?m)^\s*({_OWN})\b"),
    Difference("numbers of thousands of digits", "clean", "complaint", r"_RANDOM", "at most 19 digits"),
    Difference("alternatives of includes, which 2.2.7 does not know", "complaint", "clean", "includeb"),
    Difference("use_vmac with a group, which 2.2.7 does not know", "complaint", "clean", "use_vmac .*group"),
    Difference("names that no interface can have", "clean", "complaint", "a/b", "cannot be the name of an interface"),
    Difference("names that no interface can have", "fatal", "complaint", "a/b", "cannot be the name of an interface"),
    Difference("version 2 with IPv6", "clean", "complaint", "version 2", "version 3 is used"),
    Difference("a name that TLS cannot ask for", "clean", "complaint", "SSL_GET", "cannot be the name of a server"),
    Difference("an offset that is no number", "clean", "complaint", "regex_min_offset", "is not a whole number"),
    Difference("a member of a track_group that 2.4 misses", "clean", "complaint", "track_group", "there is no vrrp_in"),
    Difference("net_namespace would be ignored", "clean", "complaint", "net_namespace", "network namespace"),
]


def class_of_keepalived(path: Path) -> str | None:
    """None when it crashed, was ended by a signal, or hung: such a file is left out."""
    command = ["ip", "netns", "exec", NETWORK, "unshare", "-p", "-f", "--kill-child"]
    process = subprocess.Popen(
        [*command, "keepalived", "-t", "-f", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return CLASSES.get(process.wait(PATIENCE))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def compare(texts: Iterable[str], host: Host, tmp_path: Path) -> tuple[int, set[str], list[str]]:
    """How many files both judged, which differences were met, and the files of differences that are not allowed."""
    paths = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.conf"
        path.write_text(text, newline="")
        paths.append(path)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = list(pool.map(class_of_keepalived, paths))
    judged, met, unknown = 0, set(), []
    for path, theirs in zip(paths, verdicts, strict=True):
        if theirs is None:
            continue
        judged += 1
        analysis = analyze(str(path), host, Options(test=True))
        ours = CLASSES[analysis.exit_code]
        if ours == theirs:
            continue
        text, said = path.read_text(), "\n".join(one.text for one in analysis.diagnostics)
        names = [
            each.name
            for each in ALLOWED
            if (each.theirs, each.ours) == (theirs, ours)
            and re.search(each.text, text)
            and re.search(each.finding, said)
        ]
        met |= set(names)
        if not names:
            unknown.append(f"keepalived: {theirs}, kad: {ours}\n{said}\n{text}")
    return judged, met, unknown


def texts_of_the_tests() -> list[str]:
    """Every text among the parameters of the tests of this folder that looks like a configuration."""
    looks = re.compile(
        r"(?m)^(vrrp_|virtual_server|global_defs|static_|track_|bfd_|garp_|linkbeat|interface_|net_|\$|~)"
    )
    found: dict[str, None] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if "oracle" in path.name or path.stem == "test_extremes":
            continue
        module = importlib.import_module(f"tests.config.{path.stem}")
        for _, function in inspect.getmembers(module, inspect.isfunction):
            for mark in getattr(function, "pytestmark", ()):
                for row in mark.args[1] if mark.name == "parametrize" else ():
                    for value in row if isinstance(row, tuple) else (row,):
                        if isinstance(value, str) and "\n" in value and looks.search(value):
                            found[value] = None
    return list(found)


def test_the_files_of_these_tests(host: Host, tmp_path: Path) -> None:
    texts = texts_of_the_tests()
    assert len(texts) > 180
    judged, _, unknown = compare(texts, host, tmp_path)
    assert not unknown, "\n".join(unknown)
    assert judged > len(texts) * 0.95


def test_generated_files(host: Host, tmp_path: Path) -> None:
    judged, met, unknown = compare([a_file(seed) for seed in range(300)], host, tmp_path)
    assert not unknown, "\n".join(unknown)
    assert judged > 295
    # What is allowed is met, so that the list does not outgrow the files.
    assert met >= {each.name for each in ALLOWED[:2]}


def test_a_file_is_the_same_each_time() -> None:
    assert a_file(7) == a_file(7) != a_file(8)
