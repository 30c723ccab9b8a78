"""Which programs a child may have run, and with which arguments and variables; pure.

The programs are those of the configuration, by their ids. A child states facts in a fixed form: a child that states
anything else (a variable that changes what a shell does, an option) is not kad's any more.
"""

from __future__ import annotations

import re
from math import isfinite

from kad.shared.messages import BadFrame, Notify

_VARIABLES = {
    "vrrp": frozenset({"KAD_INSTANCE", "KAD_GROUP", "KAD_STATE", "KAD_PREVIOUS_STATE", "KAD_REASON", "KAD_PRIORITY"}),
    "ipvs": frozenset({"KAD_VIRTUAL_SERVER", "KAD_REAL_SERVER", "KAD_STATE", "KAD_REASON"}),
    "checker": frozenset[str](),
}
_PROGRAMS = {
    "vrrp": re.compile(r".*/notify(_[a-z_]+)?", re.DOTALL),
    "ipvs": re.compile(r"service:.*/(quorum_up|quorum_down|notify_up|notify_down)", re.DOTALL),
    "checker": re.compile(r"check:.*/misc_path", re.DOTALL),
}
_WORD = re.compile(r"[A-Z_]{1,32}")
_PRIORITY = re.compile(r"[0-9]{1,3}")
_LONGEST = 4096
"""Characters of a value."""
_LONGEST_WAIT = 1e6
"""Seconds."""


def check_order(sender: str, order: Notify) -> None:
    """Raises BadFrame: the process of this name may not order that."""
    programs = _PROGRAMS.get(sender)
    if programs is None or programs.fullmatch(order.program) is None:
        raise BadFrame(f"{order.program[:100]!r} is not for the {sender} process to run")
    foreign = order.environment.keys() - _VARIABLES[sender]
    if foreign:
        raise BadFrame(f"the variable {min(foreign)[:100]!r} is not for the {sender} process to set")
    for value in order.environment.values():
        if len(value) > _LONGEST or "\0" in value:
            raise BadFrame("a variable has a value that none can have")
    if order.arguments and not (sender == "vrrp" and _are_facts(order)):
        raise BadFrame(f"the arguments of {order.program[:100]!r} are not in their form")
    for seconds in (order.awaited_until, order.timeout):
        if seconds is not None and not (isfinite(seconds) and 0.0 <= seconds <= _LONGEST_WAIT):
            raise BadFrame(f"{order.program[:100]!r} for {seconds} s")


def _are_facts(order: Notify) -> bool:
    """INSTANCE or GROUP, the name of the object, its state, its priority: of the generic program alone."""
    if order.program != f"{order.object}/notify" or len(order.arguments) != 4:
        return False
    kind, name, word, priority = order.arguments
    objects = {"INSTANCE": name, "GROUP": f"group:{name}"}
    formed = _WORD.fullmatch(word) is not None and _PRIORITY.fullmatch(priority) is not None
    return formed and objects.get(kind) == order.object
