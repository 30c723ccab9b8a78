"""A configuration as a whole: files in, diagnostics and one slice a child out.

`analyze(files, host, options)` is synchronous and keeps nothing: the watchdog calls it in a child that then ends,
`kad -t` calls it directly. `render(diagnostics)` is what a person reads, `to_json(diagnostics)` what an editor does,
`to_message(analysis)` what the parent hears; `effective()` also prints the configuration back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from kad.analyzer.bfd_sessions import checkable, to_bfd
from kad.analyzer.daemon_words import ScriptGlobals, to_watchdog
from kad.analyzer.language import File, GlobalsBlock, RealServerBlock, VirtualServerBlock, language
from kad.analyzer.program_subjects import with_subjects
from kad.analyzer.written_files import foreign_files, tell_own_configuration, written_files
from kad.bfd.keywords.instance import to_instances
from kad.checker.keywords.inherit import Inheritance
from kad.checker.keywords.resolve_checks import Checks
from kad.child.scheduling import of_slice
from kad.config.build import Builder, Scope
from kad.config.codes import ConfigCode
from kad.config.diagnostics import Complaint, Diagnostic, Place, Report
from kad.config.grammar import parse
from kad.config.keyword import layout_of
from kad.config.preprocess import Preprocessor
from kad.config.print_back import print_back
from kad.config.process_words import placement
from kad.config.programs import Programs
from kad.config.render import render, to_finding, to_json
from kad.config.secret_words import concealed
from kad.ipvs.keywords.line_values import ServerName
from kad.ipvs.keywords.required_words import ServedAddresses
from kad.ipvs.keywords.resolve_fields import to_marking, to_sync_daemon, to_timeouts
from kad.ipvs.keywords.resolve_services import Services
from kad.ipvs.keywords.service_words import ServiceGroupBlock
from kad.ipvs.keywords.sysctl_advice import Prerequisites
from kad.model import secret
from kad.model.checker import BfdCheck, Check, CheckedServer, CheckerSlice, FileCheck, Followed, Regex
from kad.model.daemon import WatchdogSlice
from kad.model.host import Host
from kad.model.ipvs import IpvsSlice, RealServer, VirtualServer
from kad.model.routing import Route, Rule
from kad.model.runner import RunnerSlice, VrrpScript
from kad.model.tracking import TrackedFile, TrackedProcess
from kad.model.vrrp import VrrpInstance, VrrpSlice, to_release
from kad.runner.keywords.fifo_words import to_fifos
from kad.runner.keywords.mail_words import to_mailing
from kad.runner.keywords.script_words import ScriptBlock, to_script
from kad.shared.messages import Analyzed
from kad.tracking.block_words import BfdBlock, FileBlock, ProcessBlock, to_file, to_process
from kad.tracking.item_words import Weight
from kad.vrrp.keywords.iproute2_names import Names
from kad.vrrp.keywords.resolve_all import Routers
from kad.vrrp.keywords.resolve_routes import Routings
from kad.vrrp.keywords.static_words import Statics

__all__ = ["Analysis", "Options", "analyze", "effective", "render", "to_json", "to_message"]

EXIT_CONFIGURATION = 2
_FIELDS_OF_FILES = {
    "reload_check_config": "reload_check_log",
    "reload_time_file": "reload_time_file",
    "reload_file": "reload_file",
    "watchdog_device": "watchdog_device",
}
"""Fields of the WatchdogSlice by the keyword that names a file."""


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
    watchdog, slices = _slices(file, defaults, scope, options, foreign)
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


def _slices(
    file: File, defaults: GlobalsBlock, scope: Scope, options: Options, foreign: frozenset[tuple[str, str]]
) -> tuple[WatchdogSlice, dict[str, msgspec.Struct]]:
    programs = _programs(defaults.daemon.scripts, scope, options)
    titles = {
        "vrrp": defaults.vrrp.process.process_name,
        "checker": defaults.checker_process.process_name,
        "bfd": defaults.bfd_process.process_name,
    }
    watchdog = msgspec.structs.replace(
        to_watchdog(file.root, defaults.daemon, titles, programs, scope),
        **{field: None for keyword, field in _FIELDS_OF_FILES.items() if (keyword, "") in foreign},
    )
    scripts = _scripts(file, programs, scope)
    mail = defaults.mail
    sessions = to_instances(file.bfd_instance, scope)
    weights = _weights(file, scripts, sessions, scope)
    names = defaults.daemon.reloading
    routings = Routings(
        Names(
            scope.host.files,
            names.iproute_etc_dir or "/etc/iproute2",
            names.iproute_usr_dir or "/usr/share/iproute2",
        ),
        _encode_route,
        _encode_rule,
        scope,
    )
    default_interface = defaults.daemon.default_interface or "eth0"
    routers = Routers(
        defaults.vrrp,
        bool(mail.smtp_alert_vrrp if mail.smtp_alert_vrrp is not None else mail.smtp_alert),
        weights,
        programs,
        routings,
        scope,
        default_interface=default_interface,
        defined=_defined(file, scope),
    )
    words = file.statics
    statics = Statics(words, [block.name for block in file.vrrp_instance], scope)
    static_routing = routings.static(words, words.static_routes, words.static_rules, statics.dependents)
    vrrp = routers.slice(file.vrrp_instance, file.vrrp_sync_group)
    vrrp = msgspec.structs.replace(
        vrrp,
        static_addresses=statics.addresses(default_interface, vrrp.instances),
        static_routing=static_routing,
        garp_groups=statics.garp_groups(),
        link_delays=statics.delays(vrrp.instances),
        polled_links=statics.polled(_polled(file, vrrp)),
    )
    fifos = to_fifos(
        {
            prefix: words
            for prefix, words in (("", defaults.fifo), ("vrrp_", defaults.vrrp.fifo), ("lvs_", defaults.ipvs_fifo))
            if (f"{prefix}notify_fifo", "") not in foreign
        },
        watchdog.umask if options.umask is None else options.umask,
        programs,
        scope,
    )
    statics.judge()
    mailing = to_mailing(mail, watchdog.router_id, scope)
    services, checker = _services(file, defaults, programs, weights, sessions, mailing is not None, scope)
    programs.conclude()
    if options.checker and defaults.ipvs.ipvs_required is not False:
        vrrp = _requiring_ipvs(vrrp, services)
    slices: dict[str, msgspec.Struct] = {}
    runner = _runner(
        vrrp if options.vrrp else VrrpSlice(),
        services,
        checker if services and options.checker else None,
        scripts,
        _tracked(file, scope, foreign),
        programs,
    )
    if (vrrp.instances or vrrp.static_addresses or vrrp.static_routing) and options.vrrp:
        fed = any("vrrp" in fifo.sources for fifo in fifos)
        slices["vrrp"] = msgspec.structs.replace(vrrp, feeds_fifo=fed)
    if services and options.checker:
        fed = any("lvs" in fifo.sources for fifo in fifos)
        _tell_unknown_instance(defaults, [instance.name for instance in vrrp.instances], scope)
        old = {block.name: each for block in file.vrrp_instance if (each := block.devices.lvs_sync_daemon_interface)}
        slices["ipvs"] = IpvsSlice(
            virtual_servers=tuple(services),
            timeouts=to_timeouts(defaults.ipvs.lvs_timeouts),
            flush=defaults.ipvs.lvs_flush,
            flush_on_stop=defaults.ipvs.lvs_flush_on_stop or "",
            sync_daemon=to_sync_daemon(defaults.ipvs.lvs_sync_daemon, vrrp.instances, old),
            marking=to_marking(defaults.ipvs, vrrp.filtering, scope),
            init_notifies=bool(defaults.ipvs.rs_init_notifies),
            feeds_fifo=fed,
        )
        slices["checker"] = checker
    if bfd := to_bfd(sessions, file, defaults, vrrp, checker, slices, scope):
        slices["bfd"] = bfd
    sources = {"vrrp": "vrrp", "ipvs": "lvs"}
    told = {source for name, source in sources.items() if name in slices}
    runner = msgspec.structs.replace(
        runner,
        fifos=tuple(fifo for fifo in fifos if told & set(fifo.sources)),
        mailing=mailing,
        process_events_buffer=defaults.daemon.process_monitor_rcv_bufs or 0,
    )
    if "vrrp" in slices or (
        "checker" in slices and (runner.programs or runner.files or runner.fifos or runner.mailing)
    ):
        slices["runner"] = runner
    return watchdog, slices


def _requiring_ipvs(vrrp: VrrpSlice, services: Sequence[VirtualServer]) -> VrrpSlice:
    """With the address of a virtual server that each instance has."""
    served = ServedAddresses(services)

    def with_served(instance: VrrpInstance) -> VrrpInstance:
        addresses = (*instance.virtual_addresses, *instance.excluded_addresses)
        address = served.first_of(each.address for each in addresses)
        return msgspec.structs.replace(instance, served_address=address) if address else instance

    return msgspec.structs.replace(vrrp, instances=tuple(with_served(each) for each in vrrp.instances))


def _defined(file: File, scope: Scope) -> dict[tuple[str, str], Place]:
    """Where each thing that can be tracked is defined first, by kind and name."""
    kinds: dict[str, Sequence[ScriptBlock | FileBlock | ProcessBlock | BfdBlock]] = {
        "script": file.vrrp_script,
        "file": file.track_file,
        "process": file.vrrp_track_process,
        "bfd": file.bfd_instance,
    }
    found: dict[tuple[str, str], Place] = {}
    for kind, blocks in kinds.items():
        for each in blocks:
            found.setdefault((kind, each.name), scope.places.of(each))
    return found


def _polled(file: File, vrrp: VrrpSlice) -> list[str]:
    """Interfaces whose link is asked for because an instance, or the old global word, says so."""
    asking = {block.name for block in file.vrrp_instance if block.devices.linkbeat_use_polling}
    found = [each.interface for each in vrrp.instances if file.root.linkbeat_use_polling or each.name in asking]
    if file.root.linkbeat_use_polling:
        found += [item.name for each in vrrp.instances for item in each.tracks if item.kind == "interface"]
    return found


def _encode_route(route: Route) -> tuple[bytes, bytes, tuple[tuple[int, str], ...]]:
    # The encoder loads pyroute2, which is worth its time only where a route is configured.
    from kad.linux.netlink.encode_route import encode_route

    return encode_route(route)


def _why_not(regex: Regex) -> str:
    # Likewise the library of regular expressions.
    from kad.checker.http_check import why_not

    return why_not(regex)


def _encode_rule(rule: Rule) -> tuple[bytes, bytes]:
    from kad.linux.netlink.encode_rule import encode_rule

    return encode_rule(rule)


def _tell_unknown_instance(defaults: GlobalsBlock, names: Sequence[str], scope: Scope) -> None:
    """A sync daemon that nobody makes MASTER only listens."""
    line = defaults.ipvs.lvs_sync_daemon
    if line is not None and line.instance is not None and line.instance not in names:
        remark = ConfigCode.SYNC_DAEMON_FOLLOWS_NOTHING(instance=line.instance)
        scope.report.note(scope.places.of(defaults.ipvs, "lvs_sync_daemon"), remark)


def _weights(
    file: File, scripts: dict[str, VrrpScript], sessions: Collection[str], scope: Scope
) -> dict[str, dict[str, Weight]]:
    """What can be tracked, by kind and name, with the weight that it has by itself."""
    weights = {"script": {name: Weight(number=one.weight, reverse=one.reverse) for name, one in scripts.items()}}
    for kind, word, blocks in (
        ("file", "file", file.track_file),
        ("process", "process", file.vrrp_track_process),
        ("bfd", "neighbor_ip", file.bfd_instance),
    ):
        known = weights[kind] = {}
        for block in blocks:
            place = scope.places.of(block)
            if getattr(block, word) is None:
                scope.report.warning(
                    place, ConfigCode.TRACKED_WITHOUT_WORD(name=block.name, word=word), proposal=f"add {word}"
                )
            elif block.name in known:
                scope.report.warning(place, ConfigCode.TRACKED_DEFINED_TWICE(name=block.name))
            else:
                known[block.name] = block.weight or Weight(number=1 if kind == "file" else 0)
    for block in file.bfd_instance:
        if block.name not in sessions or (block.checker and not block.vrrp):
            weights["bfd"].pop(block.name, None)
    return weights


def _services(
    file: File,
    defaults: GlobalsBlock,
    programs: Programs,
    weights: dict[str, dict[str, Weight]],
    sessions: Collection[str],
    mails: bool,
    scope: Scope,
) -> tuple[list[VirtualServer], CheckerSlice]:
    """What can be served, and the checks that go with it."""
    groups: dict[str, ServiceGroupBlock] = {}
    for group in file.virtual_server_group:
        if group.members:
            groups.setdefault(group.name, group)
        else:
            remark = ConfigCode.GROUP_WITHOUT_MEMBER(name=group.name)
            scope.report.warning(scope.places.of(group), remark, proposal="add IP PORT")
    mail = defaults.mail
    alerts = mail.smtp_alert if mail.smtp_alert_checker is None else mail.smtp_alert_checker
    judge = Services(scope, programs, groups, alerts, defaults.ipvs.nftables_ipvs is not None, mails)
    checks = Checks(scope, programs, weights["file"], checkable(file, sessions), _why_not, file.SSL)
    prerequisites = Prerequisites(scope)
    services, servers = [], []
    for block in file.virtual_server:
        service = judge.judge(block)
        checked = [
            _checked(block, server, checks, bool(defaults.checker.checker_log_all_failures), groups)
            for server in block.real_server
        ]
        if service is not None:
            is_checked = any(server.checks for server in checked)
            prerequisites.look(service, scope.places.of(block), is_checked=is_checked)
            served = list(_served(service, judge.servers, zip(block.real_server, checked, strict=True)))
            services.append(_presumed(service, served))
            servers += served
    checker = CheckerSlice(
        servers=tuple(servers),
        credentials=tuple(checks.credentials.values()),
        mails_each_check=not mail.no_checker_emails,
        **placement(defaults.checker_process, scope),
    )
    return services, checker


def _served(
    service: VirtualServer,
    real_servers: dict[ServerName, RealServer],
    checked: Iterable[tuple[RealServerBlock, CheckedServer]],
) -> Iterator[CheckedServer]:
    """Those that the service has, each once, with the port that it has there, and its name in mail."""
    left = dict(real_servers)
    for block, server in checked:
        real = left.pop(block.name, None)
        if real is not None:
            name = f"Realserver {real.label_in(service)} of virtual server {service.label}"
            yield msgspec.structs.replace(
                server, service=service.name, port=real.port, mailed_as=name if real.smtp_alert else ""
            )


def _presumed(service: VirtualServer, checked: Iterable[CheckedServer]) -> VirtualServer:
    """With what holds of each server until its checks have spoken."""
    alphas = [any(map(_is_alpha, each.checks)) for each in checked]
    together = zip(service.real_servers, alphas, strict=True)
    real_servers = tuple(msgspec.structs.replace(real, alpha=alpha) for real, alpha in together)
    return msgspec.structs.replace(service, real_servers=real_servers)


def _is_alpha(check: Check) -> bool:
    match check:
        case BfdCheck(alpha=alpha):
            return alpha
        case FileCheck():
            return False
        case _:
            return check.timing.alpha


def _checked(
    service: VirtualServerBlock,
    server: RealServerBlock,
    checks: Checks,
    log_all_failures: bool,
    groups: dict[str, ServiceGroupBlock],
) -> CheckedServer:
    address, port = server.name.address, server.name.port
    above = Inheritance(address, port or service.name.port, server.defaults, service.defaults, log_all_failures)
    while_local = _homes(service, groups) if service.defaults.ha_suspend else None
    return CheckedServer(
        service=service.name.text,
        address=address,
        port=port,
        alpha=above.alpha,
        checks=tuple(_while_local(check, while_local) for check in checks.judge(server.checks, above)),
        while_local=while_local,
    )


def _homes(service: VirtualServerBlock, groups: dict[str, ServiceGroupBlock]) -> tuple[str, ...] | None:
    """Its addresses. What has none is never suspended: nobody could say when it is here."""
    if service.name.address:
        return (service.name.address,)
    group = groups.get(service.name.group or "")
    members = group.members if group is not None else ()
    return tuple(str(msgspec.structs.replace(member, port=0)) for member in members if member.first) or None


def _while_local(check: Check, homes: tuple[str, ...] | None) -> Check:
    if homes is None or isinstance(check, Followed):
        return check
    return msgspec.structs.replace(check, timing=msgspec.structs.replace(check.timing, while_local=homes))


def _programs(words: ScriptGlobals, scope: Scope, options: Options) -> Programs:
    asked = words.script_user
    if asked is not None:
        place = scope.places.of(words, "script_user")
        if asked.user not in scope.host.users:
            scope.report.warning(place, ConfigCode.NO_SCRIPT_USER(user=asked.user), about_host=True)
        elif asked.group is not None and asked.group not in scope.host.groups:
            scope.report.warning(place, ConfigCode.NO_SCRIPT_GROUP(group=asked.group), about_host=True)
    return Programs(
        scope,
        user=asked.user if asked else None,
        group=asked.group if asked else None,
        secure=words.enable_script_security,
        supplementary_groups=bool(words.set_supplementary_groups),
        testing=options.test,
    )


def _scripts(file: File, programs: Programs, scope: Scope) -> dict[str, VrrpScript]:
    words = [*(block.tracks for block in file.vrrp_instance), *(block.tracks for block in file.vrrp_sync_group)]
    tracked = {line.name for each in words for line in each.track_script}
    scripts: dict[str, VrrpScript | None] = {}
    for script in file.vrrp_script:
        if script.name in scripts:
            place = scope.places.of(script)
            scope.report.warning(place, ConfigCode.SCRIPT_DEFINED_TWICE(name=script.name))
        else:
            scripts[script.name] = to_script(script, programs, scope, tracked=script.name in tracked)
    return {name: script for name, script in scripts.items() if script is not None}


def _tracked(
    file: File, scope: Scope, foreign: frozenset[tuple[str, str]]
) -> tuple[dict[str, TrackedProcess], dict[str, TrackedFile]]:
    """What can be watched, by name; the first of a name counts, as _weights() has said."""
    processes: dict[str, TrackedProcess] = {}
    for process in file.vrrp_track_process:
        if process.process is not None and process.name not in processes:
            processes[process.name] = to_process(process, scope)
    files: dict[str, TrackedFile] = {}
    for block in file.track_file:
        if block.file is not None and block.name not in files:
            tracked = to_file(block, scope)
            if ("init_file", block.name) in foreign:
                tracked = msgspec.structs.replace(tracked, initial=None)
            files[block.name] = tracked
    return processes, files


def _runner(
    vrrp: VrrpSlice,
    services: Sequence[VirtualServer],
    checker: CheckerSlice | None,
    scripts: dict[str, VrrpScript],
    tracked: tuple[dict[str, TrackedProcess], dict[str, TrackedFile]],
    programs: Programs,
) -> RunnerSlice:
    items = {(item.kind, item.name) for instance in vrrp.instances for item in instance.tracks}
    if checker is not None:
        checks = (check for server in checker.servers for check in server.checks)
        items |= {("file", check.name) for check in checks if isinstance(check, FileCheck)}
    processes, files = tracked
    return RunnerSlice(
        programs=with_subjects(programs.made, vrrp, services, checker),
        scripts=tuple(script for name, script in scripts.items() if ("script", name) in items),
        processes=tuple(process for name, process in processes.items() if ("process", name) in items),
        files=tuple(one for name, one in files.items() if ("file", name) in items),
    )


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
