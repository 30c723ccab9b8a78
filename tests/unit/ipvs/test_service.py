"""A virtual server: which destinations it has, and what is told, as its servers come and go."""

from __future__ import annotations

import msgspec
import pytest

from kad.ipvs.notifications import Occasion
from kad.ipvs.service import (
    Action,
    ConnectionsSeen,
    DrainAsked,
    DrainEnded,
    HealthTold,
    QuorumChanged,
    Reconfigured,
    Said,
    ServerChanged,
    Service,
    Started,
    Stopped,
    UndrainAsked,
)
from kad.model.ipvs import Member, RealServer, VirtualServer
from kad.model.ipvs_table import PERSISTENT, Connections, DestinationKey, ServiceKey, ServiceSettings
from kad.shared.state_machine import DeadlineReached

A, B, SORRY = DestinationKey("10.0.0.1", 80), DestinationKey("10.0.0.2", 80), DestinationKey("10.0.0.9", 80)
SERVER_A = RealServer(address="10.0.0.1", port=80, weight=3)
SERVER_B = RealServer(address="10.0.0.2", port=80, weight=2)
WEB = VirtualServer(
    name="192.0.2.9 80",
    address="192.0.2.9",
    port=80,
    members=(Member(first="192.0.2.9", last="192.0.2.9", port=80),),
    real_servers=(SERVER_A, SERVER_B),
)


def web(**changes: object) -> VirtualServer:
    return msgspec.structs.replace(WEB, **changes)


def begun(configured: VirtualServer = WEB) -> Service:
    service = Service(configured)
    service.handle(Started(), 0.0)
    return service


def told(key: DestinationKey, healthy: bool, **more: object) -> HealthTold:
    return HealthTold(**{"server": key, "healthy": healthy, "known": True, "reason": "because", **more})


def weights(service: Service) -> dict[str, int]:
    return {key.address: settings.weight for key, settings in service.destinations().items()}


def texts(actions: list[Action]) -> list[str]:
    return [action.text for action in actions if isinstance(action, Said)]


def notices(actions: list[Action]) -> list[Action]:
    return [action for action in actions if not isinstance(action, Said)]


def test_a_server_without_alpha_serves_from_the_start() -> None:
    assert weights(begun()) == {"10.0.0.1": 3, "10.0.0.2": 2}


def test_a_server_with_alpha_waits_for_its_checks() -> None:
    service = Service(web(real_servers=(msgspec.structs.replace(SERVER_A, alpha=True), SERVER_B)))
    assert service.handle(Started(), 0.0) == []
    assert weights(service) == {"10.0.0.2": 2}
    actions = service.handle(told(A, True), 0.0)
    assert texts(actions) == ["Adding service [10.0.0.1]:tcp:80 to VS [192.0.2.9]:tcp:80"]
    assert weights(service) == {"10.0.0.1": 3, "10.0.0.2": 2}


def test_a_server_that_fails_leaves_and_comes_back() -> None:
    service = begun()
    actions = service.handle(told(A, False), 0.0)
    assert texts(actions) == ["Removing service [10.0.0.1]:tcp:80 from VS [192.0.2.9]:tcp:80"]
    assert notices(actions) == [ServerChanged(SERVER_A, False, "because")]
    assert weights(service) == {"10.0.0.2": 2}
    assert notices(service.handle(told(A, True), 0.0)) == [ServerChanged(SERVER_A, True, "because")]
    assert weights(service) == {"10.0.0.1": 3, "10.0.0.2": 2}
    assert service.handle(told(A, True), 0.0) == []


def test_an_inhibited_server_stays_with_weight_0() -> None:
    inhibited = msgspec.structs.replace(SERVER_A, inhibit=True)
    service = begun(web(real_servers=(inhibited, SERVER_B)))
    actions = service.handle(told(A, False), 0.0)
    assert texts(actions) == ["Disabling service [10.0.0.1]:tcp:80 from VS [192.0.2.9]:tcp:80"]
    assert weights(service) == {"10.0.0.1": 0, "10.0.0.2": 2}


@pytest.mark.parametrize(
    ("change", "weight"),
    [
        ({"weight": 7}, 7),
        ({"weight": 7, "weight_change": -2}, 5),
        ({"weight_change": -5}, 0),
        ({"weight_change": 2147483647}, 2147483647),
    ],
)
def test_programs_and_files_move_the_weight(change: dict[str, int], weight: int) -> None:
    service = begun()
    actions = service.handle(told(A, True, **change), 0.0)
    assert weights(service) == {"10.0.0.1": weight, "10.0.0.2": 2}
    assert texts(actions) == [
        f"Changing weight from 3 to {weight} for active service [10.0.0.1]:tcp:80 of VS [192.0.2.9]:tcp:80"
    ]


