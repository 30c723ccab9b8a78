"""The process: the kernel's table follows configuration and health, is healed, and outlives crashes."""

from __future__ import annotations

import asyncio
import errno

import msgspec
import pytest

from kad.ipvs.process import kernel_table as kernel_module
from kad.ipvs.process import nftables_marks as marking_module
from kad.linux.refused import Refused
from kad.model.ipvs import IpvsSlice, Marking, Member, RealServer, SyncDaemon, Timeouts
from kad.model.ipvs_table import (
    Connections,
    DestinationKey,
    DestinationSettings,
    Entry,
    ServiceKey,
    ServiceSettings,
    SyncDaemonSettings,
    TimeoutSettings,
)
from kad.model.problem import ProblemKind, Severity
from kad.shared.messages import (
    DrainAnswered,
    Draining,
    DrainWanted,
    IpvsLeft,
    IpvsMemory,
    IpvsState,
    QuorumState,
    RouterState,
)
from tests.unit.ipvs.room import WEB, A, B, Kernel, Stage, web

FOREIGN = ServiceKey(4, "TCP", "198.51.100.1", 9)
SORRY = RealServer(address="10.0.0.9", port=80)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(kernel_module, "Ipvs", made)
    return made


@pytest.fixture
def stage(kernel: Kernel) -> Stage:
    return Stage(kernel)


def stop(stage: Stage, release: bool = True) -> None:
    asyncio.run(stage.room.stop(release, 0.0))


def drain(stage: Stage, service: str, server: str, timeout: float | None = None, undo: bool = False) -> DrainAnswered:
    stage.room.receive(DrainWanted(number=7, service=service, server=server, timeout=timeout, undo=undo))
    answer = stage.last(DrainAnswered)
    assert isinstance(answer, DrainAnswered)
    return answer


def test_the_table_follows_configuration_and_health(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web(scheduler="rr"))
    assert kernel.table == {
        WEB: Entry(ServiceSettings("rr"), {A: DestinationSettings(1), B: DestinationSettings(1)}),
    }
    stage.health(A, False)
    assert kernel.weights() == {"10.0.0.2": 1}
    stage.health(A, True)
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_what_is_foreign_is_left_alone(stage: Stage, kernel: Kernel) -> None:
    stranger = DestinationKey("10.0.0.77", 80)
    kernel.table[FOREIGN] = Entry(ServiceSettings())
    kernel.table[WEB] = Entry(ServiceSettings("wlc"), {stranger: DestinationSettings()})
    stage.configure(web(scheduler="rr"))
    assert kernel.table[WEB].settings == ServiceSettings("rr")
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.77": 1}
    stage.configure()
    assert set(kernel.table) == {FOREIGN}


def test_a_reload_touches_what_changed_alone(stage: Stage, kernel: Kernel) -> None:
    servers = [web(address=f"192.0.2.{number}") for number in range(1, 101)]
    stage.configure(*servers)
    assert len(kernel.table) == 100
    kernel.commands.clear()
    servers[7] = web(RealServer(address="10.0.0.1", port=80), address="192.0.2.8")
    stage.configure(*servers)
    assert kernel.commands == [7]
    assert kernel.weights(ServiceKey(4, "TCP", "192.0.2.8", 80)) == {"10.0.0.1": 1}
    del servers[7]
    kernel.commands.clear()
    stage.configure(*servers)
    assert kernel.commands == [3]


def test_many_services_are_programmed_some_at_a_time(stage: Stage, kernel: Kernel) -> None:
    servers = [web(address=f"192.0.{number >> 8}.{number & 255}") for number in range(1000)]
    stage.room.prepare(1, b"\x80")
    stage.room.commit(1)
    turns = []
    stage.mux.call_soon = lambda callback: turns.append(callback)  # type: ignore[method-assign]
    stage.configure(*servers)
    assert not kernel.table
    turns.pop()()
    assert len(kernel.table) == 128
    while turns:
        turns.pop()()
    assert len(kernel.table) == 1000


