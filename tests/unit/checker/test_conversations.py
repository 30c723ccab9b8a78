"""SMTP, DNS, UDP and programs without a network: what each answer means."""

from __future__ import annotations

import pytest

from kad.checker.check import FollowedVerdict
from kad.checker.checker_api import Outcome
from kad.checker.checks import dns as dns_check
from kad.checker.checks import udp as udp_check
from kad.checker.checks.dns import DnsCheck
from kad.checker.checks.file import FileCheck
from kad.checker.checks.file import judge as judge_file
from kad.checker.checks.misc import MiscCheck
from kad.checker.checks.misc import judge as judge_program
from kad.checker.checks.smtp import LARGEST_REPLY, SmtpConversation
from kad.checker.checks.udp import UdpCheck
from kad.model.checker import Connection, Timing
from kad.model.program_end import Exited, Killed, NotStarted, ProgramEnd, TimedOut
from kad.shared.messages import Notified

HERE = Connection(address="127.0.0.1", port=53)


def smtp(*pieces: bytes) -> tuple[list[bytes], Outcome]:
    """What is said, and the outcome when the server closes after the pieces."""
    conversation = SmtpConversation("me.example")
    assert conversation.begin() == b""
    said = []
    for piece in pieces:
        answer = conversation.hear(piece)
        if isinstance(answer, Outcome):
            return said, answer
        if answer:
            said.append(answer)
    return said, conversation.end()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"220 mx.example ready\r\n", b"250 mx.example\r\n", b"221 bye\r\n"),
        (b"220-mx.example\r\n220-and more\r\n220 ready\r\n", b"250-mx.example\r\n250 HELP\r\n", b"221 bye\r\n"),
        (b"2", b"20 mx", b".example\r", b"\n", b"250 ", b"ok\r\n", b"whatever\n"),
        (b"220\r\n", b"250\r\n", b"221\r\n"),
        (b"220 x\n", b"250 x\n"),
    ],
)
def test_a_server_that_greets_and_answers_is_well(pieces: tuple[bytes, ...]) -> None:
    assert smtp(*pieces) == ([b"HELO me.example\r\n", b"QUIT\r\n"], Outcome(True, "SMTP 250"))


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((b"421 busy\r\n",), "the SMTP greeting is '421 busy', not 220"),
        ((b"220 x\r\n", b"500 what\r\n"), "the SMTP answer to HELO is '500 what', not 250"),
        ((b"2200 x\r\n",), "the SMTP greeting is '2200 x', not 220"),
        ((b"HTTP/1.1 400 Bad\r\n",), "the SMTP greeting is 'HTTP/1.1 400 Bad', not 220"),
        ((b"220-x\r\n221 y\r\n",), "the SMTP greeting is '221 y', not 220"),
        ((), "the connection was closed without greeting"),
        ((b"220 x\r\n",), "the connection was closed without answer to HELO"),
        ((b"x" * (LARGEST_REPLY + 1),), "the SMTP greeting is longer than 65536 bytes"),
        ((b"220-more\r\n" * 8000,), "the SMTP greeting is longer than 65536 bytes"),
    ],
)
def test_a_server_that_does_not_is_failed(pieces: tuple[bytes, ...], reason: str) -> None:
    assert smtp(*pieces)[1] == Outcome(False, reason)


QUESTION = DnsCheck(
    connection=HERE, timing=Timing(), question=b"\x07example\x03org\0\0\x01\0\x01", text="example.org A"
)


def test_a_question_is_a_header_and_the_question() -> None:
    assert dns_check.query(QUESTION, 0x1234).hex() == "123401000001000000000000" + "076578616d706c65036f72670000010001"


OTHER = "one to another question:"
RECORDS = "one whose records answer another question:"
ASKED = "076578616d706c65036f7267 00 0001 0001"
WANTED = ", wanted: NOERROR (example.org A)"
RECORD = "0001 0001 0000003c 0004 c0000201"


