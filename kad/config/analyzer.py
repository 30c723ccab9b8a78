"""A configuration as a whole: files in, diagnostics and one slice a child out.

`analyze(files, host, options)` is synchronous and keeps nothing: the watchdog calls it in a child that then ends,
`kad -t` calls it directly. `render(diagnostics)` is what a person reads, `to_message(analysis)` what the parent hears.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kad.check.keywords import CheckedServer, CheckerSlice
from kad.config.build import Builder, Scope
from kad.config.daemon import WatchdogSlice
from kad.config.grammar import parse
from kad.config.host import Host
from kad.config.language import File, VirtualServerBlock, language
from kad.config.preprocess import Preprocessor
from kad.config.programs import Programs
from kad.config.render import render, summary
from kad.config.root import DaemonGlobals, to_watchdog
from kad.config.tree import Complaint, Diagnostic, Place, Report
from kad.ipvs.keywords import IpvsSlice, RealServer, VirtualServer
from kad.messages import Analyzed
from kad.run.keywords import RunnerSlice, VrrpScript
from kad.run.keywords.script import to_script
from kad.track.items import Weight
from kad.vrrp.keywords import VrrpSlice
from kad.vrrp.keywords.globals import VrrpGlobals
from kad.vrrp.keywords.routers import Routers

__all__ = ["Analysis", "Options", "analyze", "render", "to_message"]

EXIT_CONFIGURATION = 2


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the analysis."""

    config_id: str | None = None
    """For @ID lines; None: the host name up to its first dot."""
    test: bool = False
    """-t: nothing will be run."""
    vrrp: bool = True
    checker: bool = True
    """Which parts are wanted (-P, -C)."""


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known about a configuration."""

    diagnostics: tuple[Diagnostic, ...] = ()
    """In the order of the files."""
    exit_code: int = 0
    """What -t exits with."""
    fatal: bool = False
    """A first start must not go on, a reload must not take it."""
    watchdog: WatchdogSlice = WatchdogSlice()
    slices: dict[str, bytes] = {}
    """msgpack by child: runner, vrrp, ipvs, checker; a child without work has none."""


def analyze(files: str, host: Host, options: Options | None = None) -> Analysis:
    """Read the file, or every file that the pattern matches, and judge it for that host."""
    options = options or Options()
    report = Report()
    scope = Scope(host, report)
    reader = Preprocessor(host, options.config_id or host.name.partition(".")[0], report)
    layout = language()
    tree = parse(reader.read(files), layout, report)
    file = Builder(scope, layout).build(tree, layout)
    assert isinstance(file, File)
    watchdog, slices = _slices(file, scope, options)
    _tell_if_empty(files, file, slices, report)
    diagnostics = _finished(report, reader.sources)
    return Analysis(
        diagnostics=diagnostics,
        exit_code=max((found.klass for found in diagnostics), default=Complaint.NONE).exit_code,
        fatal=any(found.severity == "error" for found in diagnostics),
        watchdog=watchdog,
        slices={name: msgspec.msgpack.encode(part) for name, part in slices.items()},
    )


def to_message(analysis: Analysis) -> Analyzed:
    """What the parent is told; the slices travel apart."""
    found = analysis.diagnostics
    worst = max((one.klass for one in found if one.severity == "error"), default=Complaint.NONE)
    status = Complaint.FILES.exit_code if worst is Complaint.FILES else EXIT_CONFIGURATION
    return Analyzed(
        exit_code=analysis.exit_code,
        fatal=status if analysis.fatal else 0,
        watchdog=msgspec.msgpack.encode(analysis.watchdog),
        diagnostics=tuple(summary(one) for one in found),
        refusals=tuple(one.text for one in found if one.severity != "note" and not one.about_host),
    )


def _slices(file: File, scope: Scope, options: Options) -> tuple[WatchdogSlice, dict[str, msgspec.Struct]]:
    defaults = file.global_defs
    daemon = defaults.daemon if defaults else DaemonGlobals()
    if defaults is None:
        scope.places.record(daemon, {"": [Place("")]})
    programs = _programs(daemon, scope)
    watchdog = to_watchdog(file.root, daemon, programs, scope)
    programs.made.clear()
    scripts = _scripts(file, programs, scope)
    programs.made.clear()
    routers = Routers(
        defaults.vrrp if defaults else VrrpGlobals(),
        bool(daemon.smtp_alert_vrrp if daemon.smtp_alert_vrrp is not None else daemon.smtp_alert),
        {name: Weight(number=script.weight, reverse=script.reverse) for name, script in scripts.items()},
        programs,
        scope,
    )
    vrrp = routers.slice(file.vrrp_instance, file.vrrp_sync_group)
    programs.conclude()
    slices: dict[str, msgspec.Struct] = {}
    if vrrp.instances and options.vrrp:
        slices["vrrp"] = vrrp
        slices["runner"] = _runner(vrrp, scripts, programs)
    if file.virtual_server and options.checker:
        slices["ipvs"] = _ipvs(file.virtual_server)
        slices["checker"] = _checker(file.virtual_server)
    return watchdog, slices


def _programs(daemon: DaemonGlobals, scope: Scope) -> Programs:
    asked = daemon.script_user
    if asked is not None and asked.user not in scope.host.users:
        place = scope.places.of(daemon, "script_user")
        scope.report.warning(place, f"there is no user {asked.user} on this host", about_host=True)
    return Programs(
        scope,
        user=asked.user if asked else None,
        group=asked.group if asked else None,
        secure=daemon.enable_script_security,
    )


def _scripts(file: File, programs: Programs, scope: Scope) -> dict[str, VrrpScript]:
    scripts: dict[str, VrrpScript] = {}
    for block in file.vrrp_script:
        if block.name in scripts:
            scope.report.warning(scope.places.of(block), f"vrrp_script {block.name} is already defined; it is ignored")
        elif (script := to_script(block, programs, scope)) is not None:
            scripts[block.name] = script
    return scripts


def _runner(vrrp: VrrpSlice, scripts: dict[str, VrrpScript], programs: Programs) -> RunnerSlice:
    tracked = {item.name for instance in vrrp.instances for item in instance.tracks if item.kind == "script"}
    objects = {instance.name for instance in vrrp.instances} | {f"group:{group.name}" for group in vrrp.groups}
    return RunnerSlice(
        programs=tuple(program for program in programs.made if program.id.rpartition("/")[0] in objects),
        scripts=tuple(script for name, script in scripts.items() if name in tracked),
    )


def _ipvs(blocks: Sequence[VirtualServerBlock]) -> IpvsSlice:
    return IpvsSlice(
        virtual_servers=tuple(
            VirtualServer(
                name=block.name.text,
                address=block.name.address,
                port=block.name.port,
                fwmark=block.name.fwmark,
                group=block.name.group,
                protocol=block.service.protocol or "UDP",
                real_servers=tuple(
                    RealServer(
                        address=server.name.address,
                        port=server.name.port,
                        weight=1 if server.destination.weight is None else server.destination.weight,
                    )
                    for server in block.real_server
                ),
            )
            for block in blocks
        )
    )


def _checker(blocks: Sequence[VirtualServerBlock]) -> CheckerSlice:
    return CheckerSlice(
        servers=tuple(
            CheckedServer(
                service=block.name.text,
                address=server.name.address,
                port=server.name.port,
                checks=server.checks.names(),
            )
            for block in blocks
            for server in block.real_server
        )
    )


def _tell_if_empty(files: str, file: File, slices: dict[str, msgspec.Struct], report: Report) -> None:
    if slices:
        return
    if file.vrrp_instance or file.virtual_server:
        report.error(Place(files), "nothing that is configured here can run")
    else:
        report.note(Place(files), "nothing is configured that could run")


def _finished(report: Report, sources: dict[str, list[str]]) -> tuple[Diagnostic, ...]:
    """In the order of the files and lines, each with the line that it speaks of."""
    order = {name: number for number, name in enumerate(sources)}
    found = sorted(
        report.diagnostics, key=lambda one: (order.get(one.place.file, -1), one.place.line, one.place.column)
    )
    return tuple(
        msgspec.structs.replace(one, source=sources[one.place.file][one.place.line - 1].rstrip("\r"))
        if one.place.line
        else one
        for one in found
    )
