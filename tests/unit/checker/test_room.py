"""The checker's room on real sockets: verdicts, sharing, reload, suspension, an earlier life, bounds."""

from __future__ import annotations

import itertools
import json
import os
import resource
import socket
import time

import msgspec
import pytest

from kad.checker.checks.file import FileCheck
from kad.checker.checks.http import HttpCheck
from kad.checker.checks.tcp import TcpCheck
from kad.model.checker import Timing, Url
from kad.shared.messages import Observation, ServerHealth
from tests.unit.checker.room import SOON, Stage, at, server
from tests.unit.checker.servers import Servers, page


def closed_port(servers: Servers) -> int:
    port = servers.tcp(servers.silent)
    servers.close()
    return port


def test_a_server_that_accepts_is_healthy_and_the_reason_and_latency_are_told(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    stage.check(TcpCheck(connection=at(port), timing=SOON), alpha=True)
    before = stage.health()
    assert (before.healthy, before.known) == (True, False)
    told = stage.verdict()
    assert (told.healthy, told.reason) == (True, f"TCP_CHECK [127.0.0.1]:tcp:{port}: connected")
    assert told.checks[0].latency is not None
    assert 0 < told.checks[0].latency < 2
    assert any(line == f"TCP connection to [127.0.0.1]:tcp:{port} success: connected" for line in stage.log.lines)
    shown = stage.room.snapshot(False)["servers"][0]["checks"][0]  # type: ignore[index]
    assert shown["kind"] == "TCP_CHECK"
    assert 0 < shown["latency"]["p50"] < 2
    assert json.dumps(stage.room.snapshot(True))


def test_a_server_that_refuses_is_failed_at_the_first_attempt(stage: Stage, servers: Servers) -> None:
    port = closed_port(servers)
    stage.check(TcpCheck(connection=at(port), timing=SOON))
    told = stage.verdict()
    assert (told.healthy, told.reason) == (False, f"TCP_CHECK [127.0.0.1]:tcp:{port}: Connection refused")
    assert f"TCP_CHECK on service [127.0.0.1]:tcp:{port} failed: Connection refused" in stage.log.lines


def test_a_server_that_goes_is_failed_after_its_retries_and_comes_back_with_one_success(
    stage: Stage, servers: Servers
) -> None:
    port = servers.tcp(servers.silent)
    stage.check(TcpCheck(connection=at(port), timing=msgspec.structs.replace(SOON, retry=2)))
    assert stage.verdict().healthy
    servers.close()
    stage.until(lambda: not stage.health().healthy)
    expected = f"TCP_CHECK on service [127.0.0.1]:tcp:{port} failed after 2 retries: Connection refused"
    assert expected in stage.log.lines


def test_equal_checks_are_made_once_for_all_their_servers(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    check = TcpCheck(connection=at(port), timing=msgspec.structs.replace(SOON, delay_loop=50.0))
    stage.configure(server(check, port=1), server(check, port=2), server(check, check, port=3))
    for number in (1, 2, 3):
        assert stage.verdict(number).healthy
    stage.until(lambda: servers.asked[port])
    assert servers.asked[port] == 1
    assert stage.room.snapshot(False)["checks"] == 1


def test_starts_are_spread_over_the_warmup(stage: Stage) -> None:
    checks = [TcpCheck(connection=at(number), timing=Timing(warmup=100.0)) for number in range(1, 101)]
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks, 1)))
    stage.until(lambda: not stage.room.snapshot(False)["servers_waiting"])
    shown = stage.room.snapshot(False)["servers"]
    moments = sorted(one["checks"][0]["next_in"] for one in shown)  # type: ignore[attr-defined]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert 95 < moments[-1] - moments[0] < 100
    assert max(gaps) < 2.0


