"""The command line: keepalived's options under keepalived's names, and kad's own verbs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from kad import VERSION
from kad.cli import config_commands, control_client, status
from kad.cli.config_commands import Reading
from kad.cli.control_client import Silent
from kad.cli.options import Parser, file_name, not_empty, octal, one_of, seconds
from kad.cli.runtime_files import child_pid_files, daemon_pid_file, named_twice, runtime_files
from kad.linux.files.own_files import Foreign, check_pid_file, refuse_configuration
from kad.linux.files.runtime_directory import prepare_runtime_directory
from kad.linux.process.daemonize import detach, have_standard_streams
from kad.linux.process.pid_file import AlreadyRunning, PidFile
from kad.linux.refused import Refused
from kad.model import escaping
from kad.shared import control_protocol
from kad.shared.control_protocol import ControlError
from kad.shared.exit_codes import EXIT_FATAL, EXIT_NO_FILE, EXIT_OK
from kad.shared.log import FACILITIES, Destination, Logger
from kad.shared.output import OutputLost, to_error, to_output
from kad.watchdog.process_registry import PROCESS_SPECS

DEFAULT_FILES = (Path("/etc/kad/kad.conf"), Path("/etc/keepalived/keepalived.conf"))
DEFAULT_RUNTIME_DIRECTORY = Path("/run/kad")
DEFAULT_LOG_FILE = "kad.log"
"""In the runtime directory: a name in /tmp that everybody knows can be taken by anybody."""
_WITHOUT_EFFECT = (
    ("-B", "--no_bfd"),
    ("--all",),
    ("-X", "--release-vips"),
    ("-a", "--address-monitoring"),
    ("-x", "--snmp"),
    ("-m", "--core-dump"),
    ("--flush-log-file",),
)
"""keepalived's options that a start script may well pass, and that change nothing here; the log says so."""
_FACILITY_NAMES = (*map(str, range(8)), *FACILITIES)
_COMMANDS = (
    "config_test",
    "print",
    "explain",
    "dump",
    "why",
    "status",
    "reload",
    "drain",
    "undrain",
    "check_reload",
    "signum",
    "version",
)
"""Options that do something else than run the daemon: one at a time, but for -t with --print."""
_PID_FIELDS = tuple(spec.pid_option.field for spec in PROCESS_SPECS.values() if spec.pid_option is not None)
EXIT_INTERRUPTED = 130
"""What a shell makes of a command that INT ended."""
_GENHASH = ("genhash", "-T", "--genhash")
"""First words that make it print the digest of a page instead."""
DRAIN_TIMEOUT = 300.0
"""Seconds."""
SIGNALS = {
    "STOP": signal.SIGTERM,
    "RELOAD": signal.SIGHUP,
    "DATA": signal.SIGUSR1,
    "STATS": signal.SIGUSR2,
    "STATS_CLEAR": signal.SIGRTMAX - 1,
    "JSON": signal.SIGRTMIN + 2,
    "TDUMP": signal.SIGRTMAX,
}


