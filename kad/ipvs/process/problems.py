"""What is wrong with a virtual server now, as typed values for status and the dump."""

from __future__ import annotations

from collections.abc import Iterator

from kad.ipvs.service import Service
from kad.model.problem import Problem, ProblemKind
from kad.shared.messages import QuorumState


def problems_of(service: Service, refusal: str, lost: QuorumState | None) -> Iterator[Problem]:
    """`refusal`: what the kernel does not take of it, or empty; `lost`: when and why its quorum was lost."""
    name = f"virtual_server {service.configured.name}"
    if refusal:
        yield Problem(kind=ProblemKind.KERNEL_REFUSED, object=name, detail=refusal)
    if service.quorum_up:
        return
    serving = service.is_sorry or any(service.weight_in_table(server) for server in service.servers.values())
    kind = ProblemKind.QUORUM_LOST if serving else ProblemKind.NOT_SERVED
    reason = lost.reason if lost is not None else "it never had its quorum"
    yield Problem(kind=kind, object=name, detail=reason, since=lost.since if lost is not None else None)
