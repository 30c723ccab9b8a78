"""What all checks of one real server together say of it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from kad.checker.check import Followed, Question
from kad.checker.checker_slice import CheckedServer
from kad.checker.running_check import Probe
from kad.shared.messages import CheckState, Observation, ServerHealth


class Server:
    """One real server; it is well while every check of it is."""

    def __init__(self, configured: CheckedServer, key: str) -> None:
        self.configured = configured
        self.key = key
        self.probes: list[Probe] = []
        self.is_suspended = False
        self.is_admitted = False
        """Its checks are made."""
        self.said: ServerHealth | None = None
        """What everybody was last told."""

    def questions(self) -> list[Question]:
        return [check for check in self.configured.checks if isinstance(check, Question)]

    def follows(self, kind: str, name: str) -> bool:
        """Whether that Observation decides a check of it."""
        return any(check.followed == (kind, name) for check in self.configured.checks)

    def sum_up(self, observed: Mapping[tuple[str, str], Observation]) -> ServerHealth:
        """The present state; `observed` by kind and name."""
        states = [probe.state() for probe in self.probes]
        change = 0
        for check in self.configured.checks:
            if isinstance(check, Followed) and check.followed is not None:
                found = check.judge(observed.get(check.followed))
                change += found.weight_change
                states.append(
                    CheckState(
                        kind=check.kind,
                        target=check.target,
                        healthy=found.healthy,
                        known=found.known,
                        reason=found.reason,
                        since=0.0,
                    )
                )
        failed = [state for state in states if not state.healthy]
        weights = [probe.health.weight for probe in self.probes if probe.health.weight is not None]
        healthy = not failed
        said = self.said
        return ServerHealth(
            service=self.configured.service,
            address=self.configured.address,
            port=self.configured.port,
            healthy=healthy,
            known=all(state.known for state in states),
            since=said.since if said is not None and said.healthy is healthy else time.time(),
            reason=_reason(states, failed),
            weight=weights[0] if weights else None,
            weight_change=change,
            checks=tuple(states),
        )


def is_news(new: ServerHealth, old: ServerHealth | None) -> bool:
    """Somebody has to act on it, or would be misled by what was said before."""
    if old is None:
        return True
    verdicts = [[(check.kind, check.target, check.healthy, check.known) for check in one.checks] for one in (new, old)]
    return verdicts[0] != verdicts[1] or (new.healthy, new.known, new.weight, new.weight_change) != (
        old.healthy,
        old.known,
        old.weight,
        old.weight_change,
    )


def _reason(states: list[CheckState], failed: list[CheckState]) -> str:
    if not states:
        return "it has no checks"
    if failed:
        return "; ".join(f"{state.kind} {state.target}: {state.reason}" for state in failed)
    waiting = sum(not state.known for state in states)
    if waiting:
        return f"{waiting} of {len(states)} checks have no result yet"
    return "; ".join(f"{state.kind} {state.target}: {state.reason}" for state in states)
