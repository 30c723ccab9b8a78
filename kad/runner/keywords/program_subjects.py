"""What each program that processes have run belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kad.model.checker import CheckerSlice, MiscCheck
from kad.model.ipvs import VirtualServer
from kad.model.notification import (
    CheckSubject,
    GroupSubject,
    InstanceSubject,
    RealServerSubject,
    Subject,
    VirtualServerSubject,
)
from kad.model.runner import Program
from kad.model.vrrp import VrrpSlice


def with_subjects(
    programs: Iterable[Program], vrrp: VrrpSlice | None, services: Sequence[VirtualServer], checker: CheckerSlice | None
) -> tuple[Program, ...]:
    """The last one of each id; those that belong to nothing that runs are left out."""
    owners: dict[str, Subject] = {}
    if vrrp is not None:
        owners.update((instance.name, InstanceSubject(name=instance.name)) for instance in vrrp.instances)
        owners.update((f"group:{group.name}", GroupSubject(name=group.name)) for group in vrrp.groups)
    checks: dict[str, Subject] = {}
    if checker is not None:
        owners.update(_of_services(services))
        checks.update(_of_checks(checker))
    found = {
        program.id: msgspec.structs.replace(program, subject=subject)
        for program in programs
        if (subject := checks.get(program.id) or owners.get(program.id.rpartition("/")[0])) is not None
    }
    return tuple(found.values())


def _of_services(services: Sequence[VirtualServer]) -> Iterator[tuple[str, Subject]]:
    for service in services:
        yield f"service:{service.name}", VirtualServerSubject(virtual_server=service.label)
        for server in service.real_servers:
            subject = RealServerSubject(virtual_server=service.label, real_server=server.label_in(service))
            yield f"service:{service.name}/{server.address} {server.port}", subject


def _of_checks(checker: CheckerSlice) -> Iterator[tuple[str, Subject]]:
    """One that must never be run is none."""
    checks: dict[str, set[MiscCheck]] = {}
    for server in checker.servers:
        for check in server.checks:
            if isinstance(check, MiscCheck) and not check.impossible:
                checks.setdefault(check.program, set()).add(check)
    for program, alike in checks.items():
        yield program, CheckSubject(timeouts=tuple(sorted(check.timeout for check in alike)))
