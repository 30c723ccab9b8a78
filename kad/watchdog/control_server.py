"""Who asks the running daemon: the control socket and the dump signals; one snapshot of all children answers."""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kad import VERSION
from kad.linux.files import systemd
from kad.linux.files.runtime_directory import replace_file
from kad.linux.files.watchdog_device import WatchdogDevice
from kad.linux.process.memfd import resident_memory
from kad.linux.refused import Refused
from kad.shared import control_protocol, messages
from kad.shared.control_protocol import ControlError, Request
from kad.shared.exit_codes import EXIT_OK
from kad.shared.shared_page import Page
from kad.watchdog import control_socket, keepalived_formats
from kad.watchdog.control_clients import MOST_WAITING_BYTES, Clients
from kad.watchdog.control_socket import Conversation
from kad.watchdog.instance_states import Routers
from kad.watchdog.parent_problems import all_problems
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.snapshot_collector import Snapshot, Snapshots, Taken, opened
from kad.watchdog.supervision import Phase

if TYPE_CHECKING:
    from kad.watchdog.daemon import Watchdog

_LATEST_EVENTS = 100
"""Of the journal, as a whole dump shows it; the section "events" has all that is kept."""
_MEMORY_AGE = 1.0
_CONVERSATION = 10.0
"""Seconds that a client has for its request, and again for reading the answer."""
_OWED = 30.0
"""Seconds that it may last until it is answered; whoever is asked for it has answered or been given up before."""
_DEVICE_INTERVAL = 1.0
"""Seconds between two feedings of a hardware watchdog; such devices wait for ten seconds and more."""
_SIG_JSON = signal.SIGRTMIN + 2
_SIG_STATS_CLEAR = signal.SIGRTMAX - 1

Plain = dict[str, Any]
_NOTHING: Plain = {"instances": [], "groups": []}
_ALL = frozenset(PROCESS_SPECS)
_ANSWERING = frozenset({Phase.STARTING, Phase.RUNNING})


