"""What is wrong now, as typed values: each process reports its problems, and status prints and grades them."""

from __future__ import annotations

import enum

import msgspec


class Severity(enum.IntEnum):
    """How bad a problem is; the numbers are the exit statuses of monitoring plug-ins."""

    WARNING = 1
    CRITICAL = 2


class ProblemKind(enum.StrEnum):
    """What is wrong; the text that is printed for each kind is in `describe`."""

    TWO_MASTERS = "two_masters"
    """Another router also acts as MASTER; `detail` is its address."""
    ADVERTS_REFUSED = "adverts_refused"
    """Adverts of a router on the link are discarded; `detail` names the router and the reason."""
    FAULT = "fault"
    """An instance is in FAULT; `detail` is the cause."""
    KERNEL_REFUSED = "kernel_refused"
    """The kernel refuses something that the object needs; `detail` names the thing and the error."""
    ADDRESS_MISSING = "address_missing"
    """A MASTER does not have one of its addresses; `detail` is the address."""
    DEVICE_DOWN = "device_down"
    """A device of a MASTER is down or absent; `detail` is its name."""
    PROCESS_SILENT = "process_silent"
    """A child process does not answer."""
    PROCESS_FAILING = "process_failing"
    """A child process ends again and again; `detail` says how often and how it ended."""
    RELOAD_REFUSED = "reload_refused"
    """The last reload was refused; `detail` is the reason."""
    NO_IPVS = "no_ipvs"
    """Virtual servers are configured and the kernel has no IPVS."""
    QUORUM_LOST = "quorum_lost"
    """A virtual server has lost its quorum; `detail` is the cause."""


_WARNINGS = frozenset({ProblemKind.RELOAD_REFUSED, ProblemKind.QUORUM_LOST})


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong now. It ends by no longer being reported."""

    kind: ProblemKind
    object: str
    """An instance or virtual server by its name; a child process as `process NAME`; "" for kad as a whole."""
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
        case ProblemKind.TWO_MASTERS:
            return f"{detail} is also MASTER"
        case ProblemKind.ADVERTS_REFUSED:
            return f"adverts are refused: {detail}"
        case ProblemKind.FAULT:
            return f"in FAULT: {detail}"
        case ProblemKind.KERNEL_REFUSED:
            return f"the kernel refuses {detail}"
        case ProblemKind.ADDRESS_MISSING:
            return f"address {detail} is missing"
        case ProblemKind.DEVICE_DOWN:
            return f"device {detail} is down"
        case ProblemKind.PROCESS_SILENT:
            return "does not answer"
        case ProblemKind.PROCESS_FAILING:
            return f"ends again and again: {detail}"
        case ProblemKind.RELOAD_REFUSED:
            return f"the last reload was refused: {detail}"
        case ProblemKind.NO_IPVS:
            return "the kernel has no IPVS: virtual servers are not served"
        case ProblemKind.QUORUM_LOST:
            return f"quorum lost: {detail}"
