"""One VRRP router: RFC 9568 6.4 with keepalived's FAULT, preemption delay and announcements; decides, does nothing."""

from __future__ import annotations

from kad.model.cause import (
    AddressesOwned,
    AdvertsRefused,
    Cause,
    ChecksPassed,
    FaultsBegan,
    FaultsEnded,
    HigherAddressReceived,
    HigherPriorityReceived,
    InstanceStarted,
    LowerPriorityPreempted,
    MasterResigned,
    MasterSilent,
    OwnerGone,
    OwnerInsists,
    ProcessPaused,
    RefusedPeer,
    ResumedTooLate,
    StopOrdered,
)
from kad.model.fault import found
from kad.model.vrrp import OWNER_PRIORITY, VrrpInstance
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import GIVING_UP, Advertisement
from kad.vrrp.events import (
    Action,
    AddressClaimed,
    AddressesRemoved,
    AdvertReceived,
    Announce,
    AnnounceSource,
    CaughtUp,
    ChangePriority,
    ChangeState,
    Complain,
    Demoted,
    Event,
    FaultsChanged,
    GroupAsserted,
    HoldAddresses,
    PriorityChanged,
    Promoted,
    Reconfigured,
    RefusalsChanged,
    ReleaseAddresses,
    Resumed,
    SendAdvert,
    SourceChanged,
    Started,
    State,
    Stopped,
    TellLowerPriority,
    Woken,
)
from kad.vrrp.phases import Backup, Leaving, Master, Pulse, Wait, Waiting
from kad.vrrp.split_brain import Contest


def skew_time(version: int, priority: int, master_advertisement_interval: float) -> float:
    """Seconds (RFC 3768 6.1: of one second; RFC 9568 6.1: of the master's interval)."""
    unit = 1.0 if version == 2 else master_advertisement_interval
    return (256 - priority) * unit / 256


_OVERLAP = 0.1
"""Seconds that both routers hold the addresses at a handover: the switches learn before the old place goes silent."""
_OVERLAP_EACH = 0.0005
"""Seconds more for each further address: the new MASTER announces one after the other."""


def _place_of_addresses(configuration: VrrpInstance) -> tuple[object, ...]:
    """What a MASTER holds, and where."""
    return (configuration.virtual_addresses, configuration.excluded_addresses, configuration.devices)


