"""Virtual addresses on and off: what a reload changes, what comes back by itself, and what somebody else removes."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
import pytest

from kad.linux.netlink.address import Address
from kad.linux.netlink.network_table import AddressChanged, LinkChanged
from kad.model.vrrp import Announcing, VirtualAddress, VrrpInstance
from kad.vrrp.events import State
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.samples import instance

QUIET = Announcing(master_delay=0.0, master_repeat=1)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def virtual(text: str, prefix: int = 32, **fields: Any) -> VirtualAddress:
    return VirtualAddress(address=text, prefix=prefix, **fields)


def with_addresses(*addresses: VirtualAddress, **fields: Any) -> VrrpInstance:
    return instance(**({"virtual_addresses": addresses, "announcing": QUIET} | fields))


def asked(house: House) -> list[str]:
    """What the kernel was asked since the last question: +ADDRESS/PREFIX@INDEX or -ADDRESS/PREFIX@INDEX."""
    found = []
    for message in (message for batch in house.network.asked for message in batch):
        # RFC 3549 2.3.3 and 3.1.2: message type, then family, prefix length, flags, scope, index and IFA_LOCAL.
        kind = int.from_bytes(message[4:6], "little")
        family, prefix, index = message[16], message[17], int.from_bytes(message[20:24], "little")
        size = 4 if family == socket.AF_INET else 16
        text = socket.inet_ntop(family, message[28 : 28 + size])
        found.append(f"{'+' if kind == 20 else '-'}{text}/{prefix}@{index}")
    house.network.asked.clear()
    return found


def master(house: House, *instances: VrrpInstance) -> None:
    house.commit(*instances)
    house.run(3.7)
    assert {each.router.state for each in house.instances} == {State.MASTER}
    asked(house)
    house.frames.sent.clear()


def test_the_start_removes_what_an_earlier_life_left(house: House) -> None:
    house.commit(with_addresses(virtual("10.77.0.7"), virtual("10.77.0.8", 24)))
    assert asked(house) == ["-10.77.0.7/32@1", "-10.77.0.8/24@1"]
    house.run(3.7)
    assert asked(house) == ["+10.77.0.7/32@1", "+10.77.0.8/24@1"]


class TestReload:
    def test_an_address_more_and_an_address_less(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7"), virtual("10.77.0.8")))
        house.commit(with_addresses(virtual("10.77.0.8"), virtual("10.77.0.9")))
        changes = asked(house)
        assert changes.index("+10.77.0.9/32@1") < changes.index("-10.77.0.7/32@1")
        assert "-10.77.0.8/32@1" not in changes
        assert house.instances[0].router.state is State.MASTER

    def test_another_prefix_comes_before_the_old_one_goes(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7", 24)))
        house.commit(with_addresses(virtual("10.77.0.7", 32)))
        # The last one: whatever the old one took along comes back.
        assert asked(house) == ["+10.77.0.7/32@1", "-10.77.0.7/24@1", "+10.77.0.7/32@1"]

    def test_another_label_replaces(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7", label="eth0:a"), virtual("10.77.0.8")))
        house.commit(with_addresses(virtual("10.77.0.7", label="eth0:b"), virtual("10.77.0.8")))
        assert asked(house) == ["-10.77.0.7/32@1", "+10.77.0.7/32@1", "+10.77.0.8/32@1"]

    def test_another_interface_of_an_address(self, house: House) -> None:
        house.network.by_name["eth1"] = link("eth1", 2)
        master(house, with_addresses(virtual("10.77.0.7")))
        house.commit(with_addresses(virtual("10.77.0.7", device="eth1")))
        changes = asked(house)
        assert "-10.77.0.7/32@1" in changes
        assert changes[-1] == "+10.77.0.7/32@2"

    def test_a_backup_has_nothing_to_change(self, house: House) -> None:
        house.commit(with_addresses(virtual("10.77.0.7")))
        asked(house)
        house.commit(with_addresses(virtual("10.77.0.9")))
        assert asked(house) == []

    def test_an_instance_that_is_gone_leaves_nothing(self, house: House) -> None:
        master(
            house,
            with_addresses(virtual("10.77.0.7")),
            with_addresses(virtual("10.77.0.8"), virtual_router_id=52, name="VI_2"),
        )
        house.commit(with_addresses(virtual("10.77.0.7")))
        assert asked(house) == ["-10.77.0.8/32@1"]


class TestInterfaces:
    def rename(self, house: House) -> None:
        old = house.network.by_name.pop("eth0")
        new = house.network.by_name["eth9"] = link("eth9", 1)
        house.tell(LinkChanged(old, new))

    def test_a_renamed_interface_keeps_no_address(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7")))
        self.rename(house)
        assert asked(house) == ["-10.77.0.7/32@1"]
        (one,) = house.instances
        assert one.router.state is State.FAULT
        assert one.reason == "interface eth0 does not exist"
        assert "Netlink reports eth0 renamed to eth9, up" in house.lines

    def test_it_counts_again_under_its_old_name(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7")))
        self.rename(house)
        asked(house)
        old = house.network.by_name.pop("eth9")
        new = house.network.by_name["eth0"] = link("eth0", 1)
        house.tell(LinkChanged(old, new))
        assert house.instances[0].reason == "no longer: interface eth0 does not exist"
        house.run(3.7)
        assert asked(house) == ["+10.77.0.7/32@1"]

    def test_one_that_is_made_again_has_another_index(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7")))
        old = house.network.by_name.pop("eth0")
        house.tell(LinkChanged(old, None))
        assert "Netlink reports eth0 removed" in house.lines
        asked(house)
        new = house.network.by_name["eth0"] = link("eth0", 5)
        house.tell(LinkChanged(None, new))
        assert house.instances[0].router.faults == {"interface eth0 has no IPv4 address to send from"}
        own = address("10.77.0.1", 24, 5)
        house.network.held[5] = [own]
        house.tell(AddressChanged(own, gone=False))
        assert "Netlink reports 10.77.0.1/24 on eth0" in house.lines
        house.run(3.7)
        assert asked(house) == ["+10.77.0.7/32@5"]

    def test_addresses_on_another_interface_come_with_it(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7", device="eth1", no_track=True)))
        assert "(VI_1) cannot add 10.77.0.7: interface eth1 does not exist" in house.lines
        new = house.network.by_name["eth1"] = link("eth1", 2)
        house.tell(LinkChanged(None, new))
        assert asked(house) == ["+10.77.0.7/32@2"]
        assert len(house.frames.sent) == 1

    def test_only_ethernet_is_told_who_has_the_address(self, house: House) -> None:
        # 32 is ARPHRD_INFINIBAND, whose addresses have 20 bytes.
        house.network.by_name["eth0"] = msgspec.structs.replace(link("eth0", 1, mac="02" * 20), hardware=32)
        master(house, with_addresses(virtual("10.77.0.7"), announcing=Announcing(master_refresh=1.0)))
        house.run(3.0)
        assert house.instances[0].router.state is State.MASTER
        assert house.frames.sent == []

    def test_another_hardware_address_is_announced_from_then_on(self, house: House) -> None:
        master(house, with_addresses(virtual("10.77.0.7"), announcing=Announcing(master_refresh=1.0, master_delay=0.0)))
        old = house.network.by_name["eth0"]
        new = house.network.by_name["eth0"] = link("eth0", 1, mac="020000000077")
        house.tell(LinkChanged(old, new))
        house.run(1.0)
        assert "Netlink reports eth0 with another hardware address, 02:00:00:00:00:77" in house.lines
        (frame,) = house.frames.sent
        assert bytes.fromhex("020000000077") in bytes(frame._memory)


class TestGuard:
    VIP = "10.77.0.7"

    def lose(self, house: House, *addresses: Address) -> None:
        house.tell(*(AddressChanged(each, gone=True) for each in addresses))

    def test_what_somebody_removed_comes_back_at_once_and_is_announced(self, house: House) -> None:
        master(house, with_addresses(virtual(self.VIP), virtual("10.77.0.8")))
        self.lose(house, address(self.VIP, 32, 1))
        assert "(VI_1) somebody removed 10.77.0.7/32: putting it back" in house.lines
        assert asked(house) == ["+10.77.0.7/32@1", "+10.77.0.8/32@1"]
        assert len(house.frames.sent) == 2
        assert house.instances[0].router.state is State.MASTER

    def test_what_came_back_meanwhile_was_not_lost(self, house: House) -> None:
        master(house, with_addresses(virtual(self.VIP)))
        there = address(self.VIP, 32, 1)
        house.network.held[1].append(there)
        self.lose(house, there)
        assert asked(house) == []

    def test_it_comes_back_ever_later_and_then_the_instance_gives_up(self, house: House) -> None:
        master(house, with_addresses(virtual(self.VIP)))
        lost = address(self.VIP, 32, 1)
        returns = []
        for _ in range(10):
            begin = house.mux.time
            self.lose(house, lost)
            while not asked(house):
                house.run(0.01)
            returns.append(house.mux.time - begin)
        assert returns == pytest.approx([0, 0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4], abs=0.02)
        house.segment().sent.clear()
        begin = house.mux.time
        self.lose(house, lost)
        (one,) = house.instances
        assert one.router.state is State.FAULT
        assert one.reason == "its addresses are removed again and again by somebody else"
        assert "(VI_1) somebody removes 10.77.0.7/32 again and again: giving up" in house.lines
        # The farewell has priority 0.
        assert house.segment().sent[0][0]._memory[-20 + 2] == 0
        house.run(59.9)
        assert one.router.state is State.FAULT
        house.run(0.2)
        assert one.router.state is State.BACKUP

    def test_one_that_is_not_tracked_is_let_go(self, house: House) -> None:
        master(house, with_addresses(virtual(self.VIP), virtual("10.77.0.8", no_track=True)))
        self.lose(house, address("10.77.0.8", 32, 1))
        assert asked(house) == []

    def test_keepalived_s_answer_where_the_operator_wants_it(self, house: House) -> None:
        house.commit(with_addresses(virtual(self.VIP)), restore_addresses=False)
        house.run(3.7)
        asked(house)
        self.lose(house, address(self.VIP, 32, 1))
        (one,) = house.instances
        assert (one.router.state, one.reason) == (State.BACKUP, "somebody removed 10.77.0.7/32")
        assert asked(house) == ["-10.77.0.7/32@1"]
        house.run(0.62)
        assert one.router.state is State.MASTER
        assert asked(house) == ["+10.77.0.7/32@1"]

    def test_a_backup_defends_nothing(self, house: House) -> None:
        house.commit(with_addresses(virtual(self.VIP)))
        asked(house)
        self.lose(house, address(self.VIP, 32, 1))
        assert asked(house) == []
        assert not [line for line in house.lines if "somebody" in line]

    def test_an_interface_that_is_flushed_is_a_fault_and_no_theft(self, house: House) -> None:
        master(house, with_addresses(virtual(self.VIP)))
        own = house.network.held[1].pop()
        self.lose(house, own, address(self.VIP, 32, 1))
        (one,) = house.instances
        assert one.router.state is State.FAULT
        assert one.reason == "interface eth0 has no IPv4 address to send from"
        assert asked(house) == ["-10.77.0.7/32@1"]
        assert not [line for line in house.lines if "somebody" in line]
