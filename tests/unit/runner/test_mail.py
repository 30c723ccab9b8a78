"""Mail: when letters leave, what they say, and what a server's answers make of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from kad.model.runner import Mailing
from kad.runner.mail_queue import Alerted, Ended, Hurried, Letter, MailQueue, Note, Outcome, SendLetters, Settled
from kad.runner.mail_sender import compose, deliver
from kad.runner.script_check import Report
from kad.shared.messages import Mail
from kad.shared.state_machine import DeadlineReached

SENT = Outcome("sent", "")


def alert(number: int) -> Mail:
    return Mail(
        object="VI_1",
        state="MASTER",
        subject=f"VRRP Instance VI_{number} - Entering MASTER state",
        body="=> VRRP Instance is now owning VRRP VIPs <=",
        reason="no advert from 10.0.0.2 for 3.61 s",
        when=1_700_000_000.0,
        sequence=number,
    )


def sending(queue: MailQueue, now: float) -> tuple[Letter, ...]:
    [action] = queue.handle(DeadlineReached(), now)
    assert isinstance(action, SendLetters)
    return action.letters


def test_the_first_alert_waits_a_moment_for_others_and_each_gets_its_letter() -> None:
    queue = MailQueue("NODE_A")
    assert queue.handle(Alerted(alert(1)), 10.0) == []
    assert queue.handle(Alerted(alert(2)), 10.1) == []
    assert queue.deadline == 10.2
    assert queue.handle(DeadlineReached(), 10.1) == []
    one, two = sending(queue, 10.2)
    assert one.subject == "[NODE_A] VRRP Instance VI_1 - Entering MASTER state"
    assert one.body == (
        "=> VRRP Instance is now owning VRRP VIPs <=\n"
        "\n"
        "Reason: no advert from 10.0.0.2 for 3.61 s\n"
        "Time: 2023-11-14 22:13:20 UTC\n"
    )
    assert two.subject == "[NODE_A] VRRP Instance VI_2 - Entering MASTER state"
    assert queue.handle(Ended((SENT, SENT), "ended"), 10.3) == [
        Settled(alert(1)),
        Note("SMTP alert successfully sent: [NODE_A] VRRP Instance VI_1 - Entering MASTER state"),
        Settled(alert(2)),
        Note("SMTP alert successfully sent: [NODE_A] VRRP Instance VI_2 - Entering MASTER state"),
    ]
    assert (queue.deadline, queue.sent, queue.is_sending) == (None, 2, False)


def test_more_than_ten_at_once_are_one_letter_in_their_order() -> None:
    queue = MailQueue("NODE_A")
    for number in range(1, 12):
        queue.handle(Alerted(alert(number)), 0.0)
    [letter] = sending(queue, 0.2)
    assert letter.subject == "[NODE_A] 11 alerts, the last: VRRP Instance VI_11 - Entering MASTER state"
    assert letter.body.splitlines() == [
        f"2023-11-14 22:13:20 UTC VRRP Instance VI_{number} - Entering MASTER state: no advert from 10.0.0.2 for 3.61 s"
        for number in range(1, 12)
    ]


def test_what_comes_while_letters_are_under_way_waits_for_their_end() -> None:
    queue = MailQueue("A")
    queue.handle(Alerted(alert(1)), 0.0)
    sending(queue, 0.2)
    queue.handle(Alerted(alert(2)), 0.3)
    assert queue.deadline is None
    assert queue.handle(Hurried(), 0.4) == []
    queue.handle(Ended((SENT,), ""), 0.5)
    assert queue.deadline == 0.7
    [letter] = sending(queue, 0.7)
    assert letter.alerts == (alert(2),)


def test_a_server_that_is_away_is_tried_with_growing_pauses_and_then_gets_all_in_order() -> None:
    queue = MailQueue("A")
    queue.handle(Alerted(alert(1)), 0.8)
    now = 1.0
    pauses = []
    for _ in range(8):
        sending(queue, now)
        [report] = queue.handle(Ended((), "Connection refused"), now)
        assert isinstance(report, Report)
        assert queue.deadline is not None
        pauses.append(queue.deadline - now)
        now = queue.deadline
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]
    assert report.text == "1 mail alert could not be sent: Connection refused; again in 300 s"
    queue.handle(Alerted(alert(2)), now - 1)
    assert [letter.alerts for letter in sending(queue, now)] == [(alert(1),), (alert(2),)]
    queue.handle(Ended((SENT, Outcome("failed", "421 busy")), ""), now)
    assert queue.deadline is not None
    assert [letter.alerts for letter in sending(queue, queue.deadline)] == [(alert(2),)]


def test_a_refused_letter_is_not_tried_again() -> None:
    queue = MailQueue("A")
    queue.handle(Alerted(alert(1)), 0.0)
    sending(queue, 0.2)
    actions = queue.handle(Ended((Outcome("refused", "550 no"),), ""), 0.3)
    assert actions == [
        Settled(alert(1)),
        Report("mail '[A] VRRP Instance VI_1 - Entering MASTER state': 550 no"),
    ]
    assert (queue.deadline, queue.lost) == (None, 1)


def test_an_alert_is_given_up_after_an_hour() -> None:
    queue = MailQueue("A")
    queue.handle(Alerted(alert(1)), 0.0)
    sending(queue, 0.2)
    queue.handle(Ended((), "Connection refused"), 0.2)
    queue.handle(Alerted(alert(2)), 1.0)
    settled, report, send = queue.handle(Hurried(), 3600.5)
    assert settled == Settled(alert(1))
    assert report == Report("1 mail alert given up: the server was away for too long (Connection refused)")
    assert isinstance(send, SendLetters)
    assert [letter.alerts for letter in send.letters] == [(alert(2),)]


def test_of_more_than_a_thousand_the_oldest_goes_and_it_is_said() -> None:
    queue = MailQueue("A")
    for number in range(1000):
        assert queue.handle(Alerted(alert(number)), 0.0) == []
    assert queue.handle(Alerted(alert(1000)), 0.0) == [Settled(alert(0))]
    report, send = queue.handle(DeadlineReached(), 0.2)
    assert report == Report("1 mail alert given up: the server was away for too long ()")
    assert isinstance(send, SendLetters)
    assert len(send.letters[0].alerts) == 1000


# The conversation


class Answers:
    """A server that refuses by address."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith(("450", "550")):
            return f"{address[:3]} not {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if b"=> later" in (envelope.content or b""):
            return "451 later"
        if b"=> never" in (envelope.content or b""):
            return "554 never"
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture
def answers() -> Iterator[tuple[Answers, int]]:
    handler = Answers()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


