"""A vrrp_sync_group: its members are MASTER together, or none of them is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from math import inf

import msgspec

from kad.model.cause import GroupComplete, InstanceStarted, MemberChanged, MemberLeft
from kad.model.fault import Fault
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import GIVING_UP, Advertisement
from kad.vrrp.events import (
    Action,
    AddressesRemoved,
    AdvertReceived,
    ChangeGroupState,
    Demoted,
    Event,
    FaultsChanged,
    GroupAsserted,
    Promoted,
    Resumed,
    Started,
    State,
    TellLowerPriority,
)
from kad.vrrp.router import Router

Step = tuple[Router, Action]
"""Who wants it, and what."""


class SyncGroup:
    """Takes the events of its members and makes the others follow, in the same call.

    An event that changes nothing for the others costs the same whatever their number is: all members have such events
    at the same moment when their MASTER speaks or dies.
    """

    def __init__(self, name: str, members: Iterable[Router]) -> None:
        self.name = name
        self.members = list(members)
        self.state = State.INIT
        self._states = Counter(member.state for member in self.members)
        """How many members are in each state."""
        self._awaited = 0
        """Place of the member that was last found neither MASTER nor ready to be it."""
        self._asserted_at = -inf
        self._own_faults: dict[str, frozenset[str]] = {}
        self._faulty: dict[str, None] = {}
        """Members that have faults of their own, or will have when they start, in the order in which they got them."""
        self._named: list[str] = []
        """Up to two of them, whose faults the others have as their own: one is enough for all but itself."""
        self._shared: list[str] | None = None
        """`_named` as the others know it; None: what they know is not known."""
        self._starts_whole = False
        """Every member will start, and none of them waits for a result or has a fault."""
        self._earlier: dict[str, State] = {}
        """What each member was when the process that ran it died."""

    def handle(self, router: Router, event: Event, now: float) -> list[Step]:
        """Decide for one member, then for the group; group changes follow the member's own."""
        match event:
            case Started(faults=faults):
                self._know(router, faults)
                event = msgspec.structs.replace(event, faults=faults | self._faults_of_others(router))
            case FaultsChanged(faults, pending):
                self._know(router, faults)
                event = FaultsChanged(faults | self._faults_of_others(router), pending)
            case Resumed(state=state, faults=faults):
                self._know(router, faults)
                self._shared = None
                complete = self._remember(router, state)
                others = self._faults_of_others(router)
                if state is State.FAULT and not complete:
                    # Whoever has the fault may not have been asked yet; they all are when the last one is back.
                    others |= {f"sync group {self.name}: not every member is back"}
                event = msgspec.structs.replace(event, faults=faults | others)
            case _:
                pass
        was_master = router.state is State.MASTER
        steps = self._begin(router) if isinstance(event, Started) else []
        steps += self._tell(router, event, now)
        match event:
            case Started() | FaultsChanged():
                steps += self._share_faults(router, now)
            case Resumed():
                steps += self._share_faults(router, now)
                if self._states[State.BACKUP] and self._states[State.MASTER]:
                    backup = next(each for each in self.members if each.state is State.BACKUP)
                    steps += self._demote_others(backup, now)
            case AdvertReceived() if any(isinstance(action, TellLowerPriority) for _, action in steps):
                steps += self._assert_others(router, now)
            case AdvertReceived(advert) if self._obeys(router, advert):
                steps += self._demote_others(router, now)
            case DeadlineReached() if router.wants_master and self._all_can_be_master():
                steps += self._promote(router, now)
            case AddressesRemoved() if was_master and router.state is State.BACKUP:
                # All of them say priority 0 and are back after their skew_time, unless others speak before.
                steps += self._demote_others(router, now, AddressesRemoved(self._left(router)))
            case _ if was_master and router.state is State.BACKUP:
                steps += self._demote_others(router, now)
            case _:
                pass
        return [*steps, *self._follow(router)]

    def foresee(self, faults: Mapping[str, frozenset[str]], pending: Container[str]) -> None:
        """Members will start with these faults; those that start before them are in FAULT from the beginning.

        `pending` are those that will wait for a result.
        """
        for name, found in faults.items():
            if found:
                self._faulty[name] = None
        everybody = [member.name for member in self.members]
        self._starts_whole = not self._faulty and all(name in faults and name not in pending for name in everybody)

    def adopt(self, router: Router, faults: frozenset[str]) -> None:
        """A member that is already in some state, as after a reload; settle() follows."""
        if router.state is not State.INIT:
            self._know(router, faults)

    def settle(self, now: float) -> list[Step]:
        """What members that a reload brought together do: MASTER together, or not at all."""
        states = {member.state for member in self.members}
        self.state = states.pop() if len(states) == 1 else State.INIT
        backup = next((member for member in self.members if member.state is State.BACKUP), None)
        if backup is None:
            return []
        return [*self._demote_others(backup, now), *self._follow(backup)]

    def remove(self, router: Router) -> None:
        """The member is gone from the configuration."""
        self.members.remove(router)
        self._states[router.state] -= 1
        self._earlier.pop(router.name, None)
        self._own_faults.pop(router.name, None)
        self._faulty.pop(router.name, None)

    def _know(self, router: Router, faults: frozenset[str]) -> None:
        self._own_faults[router.name] = faults
        if faults:
            self._faulty[router.name] = None
        else:
            self._faulty.pop(router.name, None)

    def _begin(self, first: Router) -> list[Step]:
        """As keepalived does: at the start the group is told before its members."""
        if not self._starts_whole or self.state is not State.INIT:
            return []
        self.state = State.BACKUP
        return [(first, ChangeGroupState(self.name, State.INIT, State.BACKUP, InstanceStarted()))]

    def _obeys(self, router: Router, advert: Advertisement) -> bool:
        """A member that joined late follows another MASTER, so the others cannot be one."""
        return router.state is State.BACKUP and router.master is advert and advert.priority != GIVING_UP

    def _remember(self, router: Router, state: State) -> bool:
        """What the group was follows from what all of its members were; whether all of them are known now."""
        self._earlier[router.name] = state
        complete = len(self._earlier) >= len(self.members)
        if complete and len(set(self._earlier.values())) == 1:
            self.state = state
        return complete

    def _faults_of_others(self, router: Router) -> frozenset[str]:
        """One of them is enough to name."""
        self._choose_named()
        others = [name for name in self._named if name != router.name]
        return frozenset(
            Fault(f"sync group {self.name}: {name} is in FAULT", "transition", name) for name in others[:1]
        )

    def _choose_named(self) -> None:
        """The named member stays the same for as long as it has a fault; the last one to get a fault follows.

        Where all get a fault, or lose it, in the same order, the others need not be told each time.
        """
        self._named = [name for name in self._named if name in self._faulty]
        for name in reversed(self._faulty):
            if len(self._named) == 2:
                return
            if name not in self._named:
                self._named.append(name)

    def _share_faults(self, router: Router, now: float) -> list[Step]:
        self._choose_named()
        if self._named == self._shared:
            return []
        self._shared = list(self._named)
        steps: list[Step] = []
        for member in self._others(router):
            if member.state is State.INIT and member.name not in self._own_faults:
                continue
            faults = self._own_faults.get(member.name, frozenset()) | self._faults_of_others(member)
            if faults != member.faults:
                steps += self._tell(member, FaultsChanged(faults, member.pending), now)
        return steps

    def _all_can_be_master(self) -> bool:
        """The one that was not ready is asked first: those before it need not be asked again until it is."""
        for _ in self.members:
            member = self.members[self._awaited % len(self.members)]
            if member.state is not State.MASTER and not member.wants_master:
                return False
            self._awaited += 1
        return True

    def _promote(self, first: Router, now: float) -> list[Step]:
        steps: list[Step] = []
        for member in (first, *self._others(first)):
            steps += self._tell(member, Promoted(GroupComplete(group=self.name)), now)
        return steps

    def _assert_others(self, router: Router, now: float) -> list[Step]:
        """Each member answers the lower adverts that it receives itself; the others are told once an interval."""
        if now < self._asserted_at + router.configuration.advertisement_interval:
            return []
        self._asserted_at = now
        return [step for member in self._others(router) for step in self._tell(member, GroupAsserted(), now)]

    def _demote_others(self, router: Router, now: float, event: Event | None = None) -> list[Step]:
        if not self._states[State.MASTER]:
            return []
        event = event or Demoted(self._left(router))
        return [step for member in self._others(router) for step in self._tell(member, event, now)]

    def _tell(self, member: Router, event: Event, now: float) -> list[Step]:
        before = member.state
        steps = [(member, action) for action in member.handle(event, now)]
        if member.state is not before:
            self._states[before] -= 1
            self._states[member.state] += 1
        return steps

    def _left(self, router: Router) -> MemberLeft:
        return MemberLeft(group=self.name, member=router.name)

    def _others(self, router: Router) -> list[Router]:
        return [member for member in self.members if member is not router]

    def _follow(self, router: Router) -> list[Step]:
        """The group is what all of its members are; on the way it stays what it was."""
        new = router.state
        if new is self.state or new is State.INIT or self._states[new] != len(self.members):
            return []
        old, self.state = self.state, new
        cause = MemberChanged(member=router.name, state=new.value)
        return [(router, ChangeGroupState(self.name, old, new, cause))]
