"""Routes and rules with the state of an instance, through reloads, losses and interfaces that go; and static ones."""

from __future__ import annotations

import errno
from typing import Any

import msgspec
import pytest

from kad.linux.netlink.network_table import AddressChanged, LinkChanged
from kad.linux.netlink.routes import key
from kad.linux.netlink.socket import message
from kad.model import secret
from kad.model.routing import RoutingEntry
from kad.model.vrrp import Announcing, StaticAddress, VirtualAddress, VrrpInstance
from kad.vrrp.events import State
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.samples import instance

QUIET = Announcing(master_delay=0.0, master_repeat=1)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(monkeypatch)
    made.network.by_name["eth1"] = link("eth1", 2)
    return made


def entry(kind: str, number: int, device: str | None = None, **fields: Any) -> RoutingEntry:
    """A route to 198.51.NUMBER.0/24 or the rule of preference NUMBER; an index belongs behind the header."""
    if kind == "route":
        body = bytes([2, 24, 0, 0, 254, 18, 0, 1]) + bytes(4) + bytes.fromhex("08000100c633") + bytes([number, 0])
    else:
        body = bytes([2, 0, 0, 0, 7, 0, 0, 1]) + bytes(4) + bytes.fromhex("08000600") + number.to_bytes(4, "little")
    if device is not None:
        body += bytes.fromhex("0800040000000000")
    add, delete = (24, 25) if kind == "route" else (32, 33)
    indexes = ((40, device),) if device is not None else ()
    return RoutingEntry(
        kind=kind,
        text=f"{kind} {number}",
        add=message(add, 4, body),
        delete=message(delete, 4, body),
        indexes=indexes,
        device=device,
        **fields,
    )


def asked(house: House) -> list[str]:
    """What the kernel was asked of routes and rules since the last question: +route 5@2, -rule 7."""
    found = []
    for each in (each for batch in house.network.asked for each in batch):
        kind = int.from_bytes(each[4:6], "little")
        if kind in (24, 25):
            index = f"@{each[40]}" if len(each) > 40 else ""
            found.append(f"{'+' if kind == 24 else '-'}route {each[34]}{index}")
        elif kind in (32, 33):
            found.append(f"{'+' if kind == 32 else '-'}rule {each[32]}")
        else:
            found.append("+address" if kind == 20 else "-address")
    house.network.asked.clear()
    return found


def with_routing(routes: tuple[RoutingEntry, ...] = (), rules: tuple[RoutingEntry, ...] = ()) -> VrrpInstance:
    return instance(announcing=QUIET, routes=routes, rules=rules)


def master(house: House, configuration: VrrpInstance) -> None:
    house.commit(configuration)
    house.run(3.7)
    assert house.instances[0].router.state is State.MASTER
    asked(house)


def test_they_come_after_the_addresses_and_go_before_them(house: House) -> None:
    house.commit(with_routing((entry("route", 5), entry("route", 6, "eth1")), (entry("rule", 7),)))
    assert asked(house) == ["-rule 7", "-route 6@2", "-route 5", "-address"]
    house.run(3.7)
    assert asked(house) == ["+address", "+route 5", "+route 6@2", "+rule 7"]


def test_what_is_there_already_is_no_complaint(house: House) -> None:
    route, broken = entry("route", 5), entry("route", 6)
    house.network.refuses = {route.add: errno.EEXIST, broken.add: errno.ENETUNREACH}
    master(house, with_routing((route, broken)))
    complaints = [line for line in house.lines if "adding" in line]
    assert complaints == ["(VI_1) adding the route route 6: Network is unreachable"]


class TestReload:
    def test_only_what_changed_is_touched(self, house: House) -> None:
        master(house, with_routing((entry("route", 5), entry("route", 6)), (entry("rule", 7),)))
        house.commit(with_routing((entry("route", 6), entry("route", 8)), (entry("rule", 7),)))
        changes = asked(house)
        assert [each for each in changes if each.startswith("-")] == ["-route 5"]
        assert "+route 8" in changes
        assert house.instances[0].router.state is State.MASTER

    def test_a_backup_has_nothing_to_change(self, house: House) -> None:
        house.commit(with_routing((entry("route", 5),)))
        asked(house)
        house.commit(with_routing((entry("route", 6),)))
        assert asked(house) == []