@pytest.mark.parametrize(
    ("header", "rest", "outcome"),
    [
        ("1234 8180 0001 0001 0000 0000", f"{ASKED} c00c {RECORD}", Outcome(True, "DNS NOERROR")),
        ("1234 8400 0001 0000 0000 0000", ASKED, Outcome(True, "DNS NOERROR")),
        ("1234 8400 0001 0000 0000 0000", "074558414d504c45036f7247 00 0001 0001", Outcome(True, "DNS NOERROR")),
        # A name that leads to another one, with and without its address.
        ("1234 8180 0001 0001 0000 0000", f"{ASKED} c00c 0005 0001 0000003c 0002 c014", Outcome(True, "DNS NOERROR")),
        # Cut off within a record, and said to be.
        ("1234 8380 0001 0002 0000 0000", f"{ASKED} c00c 0001", Outcome(True, "DNS NOERROR")),
        ("1234 8182 0001 0000 0000 0000", ASKED, Outcome(False, f"DNS SERVFAIL{WANTED}")),
        ("1234 8183 0001 0000 0000 0000", ASKED, Outcome(False, f"DNS NXDOMAIN{WANTED}")),
        ("1234 8185 0000 0000 0000 0000", "", Outcome(False, f"DNS REFUSED{WANTED}")),
        ("1234 8189 0001 0000 0000 0000", ASKED, Outcome(False, f"DNS NOTAUTH{WANTED}")),
        ("1235 8180 0001 0000 0000 0000", ASKED, None),
        ("1234 0100 0001 0000 0000 0000", ASKED, None),
        ("1234 8189", "", None),
        ("", "", None),
    ],
)
def test_an_answer_has_the_number_the_question_and_no_error(header: str, rest: str, outcome: Outcome | None) -> None:
    assert dns_check.Judge(QUESTION, 0x1234).judge(bytes.fromhex(header + rest)) == outcome


@pytest.mark.parametrize(
    ("header", "rest", "said"),
    [
        ("1234 8180 0000 0000 0000 0000", "", "one to another question: none"),
        (
            "1234 8180 0001 0000 0000 0000",
            "076578616d706c65036e6574 00 0001 0001",
            f"{OTHER} example.net. A",
        ),
        (
            "1234 8180 0001 0000 0000 0000",
            "076578616d706c65036f7267 00 001c 0001",
            f"{OTHER} example.org. AAAA",
        ),
        ("1234 8180 0002 0000 0000 0000", ASKED + ASKED, "one to another question: example.org. A, example.org. A"),
        ("1234 a180 0001 0000 0000 0000", ASKED, "one to another question: example.org. A"),
        ("1234 8183 0001 0000 0000 0000", "036f7468 00 0001 0001", "one to another question: oth. A"),
        (
            "1234 8180 0001 0001 0000 0000",
            f"{ASKED} 036f7468 00 {RECORD}",
            f"{RECORDS} oth.",
        ),
        ("1234 8180 0001 0001 0000 0000", f"{ASKED} c00c 0001", "one that is malformed"),
        ("1234 8180 0001 0000 0000 0000", "c00c 0001 0001", "one that is malformed"),
    ],
)
def test_what_answers_another_question_is_left_out_and_named_when_no_other_comes(
    header: str, rest: str, said: str
) -> None:
    judge = dns_check.Judge(QUESTION, 0x1234)
    assert judge.judge(bytes.fromhex(header + rest)) is None
    silence = judge.silence(5.0)
    assert not silence.ok
    assert silence.reason.startswith(f"no DNS response within 5 s, but {said}")


def demand(reply: bytes = b"", mask: bytes = b"", least: int = 0, most: int = 255) -> UdpCheck:
    return UdpCheck(
        connection=HERE,
        timing=Timing(),
        require_reply=True,
        reply=reply,
        mask=mask,
        min_reply_length=least,
        max_reply_length=most,
    )


