"""The order of what routers want done: adverts before everything else, but for what goes first by their own wish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from kad.model.vrrp import VirtualAddress
from kad.shared.log import Destination, Logger
from kad.vrrp.events import Announce, HoldAddresses, ReleaseAddresses, SendAdvert
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.timers.action_queue import Deeds
from tests.unit.vrrp.clockwork import Clockwork
from tests.unit.vrrp.samples import instance


class Recorder:
    """Everybody who does something, in one; `done` is what was done, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def post(self, instance: Instance, priority: int) -> bool:
        self.done.append(f"advert {instance.name}")
        return True

    def layout(self, instance: Instance) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., Iterator[None]]:
        return partial(self._note, name)

    def _note(self, name: str, instance: Instance, *_: object) -> Iterator[None]:
        def steps() -> Iterator[None]:
            self.done.append(f"{name} {instance.name}")
            yield

        return steps()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def deeds(recorder: Recorder) -> Deeds:
    mux: Any = Clockwork()
    anybody: Any = recorder
    log = Logger("test", Destination(syslog=False))
    silent: Any = Silent()
    return Deeds(mux, print, log, anybody, anybody, Nothing(), anybody, anybody, silent)  # type: ignore[arg-type]


class Nothing:
    """No routes, no rules."""

    def hold(self, _: Instance) -> Iterator[None]:
        return iter(())

    release = hold


class Silent:
    """No filter."""

    def silence(self, _: Instance) -> None:
        pass

    unsilence = silence


def held(name: str, addresses: int = 1) -> Instance:
    wanted = tuple(VirtualAddress(address=f"10.77.1.{number}", prefix=32) for number in range(addresses))
    return Instance(instance(name=name, virtual_addresses=wanted), 0.0)


def take_over(deeds: Deeds, one: Instance) -> None:
    for action in (HoldAddresses(first=True), SendAdvert(100), Announce(1)):
        deeds.do(one, action)


def test_adverts_do_not_wait(deeds: Deeds, recorder: Recorder) -> None:
    one = held("A")
    for action in (HoldAddresses(), Announce(1), SendAdvert(100)):
        deeds.do(one, action)
    deeds.work(1e9)
    assert recorder.done == ["advert A", "hold A", "announce A"]


def test_what_goes_first_goes_before_them(deeds: Deeds, recorder: Recorder) -> None:
    take_over(deeds, held("A"))
    take_over(deeds, held("B"))
    assert recorder.done == ["hold A", "advert A", "hold B", "advert B"]
    deeds.work(1e9)
    assert recorder.done[4:] == ["announce A", "announce B"]


def test_of_many_addresses_they_wait_for_a_few(deeds: Deeds, recorder: Recorder) -> None:
    take_over(deeds, held("A", 20))
    take_over(deeds, held("B", 20))
    assert recorder.done == ["hold A", "advert A", "advert B"]
    deeds.work(1e9)
    assert recorder.done[3:] == ["announce A", "hold B", "announce B"]
    take_over(deeds, held("C", 32))
    assert recorder.done[6:] == ["hold C", "advert C"]


def test_nothing_goes_before_what_was_asked_of_the_same_one_before(deeds: Deeds, recorder: Recorder) -> None:
    one = held("A")
    deeds.do(one, ReleaseAddresses())
    take_over(deeds, one)
    deeds.work(1e9)
    assert recorder.done == ["advert A", "release A", "hold A", "announce A"]
