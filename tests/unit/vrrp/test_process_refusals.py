"""What follows when the kernel refuses something to a MASTER: the address, the state and the status, call by call."""

from __future__ import annotations

import errno
from typing import NamedTuple

import pytest

from kad.model.problem import Problem, ProblemKind, Severity
from kad.model.vrrp import Announcing, VirtualAddress, VirtualDevice, VrrpInstance
from kad.vrrp.events import State
from kad.vrrp.kernel_calls import CONSEQUENCES, KernelCall, KernelRefusals, Retry, call_of_addresses, pause
from tests.unit.vrrp.device_kernel import DeviceHouse
from tests.unit.vrrp.samples import instance
from tests.unit.vrrp.test_process_routing import entry

ERRORS = (errno.EADDRINUSE, errno.EBUSY, errno.ENOMEM, errno.EPERM, errno.ENODEV, errno.ENOBUFS)
QUIET = Announcing(master_delay=0.0, master_repeat=1)
MASTER, FAULT = State.MASTER, State.FAULT
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> DeviceHouse:
    return DeviceHouse(monkeypatch)


def full(**fields: object) -> VrrpInstance:
    """One that needs every kind of call."""
    device = VirtualDevice(name="vrrp.51", base="eth0", mac="00:00:5e:00:01:33")
    routing = {"routes": (entry("route", 5),), "rules": (entry("rule", 7),)}
    return instance(**({"device": device, "accept": False, "announcing": QUIET} | routing | fields))


def state(house: DeviceHouse) -> State:
    return house.instances[0].router.state


def held(house: DeviceHouse) -> bool:
    """Whether the kernel has the virtual address."""
    return any(each.address == "10.77.0.100" for found in house.kernel.held.values() for each in found)


def problems(house: DeviceHouse, *, but: tuple[ProblemKind, ...] = ()) -> list[Problem]:
    return [each for each in house.room.problems() if each.kind not in but]


def worst(house: DeviceHouse) -> int:
    return max((each.severity for each in problems(house)), default=0)


class Row(NamedTuple):
    """A call that is refused from the beginning: the state a second after the router would be MASTER."""

    refused: str
    state: State
    held: bool
    severity: Severity


ROWS = (
    Row("make", FAULT, False, CRITICAL),
    Row("up", FAULT, False, CRITICAL),
    Row("alias", MASTER, True, WARNING),
    Row("sysctl", MASTER, True, WARNING),
    Row("address", FAULT, False, CRITICAL),
    Row("route", MASTER, True, CRITICAL),
    Row("rule", MASTER, True, CRITICAL),
    Row("nftables", MASTER, True, CRITICAL),
    Row("send", MASTER, True, CRITICAL),
    Row("announce", MASTER, True, WARNING),
    Row("source", FAULT, False, CRITICAL),
)


class TestRefusals:
    @pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.refused)
    def test_a_call_that_is_refused_until_it_is_not(self, house: DeviceHouse, row: Row, error: int) -> None:
        house.kernel.refusing = lambda call: error if call == row.refused else 0
        house.commit(full())
        house.run(4.6)
        assert (state(house), held(house), worst(house)) == (row.state, row.held, row.severity)
        assert all(each.kind is not ProblemKind.TWO_MASTERS for each in problems(house))
        tries = len(house.kernel.asked)
        house.run(30)
        assert (state(house), held(house), worst(house)) == (row.state, row.held, row.severity)
        # A try every ten seconds at most, of three requests or fewer.
        assert len(house.kernel.asked) - tries < 60
        house.kernel.refusing = lambda call: 0
        house.run(15)
        assert (state(house), held(house), problems(house)) == (MASTER, True, [])

    @pytest.mark.parametrize("error", [each for each in ERRORS if each != errno.EPERM], ids=errno.errorcode.get)
    def test_no_socket(self, house: DeviceHouse, error: int) -> None:
        house.kernel.refusing = lambda call: error if call == "socket" else 0
        house.commit(full())
        house.run(4.6)
        assert (state(house), held(house), worst(house)) == (FAULT, False, CRITICAL)
        house.kernel.refusing = lambda call: 0
        house.run(15)
        assert (state(house), held(house), problems(house)) == (MASTER, True, [])

    @pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
    def test_a_removal_is_insisted_on(self, house: DeviceHouse, error: int) -> None:
        house.commit(full())
        house.run(4)
        assert state(house) is MASTER
        house.kernel.refusing = lambda call: error if call in ("-address", "-route") else 0
        house.kernel.change(house.network.by_name["eth0"], None)
        house.read()
        assert (state(house), held(house), worst(house)) == (FAULT, True, CRITICAL)
        kinds = [each.kind for each in problems(house)]
        # A route is gone with its interface.
        assert kinds.count(ProblemKind.KERNEL_REFUSED) == (1 if error == errno.ENODEV else 2)
        house.kernel.refusing = lambda call: 0
        house.run(1)
        assert not held(house)
        assert [each.kind for each in problems(house)] == [ProblemKind.FAULT]

    @pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
    def test_a_device_that_does_not_go(self, house: DeviceHouse, error: int) -> None:
        house.commit(full())
        house.run(4)
        house.kernel.refusing = lambda call: error if call == "unmake" else 0
        house.commit(full(device=None))
        house.run(1)
        assert (state(house), "vrrp.51" in house.network.by_name, worst(house)) == (MASTER, True, CRITICAL)
        house.kernel.refusing = lambda call: 0
        house.run(5)
        assert ("vrrp.51" in house.network.by_name, problems(house)) == (False, [])


