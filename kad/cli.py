"""The command line: keepalived's options under keepalived's names, and kad's own verbs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kad import VERSION, configtest, control, status
from kad.configtest import Reading
from kad.control import ControlError, Silent
from kad.linux.daemon import detach, have_standard_streams
from kad.linux.pidfile import AlreadyRunning, PidFile
from kad.linux.refused import Refused
from kad.linux.runtime_directory import prepare_runtime_directory
from kad.log import FACILITIES, Destination, Logger
from kad.supervision import EXIT_FATAL, EXIT_NO_FILE, EXIT_OK

if TYPE_CHECKING:
    pass

DEFAULT_FILES = (Path("/etc/kad/kad.conf"), Path("/etc/keepalived/keepalived.conf"))
DEFAULT_RUNTIME_DIRECTORY = Path("/run/kad")
DEFAULT_LOG_FILE = "kad.log"
"""In the runtime directory: a name in /tmp that everybody knows can be taken by anybody."""
_WITHOUT_EFFECT: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("-B", "--no_bfd"), False),
    (("--all",), False),
    (("-X", "--release-vips"), False),
    (("-a", "--address-monitoring"), False),
    (("-x", "--snmp"), False),
    (("-A", "--snmp-agent-socket"), True),
    (("-m", "--core-dump"), False),
    (("-M", "--core-dump-pattern"), True),
    (("--flush-log-file",), False),
)
"""keepalived's options that a start script may well pass, and that change nothing here; the log says so."""
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(EXIT_FATAL)


def _seconds(text: str) -> float | None:
    if text == "never":
        return None
    if not 0 <= (number := float(text)) < 1e9:
        raise ValueError(text)
    return number


def parser() -> argparse.ArgumentParser:
    """Every option that kad knows."""
    p = _Parser(prog="kad", description="VRRP failover and load balancing from keepalived.conf.", allow_abbrev=False)
    p.add_argument("-f", "--use-file", metavar="FILE", help="configuration file, may be a pattern")
    p.add_argument("-n", "--dont-fork", action="store_true", help="stay in the foreground")
    p.add_argument("-l", "--log-console", action="store_true", help="log to the console too")
    p.add_argument("-D", "--log-detail", action="count", default=0, help="detailed log")
    p.add_argument("-S", "--log-facility", metavar="0-7|user|daemon", help="syslog facility (default: daemon)")
    p.add_argument("-g", "--log-file", nargs="?", const="", metavar="FILE", help="log to a file too")
    p.add_argument("-G", "--no-syslog", action="store_true", help="do not log to syslog")
    p.add_argument("-P", "--vrrp", action="store_true", help="run VRRP only")
    p.add_argument("-C", "--check", action="store_true", help="run checks and IPVS only")
    p.add_argument("-t", "--config-test", nargs="?", const="", metavar="LOG", help="test the configuration and exit")
    p.add_argument("--format", choices=("text", "json"), default="text", help="with -t: how the findings are printed")
    p.add_argument("--print", action="store_true", help="print the configuration, includes and variables resolved")
    p.add_argument("--defaults", action="store_true", help="with --print: what holds by default too")
    p.add_argument("--explain", nargs="?", const="", metavar="KEYWORD", help="what a keyword means; alone: all of them")
    p.add_argument("-e", "--all-config", action="store_true", help="each include is as strict as can be")
    p.add_argument("-i", "--config-id", metavar="ID", help="value for conditional lines (default: host name)")
    p.add_argument("-p", "--pid", metavar="FILE", help="pid file of the daemon")
    p.add_argument("-r", "--vrrp_pid", metavar="FILE", help="pid file of the vrrp process")
    p.add_argument("-c", "--checkers_pid", metavar="FILE", help="pid file of the checker process")
    p.add_argument("-b", "--bfd_pid", metavar="FILE", help="pid file of the bfd process")
    p.add_argument("-V", "--dont-release-vrrp", action="store_true", help="keep the addresses at the end")
    p.add_argument("-I", "--dont-release-ipvs", action="store_true", help="keep the IPVS table at the end")
    p.add_argument("-R", "--dont-respawn", action="store_true", help="end when a child dies")
    p.add_argument("-d", "--dump-conf", action="store_true", help="log the configuration at the start")
    p.add_argument("-u", "--umask", metavar="MASK", help="octal mask for created files")
    p.add_argument("--ignore-sigint", action="store_true", help="ignore INT")
    p.add_argument(
        "--runtime-dir", metavar="DIR", help=f"sockets, pid files, dumps (default: {DEFAULT_RUNTIME_DIRECTORY})"
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
        help="let the running daemon read its configuration again, and say what became of it",
    )
    p.add_argument(
        "--drain",
        nargs=2,
        metavar=("VS", "RS"),
        help="no new connections for a real server; it leaves when it has none",
    )
    p.add_argument(
        "--timeout",
        type=_seconds,
        default=DRAIN_TIMEOUT,
        metavar="SECONDS",
        help=f"with --drain: it leaves after so long in any case; never: not (default: {DRAIN_TIMEOUT:g})",
    )
    p.add_argument("--undrain", nargs=2, metavar=("VS", "RS"), help="a drained real server serves again")
    p.add_argument("--check-reload", metavar="FILE", help="print what a reload with this file would change")
    p.add_argument("--signum", metavar="NAME", help=f"print a signal number: {', '.join(SIGNALS)}")
    p.add_argument(
        "-T", "--genhash", action="store_true", help="first word only: print a page's digest (see -T --help)"
    )
    p.add_argument("-v", "--version", action="store_true", help="print the version")
    for names, takes_value in _WITHOUT_EFFECT:
        name = names[-1].strip("-")
        if takes_value:
            p.add_argument(*names, dest=name, nargs="?", const="", help=argparse.SUPPRESS)
        else:
            p.add_argument(*names, dest=name, action="store_true", help=argparse.SUPPRESS)
    p.add_argument("-s", "--namespace", metavar="NAME", help=argparse.SUPPRESS)
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in _GENHASH:
        from kad.tools import genhash

        return genhash.main(words[1:])
    options = parser().parse_args(words)
    if options.version:
        print(f"kad v{VERSION}")
        return EXIT_OK
    if options.signum is not None:
        return _print_signal(options.signum)
    if options.drain is not None or options.undrain is not None:
        return _drain(options)
    if options.dump is not None or options.status or options.reload or options.why is not None:
        return _ask(options)
    if options.explain is not None:
        return configtest.explain(options.explain)
    if options.check_reload is not None:
        options.use_file = options.check_reload
        return configtest.check_reload(_reading(options), runtime_directory(options))
    if options.print:
        return configtest.print_effective(_reading(options), with_defaults=options.defaults)
    if options.config_test is not None:
        return configtest.test(_reading(options), options.config_test, options.format)
    return _run(options)


