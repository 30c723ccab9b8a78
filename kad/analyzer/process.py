"""A configuration as a whole: files in, diagnostics and one slice a child out.

`analyze(files, host, options)` is synchronous and keeps nothing: the watchdog calls it in a child that then ends,
`kad -t` calls it directly. `render(diagnostics)` is what a person reads, `to_json(diagnostics)` what an editor does,
`to_message(analysis)` what the parent hears; `effective()` also prints the configuration back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterator

import msgspec

from kad.analyzer import resolve as resolve_daemon
from kad.analyzer.language import File, GlobalsBlock, language
from kad.analyzer.written_files import foreign_files, tell_own_configuration, written_files
from kad.bfd.keywords import resolve as resolve_bfd
from kad.checker.keywords import resolve as resolve_checker
from kad.child.process_spec import imported
from kad.child.scheduling import of_slice
from kad.config.build import Builder, Scope
from kad.config.codes import ConfigCode
from kad.config.diagnostics import Complaint, Diagnostic, Place, Report
from kad.config.grammar import parse
from kad.config.keyword import layout_of
from kad.config.preprocess import Preprocessor
from kad.config.print_back import print_back
from kad.config.render import render, to_finding, to_json
from kad.config.secret_words import concealed
from kad.config.slice_context import SliceContext
from kad.ipvs.keywords import resolve as resolve_ipvs
from kad.model import secret
from kad.model.daemon import WatchdogSlice
from kad.model.host import Host
from kad.model.routing import Route, Rule
from kad.model.vrrp import VrrpSlice, to_release
from kad.runner.keywords import resolve as resolve_runner
from kad.shared.messages import Analyzed
from kad.tracking import resolve as resolve_tracking
from kad.vrrp.keywords import resolve as resolve_vrrp
from kad.watchdog.process_registry import PROCESS_SPECS

__all__ = ["Analysis", "Options", "analyze", "effective", "render", "to_json", "to_message"]

EXIT_CONFIGURATION = 2


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the analysis."""

    config_id: str | None = None
    """For @ID lines; None: the host name up to its first dot."""
    test: bool = False
    """-t: nothing will be run."""
    all_config: bool = False
    """-e: every include must find what it names."""
    vrrp: bool = True
    checker: bool = True
    """Which parts are wanted (-P, -C)."""
    umask: int | None = None
    """Of the command line, which overrides the file's."""
    own_files: dict[str, str] = {}
    """What each file is that the daemon has for itself, by its path: no configuration may have it written."""


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
    release: bytes | None = None
    """A ReleaseSlice as msgpack: what to release if the vrrp process is dead; None where there is no such process."""
    files: tuple[str, ...] = ()
    """Every file that was read."""


def analyze(files: str, host: Host, options: Options | None = None) -> Analysis:
    """Read the file, or every file that the pattern matches, and judge it for that host."""
    with _no_collector():
        return _analyze(files, host, options or Options())[0]


