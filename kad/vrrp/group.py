"""A vrrp_sync_group: its members are MASTER together, or none of them is."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import islice

import msgspec

from kad.vrrp.advert import GIVING_UP, Advertisement
from kad.vrrp.events import (
    Action,
    AddressesRemoved,
    AdvertReceived,
    ChangeGroupState,
    DeadlineReached,
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
    """Takes the events of its members and makes the others follow, in the same call."""

    def __init__(self, name: str, members: Iterable[Router]) -> None:
        self.name = name
        self.members = list(members)
        self.state = State.INIT
        self._own_faults: dict[str, frozenset[str]] = {}
        self._faulty: dict[str, None] = {}
        """Members that have faults of their own, or will have when they start, in the order in which they got them."""
        self._shared: list[str] | None = None
        """Those of whose faults the others know: more than two need not be named. None: what they know is not known."""
        self._starts_whole = False
        """Every member will start, and none of them waits for a result or has a fault."""
        self._earlier: dict[str, State] = {}
        """What each member was when the process that ran it died."""

    def handle(self, router: Router, event: Event, now: float) -> list[Step]:
        """Decide for one member, then for the group; group changes follow the member's own."""
        match event:
            case Started(faults, pending):
                self._know(router, faults)
                event = Started(faults | self._faults_of_others(router), pending)
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
        steps += [(router, action) for action in router.handle(event, now)]
        match event:
            case Started() | FaultsChanged():
                steps += self._share_faults(router, now)
            case Resumed():
                steps += self._share_faults(router, now)
                for member in [each for each in self.members if each.state is State.BACKUP][:1]:
                    steps += self._demote_others(member, now)
            case AdvertReceived() if any(isinstance(action, TellLowerPriority) for _, action in steps):
                for member in self._others(router):
                    steps += [(member, action) for action in member.handle(GroupAsserted(), now)]
            case AdvertReceived(advert) if self._obeys(router, advert):
                steps += self._demote_others(router, now)
            case DeadlineReached() if router.wants_master and self._all_can_be_master():
                steps += self._promote(router, now)
            case AddressesRemoved() if was_master and router.state is State.BACKUP:
                # All of them say priority 0 and are back after their skew_time, unless others speak before.
                steps += self._demote_others(router, now, AddressesRemoved(self._reason_of_backup(router)))
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
        self.members = [member for member in self.members if member is not router]
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
        return [(first, ChangeGroupState(self.name, State.INIT, State.BACKUP, "init"))]

    def _obeys(self, router: Router, advert: Advertisement) -> bool:
        """A member that joined late follows another MASTER, so the others cannot be one."""
        return router.state is State.BACKUP and router.master is advert and advert.priority != GIVING_UP

    def _remember(self, router: Router, state: State) -> bool:
        """What the group was follows from what all of its members were; whether all of them are known now."""
        self._earlier[router.name] = state
        complete = self._earlier.keys() >= {member.name for member in self.members}
        if complete and len(set(self._earlier.values())) == 1:
            self.state = state
        return complete

    def _faults_of_others(self, router: Router) -> frozenset[str]:
        """One of them is enough to name."""
        others = (name for name in self._faulty if name != router.name)
        return frozenset(f"sync group {self.name}: {name} is in FAULT" for name in islice(others, 1))

    def _share_faults(self, router: Router, now: float) -> list[Step]:
        shared = list(islice(self._faulty, 2))
        if shared == self._shared:
            return []
        self._shared = shared
        steps: list[Step] = []
        for member in self._others(router):
            if member.state is State.INIT and member.name not in self._own_faults:
                continue
            faults = self._own_faults.get(member.name, frozenset()) | self._faults_of_others(member)
            if faults != member.faults:
                steps += [(member, action) for action in member.handle(FaultsChanged(faults, member.pending), now)]
        return steps

    def _all_can_be_master(self) -> bool:
        return all(member.state is State.MASTER or member.wants_master for member in self.members)

    def _promote(self, first: Router, now: float) -> list[Step]:
        steps: list[Step] = []
        for member in (first, *self._others(first)):
            reason = f"sync group {self.name}: every member can be MASTER"
            steps += [(member, action) for action in member.handle(Promoted(reason), now)]
        return steps

    def _demote_others(self, router: Router, now: float, event: Event | None = None) -> list[Step]:
        event = event or Demoted(self._reason_of_backup(router))
        return [(member, action) for member in self._others(router) for action in member.handle(event, now)]

    def _reason_of_backup(self, router: Router) -> str:
        return f"sync group {self.name}: {router.name} is BACKUP"

    def _others(self, router: Router) -> list[Router]:
        return [member for member in self.members if member is not router]

    def _follow(self, router: Router) -> list[Step]:
        """The group is what all of its members are; on the way it stays what it was."""
        new = router.state
        if new is self.state or new is State.INIT or any(member.state is not new for member in self.members):
            return []
        old, self.state = self.state, new
        return [(router, ChangeGroupState(self.name, old, new, f"{router.name} is {new.value}"))]
