"""Calls that the kernel refused: made again after a pause, and told to those whose state depends on them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from kad.child.multiplexer import Mux
from kad.model.vrrp import VrrpInstance
from kad.shared.log import Logger
from kad.vrrp.kernel_calls import CONSEQUENCES, KernelCall, KernelRefusal, KernelRefusals, Retry

HOST = ""
"""The object of what concerns no instance more than others."""


def of_instance(name: str) -> str:
    """The object of what is for one instance."""
    return f"instance/{name}"


def of_interface(name: str) -> str:
    """The object of what is for one interface."""
    return f"interface/{name}"


def objects_of(configuration: VrrpInstance) -> list[str]:
    """Everything of which an instance needs what the kernel may refuse."""
    interfaces = (configuration.hears_on, configuration.speaks_on, configuration.own_interface)
    return [of_instance(configuration.name), *(of_interface(name) for name in interfaces)]


class Retries:
    """Knows what is refused, and has it tried again."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        at: Callable[[float, Callable[[], object]], None],
        concern: Callable[[str], None],
    ) -> None:
        """`at` calls back at a moment; `concern` is told an object for which other faults hold now."""
        self._mux = mux
        self._log = log
        self._at = at
        self._concern = concern
        self._refusals = KernelRefusals()

    def refused(
        self,
        call: KernelCall,
        object: str,
        what: str,
        error: int,
        again: Callable[[], object] | None = None,
        *,
        reason: str = "",
    ) -> bool:
        """The call was refused with this errno; `what` it was for ("to add …"). Whether that is news.

        `again` is to make the call once more, and to say what became of it. A call of which it says nothing is
        needed no longer.
        """
        detail = f"{what}: {os.strerror(error)}"
        refusal, before = self._refusals.refused(call, object, detail, self._mux.now(), time.time(), reason)
        if again is not None and CONSEQUENCES[call].retry is Retry.BACK_OFF:
            self._at(refusal.again_at, partial(self._try, refusal, again))
        if CONSEQUENCES[call].fault and (before is None or before.reason != refusal.reason):
            self._concern(object)
        return before is None or before.detail != detail

    def accepted(self, call: KernelCall, object: str) -> bool:
        """The call succeeded; whether it was refused before."""
        known = self._refusals.accepted(call, object, self._mux.now())
        if known is None:
            return False
        self._log.info(f"The kernel no longer refuses {known.detail}")
        self._ended(known)
        return True

    def drop(self, call: KernelCall, object: str) -> None:
        """The call is needed no longer."""
        known = self._refusals.accepted(call, object, self._mux.now())
        if known is not None:
            self._ended(known)

    def forget(self, object: str) -> None:
        """It is there no longer."""
        for refusal in self._refusals.forget(object):
            self._ended(refusal)

    def tell(self, object: str) -> None:
        """Other faults may hold for it now."""
        self._concern(object)

    def is_refused(self, call: KernelCall, object: str) -> bool:
        return self._refusals.get(call, object) is not None

    def faults(self, objects: Iterable[str]) -> frozenset[str]:
        """Why an instance that needs these cannot take part."""
        return self._refusals.faults(objects)

    def of(self, objects: Iterable[str]) -> Iterator[KernelRefusal]:
        """What is refused for these."""
        return self._refusals.of(objects)

    def all(self) -> Iterator[KernelRefusal]:
        """Everything that is refused."""
        return self._refusals.all()

    def _try(self, refusal: KernelRefusal, again: Callable[[], object]) -> None:
        if self._refusals.get(refusal.call, refusal.object) is not refusal:
            return
        again()
        if self._refusals.get(refusal.call, refusal.object) is refusal:
            self._refusals.accepted(refusal.call, refusal.object, self._mux.now())
            self._ended(refusal)

    def _ended(self, refusal: KernelRefusal) -> None:
        if CONSEQUENCES[refusal.call].fault:
            self._concern(refusal.object)
