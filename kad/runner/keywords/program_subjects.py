"""What each program that processes have run belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kad.model.checker import CheckedServers
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
    programs: Iterable[Program],
    vrrp: VrrpSlice | None,
    services: Sequence[VirtualServer],
    checker: CheckedServers | None,
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


def _of_checks(checker: CheckedServers) -> Iterator[tuple[str, Subject]]:
    """By program; those that are never run are left out."""
    timeouts: dict[str, list[float]] = {}
    for check in dict.fromkeys(check for server in checker.servers for check in server.checks):
        if check.run is not None:
            program, timeout = check.run
            timeouts.setdefault(program, []).append(timeout)
    for program, found in timeouts.items():
        yield program, CheckSubject(timeouts=tuple(sorted(found)))
