"""Who started programs: the kernel's process events of the whole host, heard outside of every node."""

from __future__ import annotations

from kad.linux.netlink.process_events import Born, Executed, Listening, ProcessEvents
from kad.linux.netlink.socket import Overrun
from tests.lab.hub import Hub


class Executions:
    """Counts what descends from given processes; raises Refused where the kernel tells nobody."""

    def __init__(self, hub: Hub) -> None:
        self._events = ProcessEvents.open()
        self._hub = hub
        self._listening = False
        self.lost = False
        self._children: dict[int, int] = {}
        self._executed: list[int] = []
        hub.watch(self._events, self._read)
        hub.until(lambda: self._listening, 2, "the kernel tells of processes")

    def of(self, pid: int) -> int:
        """Processes that this one forked, as far as they ran a program."""
        assert not self.lost, "the kernel told more than was read"
        return sum(self._children.get(child) == pid for child in self._executed)

    def forks_of(self, pid: int) -> int:
        """Processes that this one forked."""
        assert not self.lost, "the kernel told more than was read"
        return sum(parent == pid for parent in self._children.values())

    def close(self) -> None:
        self._hub.forget(self._events)
        self._events.close()

    def _read(self) -> None:
        try:
            events = self._events.receive()
        except Overrun:
            self.lost = True
            return
        for event in events:
            match event:
                case Listening():
                    self._listening = True
                case Born(parent, pid):
                    self._children[pid] = parent
                case Executed(pid):
                    self._executed.append(pid)
                case _:
                    pass