def test_the_first_result_is_told_of_alpha_servers_and_where_it_is_asked_for() -> None:
    alpha = msgspec.structs.replace(SERVER_A, alpha=True)
    first = ServerChanged(alpha, False, "because", Occasion.START)
    assert notices(begun(web(real_servers=(alpha, SERVER_B))).handle(told(A, False), 0.0)) == [first]
    assert begun().handle(told(A, True), 0.0) == []
    eager = Service(WEB, init_notifies=True)
    eager.handle(Started(), 0.0)
    assert notices(eager.handle(told(A, True), 0.0)) == [ServerChanged(SERVER_A, True, "because", Occasion.START)]
    assert eager.handle(told(A, True), 0.0) == []


def test_the_quorum_is_lost_below_and_gained_above_its_margin() -> None:
    service = begun(web(quorum=4, hysteresis=1))
    assert service.handle(told(B, False), 0.0)[-1] == ServerChanged(SERVER_B, False, "because")
    lost = service.handle(told(A, True, weight=2), 0.0)
    assert lost[-1] == QuorumChanged(False, 2, "Lost quorum 4-1=3 > 2")
    assert service.handle(told(A, True, weight=4), 0.0) == [
        Said("Changing weight from 2 to 4 for active service [10.0.0.1]:tcp:80 of VS [192.0.2.9]:tcp:80")
    ]
    gained = service.handle(told(A, True, weight=5), 0.0)
    assert gained[-1] == QuorumChanged(True, 5, "Gained quorum 4+1=5 <= 5")


def test_without_a_sorry_server_those_that_live_serve_on_without_quorum() -> None:
    service = begun(web(quorum=4))
    service.handle(told(B, False), 0.0)
    assert not service.quorum_up
    assert weights(service) == {"10.0.0.1": 3}


@pytest.mark.parametrize(("inhibit", "idle"), [(False, {}), (True, {"10.0.0.9": 0})])
def test_the_sorry_server_replaces_the_others(inhibit: bool, idle: dict[str, int]) -> None:
    sorry = RealServer(address="10.0.0.9", port=80, inhibit=inhibit)
    service = begun(web(quorum=4, sorry_server=sorry))
    assert weights(service) == {"10.0.0.1": 3, "10.0.0.2": 2, **idle}
    service.handle(told(B, False), 0.0)
    assert weights(service) == {"10.0.0.9": 1}
    actions = service.handle(told(B, True), 0.0)
    assert weights(service) == {"10.0.0.1": 3, "10.0.0.2": 2, **idle}
    assert texts(actions)[1:] == [
        "Gained quorum 4+0=4 <= 5 for VS [192.0.2.9]:tcp:80",
        "Adding alive servers to the pool for VS [192.0.2.9]:tcp:80",
        f"{'Disabling' if inhibit else 'Removing'} sorry server [10.0.0.9]:tcp:80 from VS [192.0.2.9]:tcp:80",
    ]


def test_a_start_without_quorum_is_told() -> None:
    alphas = tuple(msgspec.structs.replace(server, alpha=True) for server in WEB.real_servers)
    sorry = RealServer(address="10.0.0.9", port=80)
    service = Service(web(real_servers=alphas, sorry_server=sorry))
    actions = service.handle(Started(), 0.0)
    assert notices(actions) == [QuorumChanged(False, 0, "Starting with quorum down: 0 of 1", Occasion.START)]
    assert weights(service) == {"10.0.0.9": 1}


def test_a_new_life_tells_nothing_again() -> None:
    service = Service(web(quorum=4, hysteresis=1))
    service.resume(told(B, False))
    service.resume(told(A, True, weight=4))
    assert service.handle(Started(quorum=False), 0.0) == []
    assert not service.quorum_up
    other = Service(web(quorum=4, hysteresis=1))
    other.resume(told(B, False))
    other.resume(told(A, True, weight=4))
    assert other.handle(Started(quorum=True), 0.0) == []
    assert other.quorum_up


