"""Who is told of servers and quorums: programs, FIFO lines and letters, in keepalived's order and words."""

from __future__ import annotations

import msgspec
import pytest

from kad.ipvs.notifications import Occasion, Telling
from kad.model.ipvs import IpvsSlice, RealServer, VirtualServer
from kad.model.notification import RealServerChanged
from kad.shared.messages import FifoLine, Mail, Message, Notify

SERVER = RealServer(address="10.0.0.1", port=8080, notifies=("notify_up", "notify_down"), smtp_alert=True)
SERVICE = VirtualServer(
    name="192.0.2.9 80",
    address="192.0.2.9",
    port=80,
    real_servers=(SERVER,),
    notifies=("quorum_up", "quorum_down"),
    smtp_alert=True,
)


class Told:
    """A Telling and what it says."""

    def __init__(self, *, feeds_fifo: bool = True) -> None:
        self.said: list[Message] = []
        self.telling = Telling(self.said.append, lambda: 1.5, lambda: 1000)
        self.telling.follow(IpvsSlice(virtual_servers=(SERVICE,), feeds_fifo=feeds_fifo), 7)

    def quorum(self, up: bool, *, weight: int, hysteresis: int = 0, occasion: Occasion = Occasion.CHANGE) -> None:
        self.telling.quorum(SERVICE, up, "why", weight=weight, quorum=2, hysteresis=hysteresis, occasion=occasion)

    def short(self) -> list[object]:
        return [
            one.program if isinstance(one, Notify) else one.text if isinstance(one, FifoLine) else one.body
            for one in self.said
            if isinstance(one, Notify | FifoLine | Mail)
        ]


def test_a_server_that_goes_starts_its_program_and_then_writes_the_line() -> None:
    told = Told()
    told.telling.server(SERVICE, SERVER, False, "TCP_CHECK: Connection refused")
    program, line = told.said
    assert isinstance(program, Notify)
    assert (program.program, program.object) == (
        "service:192.0.2.9 80/10.0.0.1 8080/notify_down",
        "service:192.0.2.9 80/10.0.0.1 8080",
    )
    assert (program.generation, program.awaited_until) == (7, None)
    assert program.fact == RealServerChanged(up=False, reason="TCP_CHECK: Connection refused")
    assert isinstance(line, FifoLine)
    assert (line.source, line.subject, line.text) == (
        "lvs",
        "RS [10.0.0.1]:tcp:8080 [192.0.2.9]:tcp:80",
        "RS [10.0.0.1]:tcp:8080 [192.0.2.9]:tcp:80 DOWN",
    )


def test_a_quorum_is_told_to_its_program_then_the_fifo_then_by_mail() -> None:
    told = Told()
    told.quorum(True, weight=3, hysteresis=1)
    told.quorum(False, weight=0, hysteresis=1)
    assert told.short() == [
        "service:192.0.2.9 80/quorum_up",
        "VS [192.0.2.9]:tcp:80 UP",
        "=> Gained quorum 2+1=3 <= 3 <=",
        "service:192.0.2.9 80/quorum_down",
        "VS [192.0.2.9]:tcp:80 DOWN",
        "=> Lost quorum 2-1=1 > 0 <=",
    ]
    [up, down] = [one for one in told.said if isinstance(one, Mail)]
    assert (up.subject, up.reason, up.when) == ("Virtualserver [192.0.2.9]:tcp:80 - UP", "why", 1.5)
    assert down.subject == "Virtualserver [192.0.2.9]:tcp:80 - DOWN"


@pytest.mark.parametrize(
    ("up", "weight", "body"),
    [(True, 2, "=> Starting with quorum up 2+0=2 <= 2 <="), (False, 1, "=> Starting with quorum down 2-0=2 > 1 <=")],
)
def test_the_first_quorum_of_all(up: bool, weight: int, body: str) -> None:
    told = Told()
    told.quorum(up, weight=weight, occasion=Occasion.START)
    assert told.short()[-1] == body


@pytest.mark.parametrize(
    ("occasion", "body", "awaited"),
    [(Occasion.STOP, "=> Shutting down <=", 1.0), (Occasion.REMOVAL, "=> Removing <=", None)],
)
def test_what_ends_is_told_by_mail_here_and_a_stop_waits_for_programs(
    occasion: Occasion, body: str, awaited: float | None
) -> None:
    told = Told()
    told.telling.server(SERVICE, SERVER, False, "why", occasion)
    told.quorum(False, weight=0, occasion=occasion)
    assert told.short() == [
        "service:192.0.2.9 80/10.0.0.1 8080/notify_down",
        "RS [10.0.0.1]:tcp:8080 [192.0.2.9]:tcp:80 DOWN",
        body,
        "service:192.0.2.9 80/quorum_down",
        "VS [192.0.2.9]:tcp:80 DOWN",
        body,
    ]
    assert {one.awaited_until for one in told.said if isinstance(one, Notify)} == {awaited}
    [letter, _] = [one for one in told.said if isinstance(one, Mail)]
    assert letter.subject == "Realserver [10.0.0.1]:tcp:8080 of virtual server [192.0.2.9]:tcp:80 - DOWN"


def test_what_nobody_asked_for_is_not_told() -> None:
    told = Told(feeds_fifo=False)
    bare = msgspec.structs.replace(SERVICE, notifies=(), smtp_alert=False)
    told.telling.server(bare, RealServer(address="10.0.0.1"), True, "why", Occasion.REMOVAL)
    told.telling.quorum(bare, True, "why", weight=1, quorum=1, hysteresis=0)
    assert told.said == []


def test_sequences_grow() -> None:
    told = Told()
    for up in (True, False, True):
        told.telling.server(SERVICE, SERVER, up, "why")
    numbers = [one.sequence for one in told.said if isinstance(one, Notify | FifoLine)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("service", "label", "server"),
    [
        (VirtualServer(name="x", address="2001:db8::1", port=53, protocol="UDP"), "[2001:db8::1]:udp:53", "udp"),
        (VirtualServer(name="x", address="192.0.2.1", protocol="SCTP"), "[192.0.2.1]:sctp:0", "sctp"),
        (VirtualServer(name="fwmark 4", fwmark=4), "FWM 4", "none"),
        (VirtualServer(name="group G", group="G", protocol="TCP", place_in_group=1), "[G]:1", "tcp"),
    ],
)
def test_names_are_keepalived_s(service: VirtualServer, label: str, server: str) -> None:
    assert service.label == label
    assert RealServer(address="10.0.0.1", port=80).label_in(service) == f"[10.0.0.1]:{server}:80"
