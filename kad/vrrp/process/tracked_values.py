"""What tracked things are now, and what follows from them for an instance."""

from __future__ import annotations

from collections.abc import Callable

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.model.vrrp import VrrpInstance
from kad.shared.messages import Observation
from kad.tracking.priority import Value, Verdict, judge


class Tracking:
    """Interfaces are looked at here; of everything else the runner tells."""

    def __init__(self, network: Network, is_up: Callable[[Link], bool]) -> None:
        self._network = network
        self._is_up = is_up
        self._observations: dict[tuple[str, str], Observation] = {}

    def learn(self, observation: Observation) -> None:
        self._observations[observation.kind, observation.name] = observation

    def judge(self, configuration: VrrpInstance) -> Verdict:
        """Effective priority and faults."""
        return judge(configuration.priority, configuration.tracks, self.value)

    def value(self, kind: str, name: str) -> Value:
        """Of one thing; None as its number while nothing is known."""
        if kind == "interface":
            link = self._network.link(name)
            if link is None:
                return Value(0, f"interface {name} does not exist")
            up = self._is_up(link)
            return Value(int(up), f"interface {name} is {'up' if up else 'down'}")
        observation = self._observations.get((kind, name))
        if observation is None:
            return Value(None, "")
        named = f"{kind} {name}"
        if named in observation.reason:
            return Value(observation.value, observation.reason)
        return Value(observation.value, f"{named}: {observation.reason}", is_named=True)