def mailing(port: int, *recipients: str) -> Mailing:
    return Mailing(
        server="127.0.0.1",
        port=port,
        timeout=5.0,
        helo="node-a.example.org",
        sender="kad <kad@example.org>",
        recipients=recipients or ("Root <root@example.org>", "ops@example.org"),
        router_id="A",
    )


def letter(text: str = "=> fine <=") -> Letter:
    return Letter("[A] VRRP Instance VI_1 - Entering MASTER state", text, ())


def test_several_letters_go_over_one_connection_whatever_becomes_of_each(answers: tuple[Answers, int]) -> None:
    handler, port = answers
    outcomes = list(deliver(mailing(port), [letter(), letter("=> later"), letter("=> never"), letter("=> again")]))
    assert outcomes == [
        Outcome("sent", ""),
        Outcome("failed", "451 later"),
        Outcome("refused", "554 never"),
        Outcome("sent", ""),
    ]
    assert [envelope.mail_from for envelope in handler.taken] == ["kad@example.org"] * 2
    assert handler.taken[0].rcpt_tos == ["root@example.org", "ops@example.org"]


@pytest.mark.parametrize(
    ("recipients", "outcome"),
    [
        (("550@x.org", "ops@x.org"), Outcome("sent", "550@x.org is refused: 550 not 550@x.org")),
        (("550@x.org",), Outcome("refused", "550@x.org is refused: 550 not 550@x.org")),
        (("450@x.org",), Outcome("failed", "450@x.org is refused: 450 not 450@x.org")),
    ],
)
def test_a_refused_recipient_costs_the_others_nothing(
    answers: tuple[Answers, int], recipients: tuple[str, ...], outcome: Outcome
) -> None:
    assert list(deliver(mailing(answers[1], *recipients), [letter()])) == [outcome]


def test_without_a_server_every_letter_has_failed() -> None:
    outcomes = list(deliver(mailing(1), [letter(), letter()]))
    assert outcomes == [Outcome("failed", "127.0.0.1 port 1: Connection refused")] * 2


def test_the_headers_are_those_of_keepalived_and_no_machine_answers() -> None:
    message = compose(mailing(25), letter("=> größer <="))
    assert message["From"] == "kad <kad@example.org>"
    assert message["To"] == "Root <root@example.org>, ops@example.org"
    assert message["Subject"] == "[A] VRRP Instance VI_1 - Entering MASTER state"
    assert message["X-Mailer"].startswith("Keepalived (kad ")
    assert message["Auto-Submitted"] == "auto-generated"
    assert "=> größer <=" in message.get_content()
    assert message["Date"]