def test_what_somebody_clears_is_healed_and_said(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web())
    kernel.table.clear()
    stage.mux.run(6.0)
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert any("somebody else changed it: had to add the service [192.0.2.9]:tcp:80" in one for one in stage.log.lines)
    kernel.table[WEB].destinations[A] = DestinationSettings(50)
    stage.mux.run(6.0)
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}
    lines = len(stage.log.lines)
    stage.mux.run(60.0)
    assert len(stage.log.lines) == lines


def test_a_surprise_is_looked_at_and_put_right(stage: Stage, kernel: Kernel) -> None:
    """Between two comparisons somebody has cleared the table, and a server fails."""
    stage.configure(web(RealServer(address="10.0.0.1", port=80, inhibit=True), RealServer(address="10.0.0.2", port=80)))
    kernel.table.clear()
    stage.health(A, False)
    assert kernel.weights() == {"10.0.0.1": 0, "10.0.0.2": 1}


def test_a_crash_flushes_nothing_and_the_next_life_goes_on(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web(sorry_server=SORRY, quorum=2), flush=True, timeouts=Timeouts(tcp=60))
    stage.health(A, False)
    assert kernel.weights() == {"10.0.0.9": 1}
    kernel.commands.clear()
    stage.die()
    assert kernel.weights() == {"10.0.0.9": 1}
    assert kernel.commands == [12]
    said = len([one for one in stage.said if isinstance(one, QuorumState)])
    stage.health(A, True)
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert len([one for one in stage.said if isinstance(one, QuorumState)]) == said + 1
    stop(stage)
    assert kernel.session == TimeoutSettings(900, 120, 300)


def test_a_quorum_between_its_margins_stays_what_it_was(stage: Stage, kernel: Kernel) -> None:
    servers = tuple(RealServer(address=f"10.0.0.{number}", port=80) for number in range(1, 4))
    stage.configure(web(*servers, quorum=2, hysteresis=1, sorry_server=SORRY))
    stage.health(A, False)
    assert kernel.weights() == {"10.0.0.2": 1, "10.0.0.3": 1}
    stage.die()
    assert kernel.weights() == {"10.0.0.2": 1, "10.0.0.3": 1}
    assert not [one for one in stage.said if isinstance(one, QuorumState)]


def test_lvs_flush_clears_the_table_once(stage: Stage, kernel: Kernel) -> None:
    kernel.table[FOREIGN] = Entry(ServiceSettings())
    stage.configure(web(), flush=True)
    assert set(kernel.table) == {WEB}
    kernel.table[FOREIGN] = Entry(ServiceSettings())
    stage.configure(web(scheduler="rr"), flush=True)
    stage.die()
    assert set(kernel.table) == {WEB, FOREIGN}


@pytest.mark.parametrize(
    ("release", "settings", "left"),
    [
        (True, {}, {FOREIGN}),
        (True, {"flush_on_stop": "VS"}, {FOREIGN}),
        (True, {"flush_on_stop": "all"}, set()),
        (False, {}, {FOREIGN, WEB}),
    ],
)
def test_the_end(stage: Stage, kernel: Kernel, release: bool, settings: dict[str, str], left: set[ServiceKey]) -> None:
    kernel.table[FOREIGN] = Entry(ServiceSettings())
    stage.configure(web(), **settings)
    stop(stage, release)
    assert set(kernel.table) == left


def test_an_orphan_leaves_the_table(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web())
    asyncio.run(stage.room.orphaned())
    assert set(kernel.table) == {WEB}


def test_without_ipvs_it_says_so_once_and_serves_when_it_comes(stage: Stage, kernel: Kernel) -> None:
    kernel.is_there = False
    stage.configure(web())
    stage.health(A, False)
    stage.mux.run(60.0)
    assert [one for one in stage.log.lines if "this kernel has no IPVS" in one] == [
        "this kernel has no IPVS: the module ip_vs is neither loaded nor can it be; the virtual servers are not served"
    ]
    assert stage.room.snapshot(False)["served"] is False
    kernel.is_there = True
    stage.mux.run(11.0)
    assert kernel.weights() == {"10.0.0.2": 1}


