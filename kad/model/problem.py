"""What is wrong now, as typed values: each process reports its problems, and status prints and grades them."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


class Severity(enum.IntEnum):
    """How bad a problem is; the numbers are the exit statuses of monitoring plug-ins."""

    WARNING = 1
    CRITICAL = 2


class ProblemKind(enum.StrEnum):
    """What is wrong; the text that is printed for each kind is in `describe`."""

    TWO_MASTERS = "two_masters"
    """Another router also acts as MASTER; `peer` is its address."""
    ADDRESS_CLAIMED = "address_claimed"
    """Another host has announced an address of a MASTER within the last minute; `peer` is its hardware address."""
    ADVERTS_REFUSED = "adverts_refused"
    """Adverts of a router on the link are discarded; `peer` is its address, `detail` the reason."""
    MASTER_NO_PEER = "master_no_peer"
    """The MASTER that a BACKUP follows is none of its unicast peers; `peer` is its address."""
    NOT_STARTED = "not_started"
    """An instance does not take part yet; `detail` is the cause."""
    FAULT = "fault"
    """An instance is in FAULT; `detail` is the cause."""
    KERNEL_REFUSED = "kernel_refused"
    """The kernel refuses something that the object needs; `detail` names the thing and the error."""
    AUXILIARY_REFUSED = "auxiliary_refused"
    """The kernel refuses something without which the object is served all the same; `detail` as for KERNEL_REFUSED."""
    ADDRESS_MISSING = "address_missing"
    """A MASTER does not have one of its addresses; `detail` is the address."""
    DEVICE_DOWN = "device_down"
    """A device of a MASTER is down or absent; `detail` is its name."""
    PROCESS_SILENT = "process_silent"
    """A process does not answer; `detail` says what it does instead, where that is known."""
    PROCESS_FAILING = "process_failing"
    """A child process ends again and again; `detail` says how often and how it ended."""
    RELOAD_REFUSED = "reload_refused"
    """The last reload was refused; `detail` is the reason."""
    NO_IPVS = "no_ipvs"
    """Virtual servers are configured and IPVS cannot be used; `detail` is the reason."""
    NOT_SERVED = "not_served"
    """A virtual server is served neither by a real server nor by its sorry server; `detail` is the cause."""
    QUORUM_LOST = "quorum_lost"
    """A virtual server has lost its quorum, and something still serves it; `detail` is the cause."""


_WARNINGS = frozenset(
    {
        ProblemKind.ADDRESS_CLAIMED,
        ProblemKind.AUXILIARY_REFUSED,
        ProblemKind.MASTER_NO_PEER,
        ProblemKind.NOT_STARTED,
        ProblemKind.RELOAD_REFUSED,
        ProblemKind.QUORUM_LOST,
    }
)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong now. It ends by no longer being reported."""

    kind: ProblemKind
    object: str
    """An instance or virtual server by its name; a child process as `process NAME`; "" for kad as a whole."""
    peer: str = ""
    """The other router that takes part in it, by its address."""
    detail: str = ""
    """What exactly, as `kind` says."""
    since: float | None = None
    """UNIX time at which it began, where that is known."""

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.kind in _WARNINGS else Severity.CRITICAL


def describe(problem: Problem) -> str:
    """The problem as one sentence without a full stop, after the name of its object."""
    detail = problem.detail
    match problem.kind:
        case ProblemKind.MASTER_NO_PEER:
            return f"{problem.peer} is MASTER, and no unicast_peer: check_unicast_src refuses its adverts"
        case ProblemKind.TWO_MASTERS:
            return f"{problem.peer} is also MASTER"
        case ProblemKind.ADDRESS_CLAIMED:
            return f"{problem.peer} announces its addresses too"
        case ProblemKind.ADVERTS_REFUSED:
            return f"adverts of {problem.peer} are refused: {detail}"
        case ProblemKind.NOT_STARTED:
            return f"does not take part yet: {detail}"
        case ProblemKind.FAULT:
            return f"in FAULT: {detail}"
        case ProblemKind.KERNEL_REFUSED | ProblemKind.AUXILIARY_REFUSED:
            return f"the kernel refuses {detail}"
        case ProblemKind.ADDRESS_MISSING:
            return f"address {detail} is missing"
        case ProblemKind.DEVICE_DOWN:
            return f"device {detail} is down"
        case ProblemKind.PROCESS_SILENT:
            return f"does not answer: {detail}" if detail else "does not answer"
        case ProblemKind.PROCESS_FAILING:
            return f"ends again and again: {detail}"
        case ProblemKind.RELOAD_REFUSED:
            return f"the last reload was refused: {detail}"
        case ProblemKind.NO_IPVS:
            return f"virtual servers are not served: {detail}"
        case ProblemKind.NOT_SERVED:
            return f"not served: {detail}"
        case ProblemKind.QUORUM_LOST:
            return f"quorum lost: {detail}"


def to_plain(problem: Problem) -> dict[str, object]:
    """The problem with its severity and its sentence, for `--dump` and `--status`."""
    return {
        **msgspec.to_builtins(problem),
        "severity": int(problem.severity),
        "text": f"{problem.object}: {describe(problem)}" if problem.object else describe(problem),
    }


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """Critical ones before warnings, otherwise in their order."""
    return sorted(problems, key=lambda problem: -problem.severity)
