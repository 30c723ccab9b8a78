"""From the words about FIFOs to what the runner is given."""

from __future__ import annotations

from collections.abc import Mapping

from kad.config.build import Scope
from kad.config.notification_words import FifoWords
from kad.config.programs import Programs
from kad.model.runner import Fifo
from kad.runner.keywords.codes import RunnerCode

READABLE = 0o644
SOURCES = {"": ("vrrp", "lvs"), "vrrp_": ("vrrp",), "lvs_": ("lvs",)}
"""Whose events the FIFO gets, by the prefix of its keyword."""


def to_fifos(words: Mapping[str, FifoWords], umask: int, programs: Programs, scope: Scope) -> tuple[Fifo, ...]:
    """By prefix; a FIFO that cannot be made, or is the global one as well, has been said and is left out."""
    made: dict[str, Fifo] = {}
    for prefix, block in words.items():
        if block.notify_fifo is None:
            if block.notify_fifo_script is not None:
                place = scope.places.of(block, "notify_fifo_script")
                scope.report.note(place, RunnerCode.FIFO_SCRIPT_WITHOUT_FIFO(prefix=prefix))
            continue
        place = scope.places.of(block, "notify_fifo")
        written, *names = block.notify_fifo
        path = written if written.startswith("/") else f"{scope.host.cwd.rstrip('/')}/{written}"
        if path in made:
            scope.report.warning(place, RunnerCode.FIFO_TAKEN(path=path, prefix=prefix))
        elif (owner := programs.owner(names, place)) is not None:
            script = None
            if block.notify_fifo_script is not None:
                at = scope.places.of(block, "notify_fifo_script")
                script = programs.make(block.notify_fifo_script, f"fifo:{path}/script", at)
            made[path] = Fifo(
                path=path,
                sources=SOURCES[prefix],
                mode=READABLE & ~umask,
                user=owner.user,
                group=owner.group,
                script=script,
            )
    return tuple(made.values())