def parser() -> Parser:
    """Every option that kad knows."""
    p = Parser(prog="kad", description="VRRP failover and load balancing from keepalived.conf.")
    p.add_argument("-f", "--use-file", type=not_empty, metavar="FILE", help="configuration file, may be a pattern")
    p.add_argument("-n", "--dont-fork", action="store_true", help="stay in the foreground")
    p.add_argument("-l", "--log-console", action="store_true", help="log to the console too")
    p.add_argument("-D", "--log-detail", action="count", default=0, help="detailed log")
    p.add_argument(
        "-S",
        "--log-facility",
        type=one_of(*_FACILITY_NAMES),
        metavar="0-7|user|daemon",
        help="syslog facility (default: daemon)",
    )
    p.add_attached("-g", "--log-file", metavar="FILE", help="log to a file too (default: kad.log in DIR)")
    p.add_argument("-G", "--no-syslog", action="store_true", help="do not log to syslog")
    p.add_argument("-P", "--vrrp", action="store_true", help="run VRRP only")
    p.add_argument("-C", "--check", action="store_true", help="run checks and IPVS only")
    p.add_attached(
        "-t",
        "--config-test",
        metavar="LOG",
        help="test the configuration (kad -t FILE) and exit; -tLOG appends the findings to LOG",
    )
    p.add_argument(
        "--format", type=one_of("text", "json"), metavar="text|json", help="with -t: how the findings are printed"
    )
    p.add_argument("--print", action="store_true", help="print the configuration, includes and variables resolved")
    p.add_argument("--defaults", action="store_true", help="with --print: what holds by default too")
    p.add_argument("--secrets", action="store_true", help="with --print, for root: passwords and keys too")
    p.add_argument("--explain", nargs="?", const="", metavar="KEYWORD", help="what a keyword means; alone: all of them")
    p.add_argument("-e", "--all-config", action="store_true", help="fail on any missing include")
    p.add_argument("-i", "--config-id", type=not_empty, metavar="ID", help="value for @ lines (default: host name)")
    p.add_argument("-p", "--pid", type=file_name, metavar="FILE", help="pid file of the daemon")
    for spec in PROCESS_SPECS.values():
        if spec.pid_option is not None:
            text = f"pid file of the {spec.name} process"
            p.add_argument(spec.pid_option.letter, spec.pid_option.name, type=file_name, metavar="FILE", help=text)
    p.add_argument("-V", "--dont-release-vrrp", action="store_true", help="keep the addresses at the end")
    p.add_argument("-I", "--dont-release-ipvs", action="store_true", help="keep the IPVS table at the end")
    p.add_argument("-R", "--dont-respawn", action="store_true", help="end when a child dies")
    p.add_argument("-d", "--dump-conf", action="store_true", help="log the configuration at the start")
    p.add_argument("-u", "--umask", type=octal, metavar="MASK", help="octal mask for created files")
    p.add_argument("--ignore-sigint", action="store_true", help="ignore INT")
    p.add_argument(
        "--runtime-dir",
        type=file_name,
        metavar="DIR",
        help=f"sockets, pid files, dumps (default: {DEFAULT_RUNTIME_DIRECTORY})",
    )
    p.add_argument("--dump", nargs="?", const="", metavar="SECTION", help="print the running daemon's state as JSON")
    p.add_argument(
        "--why",
        nargs="?",
        const="",
        metavar="INSTANCE",
        help="print why an instance, or each of them, is what it is, cause by cause",
    )
    p.add_argument(
        "--status",
        action="store_true",
        help="what is wrong now, then a line for each instance and virtual server; exit status: 0 all is well, "
        "1 a warning, 2 something critical, 3 nothing is running or it cannot be asked",
    )
    p.add_argument(
        "--reload",
        action="store_true",
        help="make the running daemon read its configuration again, and print the outcome",
    )
    p.add_argument(
        "--drain",
        nargs=2,
        metavar=("VS", "RS"),
        help="no new connections for a real server; it leaves when it has none",
    )
    p.add_argument(
        "--timeout",
        type=seconds,
        default=argparse.SUPPRESS,
        metavar="SECONDS",
        help=f"with --drain: remove it after so long in any case; `never` disables that (default: {DRAIN_TIMEOUT:g})",
    )
    p.add_argument("--undrain", nargs=2, metavar=("VS", "RS"), help="a drained real server serves again")
    p.add_argument("--check-reload", type=not_empty, metavar="FILE", help="print what a reload of FILE would change")
    p.add_argument(
        "--signum", type=one_of(*SIGNALS), metavar="NAME", help=f"print a signal number: {', '.join(SIGNALS)}"
    )
    p.add_argument(
        "-T", "--genhash", action="store_true", help="first word only: print a page's digest (see -T --help)"
    )
    p.add_argument("-v", "--version", action="store_true", help="print the version")
    for names in _WITHOUT_EFFECT:
        p.add_argument(*names, dest=names[-1].strip("-"), action="store_true", help=argparse.SUPPRESS)
    p.add_argument("-A", "--snmp-agent-socket", dest="snmp-agent-socket", help=argparse.SUPPRESS)
    p.add_attached("-M", "--core-dump-pattern", dest="core-dump-pattern", help=argparse.SUPPRESS)
    p.add_argument("-s", "--namespace", metavar="NAME", help=argparse.SUPPRESS)
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except OutputLost as lost:
        to_error(f"kad: standard output: {lost}\n")
        return EXIT_FATAL
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _main(words: Sequence[str]) -> int:
    if words and words[0] in _GENHASH:
        from kad.cli import genhash

        return genhash.main(words[1:])
    options = _options(words)
    if options.version:
        to_output(f"kad v{VERSION}\n")
        return EXIT_OK
    if options.signum is not None:
        to_output(f"{int(SIGNALS[options.signum])}\n")
        return EXIT_OK
    if options.drain is not None or options.undrain is not None:
        return _drain(options)
    if options.dump is not None or options.status or options.reload or options.why is not None:
        return _ask(options)
    if options.explain is not None:
        return config_commands.explain(options.explain)
    if options.check_reload is not None:
        options.use_file = options.check_reload
        return config_commands.check_reload(_reading(options), runtime_directory(options))
    if options.print:
        return config_commands.print_effective(
            _reading(options), with_defaults=options.defaults, with_secrets=options.secrets
        )
    if options.config_test is not None:
        return config_commands.test(_reading(options), options.config_test, options.format or "text")
    return _run(options)


