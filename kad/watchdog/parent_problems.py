"""What the parent knows to be wrong now: a refused reload, a child that does not answer or ends again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kad.model.problem import Problem, ProblemKind, to_plain, worst_first
from kad.watchdog.process_specs import Member
from kad.watchdog.snapshot_collector import Taken, problems_of
from kad.watchdog.supervision import Phase


def all_problems(
    last_reload: Mapping[str, Any] | None, asked: Iterable[Member], members: Iterable[Member], taken: Taken, now: float
) -> list[dict[str, object]]:
    """Of the parent and of every child, the worst first; `asked` are the children that should have answered."""
    found = [*_of_reload(last_reload), *_of_members(members, now), *_of_silence(asked, taken)]
    for snapshot in taken.values():
        found += problems_of(snapshot)
    return [to_plain(problem) for problem in worst_first(found)]


def _of_reload(last: Mapping[str, Any] | None) -> Iterator[Problem]:
    if last is not None and last["outcome"] == "refused":
        reason = " ".join(str(last["reason"]).split())
        yield Problem(kind=ProblemKind.RELOAD_REFUSED, object="", detail=reason, since=last["when"])


def _of_members(members: Iterable[Member], now: float) -> Iterator[Problem]:
    for member in members:
        if detail := member.supervision.failing(now):
            yield Problem(kind=ProblemKind.PROCESS_FAILING, object=f"process {member.name}", detail=detail)


def _of_silence(asked: Iterable[Member], taken: Taken) -> Iterator[Problem]:
    for member in asked:
        if member.name not in taken:
            detail = "it is starting" if member.supervision.phase is Phase.STARTING else ""
            yield Problem(kind=ProblemKind.PROCESS_SILENT, object=f"process {member.name}", detail=detail)
