"""Who is told of a change, in keepalived's order: the specific program, the generic one, the FIFOs, the mail."""

from __future__ import annotations

import time
from collections.abc import Callable

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
        priority = str(instance.router.priority)
        environment = {
            "KAD_INSTANCE": instance.name,
            "KAD_STATE": word,
            "KAD_PREVIOUS_STATE": change.old.value,
            "KAD_REASON": change.reason,
            "KAD_PRIORITY": priority,
        }
        arguments = ("INSTANCE", instance.name, word, priority)
        self._notify(instance.name, word, instance.configuration.notifies, arguments, environment)
        self._write("INSTANCE", instance.name, word, priority)
        if instance.configuration.smtp_alert:
            body = _OWNING.get(word, "=> VRRP Instance is no longer owning VRRP VIPs <=")
            self._mail(instance.name, f"VRRP Instance {instance.name}", word, body, change.reason)

    def group_state(self, change: ChangeGroupState) -> None:
        """A sync group is in another state."""
        group, word = change.group, change.new.value
        environment = {
            "KAD_GROUP": group,
            "KAD_STATE": word,
            "KAD_PREVIOUS_STATE": change.old.value,
            "KAD_REASON": change.reason,
        }
        configured = self._groups.get(group)
        notifies = configured.notifies if configured else ()
        self._notify(f"group:{group}", word, notifies, ("GROUP", group, word, "0"), environment)
        self._write("GROUP", group, word, "0")
        self.event("group", f"group/{group}", f"{change.old.value} to {word}: {change.reason}")
        if configured is not None and configured.smtp_alert:
            are = "stopping" if word == "STOP" else f"in {word} state"
            body = f"=> All VRRP group instances are now {are} <="
            self._mail(f"group:{group}", f"VRRP Group {group}", word, body, change.reason)

    def priority(self, instance: Instance) -> None:
        """The effective priority of an instance is another one; programs are not told."""
        if instance.configuration.notify_priority_changes and instance.router.state not in (State.INIT, State.STOP):
            word = "MASTER_PRIORITY" if instance.router.state is State.MASTER else "BACKUP_PRIORITY"
            self._write("INSTANCE", instance.name, word, str(instance.router.priority))

    def lower_priority(self, instance: Instance, source: str, priority: int) -> None:
        """A MASTER heard an advert of a lower priority; the generic program is not told."""
        if "notify_master_rx_lower_pri" in instance.configuration.notifies:
            environment = {"KAD_INSTANCE": instance.name, "KAD_REASON": f"{source} sent priority {priority}"}
            self._notify(instance.name, "MASTER_RX_LOWER_PRI", ("notify_master_rx_lower_pri",), (), environment)
        self._write("INSTANCE", instance.name, "MASTER_RX_LOWER_PRI", str(instance.router.priority))

    def again(self, instances: list[Instance], groups: dict[str, State]) -> None:
        """Every present state to the FIFOs, as fifo_write_vrrp_states_on_reload asks."""
        for instance in instances:
            if instance.router.state is not State.INIT:
                self._write("INSTANCE", instance.name, instance.router.state.value, str(instance.router.priority))
        for name, state in groups.items():
            if state is not State.INIT:
                self._write("GROUP", name, state.value, "0")

    def event(self, kind: str, object: str, text: str) -> None:
        """Something for the journal that no state tells."""
        self._say(Event(when=time.time(), kind=kind, object=object, text=text))

    def _notify(
        self, who: str, word: str, notifies: tuple[str, ...], arguments: tuple[str, ...], environment: dict[str, str]
    ) -> None:
        """The specific program first, with no arguments of ours, then the generic one."""
        for keyword, extra in ((f"notify_{word.lower()}", ()), ("notify", arguments)):
            if keyword in notifies:
                self._say(
                    Notify(
                        program=f"{who}/{keyword}",
                        object=who,
                        generation=self._generation,
                        sequence=self._number(),
                        arguments=extra,
                        environment=environment,
                        awaited_until=_FAREWELL if word == State.STOP.value else None,
                    )
                )

    def _write(self, kind: str, name: str, word: str, priority: str) -> None:
        if self._feeds_fifo:
            subject = f'{kind} "{name}"'
            text = f"{subject} {word} {priority}"
            self._say(FifoLine(source="vrrp", subject=subject, text=text, sequence=self._number()))

    def _mail(self, who: str, title: str, word: str, body: str, reason: str) -> None:
        self._say(
            Mail(
                object=who,
                state=word,
                subject=f"{title} - {_ENTERING.get(word, f'Entering {word} state')}",
                body=body,
                reason=reason,
                when=time.time(),
                sequence=self._number(),
            )
        )

    def _number(self) -> int:
        """Nanoseconds since the boot: greater than every number of an earlier life of this process."""
        self._last_number = max(self._last_number + 1, time.monotonic_ns())
        return self._last_number
