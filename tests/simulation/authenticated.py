"""LANs on which adverts are authenticated: who may not speak moves nobody, and every change of MASTER still works."""

from __future__ import annotations

from typing import Any

from kad.model.secret import Secret, SecretBytes
from kad.model.vrrp import Authentication, AuthHmac, HmacKey, VrrpInstance
from kad.simulation.host import Host
from tests.simulation.scenarios import BACKUP, MASTER, World
from tests.unit.vrrp.samples import instance

SECRET = bytes(range(32))


def ah(priority: int, password: str = "secret", **changes: Any) -> VrrpInstance:
    return instance(priority=priority, authentication=Authentication(type="AH", password=Secret(password)), **changes)


def signed(priority: int, secret: bytes = SECRET, **changes: Any) -> VrrpInstance:
    hmac = AuthHmac(keys=(HmacKey(id=1, secret=SecretBytes(secret)),), active_key=1, **changes)
    return instance(version=3, priority=priority, auth_hmac=hmac)


def numbers_go_round() -> None:
    """AH: the MASTER dies and comes back with a counter at nought, and takes over all the same."""
    world = World(ah(100), ah(150), ah(200)).boot().until(60.0)
    assert world.states() == [BACKUP, BACKUP, MASTER]
    world.hosts[2].crash()
    world.until(80.0)
    assert world.states() == [BACKUP, MASTER, None]
    world.hosts[2].boot(world.wishes[2])
    world.until(100.0)
    assert world.states() == [BACKUP, BACKUP, MASTER]
    sequences = [host.places["VI_1"].seal.sequence for host in world.hosts]  # type: ignore[union-attr]
    assert len(set(sequences)) == 1
    assert sequences[0] > 90
    world.is_sound(90.0)


def numbers_outlive_the_process() -> None:
    """AH: the MASTER's process is replaced; nobody takes over, since its numbers go on."""
    world = World(ah(100), ah(200)).boot().until(20.0)
    before = world.hosts[1].kill()
    world.until(20.5)
    world.hosts[1].replace(before, world.wishes[1])
    world.until(40.0)
    assert world.states() == [BACKUP, MASTER]
    assert world.entered(1, MASTER) == []
    world.is_sound(4.0)


def owners_numbers_catch_up() -> None:
    """AH: an owner that comes back speaks at once, with a number that nobody believes, until it hears the others."""
    world = World(ah(255), ah(200), ah(100)).boot().until(50.0)
    world.hosts[0].crash()
    world.until(70.0)
    assert world.states() == [None, MASTER, BACKUP]
    world.hosts[0].boot(world.wishes[0])
    world.until(74.0)
    assert world.states() == [MASTER, BACKUP, BACKUP]
    world.is_sound(72.0)


def record(world: World, sender: Host) -> list[bytes]:
    """Every packet that this host puts on the LAN from now on."""
    recorded: list[bytes] = []
    send = world.lan.send

    def tap(host: Any, destination: str, datagram: bytes) -> None:
        if host is sender:
            recorded.append(datagram)
        send(host, destination, datagram)

    world.lan.send = tap  # type: ignore[method-assign]
    return recorded


def _replayed(world: World) -> None:
    recorded = record(world, world.hosts[1])
    world.boot().until(30.0)
    assert len(recorded) > 20
    world.hosts[1].crash()
    for number, packet in enumerate([*recorded[-1:] * 40, *recorded]):
        world.lan.timeline.at(30.1 + number * 0.2, lambda packet=packet: world.hosts[0].receive(packet))  # type: ignore[misc]
    world.until(34.0)
    assert world.states() == [MASTER, None]
    world.until(60.0)
    assert world.states() == [MASTER, None]


def recorded_headers_hold_nobody_back() -> None:
    """AH: the MASTER is dead, and its packets are played again."""
    _replayed(World(ah(100), ah(200)))


def recorded_signatures_hold_nobody_back() -> None:
    _replayed(World(signed(100), signed(200)))


def recorded_signatures_hold_nobody_back_by_their_order_alone() -> None:
    _replayed(World(signed(100, monotonic=True), signed(200, monotonic=True)))


def clocks_may_differ_a_little() -> None:
    """HMAC: 4 s between two clocks are within the window of 5 s, 6 s are not."""
    world = World(signed(100), signed(200))
    world.hosts[1].clock_error = 4.0
    world.boot().until(30.0)
    assert world.states() == [BACKUP, MASTER]
    world.hosts[1].clock_error = 6.0
    world.until(40.0)
    assert world.states() == [MASTER, MASTER]
    world.hosts[1].clock_error = 0.0
    world.until(50.0)
    assert world.states() == [BACKUP, MASTER]


def another_password_is_not_believed() -> None:
    world = World(ah(100, "other"), ah(200)).boot().until(20.0)
    assert world.states() == [MASTER, MASTER]
    assert world.lan.chronicle.heard == []


def another_key_is_not_believed() -> None:
    world = World(signed(100, bytes(32)), signed(200)).boot().until(20.0)
    assert world.states() == [MASTER, MASTER]
    assert world.lan.chronicle.heard == []


def unsigned_adverts_are_not_believed() -> None:
    world = World(signed(100), signed(200, mode="receive-only")).boot().until(20.0)
    assert world.states() == [MASTER, MASTER]
    assert [each.seat.host for each in world.lan.chronicle.heard if each.seat.host == "h1"] == []


def signing_is_brought_in_without_a_gap() -> None:
    """receive-only, then permissive, then enforce, host by host."""
    world = World(instance(version=3, priority=100), instance(version=3, priority=200)).boot().until(10.0)
    moment = 10.0
    for mode in ("receive-only", "permissive", "enforce"):
        for host, priority in zip(world.hosts, (100, 200), strict=True):
            host.reload([signed(priority, mode=mode)])
            moment += 5.0
            world.until(moment)
    assert world.states() == [BACKUP, MASTER]
    world.is_quiet(3.3)
    world.is_sound(4.0)


ALL = (
    numbers_go_round,
    numbers_outlive_the_process,
    owners_numbers_catch_up,
    recorded_headers_hold_nobody_back,
    recorded_signatures_hold_nobody_back,
    recorded_signatures_hold_nobody_back_by_their_order_alone,
    clocks_may_differ_a_little,
    another_password_is_not_believed,
    another_key_is_not_believed,
    unsigned_adverts_are_not_believed,
    signing_is_brought_in_without_a_gap,
)
