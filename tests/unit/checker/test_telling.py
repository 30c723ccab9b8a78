"""Which letters a change of checks makes, and keepalived's words in them."""

from __future__ import annotations

import msgspec
import pytest

from kad.checker.checker_slice import CheckedServer
from kad.checker.mail_alerts import Telling, body
from kad.shared.messages import CheckState, Mail, Message, ServerHealth

SERVER = CheckedServer(
    service="192.0.2.9 80",
    address="10.0.0.1",
    port=80,
    mailed_as="Realserver [10.0.0.1]:tcp:80 of virtual server [192.0.2.9]:tcp:80",
)


def state(kind: str, healthy: bool, target: str = "[10.0.0.1]:tcp:80", reason: str = "because") -> CheckState:
    return CheckState(kind=kind, target=target, healthy=healthy, known=True, reason=reason, since=1.0)


def truth(*states: CheckState) -> ServerHealth:
    return ServerHealth(
        service="192.0.2.9 80",
        address="10.0.0.1",
        port=80,
        healthy=all(one.healthy for one in states),
        known=True,
        since=1.0,
        reason="all together",
        checks=states,
    )


def letters(server: CheckedServer, before: ServerHealth, now: ServerHealth, *, each: bool = True) -> list[Mail]:
    said: list[Message] = []
    telling = Telling(said.append)
    telling.of_each_check = each
    telling.change(server, now, before)
    return [one for one in said if isinstance(one, Mail)]


def test_a_check_that_fails_is_told_with_the_server_s_name_and_its_reason() -> None:
    was, now = truth(state("TCP_CHECK", True)), truth(state("TCP_CHECK", False, reason="Connection refused"))
    [letter] = letters(SERVER, was, now)
    assert letter.subject == "Realserver [10.0.0.1]:tcp:80 of virtual server [192.0.2.9]:tcp:80 - DOWN"
    assert letter.body == "=> TCP CHECK failed on service <="
    assert letter.reason == "TCP_CHECK [10.0.0.1]:tcp:80: Connection refused"
    assert letter.state == "DOWN"


def test_a_check_that_recovers_while_another_fails_leaves_the_subject_down() -> None:
    was = truth(state("TCP_CHECK", False), state("MISC_CHECK", False, "/bin/probe"))
    now = truth(state("TCP_CHECK", True), state("MISC_CHECK", False, "/bin/probe"))
    [letter] = letters(SERVER, was, now)
    assert letter.subject.endswith(" - DOWN")
    assert letter.body == "=> TCP CHECK succeed on service <="
    assert letters(SERVER, was, now, each=False) == []


def test_no_checker_emails_tells_only_what_changes_the_server() -> None:
    was = truth(state("TCP_CHECK", True), state("MISC_CHECK", True, "/bin/probe"))
    now = truth(state("TCP_CHECK", True), state("MISC_CHECK", False, "/bin/probe"))
    [letter] = letters(SERVER, was, now, each=False)
    assert letter.body == "=> MISC CHECK failed on service <="


def test_equal_checks_are_told_apart_by_their_place() -> None:
    was = truth(state("HTTP_GET", True), state("HTTP_GET", True))
    now = truth(state("HTTP_GET", True), state("HTTP_GET", False))
    assert len(letters(SERVER, was, now)) == 1


def test_nothing_is_told_of_what_stays_nor_of_a_check_that_is_new_nor_without_smtp_alert() -> None:
    up, down = truth(state("TCP_CHECK", True)), truth(state("TCP_CHECK", False))
    assert letters(SERVER, up, up) == []
    assert letters(SERVER, up, truth(state("UDP_CHECK", False))) == []
    assert letters(msgspec.structs.replace(SERVER, mailed_as=""), up, down) == []


def test_sequences_grow() -> None:
    said: list[Message] = []
    telling = Telling(said.append)
    for healthy in (False, True, False):
        telling.change(SERVER, truth(state("TCP_CHECK", healthy)), truth(state("TCP_CHECK", not healthy)))
    numbers = [one.sequence for one in said if isinstance(one, Mail)]
    assert len(numbers) == 3
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("kind", "up", "down"),
    [
        ("TCP_CHECK", "=> TCP CHECK succeed on service <=", "=> TCP CHECK failed on service <="),
        (
            "HTTP_GET",
            "=> CHECK succeed on service <=",
            "=> CHECK failed on service : HTTP/SSL request failed <=",
        ),
        (
            "SSL_GET",
            "=> CHECK succeed on service <=",
            "=> CHECK failed on service : HTTP/SSL request failed <=",
        ),
        ("SMTP_CHECK", "=> CHECK succeed on service <=", "=> CHECK failed on service <="),
        ("DNS_CHECK", "=> DNS_CHECK: succeed on service <=", "=> DNS_CHECK: failed on service <="),
        ("UDP_CHECK", "=> UDP CHECK succeed on service <=", "=> UDP CHECK failed on service <="),
        ("PING_CHECK", "=> ICMP CHECK succeed on service <=", "=> ICMP CHECK failed on service <="),
        ("MISC_CHECK", "=> MISC CHECK succeeded on service <=", "=> MISC CHECK failed on service <="),
        ("FILE_CHECK", "=> FILE CHECK succeed on service <=", "=> FILE CHECK failed on service <="),
        ("BFD_CHECK", "=> BFD CHECK b1 succeeded on service <=", "=> BFD CHECK b1 failed on service <="),
    ],
)
def test_the_words_of_each_checker(kind: str, up: str, down: str) -> None:
    assert body(state(kind, True, "b1")) == up
    assert body(state(kind, False, "b1")) == down