class TestGuard:
    def test_what_somebody_removed_comes_back_at_once_and_nothing_else_happens(self, house: House) -> None:
        route, rule = entry("route", 5), entry("rule", 7)
        master(house, with_routing((route, entry("route", 6)), (rule,)))
        house.tell_removed({key(route.delete)})
        assert "(VI_1) somebody removed the route route 5: putting it back" in house.lines
        assert asked(house) == ["-route 5", "+route 5"]
        house.tell_removed({key(rule.delete)})
        assert asked(house) == ["-rule 7", "+rule 7"]
        assert house.instances[0].router.state is State.MASTER

    def test_what_somebody_put_in_the_place_of_ours_is_replaced_in_turn(self, house: House) -> None:
        route, beside = entry("route", 5, "eth1"), entry("route", 6)
        master(house, with_routing((route, beside, msgspec.structs.replace(beside, text="another"))))
        ours = route.add[16:40] + (2).to_bytes(4, "little")
        house.tell_replaced({key(route.delete): ours})
        assert asked(house) == []
        for theirs in (
            ours[:5] + b"\x03" + ours[6:],
            ours[:24] + (1).to_bytes(4, "little"),
            ours + bytes.fromhex("080005000a4d0009"),
        ):
            house.tell_replaced({key(route.delete): theirs})
            assert house.lines[-1] == "(VI_1) somebody replaced the route route 5: putting it back"
            [[request]] = house.network.asked
            # RTM_NEWROUTE; NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE.
            assert request[4:8] == bytes.fromhex("18000501")
            assert asked(house) == ["+route 5@2"]
        # Of two of ours with one destination neither may take the place of the other.
        house.tell_replaced({key(beside.delete): ours[:5] + b"\x03" + ours[6:]})
        house.run(0.2)
        assert [each for each in asked(house) if each[0] == "+"] == ["+route 6"] * 2

    def test_what_somebody_put_before_ours_stands_behind_it_then(self, house: House) -> None:
        route = entry("route", 5)
        last = entry("route", 6)
        # NLM_F_APPEND.
        behind = msgspec.structs.replace(last, add=last.add[:6] + bytes.fromhex("0508") + last.add[8:])
        master(house, with_routing((route, behind)))
        asked(house)
        for each in (route, behind):
            house.tell_replaced({key(each.delete): each.add[16:]}, is_preceded=True)
        assert asked(house) == ["-route 5", "+route 5"]
        assert [line for line in house.lines if "somebody" in line] == [
            "(VI_1) somebody put another one before the route route 5: putting it back"
        ]

    def test_it_comes_back_ever_later_and_then_the_instance_gives_up(self, house: House) -> None:
        route = entry("route", 5)
        master(house, with_routing((route,)))
        returns = []
        for _ in range(10):
            begin = house.mux.time
            house.tell_removed({key(route.delete)})
            while not asked(house):
                house.run(0.01)
            returns.append(house.mux.time - begin)
        assert returns == pytest.approx([0, 0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4], abs=0.02)
        house.tell_removed({key(route.delete)})
        (one,) = house.instances
        assert one.router.state is State.FAULT
        assert one.reason == "its routes or rules are removed again and again by somebody else"
        house.run(60)
        assert one.router.state is State.BACKUP

    def test_one_that_is_not_tracked_is_let_go(self, house: House) -> None:
        route = entry("route", 5, tracked=False)
        master(house, with_routing((route, entry("route", 6))))
        house.tell_removed({key(route.delete)})
        assert asked(house) == []

    def test_a_backup_defends_nothing(self, house: House) -> None:
        route = entry("route", 5)
        house.commit(with_routing((route,)))
        asked(house)
        house.tell_removed({key(route.delete)})
        assert asked(house) == []

    def test_word_that_was_lost_leads_to_a_fresh_addition_of_all(self, house: House) -> None:
        master(house, with_routing((entry("route", 5),), (entry("rule", 7),)))
        house.tell_removed(None)
        assert asked(house) == ["+route 5", "+rule 7"]
        assert not [line for line in house.lines if "somebody" in line]

    def test_nobody_listens_where_nothing_is_configured(self, house: House) -> None:
        house.commit(with_routing((entry("route", 5),)))
        house.commit(with_routing())
        assert house.routing.closed


