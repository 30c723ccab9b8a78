"""The course of time: adverts when they are due, then decisions, then what was decided, and notice of lost time."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from math import inf

from kad.child.multiplexer import Mux
from kad.shared.log import Logger
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import Action, CaughtUp, Event, Woken
from kad.vrrp.phases import Backup
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.timers.action_queue import Deeds
from kad.vrrp.process.timers.timer_queue import Agenda
from kad.vrrp.process.wire.advert_sockets import Conversations
from kad.vrrp.router import Router

_LATE = 0.05
"""A deadline served later than this many seconds is counted; the process may not have run."""
_SLACK = 0.001
"""Adverts that fall due within this many seconds leave together."""
_TURN = 0.002
"""Seconds of work that may pass before the loop looks at its sockets again."""
_LEAST = 0.001
"""Seconds of what was decided that are done in a turn even while adverts are due."""
_FAIR, _MOST = 0.5, 0.05
"""What was decided gets this part of what the rest of the turn took, up to so many seconds: where the adverts alone
fill all the time there is, addresses would stay for minutes on a router that has given them up."""
_SIGN_EACH = 512
"""Actions of a group after which the page notes that this process gets on with it."""
_COLLECT_AFTER = 60.0
_COLLECT_ANYWAY_AFTER = 600.0
_PAUSE = 0.02
"""The collector may take so long, nearly always much less."""


def _nothing() -> None:
    """Only the note that this process lives is wanted."""


class Course:
    """Everything that happens in the process happens in a turn: it begins with turn(), at() or a deadline."""

    def __init__(self, mux: Mux, log: Logger, hearing: list[float | None], ended: Callable[[], None]) -> None:
        """`hearing` by slot, see Router; `ended` is called when nothing is left to be done in a turn."""
        self._mux = mux
        self._log = log
        self._ended = ended
        self._agenda = Agenda(hearing)
        self._alarm = mux.alarm(self._come)
        self._armed: float = inf
        self._go_on = mux.noted(self._continue, "doing what was decided")
        self._alive = mux.noted(_nothing, "working through what concerns many routers")
        self._continues = False
        self._turned_at = self._flushed_at = mux.now()
        self._began_at = inf
        """When this turn began; inf outside of one."""
        self._collected_at = self._turned_at
        self._instances: list[Instance] = []
        self._by_router: dict[int, Instance] = {}
        self.counters: Counter[str] = Counter()

    def begin(self, conversations: Conversations, deeds: Deeds) -> None:
        """The rest of the process exists now."""
        self._conversations = conversations
        self._deeds = deeds
        # Reference counts free nearly everything here; what they cannot, waits until no advert is due.
        gc.disable()

    def know(self, instances: list[Instance]) -> None:
        """These and no others run."""
        self._instances = instances
        self._by_router = {id(instance.router): instance for instance in instances}

    def forget(self, instance: Instance) -> None:
        """It no longer waits for anything."""
        self._agenda.forget(instance)

    # turns

    def turn(self, work: Callable[[], object]) -> None:
        """Something happened outside."""
        self._look_for_gap()
        work()
        self.finish()

    def at(self, when: float, work: Callable[[], object]) -> None:
        """A turn at that moment; a few ms late."""
        self._mux.at(when, partial(self.turn, work))

    def tell(self, instance: Instance, event: Event, now: float | None = None) -> None:
        """Hand an event to the router, or to its group; what they decide is done in this turn or soon after."""
        moment = self._mux.now() if now is None else now
        if instance.group is None:
            for action in instance.router.handle(event, moment):
                self._deeds.do(instance, action)
            self._agenda.watch(instance)
            return
        self.follow(instance.group.handle(instance.router, event, moment))
        self._agenda.watch(instance)

    def follow(self, steps: Iterable[tuple[Router, Action]]) -> None:
        """What the members of a group want done."""
        concerned: dict[int, Instance] = {}
        for number, (router, action) in enumerate(steps, start=1):
            if number % _SIGN_EACH == 0:
                self._alive()
            instance = concerned[id(router)] = self._by_router[id(router)]
            self._deeds.do(instance, action)
        self._agenda.watch_all(concerned.values())

    def finish(self) -> None:
        """The end of a turn: what was posted leaves, then the rest is done for as long as no advert is due."""
        self._flush()
        self._conversations.close_retired()
        if not self._deeds.idle:
            # The sockets of many interfaces are served in one turn of the loop, and each turn here does some of this.
            self._alive()
            now = self._mux.now()
            undisturbed = (self._agenda.next() or inf) - _SLACK
            fair = min((now - self._began_at) * _FAIR, _MOST)
            self._deeds.work(max(now + _LEAST, now + fair, min(now + _TURN, undisturbed)))
            self._conversations.flush()
        if self._deeds.idle:
            self._ended()
        elif not self._continues:
            self._continues = True
            self._mux.loop.call_soon(self._go_on)
        self._turned_at = self._mux.now()
        self._began_at = inf
        self._arm()

    def resume(self) -> None:
        """There is something to be done, whether this is a turn or not."""
        if self._began_at == inf and not self._continues:
            self._continues = True
            self._mux.loop.call_soon(self._go_on)

    def _continue(self) -> None:
        self._continues = False
        self._began_at = self._mux.now()
        self.finish()

    def _arm(self) -> None:
        earliest = self._agenda.next()
        # One that is set too early comes for nothing, once; that costs less than to move it each time.
        if earliest is not None and earliest < self._armed:
            self._armed = earliest
            self._alarm.set(earliest)

    def _come(self) -> None:
        self._armed = inf
        self._look_for_gap()
        self._fall_due()
        self.finish()
        self._collect()

    # deadlines

    def keep_pace(self) -> None:
        """In the midst of long work: let the adverts leave that are due or decided, decide nothing."""
        now, earliest = self._mux.now(), self._agenda.next()
        if earliest is not None and earliest <= now:
            for instance in self._beat():
                self._agenda.watch(instance)
        elif now < self._flushed_at + _TURN:
            return
        self._alive()
        self._flush()

    def _flush(self) -> None:
        self._conversations.flush()
        self._flushed_at = self._mux.now()

    def _beat(self) -> list[Instance]:
        """Post the adverts that are due; who has something to decide instead, earliest first."""
        now = self._mux.now()
        together = self._sing(now)
        post, page = self._conversations.post, self._mux.page
        spoke_at, sent = page.spoke_at, page.sent
        beaten: list[Instance] = []
        deciding: list[Instance] = []
        while (row := self._agenda.take(now + _SLACK)) is not None:
            moment, instances = row
            if abs(moment - together) > _SLACK:
                together = moment
            for instance in instances:
                router = instance.router
                if not router.beat(together, now):
                    deciding.append(instance)
                    continue
                beaten.append(instance)
                if post(instance, router.priority):
                    slot = instance.slot
                    spoke_at[slot] = now
                    sent[slot] += 1
        self._agenda.choirs.admit(beaten)
        self._agenda.watch_all(beaten)
        return deciding

    def _sing(self, now: float) -> float:
        """The choirs that are due speak; the moment that counts for the last of them."""
        page, choirs = self._mux.page, self._agenda.choirs
        spoke_at, sent = page.spoke_at, page.sent
        together = -inf
        while (choir := choirs.take(now + _SLACK)) is not None:
            pulse = choir.pulse
            if pulse.disturbed:
                self._agenda.watch_all(choir.rehearse())
            if abs(pulse.advert_at - together) > _SLACK:
                together = pulse.advert_at
            choir.sing()
            for slot in choir.slots:
                spoke_at[slot] = now
                sent[slot] += 1
            choirs.go_on(choir, together, now)
        return together

    def _fall_due(self) -> None:
        deciding = self._beat()
        if not deciding:
            return
        self._conversations.flush()
        waiting = [instance for instance in deciding if isinstance(instance.router.phase, Backup)]
        if waiting:
            # A master is presumed dead only after what already waits on the sockets was read.
            self._conversations.drain(waiting)
        now = self._mux.now()
        for place, instance in enumerate(deciding):
            instance.router.catch_up()
            deadline = instance.router.deadline
            if deadline is None or deadline > now:
                self._agenda.watch(instance)
                continue
            self.tell(instance, DeadlineReached(), now)
            if self._mux.now() - now > _TURN:
                # The others are due still: they come again at once, after what this turn has to send.
                for other in deciding[place + 1 :]:
                    self._agenda.watch(other)
                return

    # lost time

    def _look_for_gap(self) -> None:
        """Before anything is decided: whether this process slept, and if it did, what was said meanwhile."""
        earliest, now = self._agenda.next(), self._mux.now()
        self._began_at = now
        if earliest is None or now - max(earliest, self._turned_at) < _LATE:
            return
        self.counters["late_timers"] += 1
        late = now - max(earliest, self._turned_at)
        self.counters["longest_gap_ms"] = max(self.counters["longest_gap_ms"], round(late * 1000))
        asleep = [instance for instance in self._instances if instance.router.may_be_replaced_after(late)]
        if not asleep:
            return
        self._deeds.remember("pause", "child/vrrp", f"the vrrp process did not run for {late:.2f} s")
        self._log.warning(f"This process did not run for {late:.2f} s")
        for instance in asleep:
            self.tell(instance, Woken(late))
        self._alive()
        self._conversations.drain(asleep)
        for instance in asleep:
            self.tell(instance, CaughtUp())
        self._alive()

    def _collect(self) -> None:
        """Let the collector run where nobody waits for it."""
        now = self._mux.now()
        since = now - self._collected_at
        if since < _COLLECT_AFTER or not self._deeds.idle:
            return
        if since > _COLLECT_ANYWAY_AFTER or (self._agenda.next() or inf) - now > _PAUSE:
            gc.collect()
            self._collected_at = self._mux.now()
