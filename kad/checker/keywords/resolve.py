"""From the words about checks to what the checker is given: each real server that is served, with its checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from kad.checker.check import Followed, Question
from kad.checker.checker_slice import CheckedServer, CheckerSlice
from kad.checker.keywords.check_resolver import CheckResolver
from kad.checker.keywords.default_words import CheckerGlobals, ClientBlock, ServerDefaults, ServiceDefaults
from kad.checker.keywords.inherit import Inheritance
from kad.checker.keywords.registered_blocks import CheckWords
from kad.config.notification_words import MailGlobals
from kad.config.process_words import ProcessWords, placement
from kad.config.slice_context import Checks, ServerChecks, SliceContext
from kad.model.checker import Credentials


class ServerName(Protocol):
    """The head of a real_server."""

    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...


class ServiceName(Protocol):
    """The head of a virtual_server."""

    @property
    def address(self) -> str | None: ...
    @property
    def port(self) -> int: ...
    @property
    def group(self) -> str | None: ...


class RealServerBlock(Protocol):
    """What a real_server says about its checks."""

    @property
    def name(self) -> ServerName: ...
    @property
    def defaults(self) -> ServerDefaults: ...
    @property
    def checks(self) -> CheckWords: ...


class VirtualServerBlock(Protocol):
    """What a virtual_server says about the checks of its servers."""

    @property
    def name(self) -> ServiceName: ...
    @property
    def defaults(self) -> ServiceDefaults: ...
    @property
    def real_server(self) -> Sequence[RealServerBlock]: ...


class Globals(Protocol):
    """The words of global_defs that speak of checks."""

    @property
    def checker(self) -> CheckerGlobals: ...
    @property
    def checker_process(self) -> ProcessWords: ...
    @property
    def mail(self) -> MailGlobals: ...


class Blocks(Protocol):
    """The part of a file that speaks of checks."""

    @property
    def virtual_server(self) -> Sequence[VirtualServerBlock]: ...
    @property
    def SSL(self) -> ClientBlock | None: ...
    @property
    def defaults(self) -> Globals: ...


class ResolvedChecks:
    """The checks of all real servers, resolved when the service that they belong to is."""

    def __init__(self, file: Blocks, context: SliceContext) -> None:
        self._file = file
        self._context = context
        self._resolver = CheckResolver(
            context.scope, context.programs, context.weights["file"], context.checked_sessions, file.SSL
        )
        self._of_service: dict[int, tuple[ServerChecks, ...]] = {}

    @property
    def credentials(self) -> tuple[Credentials, ...]:
        """All that were needed so far."""
        return tuple(self._resolver.credentials.values())

    def of_service(self, index: int) -> tuple[ServerChecks, ...]:
        """By real_server block of that virtual_server block."""
        found = self._of_service.get(index)
        if found is None:
            block = self._file.virtual_server[index]
            found = self._of_service[index] = tuple(self._of_server(block, server) for server in block.real_server)
        return found

    def _of_server(self, service: VirtualServerBlock, server: RealServerBlock) -> ServerChecks:
        above = _inheritance(self._file, service, server)
        addresses = _addresses(service, self._context)
        checks = tuple(_while_local(check, addresses) for check in self._resolver.resolve(server.checks, above))
        return ServerChecks(checks, any(check.is_alpha for check in checks))


def checks(file: Blocks, context: SliceContext) -> ResolvedChecks:
    """The checks of all real servers; those that cannot be made are reported, and left out."""
    return ResolvedChecks(file, context)


def slice(file: Blocks, context: SliceContext) -> CheckerSlice | None:
    """The real servers of all services; None: there are none, or they are not wanted."""
    placed = placement(file.defaults.checker_process, context.scope)
    if not (context.services and context.wants_checker) or context.checks is None:
        return None
    return CheckerSlice(
        servers=tuple(_servers(file, context, context.checks)),
        credentials=tuple(context.checks.credentials),
        mails_each_check=not file.defaults.mail.no_checker_emails,
        **placed,
    )


def _servers(file: Blocks, context: SliceContext, checks: Checks) -> Iterator[CheckedServer]:
    """Those that their service has, each once, with the port that it has there, and its name in mail."""
    for index, (block, (service, real_servers)) in enumerate(zip(file.virtual_server, context.served, strict=True)):
        if service is None:
            continue
        addresses = _addresses(block, context)
        for server, real, found in zip(block.real_server, real_servers, checks.of_service(index), strict=True):
            if real is not None:
                name = f"Realserver {real.label_in(service)} of virtual server {service.label}"
                yield CheckedServer(
                    service=service.name,
                    address=server.name.address,
                    port=real.port,
                    alpha=_inheritance(file, block, server).alpha,
                    checks=found.checks,
                    while_local=addresses,
                    mailed_as=name if real.smtp_alert else "",
                )


def _inheritance(file: Blocks, service: VirtualServerBlock, server: RealServerBlock) -> Inheritance:
    """What stands above the checks of that server."""
    return Inheritance(
        server.name.address,
        server.name.port or service.name.port,
        server.defaults,
        service.defaults,
        bool(file.defaults.checker.checker_log_all_failures),
    )


def _addresses(service: VirtualServerBlock, context: SliceContext) -> tuple[str, ...] | None:
    """ha_suspend: checks are made while this host has one of them. None: always, also where the service has none."""
    if not service.defaults.ha_suspend:
        return None
    if service.name.address:
        return (service.name.address,)
    return context.group_addresses.get(service.name.group or "") or None


def _while_local(check: Question | Followed, addresses: tuple[str, ...] | None) -> Question | Followed:
    if addresses is None or isinstance(check, Followed):
        return check
    return msgspec.structs.replace(check, timing=msgspec.structs.replace(check.timing, while_local=addresses))