def _print_signal(name: str) -> int:
    if name not in SIGNALS:
        print(f"kad: unknown signal name {name}: use one of {', '.join(SIGNALS)}", file=sys.stderr)
        return EXIT_FATAL
    print(int(SIGNALS[name]))
    return EXIT_OK


def runtime_directory(options: argparse.Namespace) -> Path:
    """Where this daemon's files are: as told, else beside a pid file that was told, else the default."""
    if options.runtime_dir:
        return Path(options.runtime_dir)
    if options.pid:
        return Path(options.pid).with_suffix(".kad")
    return DEFAULT_RUNTIME_DIRECTORY


def _ask(options: argparse.Namespace) -> int:
    try:
        if options.reload:
            control.ask(runtime_directory(options), {"verb": "reload"}, timeout=control.RELOAD_SECONDS)
            return EXIT_OK
        if options.status:
            return _status(runtime_directory(options))
        if options.why is not None:
            return _why(runtime_directory(options), options.why)
        dump_text = control.ask_dump(runtime_directory(options), options.dump or None)
    except ControlError as error:
        print(f"kad: {error}", file=sys.stderr)
        return status.UNKNOWN if options.status else EXIT_FATAL
    print(dump_text.decode())
    return EXIT_OK


def _status(directory: Path) -> int:
    """Raises ControlError where no daemon is to be found, or it refuses."""
    try:
        dump = control.ask(directory, {"verb": "status"}, timeout=control.STATUS_SECONDS)["dump"]
    except Silent as silent:
        text, exit_status = status.critical(str(silent))
    else:
        text, exit_status = status.status(dump)
    print(text, end="")
    return exit_status


