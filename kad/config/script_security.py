"""Who can change what root runs: every part of a path as written and of what its links lead to, from the root down.

A part counts only where all before it can be changed by root alone, so that nobody else can exchange it between this
look and the execution. The path, and no descriptor, is executed then: a script would find that in place of its name.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kad.model.host import FileLook, Files

_STICKY, _GROUP_WRITES, _OTHERS_WRITE, _SETUID = 0o1000, 0o020, 0o002, 0o4000
_DEFAULT_PATH = "/bin:/usr/bin"
_MOST_LINKS = 40
"""As many as the kernel follows."""
_INTERPRETERS = re.compile(
    r"(?:ba|da|a|k|z|mk|fi)?sh\Z|(?:python|perl|ruby|php|lua|node|tclsh)[0-9.]*\Z|[gm]?awk\Z|busybox\Z|expect\Z|sed\Z"
    r"|(?:env|nice|ionice|chrt|taskset|nohup|setsid|setpriv|timeout|stdbuf|sudo|su|runuser|chroot|unshare|nsenter|xargs)\Z"
    r"|(?:systemd-run|start-stop-daemon|flock|ip|logger|make|source|\.)\Z"
)
"""Programs that run what their arguments name."""
_TEST = re.compile(r"(?:(?<=^)|(?<=[\s;&|(!]))(?:\[\[?|test)\s[^;&|$`]*")
"""Files that a shell only asks for."""
_PATH = re.compile(r"(?:(?<=^)|(?<=[\s;&|<>()=`'\"{}:,!]))((?:\.{0,2}/|[\w.+-]+/)[^\s;&|<>()`'\"{}]*)")
_NAME = re.compile(r"(?:^|[;&|(`{!]|\$\()\s*([\w.+-]+)(?=$|[\s;&|)`}])")
_BEFORE = re.compile(r"(?:^|[;&|(`{!]|\$\(|\b(?:then|do|else|exec|if|while|until))\s*['\"]?\Z")


def open_part(path: str, files: Files) -> str | None:
    """The first part of an absolute path that others than root can change; None: there is none."""
    current, left, links = "/", path.split("/")[::-1], 0
    look = files.look_at_link(current)
    while look is not None:
        if _is_open(look):
            return current
        name = _next(left)
        if name is None:
            return None
        if name == "..":
            current = os.path.dirname(current)
            look = files.look_at_link(current)
            continue
        is_shared = bool(look.mode & (_OTHERS_WRITE | _GROUP_WRITES))
        part = os.path.join(current, name)
        look = files.look_at_link(part)
        if look is None and is_shared:
            return part  # anybody can put something there
        if look is not None and look.kind == "link":
            links += 1
            if links > _MOST_LINKS or (is_shared and look.uid != 0):
                return part
            target = files.target(part)
            left += target.split("/")[::-1]
            current = "/" if target.startswith("/") else current
            look = files.look_at_link(current)
        else:
            current = part
    return None


def _next(left: list[str]) -> str | None:
    while left:
        name = left.pop()
        if name not in ("", "."):
            return name
    return None


def _is_open(look: FileLook) -> bool:
    """Its owner can change it; in a sticky directory of root's the others cannot touch what is not theirs."""
    if look.uid != 0:
        return True
    if look.kind == "directory" and look.mode & _STICKY:
        return False
    return bool(look.mode & _OTHERS_WRITE) or (bool(look.mode & _GROUP_WRITES) and look.gid != 0)


class Unsafe(NamedTuple):
    """Something that root would run, and the part of its path that others can change."""

    path: str
    part: str


def search(name: str, files: Files, environment: Mapping[str, str], cwd: str) -> str | None:
    """Where a command is: by its path, or in the directories of PATH."""
    if "/" in name:
        path = os.path.normpath(os.path.join(cwd, name))
        return path if files.look(path) is not None else None
    for directory in environment.get("PATH", _DEFAULT_PATH).split(":"):
        path = os.path.join(directory or cwd, name)
        look = files.look(path)
        if look is not None and look.kind == "file" and look.mode & 0o111:
            return path
    return None


def first_unsafe(
    argv: Sequence[str], line: str, *, is_root: bool, files: Files, environment: Mapping[str, str], cwd: str
) -> Unsafe | None:
    """What of a command others than root can change; None: nothing, or root does not run it.

    `line` is the text of a shell's `-c`, empty where the program is executed as it is.
    """
    for name, is_command in _named(argv, line, is_root=is_root, files=files, environment=environment, cwd=cwd):
        path = search(name, files, environment, cwd)
        if path is None and is_command and "/" in name:
            # It may be put there before it is run.
            path = os.path.normpath(os.path.join(cwd, name))
        if path is None or not path.startswith("/"):
            continue
        look = files.look(path)
        if look is not None and look.kind == "other":  # a device: nothing is executed from it
            continue
        part = open_part(path, files)
        if part is not None:
            return Unsafe(path, part)
    return None


def _named(
    argv: Sequence[str], line: str, *, is_root: bool, files: Files, environment: Mapping[str, str], cwd: str
) -> Iterator[tuple[str, bool]]:
    """What the command names that may be run, and whether it stands where a command does."""
    path = search(argv[0], files, environment, cwd)
    look = files.look(path) if path is not None else None
    if not is_root and not (look is not None and look.uid == 0 and look.mode & _SETUID):
        return
    yield argv[0], True
    if path is not None:
        yield from ((name, True) for name in _interpreters(files.begins(path)))
    if line:
        yield from _of_shell_line(line)
    elif _INTERPRETERS.match(os.path.basename(argv[0])):
        yield from ((word, False) for word in argv[1:] if "/" in word)


def _interpreters(begin: bytes | None) -> Iterator[str]:
    """What reads a script that begins so: the program of its `#!` line, and the one that env is to find."""
    if begin is None or not begin.startswith(b"#!"):
        return
    words = begin[2:].split(b"\n")[0].decode(errors="surrogateescape").split()
    yield from words[:1]
    if words and os.path.basename(words[0]) == "env":
        yield from [word for word in words[1:] if not word.startswith("-") and "=" not in word][:1]


def _of_shell_line(text: str) -> Iterator[tuple[str, bool]]:
    """Each path in it, and each bare name where a command stands.

    Files that the line writes (`>`), or that `[` and `test` only ask for, are left out.
    """
    asked = [found.span() for found in _TEST.finditer(text)]
    for found in _PATH.finditer(text):
        before = text[: found.start()]
        if before.rstrip().endswith(">") or any(start <= found.start() < end for start, end in asked):
            continue
        yield found[1], _BEFORE.search(before) is not None
    yield from ((found[1], True) for found in _NAME.finditer(text))