class TestInterfaces:
    def lose(self, house: House, name: str) -> None:
        old = house.network.by_name[name]
        new = house.network.by_name[name] = link(name, old.index, up=False)
        house.tell(LinkChanged(old, new))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"routes": (entry("route", 5, "eth1"),)}, "interface eth1 of the route route 5 is down"),
            (
                {"virtual_addresses": (VirtualAddress(address="10.77.0.7", prefix=32, device="eth1"),)},
                "interface eth1 of the address 10.77.0.7 is down",
            ),
        ],
    )
    def test_an_interface_that_goes_is_a_fault(self, house: House, changes: dict[str, Any], reason: str) -> None:
        master(house, instance(announcing=QUIET, **changes))
        self.lose(house, "eth1")
        (one,) = house.instances
        assert (one.router.state, one.reason) == (State.FAULT, reason)

    def test_a_route_that_went_with_its_interface_was_not_stolen(self, house: House) -> None:
        route = entry("route", 5, "eth1")
        master(house, with_routing((route,)))
        house.network.by_name["eth1"] = link("eth1", 2, up=False)
        house.tell_removed({key(route.delete)})
        assert not [line for line in house.lines if "somebody" in line]

    def test_one_that_is_not_tracked_may_go_and_comes_back_with_it(self, house: House) -> None:
        master(house, with_routing((entry("route", 5, "eth1", tracked=False),)))
        self.lose(house, "eth1")
        assert house.instances[0].router.state is State.MASTER
        asked(house)
        old = house.network.by_name["eth1"]
        house.network.by_name["eth1"] = link("eth1", 2)
        house.tell(LinkChanged(old, house.network.by_name["eth1"]))
        assert "+route 5@2" in asked(house)


class TestStatic:
    ADDRESS = VirtualAddress(address="10.90.0.1", prefix=24, device="eth1")

    def test_they_are_there_before_anybody_starts_and_whoever_is_master(self, house: House) -> None:
        static = {
            "static_addresses": (StaticAddress(address=self.ADDRESS),),
            "static_routing": (entry("route", 5), entry("rule", 7)),
        }
        house.commit(with_routing(), **static)
        assert asked(house)[:3] == ["+address", "+route 5", "+rule 7"]
        house.commit(with_routing(), **static)
        assert asked(house) == []
        house.commit(with_routing(), **(static | {"static_routing": (entry("rule", 7),)}))
        assert "-route 5" in asked(house)

    def test_they_come_back(self, house: House) -> None:
        route = entry("route", 5)
        house.commit(with_routing(), static_addresses=(StaticAddress(address=self.ADDRESS),), static_routing=(route,))
        asked(house)
        house.tell_removed({key(route.delete)})
        assert asked(house) == ["-route 5", "+route 5"]
        assert "(static) somebody removed the route route 5: putting it back" in house.lines
        house.tell(AddressChanged(address("10.90.0.1", 24, 2), gone=True))
        assert asked(house) == ["+route 5", "+address", "+route 5"]

    def test_a_track_group_depends_on_the_interface(self, house: House) -> None:
        static = StaticAddress(address=self.ADDRESS, dependents=("VI_1",))
        house.commit(with_routing(), static_addresses=(static,))
        house.run(3.7)
        TestInterfaces().lose(house, "eth1")
        (one,) = house.instances
        assert (one.router.state, one.reason) == (State.FAULT, "interface eth1 of the address 10.90.0.1 is down")

    def test_a_sweep_leaves_nothing(self, house: House) -> None:
        house.commit(with_routing((entry("route", 6),)), static_routing=(entry("route", 5),))
        asked(house)
        house.room.prepare(2, secret.encode(house.room._slice))
        house.room.release(None)
        assert sorted(asked(house)) == ["-address", "-route 5", "-route 6"]
