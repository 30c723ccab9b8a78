"""Whatever the checks and the operator say, in any order: the kernel has what the virtual server wants, and its sum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kad.ipvs.process import kernel_table as kernel_module
from kad.ipvs.process.reconciler import wanted
from kad.ipvs.service import key_of
from kad.model.ipvs import Member, RealServer, VirtualServer
from kad.model.ipvs_table import DestinationKey
from kad.shared.messages import DrainWanted
from tests.unit.ipvs.room import Kernel, Stage

ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
NAME = "192.0.2.9 80"
servers = st.builds(
    RealServer,
    address=st.sampled_from(ADDRESSES),
    port=st.sampled_from([80, 81]),
    weight=st.integers(0, 3),
    method=st.sampled_from(["NAT", "DR"]),
    inhibit=st.booleans(),
    alpha=st.booleans(),
)
members = st.sampled_from(
    [
        (Member(first="192.0.2.9", last="192.0.2.9", port=80),),
        (Member(first="192.0.2.9", last="192.0.2.11", port=8080), Member(fwmark=3)),
    ]
)
virtual_servers = st.builds(
    VirtualServer,
    name=st.just(NAME),
    address=st.just("192.0.2.9"),
    port=st.just(80),
    members=members,
    real_servers=st.lists(servers, min_size=1, max_size=5, unique_by=lambda one: (one.address, one.port)).map(tuple),
    sorry_server=st.none() | servers,
    quorum=st.integers(1, 4),
    hysteresis=st.integers(0, 1),
)
told = st.tuples(st.integers(0, 4), st.booleans(), st.none() | st.integers(0, 3), st.integers(-2, 2))
drained = st.tuples(st.integers(0, 4), st.booleans())


@contextmanager
def staged() -> Iterator[Stage]:
    kernel: Any = Kernel()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_module, "Ipvs", kernel)
        yield Stage(kernel)


def matches(stage: Stage) -> None:
    stage.mux.run()
    service = stage.room._services[NAME]
    alive = [one for one in service.servers.values() if one.up and one.drain is None]
    assert service.weight == sum(one.effective_weight for one in alive)
    for key in service.service_keys():
        assert stage.kernel.table[key] == wanted(service, key)


@given(virtual_servers, st.lists(told | drained | virtual_servers, max_size=12))
def test_the_table_follows(configured: VirtualServer, events: list[Any]) -> None:
    with staged() as stage:
        stage.configure(configured)
        matches(stage)
        for number, event in enumerate(events):
            if isinstance(event, VirtualServer):
                configured = event
                stage.configure(configured)
            else:
                server = configured.real_servers[event[0] % len(configured.real_servers)]
                _happen(stage, server, number, event)
            matches(stage)


def _happen(stage: Stage, server: RealServer, number: int, event: tuple[Any, ...]) -> None:
    match event:
        case (_, undo):
            name = f"{server.address} {server.port}"
            stage.room.receive(DrainWanted(number=number, service=NAME, server=name, timeout=5.0, undo=undo))
        case (_, healthy, weight, change):
            stage.health(key_of(server), healthy, NAME, weight=weight, weight_change=change)
        case _:
            raise AssertionError(event)


def test_one_word_on_one_of_very_many_servers_does_not_go_through_them_all() -> None:
    many = [f"10.0.{high}.{low}" for high in range(40) for low in range(1, 251)]
    reals = tuple(RealServer(address=address, port=80) for address in many)
    member = Member(first="192.0.2.9", last="192.0.2.9", port=80)
    with staged() as stage:
        stage.configure(VirtualServer(name=NAME, address="192.0.2.9", port=80, members=(member,), real_servers=reals))
        service = stage.room._services[NAME]
        looked: list[DestinationKey] = []
        look = service.weight_in_table
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(service), "weight_in_table", lambda _, one: looked.append(one) or look(one))
            for real in reals[:100]:
                stage.health(key_of(real), False, NAME)
        assert len(looked) == 300
        matches(stage)
        assert service.weight == 9900