class Router:
    """A Machine (kad.shared.state_machine) for one vrrp_instance."""

    __slots__ = (
        "configuration",
        "deadline",
        "faults",
        "grouped",
        "hearing",
        "lowered",
        "master",
        "master_advertisement_interval",
        "name",
        "obeyed",
        "pending",
        "phase",
        "place",
        "priority",
        "pulse",
        "refused",
        "silence",
        "source_number",
        "state",
    )

    def __init__(self, configuration: VrrpInstance, *, grouped: bool = False) -> None:
        self.name = configuration.name
        self.configuration = configuration
        self.grouped = grouped
        """A sync group decides together: timer expiry is reported, not acted on."""
        self.state = State.INIT
        self.phase: Waiting | Backup | Master | Leaving = Waiting()
        self.priority = configuration.priority
        self.master_advertisement_interval = configuration.advertisement_interval
        self.master: Advertisement | None = None
        """The last advert that was accepted as the MASTER's."""
        self.faults: frozenset[str] = frozenset()
        self.pending: frozenset[str] = frozenset()
        self.source_number = 0
        """Our own source address as a number, by which equal priorities are decided."""
        self.refused: tuple[RefusedPeer, ...] = ()
        """Routers whose adverts do not count."""
        self.lowered = False
        """Priority 254 instead of 255: another owner with a lower address does not yield."""
        self.deadline: float | None = None
        """Not before it something falls due; catch_up() makes it the moment itself."""
        self.obeyed: Backup | None = None
        """The phase in which the MASTER's last advert, come again, needs no decision but moves the timer."""
        self.hearing: list[float | None] = [None]
        self.place = 0
        """Where it is noted when that advert came last: many routers share one list, and looking at it can wait until
        one of them decides something. None: this router wants to be told of each."""
        self.silence = 0.0
        """By how much: master_down_interval as it was when the phase was entered or the advert accepted."""
        self.pulse: Pulse | None = None
        """Whose moments the adverts of this MASTER leave at, until it decides otherwise."""

    @property
    def skew_time(self) -> float:
        return skew_time(self.configuration.version, self.priority, self.master_advertisement_interval)

    @property
    def master_down_interval(self) -> float:
        return self.configuration.down_timer_adverts * self.master_advertisement_interval + self.skew_time

    @property
    def holds_addresses(self) -> bool:
        """A router that is leaving is still MASTER to the world, until somebody else is."""
        return self.state is State.MASTER

    def may_be_replaced_after(self, late: float) -> bool:
        """A MASTER whose advert is this many seconds late: another router may have presumed it dead."""
        return isinstance(self.phase, Master) and late > (
            (self.configuration.down_timer_adverts - 1) * self.configuration.advertisement_interval
        )

    @property
    def wants_master(self) -> bool:
        self.catch_up()
        return isinstance(self.phase, Backup) and self.phase.wants_master

    def handle(self, event: Event, now: float) -> list[Action]:
        """Decide; the order of the actions is part of the contract."""
        self.catch_up()
        before = self.priority
        match event:
            case AdvertReceived(advert):
                actions = self._hear(advert, now)
            case DeadlineReached():
                actions = self._fall_due(now)
            case Started():
                actions = self._start(event, now)
            case Resumed():
                actions = self._resume(event, now)
            case Stopped(release, handover_until):
                actions = self._stop(release, handover_until, now)
            case AddressClaimed(address, by):
                actions = self._take_claim(address, by, now)
            case GroupAsserted():
                actions = self._announce_against(self.phase, now) if isinstance(self.phase, Master) else []
            case Woken(gap):
                actions = self._doubt(gap, now)
            case CaughtUp():
                actions = self._stop_doubting()
            case PriorityChanged(priority, cause, reloaded):
                actions = self._take_priority(priority, cause, now)
                if reloaded and isinstance(self.phase, Backup):
                    self._count_anew(self.phase, now)
            case FaultsChanged(faults, pending):
                actions = self._take_faults(faults, pending, now)
            case Reconfigured(configuration):
                actions = self._reconfigure(configuration, now)
            case SourceChanged(number):
                self.source_number = number
                actions = []
            case RefusalsChanged(peers):
                self.refused = peers
                actions = []
            case AddressesRemoved(cause):
                actions = self._lose_addresses(cause, now) if isinstance(self.phase, Master) else []
            case Promoted(cause):
                actions = self._become_master(cause, now) if isinstance(self.phase, Backup) else []
            case Demoted(cause):
                actions = self._leave_master(cause, now) if isinstance(self.phase, Master) else []
        self.deadline = self._earliest()
        self._attend()
        if self.pulse is not None and not (self.priority == before and self._follows(self.pulse)):
            self.leave_pulse()
        return actions

    def listen(self, hearing: list[float | None], place: int) -> None:
        """From now on whoever reads the wire notes there when the MASTER's last advert came again, byte for byte."""
        self.catch_up()
        self.hearing, self.place = hearing, place
        self._attend()

    def _attend(self) -> None:
        obeyed = self.obeyed = self._obeyed()
        if obeyed is None:
            self.hearing[self.place] = None
        else:
            self.silence = self.master_down_interval
            self.hearing[self.place] = obeyed.heard_at

    def repeat(self, now: float) -> bool:
        """The MASTER's last advert came again, byte for byte; False when that needs a decision after all."""
        if self.obeyed is None:
            return False
        self.hearing[self.place] = now
        self.catch_up()
        return True

    def catch_up(self) -> None:
        """What was noted since counts from when it came."""
        phase = self.obeyed
        if phase is not None:
            heard_at = self.hearing[self.place]
            if heard_at is not None and heard_at != phase.heard_at:
                phase.heard_at = heard_at
                phase.overruled = None
                phase.wants_master = False
                phase.master_down_at = self.deadline = heard_at + self.silence
        elif self.pulse is not None and isinstance(self.phase, Master):
            self.phase.advert_at = self.pulse.advert_at
            self.deadline = min(self.phase.advert_at, self.phase.others_at)

    def _obeyed(self) -> Backup | None:
        phase, master = self.phase, self.master
        if not isinstance(phase, Backup) or phase.lower_since is not None or master is None:
            return None
        if master.priority == GIVING_UP or (self.configuration.preempt and master.priority < self.priority):
            return None
        return phase

    def beat(self, moment: float, now: float) -> bool:
        """The advert that is due at `moment` leaves, which changes nothing else; False when a decision is due."""
        phase = self.phase
        if not isinstance(phase, Master) or phase.advert_at != self.deadline:
            return False
        interval, others_at = self.configuration.advertisement_interval, phase.others_at
        advert_at = moment + interval
        if advert_at <= now:
            advert_at = now + interval
        phase.advert_at = advert_at
        self.deadline = advert_at if advert_at < others_at else others_at
        return True

    def join_pulse(self, pulse: Pulse) -> None:
        """From now on whoever has the pulse sends the adverts; their moments and interval are this router's."""
        self.pulse = pulse

    def leave_pulse(self) -> None:
        """The next advert is this router's own again, at the moment that it has in mind; see catch_up()."""
        if self.pulse is not None:
            self.pulse.disturbed = True
            self.pulse = None

    def _follows(self, pulse: Pulse) -> bool:
        phase = self.phase
        return (
            isinstance(phase, Master)
            and phase.advert_at == pulse.advert_at
            and self.configuration.advertisement_interval == pulse.interval
        )

    # INIT, FAULT, STOP

    def _start(self, event: Started, now: float) -> list[Action]:
        """Whatever an earlier life left behind is released first."""
        self.faults, self.pending = event.faults, event.pending
        actions = [ReleaseAddresses(), *self._leave_waiting(InstanceStarted(), now)]
        if event.succeeds and isinstance(self.phase, Backup) and self.phase.wait is Wait.MASTER_DOWN:
            # As if the MASTER of what it is now had given up, as this router did with what it was.
            self.phase.wait = Wait.SKEW
            self._count_anew(self.phase, now)
        return actions

    def _leave_waiting(self, cause: Cause, now: float) -> list[Action]:
        if self.faults:
            return self._enter_fault(self.faults)
        if self.pending:
            return []
        owner = self.priority == OWNER_PRIORITY
        # RFC 9568 6.4.1: what was learned in an earlier life does not count.
        self.master, self.master_advertisement_interval = None, self.configuration.advertisement_interval
        returns = self.state is State.FAULT
        actions = self._enter(State.BACKUP, cause)
        if returns and self.configuration.unicast_peers:
            actions.append(AnnounceSource())
        self.phase = Backup(
            master_down_at=now if owner else now + self.master_down_interval,
            heard_at=now,
            owns=owner,
            wait=Wait.NOTHING if owner else Wait.MASTER_DOWN,
            wants_master=owner,
        )
        return actions

    def _enter_fault(self, faults: frozenset[str]) -> list[Action]:
        return self._enter(State.FAULT, FaultsBegan(faults=found(faults)))

    def _enter(self, new: State, cause: Cause) -> list[Action]:
        if new is self.state:
            return []
        old, self.state = self.state, new
        self.phase = Waiting()
        return [ChangeState(old, new, cause)]

    def _take_faults(self, faults: frozenset[str], pending: frozenset[str], now: float) -> list[Action]:
        gone, self.faults, self.pending = self.faults - faults, faults, pending
        match self.state:
            case State.STOP:
                return []
            case State.INIT:
                return self._leave_waiting(InstanceStarted(), now)
            case State.FAULT if not faults:
                return self._leave_waiting(FaultsEnded(faults=found(gone)) if gone else ChecksPassed(), now)
            case State.FAULT:
                return []
            case _ if not faults:
                return []
            case State.MASTER if isinstance(self.phase, Leaving):
                return [ReleaseAddresses(), *self._enter(State.STOP, StopOrdered())]
            case State.MASTER:
                report = self._end_split("this router is in FAULT")
                return [*self._give_up(), *report, *self._enter_fault(faults)]
            case _:
                return self._enter_fault(faults)

    def _give_up(self) -> list[Action]:
        return [SendAdvert(GIVING_UP), ReleaseAddresses()]

    def _resume(self, event: Resumed, now: float) -> list[Action]:
        """Nothing is said again that was said by the earlier life; what it must no longer hold goes."""
        self.faults, self.pending = event.faults, event.pending
        before, self.state = event.state, event.state
        configuration = self.configuration
        in_time = now - event.spoke_at < configuration.down_timer_adverts * configuration.advertisement_interval
        if before is State.MASTER and in_time and not self.faults:
            self.phase = Master(
                advert_at=now + configuration.advertisement_interval,
                entered_at=event.entered_at,
                announces_again=event.entered_at + configuration.announcing.master_delay > now,
                refreshed_at=now,
                elsewhere_at=now,
            )
            return [SendAdvert(self.priority), HoldAddresses()]
        if before is State.BACKUP and not self.faults:
            if configuration.version == 3:
                # Whoever still speaks may do so less often than this router would.
                longest = max(configuration.advertisement_interval, event.master_advertisement_interval)
                self.master_advertisement_interval = longest
            self.phase = Backup(master_down_at=now + self.master_down_interval, heard_at=now)
            return [ReleaseAddresses()]
        if before is State.FAULT and self.faults:
            return [ReleaseAddresses()]
        if self.pending and not self.faults:
            self.state = State.INIT
        return [ReleaseAddresses(), *self._leave_waiting(ResumedTooLate(), now)]

    def _stop(self, release: bool, handover_until: float | None, now: float) -> list[Action]:
        if not isinstance(self.phase, Master) or not release:
            return [*self._end_leaving(), *self._enter(State.STOP, StopOrdered())]
        report = self._end_split("this router stops")
        if handover_until is None:
            return [*self._give_up(), *report, *self._enter(State.STOP, StopOrdered())]
        longest = self.skew_time + self.configuration.advertisement_interval
        self.phase = Leaving(until=min(now + longest, handover_until))
        return [SendAdvert(GIVING_UP), *report]

    def _overlap(self) -> float:
        further = len(self.configuration.virtual_addresses) + len(self.configuration.excluded_addresses) - 1
        return _OVERLAP + max(0, further) * _OVERLAP_EACH

    def _end_leaving(self) -> list[Action]:
        return [ReleaseAddresses()] if isinstance(self.phase, Leaving) else []

    # BACKUP

    def _hear(self, advert: Advertisement, now: float) -> list[Action]:
        match self.phase:
            case Backup() as backup:
                return self._hear_as_backup(backup, advert, now)
            case Master() as master:
                return self._hear_as_master(master, advert, now)
            case Leaving() if advert.priority != GIVING_UP and self.configuration.device is not None:
                # Two hosts with one MAC would both be answered; the switches learn from the advert itself.
                return [ReleaseAddresses(), *self._enter(State.STOP, StopOrdered())]
            case Leaving() as leaving if advert.priority != GIVING_UP:
                leaving.until = min(leaving.until, now + self._overlap())
                return []
            case _:
                return []

    def _hear_as_backup(self, backup: Backup, advert: Advertisement, now: float) -> list[Action]:
        restored = (
            self._be_owner_again(OwnerGone(source=advert.source, priority=advert.priority))
            if (self.lowered and advert.priority < OWNER_PRIORITY)
            else []
        )
        return [*restored, *self._judge_as_backup(backup, advert, now)]

    def _judge_as_backup(self, backup: Backup, advert: Advertisement, now: float) -> list[Action]:
        if advert.priority == GIVING_UP:
            backup.heard_at, backup.wait = now, Wait.SKEW
            backup.master_down_at = now + self.skew_time
            backup.lower_since = None
            self.master = advert
            return [Complain("info", f"Backup received priority 0 advertisement from {advert.source}")]
        if not self._submits_to(backup, advert, now):
            backup.overruled = advert
            return []
        backup.overruled = None
        if self.configuration.version == 3:
            self.master_advertisement_interval = advert.interval
        self.master = advert
        backup.heard_at, backup.wait = now, Wait.MASTER_DOWN
        backup.expects, backup.owns = advert.source, False
        backup.wants_master = False
        backup.master_down_at = now + self.master_down_interval
        return []

    def _submits_to(self, backup: Backup, advert: Advertisement, now: float) -> bool:
        """RFC 9568 6.4.2 (440), with keepalived's preempt_delay counted from the first advert of a lower priority."""
        if advert.priority >= self.priority or not self.configuration.preempt:
            backup.lower_since = None
            return True
        if not self.configuration.preempt_delay:
            return False
        if backup.lower_since is None:
            backup.lower_since = now
        return now < backup.lower_since + self.configuration.preempt_delay

    def _fall_due(self, now: float) -> list[Action]:
        match self.phase:
            case Backup() as backup if backup.master_down_at <= now:
                if not self.grouped:
                    return self._become_master(self._cause_of_expiry(backup, now), now)
                backup.wants_master = True
                backup.master_down_at = now + self.master_down_interval
                return []
            case Master() as master:
                return self._fall_due_as_master(master, now)
            case Leaving(until) if until <= now:
                return [ReleaseAddresses(), *self._enter(State.STOP, StopOrdered())]
            case _:
                return []

    def _cause_of_expiry(self, backup: Backup, now: float) -> Cause:
        if backup.owns:
            return AddressesOwned()
        if backup.overruled is not None:
            other = backup.overruled
            return LowerPriorityPreempted(source=other.source, priority=other.priority, own_priority=self.priority)
        if self.master is not None and self.master.priority == GIVING_UP:
            return MasterResigned(source=self.master.source)
        if self.refused:
            return AdvertsRefused(peers=self.refused, seconds=now - backup.heard_at)
        return MasterSilent(source=backup.expects, seconds=now - backup.heard_at)

    # MASTER

    def _become_master(self, cause: Cause, now: float) -> list[Action]:
        self.master_advertisement_interval = self.configuration.advertisement_interval
        restored = self._be_owner_again(cause) if self.lowered else []
        take = self._take_over()
        entered = self._enter(State.MASTER, cause)
        self.master = None
        self.phase = Master(
            advert_at=now + self.configuration.advertisement_interval,
            entered_at=now,
            refreshed_at=now,
            elsewhere_at=now,
        )
        return [*restored, *take, Announce(self.configuration.announcing.master_repeat), *entered]

    def _take_over(self) -> list[Action]:
        """Advert, then addresses (RFC 9568 6.4.2); the other way round where packets follow the advert at once.

        The virtual MAC of the advert leads them here, and the other MASTER lets go when it hears it.
        """
        phase = self.phase
        gave_up = self.master is not None and self.master.priority == GIVING_UP
        is_handed_over = gave_up or (isinstance(phase, Backup) and phase.overruled is not None)
        if is_handed_over and self.configuration.device is not None:
            return [HoldAddresses(first=True), SendAdvert(self.priority)]
        return [SendAdvert(self.priority), HoldAddresses()]

    def _hear_as_master(self, master: Master, advert: Advertisement, now: float) -> list[Action]:
        if advert.priority == GIVING_UP:
            master.advert_at = now + self.configuration.advertisement_interval
            return [SendAdvert(self.priority), *self._end_split(f"{advert.source} gave up")]
        if master.slept:
            return self._yield_after_sleep(advert, master.slept, now)
        equal = advert.priority == self.priority
        if advert.priority > self.priority or (equal and advert.source_number > self.source_number):
            return self._yield_to(advert, now)
        if advert.source_number == self.source_number:
            return [Complain("warning", f"Received an advert with our own source address {advert.source}", True)]
        if equal and self.priority == OWNER_PRIORITY:
            return self._contend(master, advert, now)
        return self._assert_against(master, advert, now)

    def _yield_to(self, advert: Advertisement, now: float) -> list[Action]:
        cause: Cause = HigherAddressReceived(source=advert.source, priority=advert.priority)
        if advert.priority > self.priority:
            cause = HigherPriorityReceived(source=advert.source, priority=advert.priority, own_priority=self.priority)
        before: list[Action] = [SendAdvert(self.priority)] if self.configuration.higher_prio_send_advert else []
        actions = self._leave_master(cause, now)
        if self.configuration.version == 3:
            self.master_advertisement_interval = advert.interval
        self.master = advert
        self.phase = Backup(master_down_at=now + self.master_down_interval, heard_at=now, expects=advert.source)
        return [*before, *actions]

    def _doubt(self, gap: float, now: float) -> list[Action]:
        if isinstance(self.phase, Master):
            self.phase.slept = gap
            if self._gives_way_after(gap):
                return self._leave_master(ProcessPaused(seconds=gap), now)
        return [Complain("warning", f"this process did not run for {gap:.2f} s")]

    def _stop_doubting(self) -> list[Action]:
        if isinstance(self.phase, Master):
            self.phase.slept = 0.0
        return []

    def _yield_after_sleep(self, advert: Advertisement, gap: float, now: float) -> list[Action]:
        """Whoever speaks has taken over meanwhile, whatever its priority: it is not disturbed."""
        actions = self._leave_master(ProcessPaused(seconds=gap, source=advert.source), now)
        return [*actions, *self._hear(advert, now)]

    def _gives_way_after(self, late: float) -> bool:
        """timer_expired_backup: a router of that priority has presumed this one dead meanwhile."""
        configuration = self.configuration
        if configuration.timer_expired_backup is None:
            return False
        interval = configuration.advertisement_interval
        skew = skew_time(configuration.version, configuration.timer_expired_backup, interval)
        return late > (configuration.down_timer_adverts - 1) * interval + skew

    def _leave_master(self, cause: Cause, now: float) -> list[Action]:
        report = self._end_split("this router yields")
        entered = self._enter(State.BACKUP, cause)
        self.phase = Backup(master_down_at=now + self.master_down_interval, heard_at=now)
        return [ReleaseAddresses(), *entered, *report]

    def _lose_addresses(self, cause: Cause, now: float) -> list[Action]:
        """What keepalived does: MASTER again after skew_time, unless another router speaks before."""
        report = self._end_split("this router yields")
        entered = self._enter(State.BACKUP, cause)
        self.phase = Backup(master_down_at=now + self.skew_time, heard_at=now, wait=Wait.SKEW)
        return [*self._give_up(), *entered, *report]

    def _assert_against(self, master: Master, advert: Advertisement, now: float) -> list[Action]:
        actions: list[Action] = []
        if not self.configuration.lower_prio_no_advert:
            actions.append(SendAdvert(self.priority))
        actions += self._announce_against(master, now)
        split = master.note_other(advert.source, now, advert.interval)
        if split.adverts == 2:
            actions.append(Complain("warning", f"{advert.source} is MASTER too"))
        return [*actions, TellLowerPriority(advert)]

    def _announce_against(self, master: Master, now: float) -> list[Action]:
        return master.announce_against(self.configuration.announcing, now)

    # two MASTERs

    def _end_split(self, outcome: str) -> list[Action]:
        return self.phase.end_split(outcome) if isinstance(self.phase, Master) else []

    def _take_claim(self, address: str, by: str, now: float) -> list[Action]:
        master = self.phase
        if not isinstance(master, Master) or master.slept:
            return []
        said: list[Action] = []
        if master.defence.claimed_at is None:
            said = [Complain("warning", f"{by} claims {address} too; unless it takes over, it is announced again")]
        master.defence.claimed(now)
        master.note_other(by, now)
        return said

    def _contend(self, master: Master, advert: Advertisement, now: float) -> list[Action]:
        """Another owner with a lower address should yield; when it does not hear that, this one does."""
        interval = self.configuration.advertisement_interval
        if master.contest is None or master.contest.is_forgotten(interval, now):
            master.contest = Contest(now, advert.interval)
            twice: list[Action] = [SendAdvert(OWNER_PRIORITY), SendAdvert(OWNER_PRIORITY)]
            return [
                *twice,
                Complain("warning", f"{advert.source} has priority {OWNER_PRIORITY} too, which only one may have"),
            ]
        if now < master.contest.until(interval):
            return []
        self.lowered, self.priority = True, OWNER_PRIORITY - 1
        return [
            ChangePriority(OWNER_PRIORITY, self.priority, OwnerInsists(source=advert.source)),
            *self._yield_to(advert, now),
        ]

    def _be_owner_again(self, cause: Cause) -> list[Action]:
        old, self.lowered, self.priority = self.priority, False, OWNER_PRIORITY
        return [ChangePriority(old, OWNER_PRIORITY, cause)]

    def _fall_due_as_master(self, master: Master, now: float) -> list[Action]:
        interval = self.configuration.advertisement_interval
        actions: list[Action] = []
        if master.advert_at <= now:
            actions.append(SendAdvert(self.priority))
            master.advert_at += interval
            if master.advert_at <= now:
                master.advert_at = now + interval
        return [*actions, *master.announce_due(self.configuration, now)]

    # any state

    def _take_priority(self, priority: int, cause: Cause, now: float) -> list[Action]:
        if priority == self.priority or (self.lowered and priority == OWNER_PRIORITY):
            return []
        self.lowered = False
        old, self.priority = self.priority, priority
        change = ChangePriority(old, priority, cause)
        if isinstance(self.phase, Master) and priority < old and self.configuration.invites_successor:
            return [change, *self._invite_successor(self.phase, now)]
        return [change]

    def _invite_successor(self, master: Master, now: float) -> list[Action]:
        """Whoever is better now need not wait for a silence: priority 0 has all count their skew_time alone.

        The advert behind it sets those back that are no better, and comes again before any of them is through.
        """
        master.advert_at = min(master.advert_at, now + self.skew_time / 2)
        return [SendAdvert(GIVING_UP), SendAdvert(self.priority)]

    def _reconfigure(self, configuration: VrrpInstance, now: float) -> list[Action]:
        old, self.configuration = self.configuration, configuration
        if configuration.version == 2 or self.master is None:
            self.master_advertisement_interval = configuration.advertisement_interval
        match self.phase:
            case Backup() as backup:
                self._count_anew(backup, now)
                return []
            case Master() as master:
                master.reconfigure(old, configuration, now)
                if _place_of_addresses(old) != _place_of_addresses(configuration):
                    return [HoldAddresses(), Announce(configuration.announcing.master_repeat)]
                if (old.routes, old.rules) != (configuration.routes, configuration.rules):
                    return [HoldAddresses()]
                return []
            case _:
                return []

    def _count_anew(self, backup: Backup, now: float) -> None:
        """The silence counts from where it began; one that has lasted long enough by now is over."""
        waits = {Wait.NOTHING: 0.0, Wait.MASTER_DOWN: self.master_down_interval, Wait.SKEW: self.skew_time}
        backup.master_down_at = max(backup.heard_at + waits[backup.wait], now)

    def _earliest(self) -> float | None:
        match self.phase:
            case Backup(master_down_at=at) | Leaving(until=at):
                return at
            case Master() as master:
                master.look_ahead(self.configuration)
                return min(master.advert_at, master.others_at)
            case _:
                return None