def effective(
    files: str, host: Host, options: Options | None = None, *, with_defaults: bool = False, with_secrets: bool = False
) -> tuple[Analysis, str]:
    """The analysis, and the configuration as one text: includes, variables and conditions resolved."""
    with _no_collector():
        analysis, file = _analyze(files, host, options or Options())
    return analysis, print_back(file, language(), with_defaults=with_defaults, with_secrets=with_secrets)


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """What is built here lives to the end of the analysis; looking for garbage in it costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _analyze(files: str, host: Host, options: Options) -> tuple[Analysis, File]:
    report = Report()
    scope = Scope(host, report)
    reader = Preprocessor(host, options.config_id or host.name.partition(".")[0], report, all_checks=options.all_config)
    layout = language()
    tree = parse(reader.read(files), layout, report)
    builder = Builder(scope, layout)
    file = builder.build(tree, layout)
    assert isinstance(file, File)
    defaults = file.global_defs or builder.default(layout_of(GlobalsBlock))
    assert isinstance(defaults, GlobalsBlock)
    scope = dataclasses.replace(scope, dynamic_interfaces=defaults.daemon.dynamic_interfaces is not None)
    foreign = foreign_files(written_files(file, defaults, scope), reader.files, options.own_files, scope)
    tell_own_configuration(reader.files, options.own_files, scope)
    whole = msgspec.structs.replace(file, global_defs=defaults)
    watchdog, slices = _slices(whole, _context(whole, scope, options, foreign))
    _tell_if_empty(files, file, slices, report)
    diagnostics = _finished(report, reader)
    encoded = {name: secret.encode(part) for name, part in slices.items()}
    vrrp = slices.get("vrrp")
    analysis = Analysis(
        diagnostics=diagnostics,
        exit_code=max((found.klass for found in diagnostics), default=Complaint.NONE).exit_code,
        fatal=any(found.severity == "error" for found in diagnostics),
        watchdog=msgspec.structs.replace(
            watchdog, scheduling={name: msgspec.msgpack.encode(of_slice(part)) for name, part in encoded.items()}
        ),
        slices=encoded,
        release=secret.encode(to_release(vrrp)) if isinstance(vrrp, VrrpSlice) else None,
        files=tuple(reader.files),
    )
    return analysis, file


def to_message(analysis: Analysis) -> Analyzed:
    """What the parent is told; the slices travel apart."""
    found = analysis.diagnostics
    worst = max((one.klass for one in found if one.severity == "error"), default=Complaint.NONE)
    status = Complaint.FILES.exit_code if worst is Complaint.FILES else EXIT_CONFIGURATION
    return Analyzed(
        exit_code=analysis.exit_code,
        fatal=status if analysis.fatal else 0,
        watchdog=msgspec.msgpack.encode(analysis.watchdog),
        findings=tuple(map(to_finding, found)),
    )


def _context(file: File, scope: Scope, options: Options, refused_files: frozenset[tuple[str, str]]) -> SliceContext:
    """Without any facts yet."""
    return SliceContext(
        scope=scope,
        programs=resolve_daemon.programs(file, scope, testing=options.test),
        encode_route=_encode_route,
        encode_rule=_encode_rule,
        wants_vrrp=options.vrrp,
        wants_checker=options.checker,
        umask=options.umask,
        refused_files=refused_files,
    )


def _slices(file: File, context: SliceContext) -> tuple[WatchdogSlice, dict[str, msgspec.Struct]]:
    """The facts that the packages find for one another, in the order of the context; then one slice a process."""
    watchdog = resolve_daemon.slice(file, context)
    context.daemon = resolve_daemon.facts(file, watchdog, context)
    context.scripts = resolve_runner.scripts(file, context)
    context.sessions = resolve_bfd.sessions(file, context)
    context.checked_sessions = resolve_bfd.checked_sessions(file, context)
    context.weights = resolve_tracking.weights(file, context)
    context.definitions = resolve_tracking.definitions(file, context)
    context.routers = resolve_vrrp.routers(file, context)
    context.fifos = resolve_runner.fifos(file, context)
    context.mailing = resolve_runner.mailing(file, context)
    context.group_addresses = resolve_ipvs.group_addresses(file, context)
    context.checks = resolve_checker.checks(file, context)
    context.served = resolve_ipvs.services(file, context)
    context.served_addresses = resolve_ipvs.served_addresses(file, context)
    context.programs.conclude()
    context.vrrp = resolve_vrrp.slice(file, context)
    context.ipvs = resolve_ipvs.slice(file, context)
    context.checker = resolve_checker.slice(file, context)
    context.bfd = resolve_bfd.slice(file, context)
    context.runner = resolve_runner.slice(file, context)
    slices: dict[str, msgspec.Struct | None] = {
        "vrrp": context.vrrp,
        "ipvs": context.ipvs,
        "checker": context.checker,
        "bfd": context.bfd,
        "runner": context.runner,
    }
    for name in [name for name in PROCESS_SPECS if name not in slices]:
        # Of a process without facts for others nothing more need be known here.
        slices[name] = imported(f"kad.{name}.keywords.resolve:slice")(file, context)
    return watchdog, {name: part for name, part in slices.items() if part is not None}


def _encode_route(route: Route) -> tuple[bytes, bytes, tuple[tuple[int, str], ...]]:
    # The encoder loads pyroute2, which is worth its time only where a route is configured.
    from kad.linux.netlink.encode_route import encode_route

    return encode_route(route)


def _encode_rule(rule: Rule) -> tuple[bytes, bytes]:
    from kad.linux.netlink.encode_rule import encode_rule

    return encode_rule(rule)


def _tell_if_empty(files: str, file: File, slices: dict[str, msgspec.Struct], report: Report) -> None:
    if slices:
        return
    if file.vrrp_instance or file.virtual_server:
        report.error(Place(files), ConfigCode.NOTHING_CAN_RUN())
    else:
        report.note(Place(files), ConfigCode.NOTHING_CONFIGURED())


def _finished(report: Report, reader: Preprocessor) -> tuple[Diagnostic, ...]:
    """In the order of the files and lines, each with the line that it speaks of."""
    order = {name: number for number, name in enumerate(reader.files)}
    reader.hide_definitions()
    found = sorted(
        map(report.without_secrets, report.diagnostics),
        key=lambda one: (order.get(one.place.file, -1), one.place.line, one.place.column),
    )
    return tuple(
        msgspec.structs.replace(one, source=_quotable(reader.source(one.place), one.place, report))
        if one.place.line
        else one
        for one in found
    )


def _quotable(source: str, place: Place, report: Report) -> str:
    """The line without what is secret in it, whether or not that could be read."""
    return concealed(report.conceal(source, place), secret.MASK)