def test_a_reload_touches_only_what_changed(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    slow = TcpCheck(connection=at(port), timing=msgspec.structs.replace(SOON, delay_loop=50.0))
    gone = TcpCheck(connection=at(closed_port(Servers())), timing=SOON)
    stage.configure(server(slow, port=1), server(gone, port=2), server(slow, port=3))
    assert stage.verdict(1).healthy
    assert not stage.verdict(2).healthy
    stage.said.clear()
    other = TcpCheck(connection=gone.connection, timing=msgspec.structs.replace(SOON, delay_loop=0.06))
    stage.configure(server(slow, port=1), server(other, port=2))
    (told,) = stage.said
    assert isinstance(told, ServerHealth)
    assert (told.port, told.deleted) == (3, True)
    before = stage.room.snapshot(False)["servers"][1]["checks"][0]  # type: ignore[index]
    assert (before["healthy"], before["known"]) == (False, True)
    attempts = before["attempts"]
    stage.until(lambda: stage.room.snapshot(False)["servers"][1]["checks"][0]["attempts"] > attempts)  # type: ignore[index]
    stage.until(lambda: servers.asked[port])
    assert servers.asked[port] == 1
    assert len(stage.said) == 1


def test_a_changed_check_keeps_its_verdict_until_the_new_one(stage: Stage, servers: Servers) -> None:
    gone = TcpCheck(connection=at(closed_port(Servers())), timing=SOON)
    stage.configure(server(gone, port=1), server(gone, port=2))
    assert not stage.verdict(1).healthy
    there = TcpCheck(connection=at(servers.tcp(servers.silent)), timing=msgspec.structs.replace(SOON, warmup=0.2))
    stage.configure(server(there, port=1), server(gone, port=2))
    assert not stage.health(1).healthy
    stage.until(lambda: stage.health(1).healthy)
    assert not stage.health(2).healthy


def test_a_life_that_replaces_another_goes_on_with_what_it_knew(stage: Stage, servers: Servers) -> None:
    gone = TcpCheck(connection=at(closed_port(Servers())), timing=msgspec.structs.replace(SOON, warmup=50.0))
    earlier = ServerHealth(
        service="192.0.2.9 80", address="127.0.0.1", port=80, healthy=False, known=True, since=17.0, reason="x"
    )
    target = f"[127.0.0.1]:tcp:{gone.connection.port}"
    state = {"kind": "TCP_CHECK", "target": target, "healthy": False, "known": True, "reason": "x", "since": 17.0}
    plain = {**msgspec.to_builtins(earlier), "checks": [state]}
    stage.room.receive(msgspec.convert(plain, ServerHealth))
    stage.check(gone)
    assert stage.said == []
    (server,) = stage.room.snapshot(False)["servers"]  # type: ignore[attr-defined]
    assert (server["healthy"], server["known"], server["since"], server["checks"][0]["since"]) == (
        False,
        True,
        17.0,
        17.0,
    )


def test_a_server_without_checks_is_healthy(stage: Stage) -> None:
    stage.check()
    assert (stage.health().healthy, stage.health().reason) == (True, "it has no checks")
    assert not [line for line in stage.log.lines if line.startswith("real_server")]


def test_one_failed_check_of_several_is_enough_and_is_named(stage: Stage, servers: Servers) -> None:
    good = TcpCheck(connection=at(servers.tcp(servers.silent)), timing=SOON)
    bad = TcpCheck(connection=at(closed_port(Servers())), timing=SOON)
    stage.check(good, bad)
    told = stage.verdict()
    assert not told.healthy
    assert told.reason == f"TCP_CHECK [127.0.0.1]:tcp:{bad.connection.port}: Connection refused"
    assert [check.healthy for check in told.checks] == [True, False]


def test_a_file_moves_the_weight_or_takes_the_server_down(stage: Stage) -> None:
    def say(value: int | None) -> None:
        stage.room.receive(Observation(kind="file", name="f", value=value, since=0.0, reason="read"))

    stage.check(FileCheck(name="f", weight=3))
    assert (stage.health().healthy, stage.health().weight_change) == (True, 0)
    say(-2)
    assert (stage.health().healthy, stage.health().weight_change) == (True, -6)
    stage.check(FileCheck(name="f", weight=0))
    assert (stage.health().healthy, stage.health().reason) == (False, "FILE_CHECK f: track_file f holds -2")
    say(0)
    assert stage.health().healthy
    say(None)
    assert stage.health().healthy


def test_checks_are_suspended_while_the_address_is_not_here(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    check = TcpCheck(connection=at(port), timing=SOON)
    stage.configure(server(check, homes=("192.0.2.250",)))
    shown = stage.room.snapshot(False)["servers"][0]  # type: ignore[index]
    assert (shown["suspended"], shown["checks"][0]["phase"]) == (True, "idle")
    stage.configure(server(check, homes=("192.0.2.250", "127.0.0.1")))
    assert stage.verdict().healthy
    stage.until(lambda: servers.asked[port])
    stage.configure(server(check, homes=("192.0.2.250",)))
    assert stage.health().healthy
    assert stage.room.snapshot(False)["servers"][0]["checks"][0]["phase"] == "idle"  # type: ignore[index]


def test_more_checks_than_descriptors_wait_for_their_turn(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    timing = msgspec.structs.replace(SOON, delay_loop=50.0)
    checks = [TcpCheck(connection=at(port, timeout=5.0 + number), timing=timing) for number in range(40)]
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks, 1)))
    stage.room._most_open = 3
    highest = 0

    def all_known() -> bool:
        nonlocal highest
        highest = max(highest, stage.room._open)
        return all(stage.health(number).known for number in range(1, 41))

    stage.until(all_known)
    assert highest <= 3
    assert all(stage.health(number).healthy for number in range(1, 41))