@pytest.mark.parametrize(
    "error", [errno.EADDRINUSE, errno.EBUSY, errno.ENOMEM, errno.EPERM, errno.ENODEV, errno.ENOBUFS]
)
def test_whatever_the_kernel_refuses_is_a_problem_until_it_does_it(stage: Stage, kernel: Kernel, error: int) -> None:
    new_service, new_destination, new_daemon, set_config = 1, 5, 9, 12
    kernel.refused = dict.fromkeys((new_service, new_destination, new_daemon, set_config), error)
    daemon = SyncDaemon(interface="eth0", id=51)
    stage.configure(web(RealServer(address="10.0.0.2", port=80)), sync_daemon=daemon, timeouts=Timeouts(tcp=60))
    for _ in range(2):
        found = [each.kind for each in stage.room.problems()]
        assert (found.count("kernel_refused"), found.count("auxiliary_refused")) == (1, 2)
        stage.mux.run(6.0)
    said = [line for line in stage.log.lines if "refuse" in line or "cannot" in line]
    assert len(said) == 3
    kernel.refused = {}
    stage.mux.run(6.0)
    assert [each.kind for each in stage.room.problems()] in ([], ["not_served"])
    assert (set(kernel.table), set(kernel.running)) == ({WEB}, {"master", "backup"})


def test_what_the_kernel_refuses_is_said_once_and_tried_again(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web(scheduler="mh"), web(address="192.0.2.10"))
    assert set(kernel.table) == {ServiceKey(4, "TCP", "192.0.2.10", 80)}
    stage.mux.run(30.0)
    refused = [one for one in stage.log.lines if "refuses" in one]
    assert refused == ["IPVS refuses to add the service [192.0.2.9]:tcp:80: No such file or directory"]
    problems = [(each.kind, each.detail) for each in stage.room.problems() if each.object.endswith("192.0.2.9 80")]
    assert problems[0] == ("kernel_refused", "to add the service [192.0.2.9]:tcp:80: No such file or directory")
    kernel.schedulers.add("mh")
    stage.mux.run(6.0)
    assert kernel.table[WEB].settings.scheduler == "mh"
    assert stage.log.lines[-1] == "IPVS has [192.0.2.9]:tcp:80 now as it is wanted"


def test_an_address_belongs_to_the_first_who_names_it(stage: Stage, kernel: Kernel) -> None:
    group = web(RealServer(address="10.0.0.5", port=80), address="192.0.2.10").members
    more = (*group, Member(first="192.0.2.9", last="192.0.2.9", port=80))
    stage.configure(web(), web(RealServer(address="10.0.0.5", port=80), address="192.0.2.10", members=more))
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert "[192.0.2.9]:tcp:80 of virtual_server 192.0.2.10 80 is one of 192.0.2.9 80 already" in stage.log.lines


def state(name: str, word: str) -> RouterState:
    return RouterState(name=name, state=word, since=0.0, priority=100, holds_addresses=word == "MASTER")


def test_the_sync_daemon_follows_the_instance(stage: Stage, kernel: Kernel) -> None:
    daemon = SyncDaemon(interface="eth0", instance="VI", id=51)
    stage.configure(web(), sync_daemon=daemon)
    assert kernel.running == {"backup": SyncDaemonSettings("backup", "eth0", 51)}
    stage.room.receive(state("VI", "MASTER"))
    assert kernel.running == {"master": SyncDaemonSettings("master", "eth0", 51)}
    stage.room.receive(state("OTHER", "BACKUP"))
    kernel.running.clear()
    stage.mux.run(6.0)
    assert set(kernel.running) == {"master"}
    stage.configure(web(), sync_daemon=SyncDaemon(interface="eth1"))
    assert kernel.running == {each: SyncDaemonSettings(each, "eth1") for each in ("master", "backup")}
    stop(stage)
    assert not kernel.running