def _drain(options: argparse.Namespace) -> int:
    verb = "drain" if options.drain is not None else "undrain"
    service, server = options.drain or options.undrain
    request = {"verb": verb, "service": service, "server": server, "timeout": options.timeout}
    try:
        print(control.ask(runtime_directory(options), request)["text"])
    except ControlError as error:
        print(f"kad: {error}", file=sys.stderr)
        return EXIT_FATAL
    return EXIT_OK


def _why(directory: Path, instance: str) -> int:
    """Raises ControlError."""
    from kad.why import Unknown, Why

    dump = control.ask(directory, {"verb": "dump"})["dump"]
    events = control.ask(directory, {"verb": "dump", "section": "events"})["dump"]
    try:
        why = Why(dump, events)
        for name in [instance] if instance else why.names:
            print(why.chain(name), end="")
    except Unknown as unknown:
        print(f"kad: {unknown}", file=sys.stderr)
        return EXIT_FATAL
    return EXIT_OK


# configuration


def _reading(options: argparse.Namespace) -> Reading:
    files = options.use_file or str(next((path for path in DEFAULT_FILES if path.exists()), DEFAULT_FILES[0]))
    only = options.vrrp or options.check
    umask = int(options.umask, 8) if options.umask else None
    return Reading(
        files,
        options.config_id,
        vrrp=options.vrrp or not only,
        checker=options.check or not only,
        umask=umask,
        all_checks=options.all_config,
    )


# the daemon


def _destination(options: argparse.Namespace) -> Destination:
    facility = options.log_facility or "daemon"
    name = f"local{facility}" if facility.isdigit() else facility
    if name not in FACILITIES:
        parser().error(f"unknown syslog facility {facility}")
    return Destination(
        console=options.log_console,
        syslog=not options.no_syslog,
        file=options.log_file
        or (str(runtime_directory(options) / DEFAULT_LOG_FILE) if options.log_file == "" else None),
        facility=FACILITIES[name],
        detail=bool(options.log_detail),
    )


def _run(options: argparse.Namespace) -> int:
    if options.namespace:
        print("kad: -s is not served yet: start kad inside the namespace, as with ip netns exec", file=sys.stderr)
        return EXIT_FATAL
    for name in ("use_file", "runtime_dir", "pid", "vrrp_pid", "checkers_pid", "bfd_pid", "log_file"):
        # The daemon leaves for / and must find them again at a reload.
        if getattr(options, name):
            setattr(options, name, os.path.abspath(getattr(options, name)))
    have_standard_streams()
    log = Logger("Keepalived", _destination(options))
    for names, _ in _WITHOUT_EFFECT:
        if getattr(options, names[-1].strip("-")) not in (None, False):
            log.notice(f"{names[-1]} has no effect in kad")
    directory = runtime_directory(options)
    reading = _reading(options)
    if not Path(reading.files).exists() and not any(character in reading.files for character in "*?[{"):
        print(f"kad: there is no configuration file {reading.files}", file=sys.stderr)
        return EXIT_NO_FILE
    try:
        if advice := prepare_runtime_directory(directory):
            log.warning(advice)
        pid_file = PidFile(Path(options.pid) if options.pid else directory / "kad.pid")
    except AlreadyRunning as error:
        print(f"kad: {error}", file=sys.stderr)
        return EXIT_FATAL
    except (OSError, Refused) as error:
        print(f"kad: {error}", file=sys.stderr)
        return EXIT_FATAL
    if options.umask:
        os.umask(int(options.umask, 8))
    if options.dont_fork:
        return _watch(options, log, directory, reading, pid_file, lambda status, text: None)
    return detach(lambda announcer: _watch(options, log, directory, reading, pid_file, announcer.say))


def _watch(
    options: argparse.Namespace,
    log: Logger,
    directory: Path,
    reading: Reading,
    pid_file: PidFile,
    say_started: Callable[[int, str], None],
) -> int:
    from kad import watchdog
    from kad.linux.process import set_title

    pid_file.write(os.getpid())
    set_title("kad")
    files = {
        "vrrp": options.vrrp_pid or directory / "vrrp.pid",
        "checker": options.checkers_pid or directory / "checkers.pid",
        "runner": directory / "runner.pid",
        "ipvs": directory / "ipvs.pid",
        "bfd": options.bfd_pid or directory / "bfd.pid",
    }
    return watchdog.Watchdog(
        watchdog.Options(
            files=reading.files,
            runtime_directory=directory,
            analyze=reading,
            child_pid_files={name: Path(path) for name, path in files.items()},
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