def test_a_reload_keeps_what_is_known() -> None:
    service = begun()
    service.handle(told(A, False), 0.0)
    third = RealServer(address="10.0.0.3", port=80, weight=4)
    heavier = msgspec.structs.replace(SERVER_A, weight=9)
    actions = service.handle(Reconfigured(web(real_servers=(heavier, third))), 0.0)
    assert notices(actions) == [ServerChanged(SERVER_B, False, "no longer configured", Occasion.REMOVAL)]
    assert weights(service) == {"10.0.0.3": 4}
    service.handle(told(A, True), 0.0)
    assert weights(service) == {"10.0.0.1": 9, "10.0.0.3": 4}


def test_at_the_end_only_omega_tells() -> None:
    assert begun().handle(Stopped(), 0.0) == []
    service = begun(web(omega=True))
    service.handle(told(A, False), 0.0)
    assert service.handle(Stopped(), 0.0) == [
        ServerChanged(SERVER_B, False, "kad stops", Occasion.STOP),
        QuorumChanged(False, 2, "kad stops", Occasion.STOP),
    ]
    assert service.handle(Stopped(removed=True), 0.0) == [
        ServerChanged(SERVER_B, False, "no longer configured", Occasion.REMOVAL),
        QuorumChanged(False, 2, "no longer configured", Occasion.REMOVAL),
    ]


def test_a_drained_server_leaves_when_it_has_no_connection() -> None:
    service = begun()
    actions = service.handle(DrainAsked(A, 60.0), 0.0)
    assert texts(actions) == ["Draining service [10.0.0.1]:tcp:80 of VS [192.0.2.9]:tcp:80"]
    assert weights(service) == {"10.0.0.1": 0, "10.0.0.2": 2}
    assert service.deadline == 60.0
    assert service.handle(ConnectionsSeen({A: Connections(active=1)}), 1.0) == []
    ended = service.handle(ConnectionsSeen({A: Connections(inactive=7)}), 2.0)
    assert notices(ended) == [DrainEnded(A, "it has no connection left")]
    assert weights(service) == {"10.0.0.2": 2}
    assert service.deadline is None
    service.handle(told(A, False), 3.0)
    service.handle(told(A, True), 3.0)
    assert weights(service) == {"10.0.0.2": 2}
    service.handle(UndrainAsked(A), 4.0)
    assert weights(service) == {"10.0.0.1": 3, "10.0.0.2": 2}


def test_a_drained_server_leaves_when_its_time_is_over() -> None:
    service = begun(web(protocol="UDP"))
    service.handle(DrainAsked(A, 60.0), 0.0)
    assert service.handle(ConnectionsSeen({A: Connections(inactive=7)}), 1.0) == []
    assert service.handle(DeadlineReached(), 59.0) == []
    assert notices(service.handle(DeadlineReached(), 60.0)) == [DrainEnded(A, "its time is over")]


def test_draining_the_last_server_lets_the_sorry_server_serve() -> None:
    service = begun(web(real_servers=(SERVER_A,), sorry_server=RealServer(address="10.0.0.9", port=80)))
    service.handle(DrainAsked(A, None), 0.0)
    assert weights(service) == {"10.0.0.1": 0, "10.0.0.9": 1}
    service.handle(UndrainAsked(A), 0.0)
    assert weights(service) == {"10.0.0.1": 3}


def test_a_group_is_served_at_every_address() -> None:
    members = (
        Member(first="10.9.0.1", last="10.9.0.2", port=81),
        Member(first="2001:db8::ff", last="2001:db8::100", port=82, family=6),
        Member(fwmark=7, family=6),
    )
    routed = msgspec.structs.replace(SERVER_A, method="DR")
    service = begun(web(members=members, real_servers=(routed, SERVER_B), persistence_timeout=50, netmask=0xFFFFFF00))
    assert list(service.service_keys()) == [
        ServiceKey(4, "TCP", "10.9.0.1", 81),
        ServiceKey(4, "TCP", "10.9.0.2", 81),
        ServiceKey(6, "TCP", "2001:db8::ff", 82),
        ServiceKey(6, "TCP", "2001:db8::100", 82),
        ServiceKey(6, fwmark=7),
    ]
    assert service.settings(ServiceKey(4, "TCP", "10.9.0.1", 81)) == ServiceSettings("wlc", PERSISTENT, 50, 0xFFFFFF00)
    assert service.settings(ServiceKey(6, fwmark=7)) == ServiceSettings("wlc", PERSISTENT, 50, 128)
    # What is not translated reaches the server at the port to which the client came.
    assert list(service.destinations(81)) == [DestinationKey("10.0.0.1", 81), B]
    assert list(service.destinations(0)) == [DestinationKey("10.0.0.1", 0), B]
    assert service.named(81) == {DestinationKey("10.0.0.1", 81), B}
