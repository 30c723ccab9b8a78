"""What clients of the control socket do costs the parent nothing, and no client that may act its place."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from kad.cli import control_client
from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.linux.sockets.peer import Peer
from kad.model.daemon import WatchdogSlice
from kad.shared import control_protocol, messages
from kad.watchdog import control_server, control_socket
from kad.watchdog.control_clients import MOST
from kad.watchdog.two_phase_commit import Configuration, MemoryFiles
from tests.unit.watchdog import Parent, descriptors

NOBODY = 65534


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def idle(parent: Parent, clients: ExitStack, count: int) -> list[socket.socket]:
    made = []
    for _ in range(count):
        made.append(clients.enter_context(parent.client()))
        parent.turn()
    return made


def reload_is_applied(parent: Parent) -> None:
    """As if the children had just taken it."""
    for done in list(parent.watchdog.reload._waiting):
        done("")


def answer(parent: Parent, client: socket.socket) -> dict[str, object]:
    """What it is told."""
    client.setblocking(False)
    parts: list[bytes] = []

    def all_read() -> bool:
        try:
            while part := client.recv(1 << 20):
                parts.append(part)
        except BlockingIOError:
            return False
        return True

    parent.until(all_read)
    told: dict[str, object] = json.loads(b"".join(parts))
    return told


def test_a_client_that_makes_room_for_another_in_the_moment_in_which_it_speaks(
    parent: Parent, clients: ExitStack
) -> None:
    oldest, *_ = idle(parent, clients, MOST)
    parent.rest()
    # Both are found in one turn, the new client first: it takes the place of the one whose byte is served then.
    new = clients.enter_context(parent.client())
    oldest.sendall(b"x")
    parent.rest()
    with suppress(ConnectionResetError):
        assert oldest.recv(1) == b""
    new.sendall(b'{"verb": "dump", "section": "events"}\n')
    assert answer(parent, new)["ok"] is True


def test_who_may_only_look_takes_no_place_of_who_may_act(
    parent: Parent, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    [waiting] = idle(parent, clients, 1)
    waiting.sendall(b'{"verb": "reload"}\n')
    parent.until(lambda: parent.watchdog.reload._waiting)
    monkeypatch.setattr(control_socket, "peer_of", lambda connection: Peer(1, NOBODY, NOBODY))
    lookers = idle(parent, clients, 3 * MOST)
    parent.rest()
    assert len(list(parent.watchdog.control._clients)) == MOST + 1
    monkeypatch.undo()
    reload_is_applied(parent)
    assert answer(parent, waiting) == {"ok": True}
    assert lookers[0].recv(1) == b""


def test_one_user_takes_no_places_of_others(
    parent: Parent, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "peer_of", lambda connection: Peer(1, 1000, 1000))
    [other] = idle(parent, clients, 1)
    monkeypatch.setattr(control_socket, "peer_of", lambda connection: Peer(1, NOBODY, NOBODY))
    idle(parent, clients, 2 * MOST)
    parent.rest()
    assert 1000 in {client.uid for client in parent.watchdog.control._clients}
    other.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.recv(1)


def test_who_may_act_and_has_asked_is_not_sent_away_for_others(parent: Parent, clients: ExitStack) -> None:
    waiting = idle(parent, clients, MOST)
    for client in waiting:
        client.sendall(b'{"verb": "reload"}\n')
    parent.until(lambda: len(parent.watchdog.reload._waiting) == MOST)
    late = clients.enter_context(parent.client())
    parent.rest()
    assert late.recv(1) == b""
    reload_is_applied(parent)
    assert all(answer(parent, client) == {"ok": True} for client in waiting)


def test_answers_that_nobody_reads_are_bounded(
    parent: Parent, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "may", lambda peer, permission: True)
    monkeypatch.setattr(control_socket, "peer_of", lambda connection: Peer(1, NOBODY, NOBODY))
    monkeypatch.setattr(control_server, "MOST_WAITING_BYTES", 3_000_000)
    for number in range(4000):
        parent.watchdog.journal.note("link", f"eth{number}", "t" * 2000, 1.0)
    lookers = idle(parent, clients, 20)
    for client in lookers:
        client.sendall(b'{"verb": "dump", "section": "events"}\n')
    parent.rest()
    assert parent.watchdog.control._clients.waiting_bytes <= 3_000_000
    # The last of them are told so.
    assert "ask again" in str(answer(parent, lookers[-1])["error"])


def test_what_cannot_be_answered_costs_that_client_alone(
    parent: Parent, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = idle(parent, clients, 2)
    one.sendall(b'{"verb": "dump", "section": "events"}\n')
    monkeypatch.setattr(parent.watchdog.journal, "entries", lambda: 1 / 0)
    parent.rest()
    monkeypatch.undo()
    # Acknowledged, and then its end.
    assert one.recv(10) == b" "
    assert one.recv(10) == b""
    two.sendall(b'{"verb": "dump", "section": "events"}\n')
    assert answer(parent, two)["ok"] is True
    assert any("ZeroDivisionError" in line for line in parent.log.lines)


def test_who_asks_waits_for_a_place_where_others_wait_to_be_accepted(parent: Parent, clients: ExitStack) -> None:
    with suppress(BlockingIOError):
        while True:
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setblocking(False)
            client.connect(str(control_protocol.socket_path(parent.folder)))
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(control_client.ask, parent.folder, {"verb": "dump", "section": "events"})
        # Nothing is accepted until it has had its chance to be refused.
        with suppress(TimeoutError):
            asking.result(0.1)
        parent.until(asking.done)
        assert asking.result()["ok"] is True


def test_a_question_for_which_there_is_no_place_ends_in_time(parent: Parent, clients: ExitStack) -> None:
    with suppress(BlockingIOError):
        while True:
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setblocking(False)
            client.connect(str(control_protocol.socket_path(parent.folder)))
    with pytest.raises(control_client.Silent):
        control_client.ask(parent.folder, {"verb": "status"}, 0.05)


def test_an_ipvs_process_that_answers_no_order_keeps_no_client(parent: Parent, clients: ExitStack) -> None:
    ipvs = parent.child("ipvs")
    [client] = idle(parent, clients, 1)
    client.sendall(b'{"verb": "drain", "service": "s", "server": "r"}\n')
    waiting = parent.watchdog.drains._clients
    parent.until(lambda: waiting)
    parent.watchdog.control.fall_due(time.monotonic() + 31)
    # White space says that the request was read, then the connection ends.
    assert (client.recv(10), client.recv(10)) == (b" ", b"")
    assert waiting == {}
    # An answer that comes at last is for nobody.
    ipvs.say(messages.DrainAnswered(number=1, text="done"))
    parent.rest()
    assert len(parent.lives["ipvs"]) == 1


def test_open_files_without_end_are_not_needed(parent: Parent, clients: ExitStack) -> None:
    before = len(os.listdir("/proc/self/fd"))
    idle(parent, clients, 200)
    parent.rest()
    assert len(os.listdir("/proc/self/fd")) - before <= 200 + MOST


@pytest.mark.parametrize("reads", [True, False])
def test_descriptors_that_go_along_are_closed_here(parent: Parent, clients: ExitStack, reads: bool) -> None:
    files = {name: write_memory_file(name, f"for {name}".encode()) for name in ("vrrp", "checker")}
    parent.watchdog.running.current = Configuration(1, MemoryFiles(files), WatchdogSlice(), frozenset())
    parent.rest()
    before = descriptors()
    client = parent.client()
    parent.turn()
    client.sendall(b'{"verb": "configuration"}\n')
    if reads:
        parent.rest()
        data, received, _, _ = socket.recv_fds(client, 1 << 20, 8)
        while not received:
            data, received, _, _ = socket.recv_fds(client, 1 << 20, 8)
        assert json.loads(data)["slices"] == ["vrrp", "checker"]
        assert [read_memory_file(each) for each in received] == [b"for vrrp", b"for checker"]
        for each in received:
            os.close(each)
    client.close()
    parent.rest()
    parent.until(lambda: descriptors() == before)


def test_an_answer_without_room_for_its_descriptors(
    parent: Parent, clients: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: write_memory_file(name, b"") for name in ("vrrp", "checker")}
    parent.watchdog.running.current = Configuration(1, MemoryFiles(files), WatchdogSlice(), frozenset())
    before = descriptors()
    copied: list[int] = []

    def dup(descriptor: int) -> int:
        if copied:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        copied.append(real(descriptor))
        return copied[0]

    real = os.dup
    client = clients.enter_context(parent.client())
    parent.turn()
    monkeypatch.setattr(os, "dup", dup)
    client.sendall(b'{"verb": "configuration"}\n')
    told = answer(parent, client)
    monkeypatch.undo()
    assert told == {"ok": False, "error": "Too many open files"}
    client.close()
    parent.rest()
    assert descriptors() <= before
