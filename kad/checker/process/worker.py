"""The checker process: joins checks to the network, and tells everybody what they say of each real server."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec

from kad.checker.attempts import SocketAttempts
from kad.checker.check import Question
from kad.checker.checker_api import Outcome
from kad.checker.checker_slice import CheckedServer, CheckerSlice
from kad.checker.ha_suspend import Locality
from kad.checker.health import (
    AttemptEnded,
    AttemptFailed,
    AttemptVoid,
    CancelAttempt,
    Event,
    Reconfigured,
    Resumed,
    Retimed,
    StartAttempt,
    Started,
    Suspended,
    Verdict,
)
from kad.checker.mail_alerts import Telling
from kad.checker.program_attempt import Courier
from kad.checker.required_capabilities import needed
from kad.checker.running_check import Probe
from kad.checker.server_health import Server, is_news
from kad.checker.tls import Contexts
from kad.child.multiplexer import Mux
from kad.linux.process import capabilities
from kad.linux.sockets.check_socket import Exhausted, Unreachable, allow_descriptors
from kad.model import secret
from kad.model.problem import Problem
from kad.shared.log import Logger
from kad.shared.log_limit import ComplaintLimit
from kad.shared.messages import CheckState, Message, Notified, Observation, ServerHealth
from kad.shared.state_machine import DeadlineReached, Deadlines

GOLDEN = 0.6180339887498949
"""Multiples of it, without their whole part, divide any interval evenly however many there are."""
_BATCH = 64
"""Attempts that begin in one turn of the loop."""
_SPARE = 128
"""Descriptors for anything but attempts."""
_SECOND_LOOK = 0.005
"""Seconds; an answer that came while this process was busy is read before its time counts as over."""
_DAY = 86400.0
_EXPIRY_WARNING = 14 * _DAY


class Room:
    """A kad.child.main.Room."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._breathe = mux.sign_of_life("going through real servers")
        """Shows that this process lives while it does much in one turn of the loop."""
        self._prepared: tuple[int, CheckerSlice, Contexts] | None = None
        self._servers: dict[str, Server] = {}
        self._probes: dict[Question, Probe] = {}
        self._arriving: deque[tuple[Server, Server | None]] = deque()
        """Servers that are new or changed, and what stood in their place; not yet checked."""
        self._orphans: dict[Question, Probe] = {}
        """Checks that no server has any more."""
        self._begun = 0
        """Probes that were ever started: places them in their interval."""
        self._earlier: dict[str, ServerHealth] = {}
        """What the life before this one said; nothing after the first commit."""
        self._observed: dict[tuple[str, str], Observation] = {}
        """By kind and name."""
        self._followed: frozenset[tuple[str, str]] = frozenset()
        """Those of them that decide a check."""
        self._telling = Telling(say)
        self._courier = Courier(mux, say)
        self._attempts = SocketAttempts(mux, self._courier)
        self._locality = Locality(mux, self._look_at_addresses)
        self._deadlines: Deadlines[Probe] = Deadlines()
        self._alarm = mux.alarm(self._fall_due)
        self._queue: deque[tuple[Probe, int, int]] = deque()
        self._pumping = False
        self._open = 0
        self._most_open = 256
        self._answers_read = 0.0
        """The last moment up to which all answers over TCP are known to have been read."""
        self._complaints = ComplaintLimit()

    # configuration

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        """Decode, and read the certificates; raises ValueError to refuse."""
        try:
            wanted = secret.decode(slice_bytes, CheckerSlice)
        except msgspec.DecodeError as error:
            raise ValueError(f"the checker's configuration cannot be read: {error}") from error
        for kind in {type(check) for server in wanted.servers for check in server.checks}:
            if issubclass(kind, Question):
                kind.load()
        self._prepared = (generation, wanted, Contexts(wanted.credentials))

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        """A server that is equal in both generations is not touched, nor is a check that it shares."""
        assert self._prepared is not None
        self._admit_all()
        (self._courier.generation, wanted, self._attempts.contexts), self._prepared = self._prepared, None
        self._telling.of_each_check = wanted.mails_each_check
        self._log_remarks(wanted)
        self._give_up_privileges(wanted)
        followed = (check.followed for server in wanted.servers for check in server.checks)
        self._followed = frozenset(item for item in followed if item is not None)
        old, self._servers = self._servers, {}
        for configured in wanted.servers:
            self._breathe()
            key = _key(configured)
            known = old.get(key)
            if known is not None and known.configured == configured:
                self._servers[key] = known
                continue
            server = self._servers[key] = Server(configured, key)
            server.said = self._earlier.get(key) if known is None else known.said
            self._arriving.append((server, known))
        self._forget([server for key, server in old.items() if self._servers.get(key) is not server])
        self._most_open = max(64, allow_descriptors(2 * len(self._servers) + 2 * _SPARE) - _SPARE)
        self._locality.watch(any(server.configured.while_local for server in self._servers.values()))
        self._log.info(f"{len(self._servers)} real servers are checked, {len(self._arriving)} of them anew")
        self._admit_some()

    def _log_remarks(self, wanted: CheckerSlice) -> None:
        questions = (check for server in wanted.servers for check in server.checks if isinstance(check, Question))
        for text in dict.fromkeys(text for check in questions for text in check.remarks()):
            self._log.warning(text)

    def _forget(self, gone: list[Server]) -> None:
        """Checks that nobody wants any more end, unless one that follows takes over what they know."""
        wanted = {check for server, _ in self._arriving for check in server.questions()}
        for server in gone:
            self._breathe()
            for probe in server.probes:
                probe.users.pop(server.key, None)
                if not probe.users and probe.check not in wanted:
                    self._orphans[probe.check] = probe
            if server.key not in self._servers and server.said is not None:
                self._say(msgspec.structs.replace(server.said, deleted=True, reason="no longer configured"))

    def _admit_all(self) -> None:
        while self._arriving:
            self._admit_some()

    def _admit_some(self) -> None:
        """A part of the servers that are new or changed; the loop serves others in between."""
        for _ in range(min(_BATCH, len(self._arriving))):
            self._admit(*self._arriving.popleft())
        if self._arriving:
            self._mux.loop.call_soon(self._admit_some)
            return
        for probe in self._orphans.values():
            del self._probes[probe.check]
            self._feed(probe, Suspended())
        self._orphans = {}
        self._earlier = {}

    def _admit(self, server: Server, before: Server | None) -> None:
        self._breathe()
        for check in dict.fromkeys(server.questions()):
            probe = self._probes.get(check)
            if probe is None:
                probe = self._probes[check] = self._new_probe(check, server, before)
            probe.users[server.key] = None
            server.probes.append(probe)
        self._place(server)
        for probe in server.probes:
            self._begin_or_suspend(probe)
        server.is_admitted = True
        self._tell(server)

    def _new_probe(self, check: Question, server: Server, before: Server | None) -> Probe:
        """What it follows goes on with what it knew, changed; or, where others still need it, is copied."""
        self._begun += 1
        spread = self._begun * GOLDEN % 1.0
        followed = _predecessor(check, server, before)
        if followed is not None and self._orphans.pop(followed.check, None) is not None:
            del self._probes[followed.check]
            old, followed.check = followed.check, check
            if _is_same_question(old, check):
                if followed.attempt is not None and check.connection is not None:
                    followed.attempt.allow(check.connection.timeout)
                self._feed(followed, Retimed(check.timing))
            else:
                self._feed(followed, Reconfigured(check.timing, spread))
            return followed
        probe = Probe(check, spread)
        earlier = followed.state() if followed is not None else _earlier_state(check, self._earlier.get(server.key))
        if earlier is not None and earlier.known:
            probe.since = earlier.since
            weight = server.said.weight if check.sets_weight and server.said is not None else None
            self._feed(probe, Resumed(earlier.healthy, earlier.reason, weight))
        return probe

    def _give_up_privileges(self, wanted: CheckerSlice) -> None:
        """Keep what a check needs; a life that gave up what is needed now is replaced by one that has it."""
        wants = needed(wanted)
        missing = wants - capabilities.effective()
        if missing and self._servers:
            names = ", ".join(sorted(f"CAP_{one.name}" for one in missing))
            self._log.notice(f"checks now need {names}, which this process gave up: another one takes over")
            self._mux.stop()
        elif capabilities.effective() - wants:
            capabilities.drop_to(wants, None)

    # what others say

    def receive(self, message: Message) -> None:
        match message:
            case Notified():
                self._courier.receive(message)
            case Observation(kind=kind, name=name):
                self._observed[kind, name] = message
                self._tell_followers(kind, name)
            case ServerHealth() if not self._courier.generation and not message.deleted:
                self._earlier[message.key] = message

    def _tell_followers(self, kind: str, name: str) -> None:
        if (kind, name) not in self._followed:
            return
        for server in self._servers.values():
            if server.follows(kind, name):
                self._tell(server)

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        now = self._mux.now()
        servers = []
        for server in filter(lambda one: one.is_admitted, self._servers.values()):
            self._breathe()
            truth = server.sum_up(self._observed)
            servers.append(
                {
                    "service": truth.service,
                    "address": truth.address,
                    "port": truth.port,
                    "healthy": truth.healthy,
                    "known": truth.known,
                    "suspended": server.is_suspended,
                    "since": truth.since,
                    "reason": truth.reason,
                    "weight": truth.weight,
                    "weight_change": truth.weight_change,
                    "checks": [probe.snapshot(now) for probe in server.probes],
                }
            )
        if clear_statistics:
            for probe in self._probes.values():
                probe.attempts = probe.failures = 0
        return {
            "checks": len(self._probes),
            "servers_waiting": len(self._arriving),
            "attempts_open": self._open,
            "attempts_waiting": len(self._queue),
            "most_attempts_open": self._most_open,
            "servers": servers,
        }

    def problems(self) -> list[Problem]:
        """What this process watches is no problem of its own."""
        return []

    async def stop(self, release: bool, handover: float) -> None:
        """Let every attempt go; what was told stands."""
        self._locality.watch(False)
        for probe in self._probes.values():
            self._feed(probe, Suspended())

    async def orphaned(self) -> None:
        await self.stop(release=True, handover=0.0)

    # checks

    def _look_at_addresses(self) -> None:
        """Begin and suspend checks as the addresses of their services come and go."""
        for server in self._servers.values():
            self._place(server)
        for probe in self._probes.values():
            self._breathe()
            self._begin_or_suspend(probe)

    def _place(self, server: Server) -> None:
        homes = server.configured.while_local
        server.is_suspended = homes is not None and not self._locality.has_any(homes)

    def _begin_or_suspend(self, probe: Probe) -> None:
        is_wanted = any(not self._servers[key].is_suspended for key in probe.users)
        self._feed(probe, Started(probe.spread) if is_wanted else Suspended())

    def _feed(self, probe: Probe, event: Event, now: float | None = None) -> None:
        self._handle(probe, event, self._mux.now() if now is None else now)
        self._deadlines.watch(probe)
        self._pump()
        self._alarm.set(self._deadlines.next())

    def _handle(self, probe: Probe, event: Event, now: float) -> None:
        for action in probe.health.handle(event, now):
            match action:
                case StartAttempt(url):
                    self._queue.append((probe, url, probe.turn))
                case CancelAttempt():
                    self._cancel(probe)
                case Verdict():
                    self._conclude(probe, action)
                case AttemptFailed(reason):
                    self._log.info(f"{probe.check.failure(0)}: {reason}")

    def _cancel(self, probe: Probe) -> None:
        if probe.attempt is not None:
            probe.attempt.cancel()
            probe.attempt = None
            self._open -= 1
        probe.turn += 1

    def _pump(self) -> None:
        """Begin what waits, as far as there is room; the loop serves others in between."""
        if self._queue and not self._pumping and self._open < self._most_open:
            self._pumping = True
            self._mux.loop.call_soon(self._pump_on)

    def _pump_on(self) -> None:
        self._pumping = False
        self._begin_some()

    def _begin_some(self) -> None:
        for _ in range(_BATCH):
            if not self._queue or self._open >= self._most_open:
                break
            self._begin(*self._queue.popleft())
        # A server that is near has answered already.
        self._attempts.serve()
        self._pump()
        self._alarm.set(self._deadlines.next())

    def _begin(self, probe: Probe, url: int, turn: int) -> None:
        if turn != probe.turn:
            return
        self._breathe()
        probe.began = self._mux.now()
        self._open += 1
        try:
            probe.attempt = probe.check.begin(self._attempts, url, lambda outcome: self._ended(probe, outcome))
        except Unreachable as error:
            self._ended(probe, Outcome(False, str(error)))
            return
        except Exhausted as error:
            self._ended(probe, Outcome(False, str(error), is_void=True))
            return
        self._deadlines.watch(probe)

    def _ended(self, probe: Probe, outcome: Outcome) -> None:
        probe.attempt = None
        self._open -= 1
        if outcome.is_void:
            self._complain(f"a check cannot be made: {outcome.reason}")
            self._feed(probe, AttemptVoid())
            return
        now = self._mux.now()
        probe.note(outcome, now - probe.began)
        if outcome.expires is not None:
            self._judge_expiry(probe, outcome.expires)
        self._feed(probe, AttemptEnded(outcome.ok, outcome.reason, outcome.weight), now)

    def _fall_due(self) -> None:
        """What asks now is watched again when its attempt begins."""
        now = self._mux.now()
        for probe in list(self._deadlines.due(now)):
            attempt = probe.attempt
            if attempt is None:
                self._handle(probe, DeadlineReached(), now)
            else:
                self._mux.loop.call_later(_SECOND_LOOK, self._expire, probe, attempt, attempt.deadline)
        self._begin_some()

    def _expire(self, probe: Probe, attempt: object, deadline: float | None) -> None:
        """Time is over, unless the answer, or the next step, came meanwhile."""
        if deadline is not None and deadline > self._answers_read:
            self._answers_read = self._mux.now()
            self._attempts.serve_all()
        if probe.attempt is not None and probe.attempt is attempt and probe.attempt.deadline == deadline:
            probe.attempt.expire()
        self._deadlines.watch(probe)
        self._alarm.set(self._deadlines.next())

    def _conclude(self, probe: Probe, verdict: Verdict) -> None:
        probe.since = time.time()
        said = probe.check.success if verdict.healthy else probe.check.failure(verdict.retries)
        self._log.info(f"{said}: {verdict.reason}")
        for key in probe.users:
            if key in self._servers:
                self._tell(self._servers[key])

    def _tell(self, server: Server) -> None:
        self._breathe()
        if not server.is_admitted:
            return
        truth = server.sum_up(self._observed)
        before = server.said
        if not is_news(truth, before):
            return
        server.said = truth
        self._say(truth)
        if before is not None:
            self._telling.change(server.configured, truth, before)
        if before is None or (before.healthy, before.known) != (truth.healthy, truth.known):
            self._announce(truth, before)

    def _announce(self, truth: ServerHealth, before: ServerHealth | None) -> None:
        """The first word on a server that is well comes when all its checks have spoken, and without any not at all."""
        was_failed = before is not None and not before.healthy
        if truth.healthy and not was_failed and not (truth.known and truth.checks):
            return
        state = "healthy" if truth.healthy else "failed"
        name = f"[{truth.address}]:{truth.port}"
        self._log.notice(f"real_server {name} of virtual_server {truth.service} is {state}: {truth.reason}")

    def _judge_expiry(self, probe: Probe, expires: float) -> None:
        left = expires - time.time()
        if left < _EXPIRY_WARNING and self._mux.now() >= probe.warn_after:
            probe.warn_after = self._mux.now() + _DAY
            self._log.warning(f"the certificate of {probe.check.target} ends in {left / _DAY:.1f} days")

    def _complain(self, text: str) -> None:
        """At most once a minute."""
        if self._complaints.is_due(text, self._mux.now()):
            self._log.warning(text)


def _key(server: CheckedServer) -> str:
    return f"{server.service}/{server.address} {server.port}"


def _is_same_question(old: Question, new: Question) -> bool:
    """Whether nothing but times and counts differs; the time of a program is part of the order to run it."""
    if old.connection is not None and new.connection is not None:
        connection = msgspec.structs.replace(old.connection, timeout=new.connection.timeout)
        old = msgspec.structs.replace(old, connection=connection)
    return msgspec.structs.replace(old, timing=new.timing) == new


def _predecessor(check: Question, server: Server, before: Server | None) -> Probe | None:
    """The check of that kind which stood in its place."""
    if before is None:
        return None
    place = [one for one in server.questions() if type(one) is type(check)].index(check)
    others = [probe for probe in before.probes if type(probe.check) is type(check)]
    return others[place] if place < len(others) else None


def _earlier_state(check: Question, earlier: ServerHealth | None) -> CheckState | None:
    """What the life before this one said of the check."""
    named = (check.kind, check.target)
    states = earlier.checks if earlier is not None else ()
    return next((state for state in states if (state.kind, state.target) == named), None)
