"""Who is told of a change, in keepalived's order: the specific program, the generic one, the FIFOs, the mail."""

from __future__ import annotations

import time
from collections.abc import Callable

from kad.model.cause import describe
from kad.model.notification import (
    Fact,
    GroupLine,
    GroupStateChanged,
    InstanceLine,
    InstanceStateChanged,
    LowerPriorityReceived,
    as_name,
    as_text,
)
from kad.model.vrrp import SyncGroup, VrrpSlice
from kad.shared.messages import Event, FifoLine, Mail, Message, Notify
from kad.vrrp.events import ChangeGroupState, ChangeState, State
from kad.vrrp.process.instance import Instance

_OWNING = {
    "MASTER": "=> VRRP Instance is now owning VRRP VIPs <=",
    "STOP": "=> VRRP Instance stopping <=",
    "DELETED": "=> VRRP Deleted at reload <=",
}
_ENTERING = {"STOP": "Stopping", "DELETED": "Deleted"}
"""keepalived's words in mail, where they are not made of the state."""
_FAREWELL = 1.0
"""Seconds that programs have for the last state there is."""


class Telling:
    """Makes messages for the runner; which of them lead anywhere is said by the configuration."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._last_number = 0
        self._generation = 0
        self._feeds_fifo = False
        self._groups: dict[str, SyncGroup] = {}

    def follow(self, configuration: VrrpSlice, generation: int) -> None:
        """From now on this is in force; what it removed was told with the generation before."""
        self._generation = generation
        self._feeds_fifo = configuration.feeds_fifo
        self._groups = {group.name: group for group in configuration.groups}

    def state(self, instance: Instance, change: ChangeState) -> None:
        """An instance is in another state."""
        word = change.new.value
        if change.new is State.STOP and instance.removed:
            word = "DELETED" if instance.configuration.notify_deleted else "FAULT"
        fact = InstanceStateChanged(
            state=word,
            previous_state=change.old.value,
            priority=instance.router.priority,
            reason=as_text(describe(change.cause)),
        )
        self._notify(instance.name, word, instance.configuration.notifies, fact)
        self._write(instance, word)
        if instance.configuration.smtp_alert:
            body = _OWNING.get(word, "=> VRRP Instance is no longer owning VRRP VIPs <=")
            self._mail(instance.name, f"VRRP Instance {instance.name}", word, body, describe(change.cause))

    def group_state(self, change: ChangeGroupState) -> None:
        """A sync group is in another state."""
        group, word = change.group, change.new.value
        fact = GroupStateChanged(state=word, previous_state=change.old.value, reason=as_text(describe(change.cause)))
        configured = self._groups.get(group)
        notifies = configured.notifies if configured else ()
        self._notify(f"group:{group}", word, notifies, fact)
        self._write_group(group, word)
        self.event("group", f"group/{group}", f"{change.old.value} to {word}: {describe(change.cause)}")
        if configured is not None and configured.smtp_alert:
            are = "stopping" if word == "STOP" else f"in {word} state"
            body = f"=> All VRRP group instances are now {are} <="
            self._mail(f"group:{group}", f"VRRP Group {group}", word, body, describe(change.cause))

    def priority(self, instance: Instance) -> None:
        """The effective priority of an instance is another one; programs are not told."""
        if instance.configuration.notify_priority_changes and instance.router.state not in (State.INIT, State.STOP):
            word = "MASTER_PRIORITY" if instance.router.state is State.MASTER else "BACKUP_PRIORITY"
            self._write(instance, word)

    def lower_priority(self, instance: Instance, source: str, priority: int) -> None:
        """A MASTER heard an advert of a lower priority; the generic program is not told."""
        if "notify_master_rx_lower_pri" in instance.configuration.notifies:
            fact = LowerPriorityReceived(source=source, priority=priority)
            self._notify(instance.name, "MASTER_RX_LOWER_PRI", ("notify_master_rx_lower_pri",), fact)
        self._write(instance, "MASTER_RX_LOWER_PRI")

    def again(self, instances: list[Instance], groups: dict[str, State]) -> None:
        """Every present state to the FIFOs, as fifo_write_vrrp_states_on_reload asks."""
        for instance in instances:
            if instance.router.state is not State.INIT:
                self._write(instance, instance.router.state.value)
        for name, state in groups.items():
            if state is not State.INIT:
                self._write_group(name, state.value)

    def event(self, kind: str, object: str, text: str) -> None:
        """Something for the journal that no state tells."""
        self._say(Event(when=time.time(), kind=kind, object=object, text=text))

    def _notify(self, who: str, word: str, notifies: tuple[str, ...], fact: Fact) -> None:
        """The specific program first, then the generic one."""
        for keyword in (f"notify_{word.lower()}", "notify"):
            if keyword in notifies:
                self._say(
                    Notify(
                        program=f"{who}/{keyword}",
                        fact=fact,
                        generation=self._generation,
                        sequence=self._number(),
                        awaited_until=_FAREWELL if word == State.STOP.value else None,
                    )
                )

    def _write(self, instance: Instance, word: str) -> None:
        line = InstanceLine(name=as_name(instance.name), word=word, priority=instance.router.priority)
        self._write_line(line)

    def _write_group(self, name: str, word: str) -> None:
        self._write_line(GroupLine(name=as_name(name), word=word))

    def _write_line(self, line: InstanceLine | GroupLine) -> None:
        if self._feeds_fifo:
            self._say(FifoLine(line=line, sequence=self._number()))

    def _mail(self, who: str, title: str, word: str, body: str, reason: str) -> None:
        self._say(
            Mail(
                object=as_name(who),
                state=word,
                subject=as_text(f"{title} - {_ENTERING.get(word, f'Entering {word} state')}"),
                body=body,
                reason=as_text(reason),
                when=time.time(),
                sequence=self._number(),
            )
        )

    def _number(self) -> int:
        """Nanoseconds since the boot: greater than every number of an earlier life of this process."""
        self._last_number = max(self._last_number + 1, time.monotonic_ns())
        return self._last_number
