"""What a file named for kad to write into holds: a configuration, or other data of the user, is never written into."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

_MOST = 1 << 26
"""Bytes that are looked through; a file with more is not kad's."""
_FINDING = re.compile(r"\S.*: (error|warning|note): ")
_NO_SPACE = re.compile(r"\S|\Z")
_VERDICT = re.compile(r"the reload is (applied|refused)")
_BLOCK = re.compile(
    r"^\s*(global_defs|vrrp_instance|vrrp_sync_group|vrrp_script|vrrp_track_process|track_file|vrrp_track_file"
    r"|virtual_server|virtual_server_group|bfd_instance|static_ipaddress|static_routes|static_rules|track_group"
    r"|garp_group|linkbeat_interfaces|interface_up_down_delays|SSL|include[rmwba]?)(\s|\{|$)",
    re.MULTILINE,
)
"""A line that begins a part of a configuration."""


class Foreign(Exception):
    """The file holds something that kad has not written, and stays as it is."""


def append_findings(path: str, text: str, configuration: Iterable[str]) -> None:
    """Append findings to a file that is empty, absent, or holds findings; a pipe or terminal takes them as they are.

    `configuration`: files that are read as configuration. Raises Foreign and OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "w") as stream:
                stream.write(text)
            return
    if path.endswith(".conf"):
        raise Foreign(f"{path} has the name of a configuration: findings are not written into it")
    with open(path, "a+", errors="surrogateescape") as file:
        for other in configuration:
            if _is_same(file.fileno(), other):
                raise Foreign(f"{path} is a configuration: findings are not written into it")
        if not holds_findings(_content(file.fileno())):
            raise Foreign(f"{path} holds more than findings of kad -t: nothing is written into it")
        file.write(text)


def replace_findings(path: str, text: str) -> None:
    """Replace the earlier findings, without waiting for a reader. Raises Foreign and OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            if not holds_findings(_content(file.fileno())):
                raise Foreign(f"{path} holds more than findings: nothing is written into it")
            file.truncate()
        file.write(text.encode(errors="replace"))


def check_pid_file(path: str) -> None:
    """Raises Foreign where the file exists and is no pid file."""
    _check(path, lambda text: not text.strip(" \t\n\0") or text.strip().isdecimal(), "is not a pid file")


def refuse_configuration(path: str) -> None:
    """Raises Foreign where the file exists and is a configuration."""
    _check(path, lambda text: not _BLOCK.search(text), "is a configuration")


def _check(path: str, is_good: Callable[[str], bool], what: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # whoever opens it for writing reports that
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and not is_good(_content(descriptor)):
            raise Foreign(f"{path} {what}")
    finally:
        os.close(descriptor)


def _is_same(descriptor: int, path: str) -> bool:
    try:
        other = Path(path).stat()
    except OSError:
        return False
    own = os.fstat(descriptor)
    return (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)


def _content(descriptor: int) -> str:
    """The text of a regular file; what is too long is cut, and then taken for no text of kad."""
    content, at = bytearray(), 0
    while at < _MOST and (part := os.pread(descriptor, 1 << 20, at)):
        content += part
        at += len(part)
    return content.decode(errors="replace") + ("\n..." if at >= _MOST else "")


def holds_findings(text: str) -> bool:
    """Nothing else: as text, as JSON, or as a refused reload leaves them."""
    if not text.strip():
        return True
    if text.startswith("["):
        return _is_json_of_findings(text)
    lines = text.removesuffix("\n").split("\n")
    return bool(_FINDING.match(lines[0]) or _VERDICT.match(lines[0])) and all(
        line.startswith("    ") or _FINDING.match(line) or _VERDICT.match(line) for line in lines
    )


def _is_json_of_findings(text: str) -> bool:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return False
        if not isinstance(found, list) or not all(isinstance(each, dict) and "severity" in each for each in found):
            return False
        at = _NO_SPACE.search(text, at).start()  # type: ignore[union-attr]
    return True