def test_a_host_that_has_no_descriptors_left_says_nothing_of_the_server(stage: Stage, servers: Servers) -> None:
    stage.check(TcpCheck(connection=at(servers.tcp(servers.silent)), timing=msgspec.structs.replace(SOON, retry=0)))
    assert stage.verdict().healthy
    normal = resource.getrlimit(resource.RLIMIT_NOFILE)
    free: list[int] = []

    def complained() -> bool:
        if not free:
            free.append(os.dup(0))
            os.close(free[0])
            resource.setrlimit(resource.RLIMIT_NOFILE, (free[0], normal[1]))
        return any(line.startswith("a check cannot be made: ") for line in stage.log.lines)

    try:
        stage.until(complained)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, normal)
    assert "a check cannot be made: a socket for a check: Too many open files" in stage.log.lines
    assert stage.health().healthy


def test_all_that_fall_due_at_once_begin_though_nobody_answers(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    timing = msgspec.structs.replace(SOON, urls=1)
    urls = (Url(path="/", host="h"),)
    checks = [HttpCheck(connection=at(port, timeout=9 + number), timing=timing, urls=urls) for number in range(100)]
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks, 1)))
    stage.until(lambda: stage.room.snapshot(False)["attempts_open"] == 100, 5)


def test_an_attempt_that_waits_is_not_made_when_it_is_no_longer_wanted(stage: Stage, servers: Servers) -> None:
    gone, kept = servers.tcp(servers.silent), servers.tcp(servers.silent)
    stage.configure(server(TcpCheck(connection=at(gone), timing=SOON), port=1))
    stage.room._most_open = 0
    stage.until(lambda: stage.room.snapshot(False)["attempts_waiting"])
    stage.configure(server(TcpCheck(connection=at(kept), timing=SOON), port=2))
    assert stage.verdict(2).healthy
    stage.until(lambda: servers.asked[kept] > 2)
    assert servers.asked[gone] == 0