class TestAddresses:
    def test_a_fault_neither_holds_nor_flaps_while_the_kernel_refuses(self, house: DeviceHouse) -> None:
        house.kernel.refusing = lambda call: errno.ENOBUFS if call == "address" else 0
        house.commit(instance(announcing=QUIET))
        house.run(300)
        assert state(house) is FAULT
        # BACKUP at the start, MASTER, FAULT; and one word in the log.
        assert house.instances[0].transitions == 3
        assert len([line for line in house.lines if "No buffer space" in line and "adding" in line]) == 1
        fault = "the kernel refuses to add 10.77.0.100/24 on eth0: No buffer space available"
        assert house.instances[0].router.faults == {fault}
        house.kernel.refusing = lambda call: 0
        while state(house) is FAULT:
            house.run(0.5)
        # Whether the kernel takes it was seen without keeping it.
        assert (state(house), held(house)) == (State.BACKUP, False)

    def test_one_that_this_host_cannot_have_costs_the_others_nothing(self, house: DeviceHouse) -> None:
        house.kernel.refusing_of = {"2001:db8::9": errno.EACCES}
        addresses = (VirtualAddress(address="10.77.0.100", prefix=24), VirtualAddress(address="2001:db8::9", prefix=64))
        house.commit(instance(virtual_addresses=addresses, announcing=QUIET))
        house.run(4)
        assert (state(house), held(house)) == (MASTER, True)
        assert {each.kind for each in problems(house)} == {ProblemKind.KERNEL_REFUSED, ProblemKind.ADDRESS_MISSING}
        house.kernel.refusing_of = {}
        house.run(15)
        assert problems(house) == []
        assert any(each.address == "2001:db8::9" for found in house.kernel.held.values() for each in found)

    def test_alone_it_is_a_fault(self, house: DeviceHouse) -> None:
        house.kernel.refusing_of = {"10.77.0.100": errno.EACCES}
        house.commit(instance(announcing=QUIET))
        house.run(4)
        assert state(house) is FAULT

    def test_a_reload_without_it_ends_the_fault(self, house: DeviceHouse) -> None:
        house.kernel.refusing_of = {"10.77.0.100": errno.ENOMEM}
        house.commit(instance(announcing=QUIET))
        house.run(4)
        assert state(house) is FAULT
        house.commit(instance(virtual_addresses=(VirtualAddress(address="10.77.0.7", prefix=24),), announcing=QUIET))
        house.run(4)
        assert (state(house), problems(house)) == (MASTER, [])


class TestTable:
    def test_every_call_has_its_row(self) -> None:
        assert set(CONSEQUENCES) == set(KernelCall)
        assert {call for call, row in CONSEQUENCES.items() if row.fault} == {
            KernelCall.MAKE_DEVICE,
            KernelCall.SWITCH_ON_DEVICE,
            KernelCall.ADD_ADDRESS,
            KernelCall.OPEN_SOCKETS,
        }
        assert [call for call, row in CONSEQUENCES.items() if row.retry is Retry.NEXT] == [KernelCall.SEND_ADVERTS]

    def test_the_pauses_double_to_ten_seconds(self) -> None:
        assert [pause(tries) for tries in (1, 2, 3, 6, 7, 1000)] == [0.25, 0.5, 1.0, 8.0, 10.0, 10.0]

    def test_what_is_refused_again_soon_goes_on_with_long_pauses(self) -> None:
        refusals = KernelRefusals()
        for tries in range(1, 6):
            refusal, _ = refusals.refused(KernelCall.ADD_ADDRESS, "instance/A", "x", now=0, unix=0)
            assert refusal.tries == tries
        refusals.accepted(KernelCall.ADD_ADDRESS, "instance/A", 10)
        assert refusals.refused(KernelCall.ADD_ADDRESS, "instance/A", "x", now=69, unix=0)[0].tries == 6
        refusals.accepted(KernelCall.ADD_ADDRESS, "instance/A", 70)
        assert refusals.refused(KernelCall.ADD_ADDRESS, "instance/A", "x", now=131, unix=0)[0].tries == 1

    def test_which_row_applies_to_addresses(self) -> None:
        assert call_of_addresses([errno.EACCES], held=1) is KernelCall.ADD_IMPOSSIBLE_ADDRESS
        assert call_of_addresses([errno.EACCES], held=0) is KernelCall.ADD_ADDRESS
        assert call_of_addresses([errno.EACCES, errno.ENOMEM], held=9) is KernelCall.ADD_ADDRESS