class Inquiries:
    """Answers for the watchdog; never waits."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._snapshots = Snapshots(watchdog.members, watchdog.send, watchdog.log.error)
        self._clients = Clients()
        self._reloaders: list[Conversation] = []
        """Who waits for the outcome of a reload."""
        self._number = 0
        self._drains: dict[int, Conversation] = {}
        """Who waits for the ipvs process, by the number of the order."""
        self._routers = Routers()
        self._status = ""
        """What systemd was told of them last."""
        self._news = False
        self._memory: dict[str, dict[str, int]] = {}
        self._memory_at = -_MEMORY_AGE
        self._keep_alive = systemd.watchdog_interval()
        self._device: WatchdogDevice | None = None
        self._feeding_interval = 0.0
        self._next_feeding: float | None = None
        self.guard_by(None)

    @property
    def deadline(self) -> float | None:
        moments = [*self._snapshots.deadlines, *self._clients.deadlines]
        if self._next_feeding is not None:
            moments.append(self._next_feeding)
        return min(moments, default=None)

    def fall_due(self, now: float) -> None:
        """Answer with what there is; keep systemd's watchdog quiet while this loop turns."""
        self._snapshots.fall_due(now)
        for conversation in self._clients.late(now):
            self._end(conversation)
        if self._news:
            self._news = False
            self._tell_status()
        if self._next_feeding is not None and self._next_feeding <= now:
            self._next_feeding = now + self._feeding_interval
            if self._watchdog.is_well(now):
                self._feed()

    def _feed(self) -> None:
        """Say to systemd and to the hardware that this host is served."""
        if self._keep_alive:
            self.tell_systemd("WATCHDOG=1")
        if self._device is not None:
            self._device.feed()

    def guard_by(self, path: str | None) -> None:
        """Let this watchdog device reset the host when it is no longer fed; None: let go of it, unharmed."""
        if self._device is not None and self._device.path != path:
            self._device.close()
            self._device = None
        if path is not None and self._device is None:
            try:
                self._device = WatchdogDevice(path)
            except Refused as refused:
                self._watchdog.log.error(str(refused))
        intervals = [self._keep_alive / 3] if self._keep_alive else []
        intervals += [_DEVICE_INTERVAL] if self._device is not None else []
        self._feeding_interval = min(intervals, default=0.0)
        self._next_feeding = time.monotonic() if intervals else None

    def tell_systemd(self, state: str) -> None:
        """Whatever becomes of it, the service goes on."""
        try:
            systemd.notify(state)
        except Refused as refused:
            self._watchdog.log.debug(str(refused))

    # children

    def take(self, member: Member, taken: messages.SnapshotTaken) -> None:
        """A child's answer."""
        self._snapshots.take(member, taken)

    def configured(self, member: Member) -> None:
        """A child that was just replaced can be asked now."""
        self._snapshots.configured(member)

    def lose(self, name: str) -> None:
        """A child died; no dump waits for its answer."""
        if name == "ipvs":
            for order in list(self._drains):
                error = "the ipvs process died meanwhile: ask again"
                self.drained(messages.DrainAnswered(number=order, error=error))
        self._snapshots.lose(name)

    def router_changed(self, state: messages.RouterState) -> None:
        """An instance is this now."""
        self._routers.take(state)
        vrrp = self._watchdog.members["vrrp"].supervision
        vrrp.listen_closer(self._routers.deaf_after(self._watchdog.reload.words.deaf_after))
        self._watchdog.doubt_again(vrrp)
        self._news = True

    def forget_routers(self) -> None:
        """The vrrp process left because it was told to: if it comes again, it goes on with nothing."""
        self._routers = Routers()
        self._news = True

    def _tell_status(self) -> None:
        """Keep systemd's one-line status true; once for all that came together."""
        status = self._routers.summary()
        if status != self._status:
            self._status = status
            self.tell_systemd(f"STATUS={status}")

    @property
    def states(self) -> tuple[messages.RouterState, ...]:
        """What the vrrp process last said of every instance."""
        return tuple(self._routers)

    def earlier_lives(self, page: Page) -> tuple[messages.Earlier, ...]:
        """What every router was, for the process that replaces the one that ran it."""
        lives = []
        for state in self._routers:
            spoken = page.spoken(state.slot)
            earlier = messages.Earlier(
                state=state,
                spoke_at=spoken.at,
                sent=spoken.sent,
                received=spoken.received,
                sequence=spoken.sequence,
                marks=page.marks(state.slot),
                master_advertisement_interval=spoken.interval,
                entered_at=spoken.entered_at,
            )
            lives.append(earlier)
        return tuple(lives)

    # the control socket

    def accept(self, listener: socket.socket) -> None:
        """A client has come."""
        try:
            conversation = Conversation(listener.accept()[0])
        except OSError:
            return
        leaving = self._clients.in_the_way(conversation)
        if leaving is conversation:
            conversation.close()
            return
        if leaving is not None:
            self._end(leaving)
        self._clients.last(conversation, time.monotonic() + _CONVERSATION)
        self._watchdog.watch(conversation.connection, lambda: self._guard(conversation, self._listen))

    def _guard(self, conversation: Conversation, serve: Callable[[Conversation], None]) -> None:
        """Serve the client; a failure ends this conversation alone."""
        try:
            serve(conversation)
        except Exception:
            self._watchdog.log.error(traceback.format_exc())
            self._end(conversation)

    def _end(self, conversation: Conversation) -> None:
        if self._clients.forget(conversation):
            self._drains = {number: each for number, each in self._drains.items() if each is not conversation}
            self._watchdog.unwatch(conversation.connection)
            conversation.close()

    def _listen(self, conversation: Conversation) -> None:
        try:
            request = conversation.read()
        except ControlError:
            self._end(conversation)
            return
        if request is None:
            return
        self._watchdog.unwatch(conversation.connection)
        self._clients.last(conversation, time.monotonic() + _OWED)
        verb = request.verb
        if verb not in control_protocol.LOOK | control_protocol.ACT:
            self._reply(conversation, {"ok": False, "error": f"unknown request {verb}"})
        elif not control_socket.may(conversation.connection, verb):
            self._reply(conversation, {"ok": False, "error": f"no permission for {verb}"})
        else:
            self._serve(conversation, request)

    def _serve(self, conversation: Conversation, request: Request) -> None:
        # That this process serves its clients is known at once, however long a child, or a reload, takes.
        conversation.begin()
        match request.verb:
            case "dump" if request.section == "events":
                # The journal is the parent's own: it can be read while no child answers.
                events = [messages.to_plain(entry) for entry in self._watchdog.journal.entries()]
                self._reply(conversation, {"ok": True, "dump": events})
            case "status":
                names = self._expected()
                self._snapshots.collect_status(
                    names, lambda taken: self._reply_dump(conversation, self._dump(taken, names), None)
                )
            case "dump":
                names = self._asked(request)
                self._snapshots.collect(
                    names, lambda taken: self._reply_dump(conversation, self._dump(taken, names), request.section)
                )
            case "reload" if self._watchdog.stopping:
                self._reply(conversation, {"ok": False, "error": "the daemon is stopping"})
            case "reload":
                self._clients.last(conversation, time.monotonic() + control_protocol.RELOAD_SECONDS)
                self._reloaders.append(conversation)
                self._watchdog.ask_reload()
            case "drain" | "undrain":
                self._order_drain(conversation, request)
            case "configuration":
                current = self._watchdog.reload.current
                descriptors = tuple(current.slices.values()) if current is not None else ()
                self._reply(conversation, {"ok": True, **self._configuration()}, descriptors)
            case "stop":
                self._reply(conversation, {"ok": True})
                self._watchdog.stop(EXIT_OK, "")

    def _asked(self, request: Request) -> frozenset[str]:
        """The children whose answers are wanted: who wants a part need not wait for all."""
        member = self._watchdog.members.get(request.section or "")
        return _ALL if member is None or member.configured_generation is None else frozenset({member.name})

    def _expected(self) -> frozenset[str]:
        """The children that the running configuration needs, but those that wait for their next start."""
        current = self._watchdog.reload.current
        slices = current.slices if current is not None else {}
        phases = {name: member.supervision.phase for name, member in self._watchdog.members.items()}
        return frozenset(name for name, phase in phases.items() if name in slices and phase in _ANSWERING)

    def _order_drain(self, conversation: Conversation, request: Request) -> None:
        """The ipvs process knows who is meant."""
        ipvs = self._watchdog.members["ipvs"]
        if ipvs.configured_generation is None:
            self._reply(conversation, {"ok": False, "error": "no virtual server is served"})
            return
        self._number += 1
        self._drains[self._number] = conversation
        order = messages.DrainWanted(
            number=self._number,
            service=request.service,
            server=request.server,
            timeout=request.timeout,
            undo=request.verb == "undrain",
        )
        self._watchdog.send(ipvs, order)

    def drained(self, answered: messages.DrainAnswered) -> None:
        """The ipvs process did what was asked, or says why not."""
        conversation = self._drains.pop(answered.number, None)
        if conversation is not None:
            done: Plain = {"ok": True, "text": answered.text}
            self._reply(conversation, {"ok": False, "error": answered.error} if answered.error else done)

    def reload_ended(self, refused: str) -> None:
        """Tell whoever asked for it; empty: it is applied."""
        waiting, self._reloaders = self._reloaders, []
        for conversation in waiting:
            error = f"the reload is refused, the running configuration stays:\n{refused.rstrip()}"
            self._reply(conversation, {"ok": False, "error": error} if refused else {"ok": True})

    def _configuration(self) -> Plain:
        current = self._watchdog.reload.current
        if current is None:
            return {"version": VERSION, "generation": 0, "slices": [], "refusals": [], "hindrance": ""}
        return {
            "version": VERSION,
            "generation": current.generation,
            "slices": list(current.slices),
            "refusals": sorted(current.refusals),
            "hindrance": self._watchdog.reload.hindrance(),
        }

    def _reply_dump(self, conversation: Conversation, dump: Plain, section: str | None) -> None:
        if not section:
            self._reply(conversation, {"ok": True, "dump": dump})
        elif section in dump:
            self._reply(conversation, {"ok": True, "dump": dump[section]})
        elif section in dump["processes"]:
            self._reply(conversation, {"ok": False, "error": f"the {section} process does not answer: ask again"})
        else:
            known = ", ".join(sorted(dump))
            self._reply(conversation, {"ok": False, "error": f"there is no section {section}; there are: {known}"})

    def _reply(self, conversation: Conversation, answer: Plain, descriptors: Sequence[int] = ()) -> None:
        if conversation not in self._clients:
            return
        self._clients.last(conversation, time.monotonic() + _CONVERSATION)
        encoded = msgspec.json.encode(answer)
        if not conversation.may_act and self._clients.waiting_bytes + len(encoded) > MOST_WAITING_BYTES:
            error = "too many answers wait to be read by others: ask again"
            encoded = msgspec.json.encode({"ok": False, "error": error})
        try:
            conversation.answer(encoded, descriptors)
        except OSError as error:
            conversation.close_descriptors()
            conversation.answer(msgspec.json.encode({"ok": False, "error": str(error.strerror)}))
        self._write(conversation)

    def _write(self, conversation: Conversation) -> None:
        if conversation.write():
            self._end(conversation)
        else:
            self._watchdog.watch(
                conversation.connection, lambda: self._guard(conversation, self._write), read=False, write=True
            )

    # dumps

    def _dump(self, taken: Taken, names: frozenset[str]) -> Plain:
        """Everything about the daemon and the children that were asked, as JSON can print it."""
        watchdog = self._watchdog
        resident = self._resident_memory()
        processes: dict[str, Plain] = {
            "watchdog": {
                "name": "watchdog",
                "pid": os.getpid(),
                "started": watchdog.started,
                "uptime": time.monotonic() - watchdog.born_at,
                "memory": resident["watchdog"],
                "log_lines_dropped": watchdog.log.dropped,
            }
        }
        sections: dict[str, Snapshot] = {}
        for name, snapshot in taken.items():
            process: Plain = msgspec.json.decode(snapshot["process"])
            memory = {**resident.get(name, {}), **process["memory"]}
            restarts = watchdog.members[name].supervision.restarts
            processes[name] = {**process, "memory": memory, "restarts": restarts}
            sections[name] = {key: value for key, value in snapshot.items() if key != "process"}
        current = watchdog.reload.current
        for name, member in watchdog.members.items():
            configured = current is not None and name in current.slices
            if name in names and name not in processes and (member.pid is not None or configured):
                restarts = member.supervision.restarts
                processes[name] = {"name": name, "pid": member.pid, "restarts": restarts, "silent": True}
        return {
            "version": VERSION,
            "schema": messages.SCHEMA,
            "generation": current.generation if current else 0,
            "configuration": watchdog.options.files,
            "last_reload": watchdog.reload.last,
            "problems": all_problems(
                watchdog.reload.last,
                [watchdog.members[name] for name in names & self._expected()],
                watchdog.members.values(),
                taken,
                time.monotonic(),
            ),
            "events": [messages.to_plain(entry) for entry in watchdog.journal.latest(_LATEST_EVENTS)],
            "processes": processes,
            "memory": {name: process.get("memory", {}) for name, process in processes.items()},
            **sections,
        }

    def _resident_memory(self) -> dict[str, dict[str, int]]:
        """Of every process, looked at once a second at most: the kernel walks all their pages for it."""
        now = time.monotonic()
        if now - self._memory_at >= _MEMORY_AGE:
            pids = {name: member.pid for name, member in self._watchdog.members.items() if member.pid is not None}
            pids["watchdog"] = os.getpid()
            self._memory = {name: resident_memory(pid) for name, pid in pids.items()}
            self._memory_at = now
        return self._memory

    def log_everything(self) -> None:
        """What SIGUSR1 writes to a file, to the log."""
        self._snapshots.collect(_ALL, lambda taken: self._watchdog.log.info(keepalived_formats.data(*_routing(taken))))

    def write_for_signal(self, number: int) -> None:
        """The files that keepalived writes for this signal, in the runtime directory."""
        clear = number == _SIG_STATS_CLEAR
        self._snapshots.collect(_ALL, lambda taken: self._write_files(number, taken), clear_statistics=clear)

    def _write_files(self, number: int, taken: Taken) -> None:
        vrrp, runner = _routing(taken)
        match number:
            case signal.SIGUSR1:
                files = {"kad.data": msgspec.json.format(msgspec.json.encode(self._dump(taken, _ALL))).decode() + "\n"}
                files["keepalived.data"] = keepalived_formats.data(vrrp, runner)
            case signal.SIGUSR2:
                files = {"keepalived.stats": keepalived_formats.stats(vrrp)}
            case number if number == _SIG_STATS_CLEAR:
                files = {"keepalived.stats": keepalived_formats.stats(vrrp)}
            case number if number == _SIG_JSON:
                files = {"keepalived.json": keepalived_formats.json_dump(vrrp, runner)}
            case _:
                files = {}
        for name, text in files.items():
            self._write_file(self._watchdog.options.runtime_directory / name, text)

    def _write_file(self, path: Path, text: str) -> None:
        try:
            replace_file(path, text.encode())
        except OSError as error:
            self._watchdog.log.error(f"cannot write {path}: {error.strerror}")


def _routing(taken: Taken) -> tuple[Plain, Plain | None]:
    """What keepalived's own files are made of: the vrrp process, and the runner where there is one."""
    vrrp, runner = taken.get("vrrp"), taken.get("runner")
    return opened(vrrp) if vrrp else _NOTHING, opened(runner) if runner else None