def test_a_drain_empties_a_server_outlives_reload_and_crash_and_is_taken_back(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web())
    kernel.connections[A] = Connections(active=3)
    answer = drain(stage, "192.0.2.9:80", "10.0.0.1:80", timeout=60.0)
    assert answer.text == (
        "real_server 10.0.0.1 80 of virtual_server 192.0.2.9 80 gets no new connections;"
        " it leaves when it has none, or after 60 s"
    )
    assert kernel.weights() == {"10.0.0.1": 0, "10.0.0.2": 1}
    stage.mux.run(10.0)
    stage.die()
    stage.mux.run(10.0)
    stage.configure(web(scheduler="rr"))
    assert kernel.weights() == {"10.0.0.1": 0, "10.0.0.2": 1}
    kernel.connections[A] = Connections(inactive=3)
    stage.mux.run(2.0)
    assert kernel.weights() == {"10.0.0.2": 1}
    stage.die()
    assert kernel.weights() == {"10.0.0.2": 1}
    assert stage.last(Draining).out
    drain(stage, "[192.0.2.9]:tcp:80", "[10.0.0.1]:tcp:80", undo=True)
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}
    stage.die()
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_a_drain_ends_with_its_server(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web())
    drain(stage, "192.0.2.9 80", "10.0.0.1 80")
    stage.configure(web(RealServer(address="10.0.0.2", port=80)))
    assert stage.last(Draining).deleted
    stage.configure(web())
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}


@pytest.mark.parametrize(
    ("service", "server", "error"),
    [
        ("192.0.2.8 80", "10.0.0.1 80", "there is no virtual_server 192.0.2.8 80; there are: 192.0.2.9 80"),
        (
            "192.0.2.9 80",
            "10.0.0.3",
            "there is no real_server 10.0.0.3 in virtual_server 192.0.2.9 80; there are: 10.0.0.1 80, 10.0.0.1 81",
        ),
        (
            "192.0.2.9 80",
            "10.0.0.1",
            "real_server 10.0.0.1 in virtual_server 192.0.2.9 80 may be each of: 10.0.0.1 80, 10.0.0.1 81",
        ),
    ],
)
def test_a_drain_of_nobody_is_refused(stage: Stage, service: str, server: str, error: str) -> None:
    stage.configure(web(*(RealServer(address="10.0.0.1", port=port) for port in (80, 81))))
    assert drain(stage, service, server).error == error


def test_what_a_daemon_that_was_killed_left_is_ours(stage: Stage, kernel: Kernel) -> None:
    stage.configure(web(), web(address="192.0.2.10"))
    kernel.table[FOREIGN] = Entry(ServiceSettings())
    earlier = msgspec.msgpack.encode(IpvsSlice(virtual_servers=(web(), web(address="192.0.2.10"))))
    after = Stage(kernel)
    after.room.receive(IpvsLeft(slice=b"rubbish"))
    after.room.receive(IpvsLeft(slice=earlier))
    after.configure(web(RealServer(address="10.0.0.2", port=80)))
    assert set(kernel.table) == {WEB, FOREIGN}
    assert kernel.weights() == {"10.0.0.2": 1}


@pytest.mark.parametrize("memory", [b"\xc1", b"\x91" * 100_000, msgspec.msgpack.encode({"marks": 7})])
def test_a_memory_that_cannot_be_understood_costs_what_it_said(stage: Stage, kernel: Kernel, memory: bytes) -> None:
    stage.configure(web(), web(address="192.0.2.10"))
    earlier = msgspec.msgpack.encode(IpvsSlice(virtual_servers=(web(), web(address="192.0.2.10"))))
    after = Stage(kernel)
    after.room.receive(IpvsLeft(slice=earlier, memory=memory))
    after.configure(web(RealServer(address="10.0.0.2", port=80)))
    assert set(kernel.table) == {WEB}


