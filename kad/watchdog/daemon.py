"""The parent process: it builds its parts, connects them, takes signals, and ends everything in order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kad import VERSION
from kad.child import privileges
from kad.linux.files.fifo import HeldFifos
from kad.linux.process.pid_file import PidFile
from kad.linux.process.spawn import identity, reap_strangers
from kad.model.daemon import WatchdogSlice
from kad.model.runner import Program
from kad.shared import control_protocol, exit_codes, messages
from kad.shared.exit_codes import EXIT_OK, EXIT_SOFTWARE
from kad.shared.framing import Frame
from kad.shared.log import Logger
from kad.watchdog import control_socket, process_specs, supervision
from kad.watchdog.address_cleanup import AddressCleanup
from kad.watchdog.children import ChildCallbacks, Children, ForkSettings
from kad.watchdog.control_server import ControlServer
from kad.watchdog.drain_orders import DrainOrders
from kad.watchdog.instance_states import Routers
from kad.watchdog.ipvs_cleanup import IpvsCleanup
from kad.watchdog.journal import Journal
from kad.watchdog.lifecycle_scripts import LifecycleScripts
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.reload import Reload, ReloadCallbacks
from kad.watchdog.selector_loop import SelectorLoop
from kad.watchdog.service_manager import ServiceManager
from kad.watchdog.state_dump import StateDump
from kad.watchdog.supervision import Phase
from kad.watchdog.two_phase_commit import RunningConfiguration
from kad.watchdog.verb import DaemonParts

_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGRTMIN + 2,
    signal.SIGRTMAX - 1,
    signal.SIGRTMAX,
)


@dataclass(frozen=True)
class Options:
    """What the command line says of this run."""

    files: str
    runtime_directory: Path
    analyze: Callable[[], tuple[messages.Analyzed, dict[str, bytes]]]
    """Reads the configuration; called in a process of its own."""
    child_pid_files: dict[str, Path]
    release_at_stop: bool = True
    release_ipvs_at_stop: bool = True
    respawn: bool = True
    ignore_interrupt: bool = False
    dump_configuration: bool = False
    """Log everything about the children once they are configured."""
    say_started: Callable[[int, str], None] = lambda status, text: None
    """Tells whoever waits for the start: 0, or the exit status and why."""


class Watchdog:
    """The parent process; run() serves until the daemon ends and returns the exit status."""

    def __init__(self, options: Options, log: Logger, pid_file: PidFile) -> None:
        self._options = options
        self._log = log
        self._pid_file = pid_file
        self._exit_status = EXIT_OK
        self._stopping = False
        self._ended = False
        self._status: int | None = None
        self._routers = Routers()
        self._fifos = HeldFifos()
        self.running = RunningConfiguration()
        self.journal = Journal(time.time)
        self.loop = SelectorLoop(self._note_pause)
        self.children = Children(self.loop, log, self.journal, options.child_pid_files, self._child_callbacks())
        self.dump = StateDump(self.children, self.running, self.journal, log, options.files, options.runtime_directory)
        self.drains = DrainOrders(self.children)
        self._service = ServiceManager(log, self._is_well, self._routers.summary)
        self._scripts = LifecycleScripts(self.loop, log, self._is_stopping)
        self._ipvs_cleanup = IpvsCleanup(
            self.children,
            self.running,
            log,
            options.runtime_directory,
            release_at_stop=options.release_ipvs_at_stop,
        )
        self._address_cleanup = AddressCleanup(
            self.loop,
            self.children,
            self.running,
            log,
            options.runtime_directory,
            pid_file.path,
            release_at_stop=options.release_at_stop,
            is_stopping=self._is_stopping,
            on_end=self._go_on_stopping,
        )
        self.reload = Reload(
            self.loop,
            self.children,
            self.running,
            self.journal,
            self._service,
            log,
            options.runtime_directory,
            options.analyze,
            self._reload_callbacks(),
        )
        self.control = ControlServer(self.loop, log, self._parts())
        for timed in (
            self.children,
            self.dump,
            self.control,
            self._service,
            self.reload,
            self._address_cleanup,
            self._scripts,
        ):
            self.loop.add(timed)

    def _child_callbacks(self) -> ChildCallbacks:
        return ChildCallbacks(
            fork_settings=self._fork_settings,
            stop_message=self._stop_message,
            on_message=self._take,
            on_start=self._child_started,
            on_configured=self._child_configured,
            on_exit=self._child_exited,
            on_exit_handled=lambda: self.reload.child_waits(),
            on_gone=self._child_gone,
            on_supervised=self._go_on_stopping,
            on_give_up=self.stop,
        )

    def _reload_callbacks(self) -> ReloadCallbacks:
        return ReloadCallbacks(
            is_stopping=self._is_stopping,
            before_first=self._before_first,
            add_slices=self._ipvs_cleanup.start_cleanup,
            on_in_force=self._in_force,
            on_started=self._started,
            stop=self.stop,
        )

    def _parts(self) -> DaemonParts:
        return DaemonParts(
            children=self.children,
            running=self.running,
            reload=self.reload,
            journal=self.journal,
            dump=self.dump,
            drains=self.drains,
            is_stopping=self._is_stopping,
            stop=self.stop,
        )

    def run(self) -> int:
        """Start, serve, stop; returns the exit status."""
        self._take_signals()
        self._log.info(f"Starting kad v{VERSION} with configuration {self._options.files}")
        try:
            identity(privileges.UNPRIVILEGED_USER, None)
        except LookupError:
            self._log.info(
                f"there is no user {privileges.UNPRIVILEGED_USER}: children keep their user, with less to do"
            )
        listener = self._listen()
        try:
            self.reload.analyze()
            self._preload()
            while self._status is None:
                self.loop.turn()
        except Exception:
            # The children see that nobody leads them, hand over and leave.
            self._log.error(traceback.format_exc())
            raise
        self._clean_up(listener)
        return self._status

    def _listen(self) -> socket.socket | None:
        """None: there is no room for it, or the place cannot be written; the service goes on without."""
        try:
            listener = control_socket.listen(self._options.runtime_directory)
        except OSError as error:
            path = control_protocol.socket_path(self._options.runtime_directory)
            self._log.error(f"control socket {path}: {error.strerror}: nobody can ask this daemon anything")
            return None
        self.loop.watch(listener, lambda: self.control.accept(listener))
        return listener

    def _preload(self) -> None:
        """Import, while the analyzer works, what the children share; a fork is then all that a new life costs."""
        for spec in PROCESS_SPECS.values():
            if spec.is_imported_early:
                process_specs.worker_factory(spec)
        self.reload.look_at_installation()

    def _take_signals(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for number in _SIGNALS:
            signal.signal(number, lambda _number, _frame: None)
        if os.getpid() == 1:
            signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        if self._options.ignore_interrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.loop.watch(reader, lambda: self._read_signals(reader))

    def _read_signals(self, reader: int) -> None:
        for number in os.read(reader, 512):
            match number:
                case signal.SIGTERM | signal.SIGINT:
                    self.stop(EXIT_OK, "")
                case signal.SIGHUP:
                    self.reload.ask()
                case signal.SIGCHLD:
                    reap_strangers(self._own_processes())
                case _:
                    self.dump.write_for_signal(number)

    def _own_processes(self) -> set[int]:
        """Those that a part of this process waits for; process 1 of a container must reap all others too."""
        others = {self.reload.analyzer.pid, self._address_cleanup.process, self._scripts.process}
        return self.children.pids | {pid for pid in others if pid is not None}

    def _note_pause(self, late: float) -> None:
        self.journal.note("pause", "child/watchdog", f"the parent process did not run for {late:.2f} s")

    def _is_stopping(self) -> bool:
        return self._stopping

    def _is_well(self, now: float) -> bool:
        return not self._stopping and self.children.are_well(now)

    # the start

    def _before_first(self, words: WatchdogSlice, then: Callable[[], None]) -> None:
        """startup_script, then what an earlier daemon has left is released."""
        self._run_script(words.startup_script, words.startup_script_timeout, lambda: self._address_cleanup.clear(then))

    def _started(self) -> None:
        self._options.say_started(EXIT_OK, "")
        self._service.notify(f"READY=1\nMAINPID={os.getpid()}")
        if self._options.dump_configuration:
            self.dump.log_everything()

    def _in_force(self) -> None:
        """The children run another configuration: note what must be released if all of kad is killed."""
        self._address_cleanup.remember()
        self._ipvs_cleanup.end_cleanup()
        self._ipvs_cleanup.remember()

    # children

    def _fork_settings(self, member: Member) -> ForkSettings:
        configuration = self.reload.configuration_for(member.name)
        titles = configuration.watchdog.process_names if configuration else {}
        held = self._address_cleanup.held if member.name == "vrrp" else None
        return ForkSettings(titles.get(member.name), self.reload.scheduling(member.name), held)

    def _child_started(self, member: Member) -> None:
        self._ipvs_cleanup.tell(member)
        configuration = self.reload.configuration_for(member.name)
        if configuration is not None and member.name in configuration.slices:
            # The page tells of the life before for as long as this one has not committed.
            earlier = self._routers.earlier(member.page) if member.name == "vrrp" else ()
            if earlier:
                self.children.send(member, messages.Resume(routers=earlier))
            self.reload.send_prepare(member, configuration)
        if member.name in ("vrrp", "runner"):
            self._address_cleanup.tell_runner()

    def _take(self, member: Member, frame: Frame, message: messages.Message) -> None:
        """What concerns the parent itself. Raises BadFrame."""
        match message:
            case messages.SnapshotTaken():
                self.dump.take(member, message)
            case messages.DrainAnswered():
                self.drains.answered(message)
            case messages.Ready() | messages.Refused() | messages.Configured():
                self.reload.take(member, message)
            case messages.RouterState():
                self._router_changed(message)
            case messages.IpvsMemory():
                self._ipvs_cleanup.keep(frame.body)
            case messages.FifoOpened(path=path, deleted=deleted):
                (self._fifos.let_go if deleted else self._fifos.hold)(path)
            case _:
                pass

    def _router_changed(self, state: messages.RouterState) -> None:
        self._routers.take(state)
        vrrp = self.children.members["vrrp"]
        vrrp.supervision.listen_closer(self._routers.deaf_after(self.running.words.deaf_after))
        self.children.deadline_changed(vrrp)
        self._service.status_changed()

    def _child_configured(self, member: Member, first: bool) -> None:
        if member.name == "vrrp":
            self._address_cleanup.cancel()
        if first:
            self.dump.configured(member)

    def _child_exited(self, member: Member, status: int) -> None:
        if member.name == "vrrp" and not (member.supervision.phase is Phase.STOPPING and status == EXIT_OK):
            self._address_cleanup.begin(tuple(self._routers))
        if member.name == "vrrp":
            self._address_cleanup.tell_runner()
        if member.name == "ipvs":
            self.drains.ipvs_died()
        self.dump.lose(member.name)
        self.reload.child_died(member)
        if not self._options.respawn and not self._stopping and not member.supervision.is_sent_away:
            self.stop(EXIT_SOFTWARE, f"the {member.name} process {exit_codes.describe(status)}")

    def _child_gone(self, member: Member) -> None:
        if member.name == "vrrp":
            # It stopped on request: a later one resumes no states.
            self._routers.clear()
            self._service.status_changed()
        self.reload.child_left(member)

    # the end

    def stop(self, status: int, reason: str, told: str = "") -> None:
        """Let all children leave in order, then end with this status.

        `told`: lines that precede the reason in what the starting command prints.
        """
        if self._stopping:
            return
        self._stopping = True
        self._exit_status = status
        if reason:
            self._log.error(reason)
            if self.running.current is None:
                self._options.say_started(status, f"{told}kad: {reason}")
        self._log.info("Stopping")
        self._service.notify("STOPPING=1")
        self.reload.analyzer.cancel()
        self._scripts.hurry()
        self._stop_next()

    def _stop_message(self, member: Member) -> messages.Stop:
        """Addresses stay until another router has them, but not so long that this child would be killed."""
        words = self.running.words
        handover = 0.8 * words.child_wait_time if words.handover else 0.0
        options = self._options
        release = options.release_ipvs_at_stop if member.name == "ipvs" else options.release_at_stop
        return messages.Stop(release=release, handover=handover)

    def _go_on_stopping(self) -> None:
        """One more has left, or something else has ended that the end waits for."""
        if self._stopping:
            self._stop_next()

    def _stop_next(self) -> None:
        """vrrp and checker leave first; the runner last, because it runs what the others ask for on leaving."""
        alive = self.children.alive
        if self._scripts.process is not None:
            return
        if self.children.members["vrrp"].supervision.phase is Phase.ABSENT and not self._address_cleanup.end():
            return
        if not alive:
            self._end()
            return
        patience = self.running.words.child_wait_time
        first = min(member.spec.stop_order for member in alive)
        for member in alive:
            if member.spec.stop_order == first and member.supervision.phase is not Phase.STOPPING:
                self.children.supervise(member, supervision.Unwanted(patience))

    def _end(self) -> None:
        """The children have left; shutdown_script is the last that happens."""
        if self._ended:
            return
        self._ended = True
        words = self.running.words

        def end() -> None:
            self._status = self._exit_status

        self._run_script(words.shutdown_script, words.shutdown_script_timeout, end)

    def _run_script(self, program: Program | None, timeout: float, then: Callable[[], None]) -> None:
        def done() -> None:
            then()
            self._go_on_stopping()

        self._scripts.run(program, timeout, done)

    def _clean_up(self, listener: socket.socket | None) -> None:
        if listener is not None:
            listener.close()
        self._service.guard_by(None)
        self._address_cleanup.forget()
        self._ipvs_cleanup.forget()
        with contextlib.suppress(OSError):
            control_protocol.socket_path(self._options.runtime_directory).unlink()
        self._pid_file.remove()
        self._log.info(f"Stopped kad v{VERSION}")