@pytest.mark.parametrize(
    ("check", "data", "ok"),
    [
        (demand(), b"", True),
        (demand(), b"x" * 255, True),
        (demand(), b"x" * 256, False),
        (demand(least=3), b"xx", False),
        (demand(least=3), b"xxx", True),
        (demand(b"\x0a\x00", b"\xff\x0f"), b"\x0a\xf0", True),
        (demand(b"\x0a\x00", b"\xff\x0f"), b"\x0a\xf0more", True),
        (demand(b"\x0a\x00", b"\xff\x0f"), b"\x0a\xf1", False),
        (demand(b"\x0a\x00", b"\xff\x0f"), b"\x0a", False),
    ],
)
def test_a_reply_has_the_length_and_the_bytes(check: UdpCheck, data: bytes, ok: bool) -> None:
    found = udp_check.judge(check, data)
    assert found is not None
    assert found.ok is ok


def test_where_no_reply_is_required_none_decides() -> None:
    assert udp_check.judge(UdpCheck(connection=HERE, timing=Timing()), b"anything") is None


def program(ending: ProgramEnd, duration: float = 0.5, output: str = "", *, dynamic: bool = False) -> Outcome:
    check = MiscCheck(timing=Timing(), program="p", text="/bin/p", timeout=3.0, dynamic=dynamic)
    answer = Notified(
        program="p",
        object="o",
        sequence=1,
        ending=ending,
        output=output,
        duration=duration,
    )
    return judge_program(check, answer)


def test_the_exit_status_decides() -> None:
    assert program(Exited(0)) == Outcome(True, "exited with status 0")
    assert program(Exited(1), output="one\nno disk\n") == Outcome(False, "exited with status 1: no disk")
    assert program(Exited(7)) == Outcome(False, "exited with status 7")
    assert program(TimedOut(3.0), 3.2) == Outcome(False, "the program timed out after 3 s")
    assert program(Killed(9), 5.2) == Outcome(False, "was killed by signal 9")
    assert program(NotStarted("no such file")) == Outcome(False, "the program could not be run: no such file")
    assert program(NotStarted("no memory", transient=True)).is_void


@pytest.mark.parametrize(
    ("status", "ok", "weight"),
    [
        (0, True, None),
        (1, False, None),
        (2, True, 0),
        (3, True, 1),
        (255, True, 253),
        *((128 + n, True, 126 + n) for n in (4, 6, 7, 8, 9, 11, 15)),
    ],
)
def test_a_dynamic_program_sets_the_weight(status: int, ok: bool, weight: int | None) -> None:
    found = program(Exited(status), dynamic=True)
    assert (found.ok, found.weight) == (ok, weight)


@pytest.mark.parametrize("number", [4, 6, 7, 8, 9, 11, 15])
def test_a_dynamic_program_that_a_signal_ends_fails(number: int) -> None:
    assert program(Killed(number), dynamic=True) == Outcome(False, f"was killed by signal {number}")


@pytest.mark.parametrize(
    ("weight", "reverse", "number", "healthy", "change"),
    [
        (1, False, 5, True, 5),
        (3, False, -2, True, -6),
        (3, True, -2, True, 6),
        (-2, False, 4, True, -8),
        (2147483647, False, -2, False, 0),
        (1, False, -2147483648, False, 0),
        (1, False, -2147483647, True, -2147483647),
        (0, False, 0, True, 0),
        (0, False, 1, False, 0),
        (0, False, -1, False, 0),
        (0, True, 0, False, 0),
        (0, True, 1, True, 0),
    ],
)
def test_the_number_in_a_file_times_its_weight(
    weight: int, reverse: bool, number: int, healthy: bool, change: int
) -> None:
    found = judge_file(FileCheck(name="f", weight=weight, reverse=reverse), number)
    assert (found.healthy, found.weight_change) == (healthy, change)


def test_a_file_that_says_nothing_changes_nothing() -> None:
    assert judge_file(FileCheck(name="f", weight=0), None) == FollowedVerdict(True, "track_file f says nothing yet")
