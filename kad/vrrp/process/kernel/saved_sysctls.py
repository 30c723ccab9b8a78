"""What this process changes of the host, as it was before, is known to its next life."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kad.shared.messages import HostBefore, Message


class HostMemory:
    """The only teller of HostBefore.

    It is told before anything is changed: a life that dies in between changes nothing that the next one would not.
    """

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self.before = HostBefore()

    def remember(self, earlier: HostBefore) -> None:
        """An earlier life found it so."""
        self.before = earlier

    def know_group_reports(self, before: str | None) -> None:
        """igmp_link_local_mcast_reports was this; None: it is that again."""
        self._tell(msgspec.structs.replace(self.before, igmp_link_local_reports=before))

    def know_promotion(self, interfaces: frozenset[str]) -> None:
        """promote_secondaries was 0 on these."""
        self._tell(msgspec.structs.replace(self.before, without_promotion=interfaces))

    def _tell(self, before: HostBefore) -> None:
        if before != self.before:
            self.before = before
            self._say(before)
