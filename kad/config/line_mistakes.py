"""Typical mistakes in configurations, and what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

RENAMED = {"lvs_id": "router_id"}
"""Keywords of very old versions."""
MEMBERS = ("vrrp_instance", "group")
"""Names of these blocks are listed in a block of that keyword, which is easily forgotten."""
_OFF = ("0", "off", "none", "no", "false", "disabled")
_SHELL = re.compile(
    r"(sudo|cat|ls|cd|vi|vim|nano|echo|tee|cp|mv|rm|grep|chmod|systemctl|service|ip|EOF|keepalived)(\s|\Z)"
    r"|[$>%]\s|[\w.-]+@[\w.-]+[:~\s]|<<"
)
"""Begins a line that was copied from a terminal along with the configuration."""


def is_shell(line: str) -> bool:
    """It looks like a line of a shell session."""
    return _SHELL.match(line) is not None


def choice(text: str, choices: Iterable[str], meant: Mapping[str, str]) -> str:
    """The one of the choices that was probably meant; `meant` by other words in lower case. Empty: none is likely."""
    bare = text.strip(";,.'\"").lower()
    known = {each.lower(): each for each in choices}
    if bare in known:
        return known[bare]
    if bare in meant:
        return meant[bare]
    near = difflib.get_close_matches(bare, known, n=1, cutoff=0.75)
    return known[near[0]] if near else ""


def superfluous(text: str, default: str) -> str:
    """Advice where a value that is not allowed says what holds without the line; empty otherwise."""
    if text == default or (_number(text) is not None and _number(text) == _number(default)):
        return f"{text} is the default: remove the line"
    if default.partition(",")[0] in ("off", "none") and text.lower() in _OFF:
        return "to switch it off, remove the line"
    return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