def test_answers_that_came_while_the_process_was_busy_are_read_before_time_is_over(
    stage: Stage, servers: Servers
) -> None:
    heard: list[socket.socket] = []

    def late(connection: socket.socket) -> None:
        connection.recv(65536)
        heard.append(connection)
        time.sleep(0.2)
        connection.sendall(page(b"late"))

    timing = msgspec.structs.replace(SOON, delay_loop=50.0, urls=1)
    urls = (Url(path="/", host="h"),)
    ports = [servers.tcp(late) for _ in range(4)]
    # The time limits tell apart those that ask the same server.
    checks = [
        HttpCheck(connection=at(port, timeout=1 + place / 1e6), timing=timing, urls=urls)
        for place in range(100)
        for port in ports
    ]
    numbers = range(1, len(checks) + 1)
    stage.configure(*(server(check, port=number) for number, check in zip(numbers, checks, strict=True)))
    stage.until(lambda: len(heard) == len(checks))
    time.sleep(1.5)
    stage.until(lambda: all(stage.health(number).known for number in numbers))
    assert [stage.health(number).reason for number in numbers if not stage.health(number).healthy] == []


def test_each_failed_attempt_is_logged_where_that_is_asked_for(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    timing = msgspec.structs.replace(SOON, retry=50, log_all_failures=True)
    stage.check(TcpCheck(connection=at(port), timing=timing))
    assert stage.verdict().healthy
    servers.close()
    expected = f"TCP_CHECK on service [127.0.0.1]:tcp:{port} failed: Connection refused"
    stage.until(lambda: stage.log.lines.count(expected) >= 2)
    assert stage.health().healthy


def test_what_cannot_be_prepared_is_refused_and_nothing_changes(stage: Stage) -> None:
    stage.check()
    with pytest.raises(ValueError, match="cannot be read"):
        stage.room.prepare(2, b"rubbish")
    stage.room.abandon()
    assert stage.room.snapshot(False)["checks"] == 0


def test_thousands_of_servers_come_in_parts_and_the_loop_serves_others_in_between(stage: Stage) -> None:
    checks = [TcpCheck(connection=at(80, f"127.1.{n // 250}.{n % 250 + 1}"), timing=Timing()) for n in range(1000)]
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks)))
    told = len(stage.said)
    assert 0 < told < 1000
    shown = stage.room.snapshot(False)
    assert shown["servers_waiting"] == 1000 - told
    assert len(shown["servers"]) == told  # type: ignore[arg-type]
    stage.until(lambda: stage.room.snapshot(False)["servers_waiting"] == 0)
    assert {one.port for one in stage.said if isinstance(one, ServerHealth)} == set(range(1000))
    stage.said.clear()
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks[:-1])))
    (gone,) = (one for one in stage.said if isinstance(one, ServerHealth) and one.deleted)
    assert gone.port == 999
    stage.until(lambda: stage.room.snapshot(False)["checks"] == 999)


def test_a_reload_in_the_middle_of_another_loses_nobody(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.silent)
    checks = [TcpCheck(connection=at(port, timeout=5.0 + n), timing=Timing(warmup=0.0)) for n in range(300)]
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks, 1)))
    stage.configure(*(server(check, port=number) for number, check in enumerate(checks[50:], 1)))
    stage.until(lambda: all(stage.health(number).known for number in range(1, 251)))
    assert all(stage.health(number).healthy for number in range(1, 251))
    assert stage.health(300).deleted
    assert stage.room.snapshot(False)["checks"] == 250


def test_this_process_shows_that_it_lives_while_one_answer_concerns_many(
    stage: Stage, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = TcpCheck(connection=at(closed_port(servers)), timing=SOON)
    turns: list[float] = []
    monkeypatch.setattr(stage.room, "_say", lambda _: turns.append(stage.mux.page.turned_at))
    stage.configure(*(server(check, port=port) for port in range(1, 51)))
    stage.until(lambda: len(turns) >= 100)
    assert len(set(turns[:50])) == len(set(turns[50:100])) == 50