def _options(words: Sequence[str]) -> argparse.Namespace:
    """What the command line says; ends the process after a wrong use, before anything is done."""
    p = parser()
    options, bare = p.read(words)
    given = [name for name in _COMMANDS if getattr(options, name) not in (None, False)]
    commands = [f"--{name.replace('_', '-')}" for name in given]
    if len(given) > 1 and set(given) != {"config_test", "print"}:
        p.error(f"{commands[0]} and {commands[1]} do not go together")
    if bare and "config_test" not in given and "print" not in given:
        p.error(f"unexpected word {bare[0]}: write -f {bare[0]} where it is the configuration")
    if options.genhash:
        p.error("-T must be the first word")
    files = ([options.use_file] if options.use_file is not None else []) + bare
    if len(files) > 1:
        p.error(f"{files[0]} and {files[1]}: one configuration at a time; findings are appended to a file by -tLOG")
    options.use_file = files[0] if files else None
    for name, partner in (("format", "config_test"), ("defaults", "print"), ("secrets", "print"), ("timeout", "drain")):
        if getattr(options, name, None) and partner not in given:
            p.error(f"--{name} goes with --{partner.replace('_', '-')} alone")
    if options.secrets and os.geteuid() != 0:
        p.error("--secrets is for root")
    try:
        for name in ("pid", *_PID_FIELDS):
            check_pid_file(getattr(options, name) or "")
        refuse_configuration(options.log_file or "")
    except Foreign as foreign:
        p.error(str(foreign))
    if twice := named_twice(runtime_files(options, runtime_directory(options), _log_file(options))):
        p.error(twice)
    return options


def runtime_directory(options: argparse.Namespace) -> Path:
    """Where this daemon's files are: as told, else beside a pid file that was told, else the default."""
    if options.runtime_dir:
        return Path(options.runtime_dir)
    if options.pid:
        pid = Path(os.path.abspath(options.pid))
        return pid.with_name(f"{pid.stem}.kad")
    return DEFAULT_RUNTIME_DIRECTORY


def _ask(options: argparse.Namespace) -> int:
    try:
        if options.reload:
            control_client.ask(runtime_directory(options), {"verb": "reload"}, timeout=control_protocol.RELOAD_SECONDS)
            return EXIT_OK
        if options.status:
            return _status(runtime_directory(options))
        if options.why is not None:
            return _why(runtime_directory(options), options.why)
        dump_text = control_client.ask_dump(runtime_directory(options), options.dump or None)
    except ControlError as error:
        to_error(f"kad: {error}\n")
        return status.UNKNOWN if options.status else EXIT_FATAL
    to_output(escaping.in_json(dump_text.decode()) + "\n")
    return EXIT_OK


def _status(directory: Path) -> int:
    """Raises ControlError where no daemon is to be found, or it refuses."""
    try:
        dump = escaping.everywhere(
            control_client.ask(directory, {"verb": "status"}, timeout=control_client.STATUS_SECONDS)["dump"]
        )
    except Silent as silent:
        text, exit_status = status.critical(str(silent))
    else:
        text, exit_status = status.status(dump)
    to_output(text)
    return exit_status


def _drain(options: argparse.Namespace) -> int:
    verb = "drain" if options.drain is not None else "undrain"
    service, server = options.drain or options.undrain
    request = {
        "verb": verb,
        "service": service,
        "server": server,
        "timeout": getattr(options, "timeout", DRAIN_TIMEOUT),
    }
    try:
        to_output(f"{control_client.ask(runtime_directory(options), request)['text']}\n")
    except ControlError as error:
        to_error(f"kad: {error}\n")
        return EXIT_FATAL
    return EXIT_OK