def test_timeouts_that_a_killed_daemon_set_are_given_back(kernel: Kernel) -> None:
    earlier = Stage(kernel)
    earlier.configure(web(), timeouts=Timeouts(tcp=60))
    memory = msgspec.msgpack.encode(earlier.last(IpvsMemory))
    left = IpvsLeft(slice=msgspec.msgpack.encode(IpvsSlice(virtual_servers=(web(),))), memory=memory)
    after = Stage(kernel)
    after.room.receive(left)
    after.configure(web())
    assert kernel.session == TimeoutSettings(900, 120, 300)


def test_where_nftables_are_refused_each_address_of_a_group_is_served(
    stage: Stage, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise Refused("nftables", errno.EPROTONOSUPPORT)

    monkeypatch.setattr(marking_module, "Nftables", refuse)
    stage.configure(web(by_mark=True), marking=Marking(table="t"))
    assert set(kernel.table) == {WEB}
    text = "packets cannot be marked, nftables refuse: this kernel does not have them"
    assert f"{text}; each address of a group is a service of its own" in stage.log.lines
    assert stage.room.snapshot(False)["nftables"] == {"tables": [], "failure": text}


def test_of_a_daemon_that_was_killed_nothing_is_left_where_no_virtual_server_is_configured(kernel: Kernel) -> None:
    servers = tuple(web(address=f"192.0.{number >> 8}.{number & 255}") for number in range(300))
    daemon = SyncDaemon(interface="eth0", instance="VI")
    Stage(kernel).configure(*servers, sync_daemon=daemon)
    kernel.table[FOREIGN] = Entry(ServiceSettings())
    after = Stage(kernel)
    after.room.receive(IpvsLeft(slice=msgspec.msgpack.encode(IpvsSlice(virtual_servers=servers, sync_daemon=daemon))))
    after.room.prepare(1, b"\x80")
    after.room.commit(1)
    # It is told to leave before the loop turns again.
    stop(after)
    after.mux.run()
    assert set(kernel.table) == {FOREIGN}
    assert kernel.running == {}


def test_whether_ipvs_is_there_is_said_when_it_changes_and_is_a_problem_while_it_is_not(
    stage: Stage, kernel: Kernel
) -> None:
    kernel.is_there = False
    stage.configure(web())
    failure = "this kernel has no IPVS: the module ip_vs is neither loaded nor can it be"
    assert stage.last(IpvsState) == IpvsState(usable=False, reason=failure)
    assert [(each.kind, each.detail) for each in stage.room.problems()] == [(ProblemKind.NO_IPVS, failure)]
    stage.mux.run(60.0)
    kernel.is_there = True
    stage.mux.run(10.0)
    assert stage.last(IpvsState) == IpvsState(usable=True)
    assert len([each for each in stage.said if isinstance(each, IpvsState)]) == 2
    assert kernel.weights() == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert stage.room.problems() == []


def test_a_lost_quorum_is_a_problem_and_a_graver_one_when_nothing_serves(stage: Stage) -> None:
    stage.configure(web(quorum=2))
    assert stage.room.problems() == []
    stage.health(A, False)
    [problem] = stage.room.problems()
    assert (problem.kind, problem.severity, problem.object) == (
        ProblemKind.QUORUM_LOST,
        Severity.WARNING,
        "virtual_server 192.0.2.9 80",
    )
    assert problem.detail.startswith("Lost quorum 2-0=2 > 1")
    stage.health(B, False)
    [problem] = stage.room.problems()
    assert (problem.kind, problem.severity) == (ProblemKind.NOT_SERVED, Severity.CRITICAL)
    stage.configure(web(quorum=2, sorry_server=SORRY))
    [problem] = stage.room.problems()
    assert problem.kind is ProblemKind.QUORUM_LOST


def test_a_service_that_the_kernel_refuses_is_a_problem(stage: Stage) -> None:
    stage.configure(web(scheduler="mh"))
    [problem] = stage.room.problems()
    assert problem.kind is ProblemKind.KERNEL_REFUSED
    assert problem.detail == "to add the service [192.0.2.9]:tcp:80: No such file or directory"