def _why(directory: Path, instance: str) -> int:
    """Raises ControlError."""
    from kad.cli.cause_chain import Unknown, Why

    dump = escaping.everywhere(control_client.ask(directory, {"verb": "dump"})["dump"])
    events = escaping.everywhere(control_client.ask(directory, {"verb": "dump", "section": "events"})["dump"])
    try:
        why = Why(dump, events)
        for name in [instance] if instance else why.names:
            to_output(why.chain(name))
    except Unknown as unknown:
        to_error(f"kad: {unknown}\n")
        return EXIT_FATAL
    return EXIT_OK


# configuration


def _reading(options: argparse.Namespace) -> Reading:
    files = options.use_file or str(next((path for path in DEFAULT_FILES if path.exists()), DEFAULT_FILES[0]))
    only = options.vrrp or options.check
    return Reading(
        files,
        options.config_id,
        vrrp=options.vrrp or not only,
        checker=options.check or not only,
        umask=options.umask,
        all_checks=options.all_config,
        own_files=dict(runtime_files(options, runtime_directory(options), _log_file(options))),
    )


# the daemon


def _log_file(options: argparse.Namespace) -> str | None:
    """None: it logs to no file."""
    if options.log_file == "":
        return str(runtime_directory(options) / DEFAULT_LOG_FILE)
    return options.log_file or None


def _destination(options: argparse.Namespace) -> Destination:
    facility = options.log_facility or "daemon"
    name = f"local{facility}" if facility.isdigit() else facility
    return Destination(
        console=options.log_console,
        syslog=not options.no_syslog,
        file=_log_file(options),
        facility=FACILITIES[name],
        detail=bool(options.log_detail),
    )


def _run(options: argparse.Namespace) -> int:
    if options.namespace:
        to_error("kad: -s is not served yet: start kad inside the namespace, as with ip netns exec\n")
        return EXIT_FATAL
    for name in ("use_file", "runtime_dir", "pid", *_PID_FIELDS, "log_file"):
        # The daemon leaves for / and must find them again at a reload.
        if getattr(options, name):
            setattr(options, name, os.path.abspath(getattr(options, name)))
    have_standard_streams()
    log = Logger("Keepalived", _destination(options))
    for name in (*(names[-1] for names in _WITHOUT_EFFECT), "--snmp-agent-socket", "--core-dump-pattern"):
        if getattr(options, name.strip("-")) not in (None, False):
            log.notice(f"{name} has no effect in kad")
    directory = runtime_directory(options)
    reading = _reading(options)
    if not Path(reading.files).exists() and not any(character in reading.files for character in "*?[{"):
        to_error(f"kad: there is no configuration file {reading.files}\n")
        return EXIT_NO_FILE
    try:
        if advice := prepare_runtime_directory(directory):
            log.warning(advice)
        pid_file = PidFile(daemon_pid_file(options, directory))
    except (AlreadyRunning, OSError, Refused) as error:
        to_error(f"kad: {error}\n")
        return EXIT_FATAL
    if options.umask is not None:
        os.umask(options.umask)
    if options.dont_fork:
        return _watch(options, log, directory, reading, pid_file, _announcer(options))
    return detach(lambda announcer: _watch(options, log, directory, reading, pid_file, announcer.say))


def _announcer(options: argparse.Namespace) -> Callable[[int, str], None]:
    """In the foreground, a failed start is reported on the console unless the log goes there."""

    def say(status: int, text: str) -> None:
        if status and not options.log_console:
            to_error(f"{text}\n")

    return say


def _watch(
    options: argparse.Namespace,
    log: Logger,
    directory: Path,
    reading: Reading,
    pid_file: PidFile,
    say_started: Callable[[int, str], None],
) -> int:
    from kad.linux.process.process import set_title
    from kad.watchdog import daemon

    try:
        pid_file.write(os.getpid())
    except OSError as error:
        log.error(f"pid file {pid_file.path}: {error.strerror}")
    set_title("kad")
    return daemon.Watchdog(
        daemon.Options(
            files=reading.files,
            runtime_directory=directory,
            analyze=reading,
            child_pid_files=child_pid_files(options, directory),
            release_at_stop=not options.dont_release_vrrp,
            release_ipvs_at_stop=not options.dont_release_ipvs,
            respawn=not options.dont_respawn,
            ignore_interrupt=options.ignore_sigint,
            dump_configuration=options.dump_conf,
            say_started=say_started,
        ),
        log,
        pid_file,
    ).run()
