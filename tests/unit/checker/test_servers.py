"""Checks against servers on this host, friendly and hostile: each attempt ends in its time, with the reason."""

from __future__ import annotations

import re
import socket
import ssl
import time
from pathlib import Path

import msgspec
import pytest

from kad.checker.checks.dns import DnsCheck
from kad.checker.checks.http import HttpCheck
from kad.checker.checks.misc import MiscCheck
from kad.checker.checks.ping import PingCheck
from kad.checker.checks.smtp import SmtpCheck
from kad.checker.checks.tcp import TcpCheck
from kad.checker.checks.udp import UdpCheck
from kad.model.checker import Connection, Credentials, Regex, Tls, Url
from kad.model.program_end import Exited, NotStarted, ProgramEnd
from kad.model.secret import Secret
from kad.shared.messages import Notified, Notify, ServerHealth
from tests.unit.checker.room import SOON, Stage, at, server
from tests.unit.checker.servers import Behaviour, Servers, http, lines, over_tls, page, reset

CERTIFICATES = Path(__file__).parent / "certificates"
NetworkCheck = TcpCheck | HttpCheck | SmtpCheck | DnsCheck | UdpCheck | PingCheck
SHORT = 0.3
"""Seconds that a step may take."""
RARELY = msgspec.structs.replace(SOON, delay_loop=50.0)


def web(port: int, *urls: Url, timeout: float = 2.0, tls: Tls | None = None, protocol: str = "1.0") -> HttpCheck:
    asked = urls or (Url(path="/", host="www.example"),)
    timing = msgspec.structs.replace(RARELY, urls=len(asked), fast_recovery=True)
    return HttpCheck(connection=at(port, timeout=timeout), timing=timing, urls=asked, tls=tls, protocol=protocol)


def reason(stage: Stage, check: NetworkCheck, credentials: tuple[Credentials, ...] = ()) -> tuple[bool, str]:
    """The verdict on a server of its own with this check, and its reason without the name of the check."""
    port = check.connection.port
    stage.configure(server(check, port=port), credentials=credentials)
    told = stage.verdict(port)
    return told.healthy, told.checks[0].reason


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATES / "server.pem")
    return made


def authority(name: str = "authority.pem") -> Credentials:
    return Credentials(name=name, ca=(CERTIFICATES / name).read_text(), verify=True)


# Friendly ones.


def test_a_page_is_asked_for_with_the_name_of_the_host(stage: Stage, servers: Servers) -> None:
    heard: list[bytes] = []
    port = servers.tcp(http(page(b"hello"), heard=heard))
    assert reason(stage, web(port)) == (True, "HTTP status 200")
    assert heard == [b"GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: www.example\r\n\r\n"]
    log = f"Remote Web server [127.0.0.1]:tcp:{port} succeed on service: HTTP status 200"
    assert log in stage.log.lines


def test_a_server_that_keeps_the_connection_open_is_not_waited_for(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(http(page(b"hello"), keep_open=True))
    began = time.monotonic()
    assert reason(stage, web(port, timeout=5.0)) == (True, "HTTP status 200")
    assert time.monotonic() - began < 3


def test_a_regex_that_cannot_be_understood_is_said_and_left_out(stage: Stage, servers: Servers) -> None:
    url = Url(path="/", host="h", regex=Regex(pattern="(a"))
    assert reason(stage, web(servers.tcp(http(page(b"hello"))), url)) == (True, "HTTP status 200")
    assert "the regex (a is ignored: missing closing parenthesis at character 2" in stage.log.lines


def test_every_url_is_asked_for_before_the_server_is_well(stage: Stage, servers: Servers) -> None:
    heard: list[bytes] = []
    port = servers.tcp(http(page(b"hello"), heard=heard))
    urls = tuple(Url(path=f"/{name}", host="h") for name in "abc")
    assert reason(stage, web(port, *urls)) == (True, "HTTP status 200")
    assert [text.split()[1] for text in heard] == [b"/a", b"/b", b"/c"]


@pytest.mark.parametrize(
    ("version", "header"),
    [(1, rb"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n"), (2, rb"\r\n\r\n\0\r\nQUIT\n \0\0\0")],
)
def test_a_proxy_header_comes_first(stage: Stage, servers: Servers, version: int, header: bytes) -> None:
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        data = b""
        while b"GET / HTTP" not in data:
            data += connection.recv(4096)
        heard.append(data)
        connection.sendall(page(b"x"))

    check = web(servers.tcp(behave))
    connection = msgspec.structs.replace(check.connection, proxy_protocol=version)
    assert reason(stage, msgspec.structs.replace(check, connection=connection))[0]
    assert re.match(header + b"GET / HTTP/1.0", heard[0])


def test_a_check_that_only_connects_says_the_proxy_header_too(stage: Stage, servers: Servers) -> None:
    heard: list[bytes] = []
    port = servers.tcp(lambda connection: heard.append(connection.recv(4096)))
    connection = msgspec.structs.replace(at(port), proxy_protocol=2)
    assert reason(stage, TcpCheck(connection=connection, timing=RARELY)) == (True, "connected")
    stage.until(lambda: heard)
    assert heard == [b"\r\n\r\n\0\r\nQUIT\n \0\0\0"]


def test_mail_servers_greet_in_one_line_or_many(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(lines(b"220-mx\r\n220 mx\r\n", b"250 mx\r\n", b"221 bye\r\n"))
    assert reason(stage, SmtpCheck(connection=at(port), timing=RARELY)) == (True, "SMTP 250")


def test_a_datagram_is_answered_refused_or_lost(stage: Stage, servers: Servers) -> None:
    echo = servers.udp(lambda data: data)
    mute = servers.udp(lambda data: None)
    other = Servers()
    gone = other.udp(lambda data: None)
    other.close()

    def ask(port: int, required: bool) -> UdpCheck:
        return UdpCheck(connection=at(port, timeout=SHORT), timing=RARELY, payload=b"hi", require_reply=required)

    assert reason(stage, ask(echo, True)) == (True, "reply of 2 bytes")
    assert reason(stage, ask(mute, True)) == (False, "no reply within 0.3 s")
    assert reason(stage, ask(servers.udp(lambda data: None), False)) == (True, "nothing refused within 0.3 s")
    assert reason(stage, ask(gone, False)) == (False, "Connection refused")


def test_a_name_server_answers_the_question_that_it_was_asked(stage: Stage, servers: Servers) -> None:
    port = servers.udp(lambda data: data[:2] + b"\x81\x80" + data[4:])
    strange = servers.udp(lambda data: b"\0\0\x81\x80" + data[4:] if data[:2] != b"\0\0" else b"")
    question = b"\0\0\x06\0\x01"

    def ask(port: int) -> DnsCheck:
        return DnsCheck(connection=at(port, timeout=SHORT), timing=RARELY, question=question, text=". SOA")

    assert reason(stage, ask(port)) == (True, "DNS NOERROR")
    assert reason(stage, ask(strange)) == (False, "no DNS response within 0.3 s")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_this_host_echoes(stage: Stage, address: str) -> None:
    check = PingCheck(connection=Connection(address=address, timeout=2.0), timing=RARELY)
    assert reason(stage, check) == (True, "echo")


def test_both_families_and_a_source_of_its_own(stage: Stage, servers: Servers) -> None:
    seen: list[tuple[str, int]] = []

    def behave(connection: socket.socket) -> None:
        seen.append(connection.getpeername()[:2])
        connection.recv(1)

    six = servers.tcp(behave, socket.AF_INET6)
    assert reason(stage, TcpCheck(connection=at(six, "::1"), timing=RARELY))[0]
    stage.until(lambda: [sender for sender in seen if sender[0] == "::1"])
    four = servers.tcp(behave)
    with socket.create_server(("127.0.0.3", 0)) as probe:
        free = probe.getsockname()[1]
    bound = Connection(address="127.0.0.1", port=four, bindto="127.0.0.3", bind_port=free, bind_if="lo")
    often = msgspec.structs.replace(SOON, retry=0)
    stage.check(TcpCheck(connection=bound, timing=often))
    assert stage.verdict().healthy
    stage.until(lambda: seen.count(("127.0.0.3", free)) >= 4)
    assert not [line for line in stage.log.lines if "failed" in line]


def test_a_source_that_is_not_here_fails_the_check_and_says_so(stage: Stage, servers: Servers) -> None:
    bound = Connection(address="127.0.0.1", port=servers.tcp(servers.silent), bindto="192.0.2.99")
    expected = (False, "asking from 192.0.2.99: Cannot assign requested address")
    assert reason(stage, TcpCheck(connection=bound, timing=RARELY)) == expected


def test_a_request_that_does_not_fit_into_the_buffers_is_sent_as_there_is_room(stage: Stage, servers: Servers) -> None:
    heard: list[bytes] = []
    port = servers.tcp(http(page(b"hello"), heard=heard))
    long = Url(path="/", host="h", headers=(("X-Long", Secret("y" * (8 << 20))),))
    assert reason(stage, web(port, long)) == (True, "HTTP status 200")
    assert len(heard[0]) > 8 << 20


# TLS.


def test_tls_needs_no_authority_unless_one_is_named(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(over_tls(context(), http(page(b"hello"))))
    assert reason(stage, web(port, tls=Tls())) == (True, "HTTP status 200")
    assert "certificate_expires" not in stage.room.snapshot(False)["servers"][0]["checks"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("ca", "by_name", "name", "expected"),
    [
        ("authority.pem", False, None, (True, "HTTP status 200")),
        ("authority.pem", True, "www.example", (True, "HTTP status 200")),
        ("authority.pem", True, "127.0.0.1", (True, "HTTP status 200")),
        (
            "authority.pem",
            True,
            "other.example",
            (
                False,
                "the certificate is not accepted: Hostname mismatch, certificate is not valid for 'other.example'.",
            ),
        ),
        (
            "other.pem",
            False,
            None,
            (False, "the certificate is not accepted: unable to get local issuer certificate"),
        ),
    ],
)
def test_a_certificate_is_of_the_authority_and_for_the_name(
    stage: Stage, servers: Servers, ca: str, by_name: bool, name: str | None, expected: tuple[bool, str]
) -> None:
    port = servers.tcp(over_tls(context(), http(page(b"hello"))))
    check = web(port, Url(path="/", host="h", name=name), tls=Tls(credentials=ca, verify_name=by_name))
    assert reason(stage, check, (authority(ca),)) == expected


def test_the_end_of_a_verified_certificate_is_shown_and_warned_of_once(
    stage: Stage, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kad.checker.process.worker._EXPIRY_WARNING", 1e11)
    port = servers.tcp(over_tls(context(), http(page(b"hello"))))
    check = web(port, tls=Tls(credentials="authority.pem"))
    check = msgspec.structs.replace(check, timing=msgspec.structs.replace(SOON, urls=1))
    assert reason(stage, check, (authority(),))[0]
    stage.until(lambda: servers.asked[port] >= 3)
    shown = stage.room.snapshot(False)["servers"][0]["checks"][0]  # type: ignore[index]
    certificate = ssl._ssl._test_decode_cert(str(CERTIFICATES / "server.pem"))  # type: ignore[attr-defined]
    assert shown["certificate_expires"] == ssl.cert_time_to_seconds(certificate["notAfter"])
    warnings = [line for line in stage.log.lines if line.startswith("the certificate of ")]
    assert len(warnings) == 1


def test_the_name_is_sent_where_there_is_one(stage: Stage, servers: Servers) -> None:
    names: list[str | None] = []
    serving = context()
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    port = servers.tcp(over_tls(serving, http(page(b"hello"))))
    urls = (Url(path="/", host="h", name="www.example"), Url(path="/", host="h"))
    assert reason(stage, web(port, *urls, tls=Tls()))[0]
    assert names == ["www.example", None]


@pytest.mark.parametrize(
    ("compliant", "orderly", "expected"),
    [
        (True, True, (True, "HTTP status 200")),
        (False, False, (True, "HTTP status 200")),
        (True, False, (False, "the server let the connection fall without ending TLS")),
    ],
)
def test_tls_must_end_in_order_only_where_that_is_asked_for(
    stage: Stage, servers: Servers, compliant: bool, orderly: bool, expected: tuple[bool, str]
) -> None:
    port = servers.tcp(over_tls(context(), http(b"HTTP/1.0 200 OK\r\n\r\nhello"), orderly=orderly))
    url = Url(path="/", host="h", tls_compliant=compliant)
    assert reason(stage, web(port, url, tls=Tls())) == expected


def test_a_client_certificate_is_shown(stage: Stage, servers: Servers) -> None:
    serving = context()
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_verify_locations(CERTIFICATES / "authority.pem")
    subjects: list[object] = []

    def behave(connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        subjects.append(connection.getpeercert())
        http(page(b"hello"))(connection)

    port = servers.tcp(over_tls(serving, behave))
    key, certificate = re.findall(r"-----BEGIN.*?-----END[^\n]*", (CERTIFICATES / "server.pem").read_text(), re.DOTALL)
    shown = Credentials(name="c", key=Secret(key), certificate=certificate)
    assert reason(stage, web(port, tls=Tls(credentials="c")), (shown,))[0]
    assert subjects[0]["subject"] == ((("commonName", "www.example"),),)  # type: ignore[index]
    with pytest.raises(ValueError, match="credentials of SSL_GET cannot be used"):
        stage.configure(credentials=(Credentials(name="d", key=Secret("rubbish"), certificate=certificate),))


# Hostile ones: what they do, what is asked, and what is said of them.

WEB, TLS, MAIL = "web", "tls", "mail"
RUBBISH = bytes(range(256)) * 64


def hostile(servers: Servers) -> dict[str, tuple[Behaviour, str, str]]:
    endless = b"X-Endless: " + b"x" * 5000 + b"\r\n"
    ok = b"HTTP/1.1 200 OK\r\n"
    return {
        "silence": (servers.silent, WEB, "no HTTP response within 0.3 s"),
        "silence, TLS": (servers.silent, TLS, "no TLS within 0.3 s"),
        "silence, mail": (servers.silent, MAIL, "no greeting within 0.3 s"),
        "slow head": (servers.drip(b"X: y\r\n", ahead=ok), WEB, "no HTTP response within 0.3 s"),
        "slow body": (servers.drip(b"x", ahead=ok + b"\r\n"), WEB, "no end of the HTTP response within 0.3 s"),
        "slow greeting": (servers.drip(b"2"), MAIL, "no greeting within 0.3 s"),
        "endless greeting": (servers.flood(b"", b"220-more\r\n" * 100), MAIL, "longer than 65536 bytes"),
        "endless head": (servers.flood(ok, endless), WEB, "longer than 65536 bytes"),
        "endless line": (servers.flood(ok + b"X: ", b"x" * 5000), WEB, "longer than 65536 bytes"),
        "endless chunk": (
            servers.flood(ok + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 5000),
            WEB,
            "no end of the HTTP response within 0.3 s|not an HTTP response",
        ),
        "reset": (reset, WEB, "Connection reset by peer"),
        "reset, TLS": (reset, TLS, "Connection reset by peer|within the TLS handshake"),
        "nothing": (lambda connection: None, WEB, "without an HTTP response|Connection reset by peer"),
        "rubbish": (lambda connection: connection.sendall(RUBBISH), WEB, "not an HTTP response|reset by peer"),
        "end, TLS": (lambda connection: connection.recv(65536), TLS, "^the connection ended within the TLS handshake"),
        "rubbish, TLS": (lambda connection: connection.sendall(RUBBISH), TLS, "TLS: wrong version number|reset"),
        "no TLS": (http(page(b"hello")), TLS, "TLS: wrong version number|no TLS within 0.3 s"),
        "slow TLS": (servers.drip(b"\x16\x03\x03\x40\x00" + b"\0" * 500), TLS, "no TLS within 0.3 s|^TLS: "),
        "web instead of mail": (http(page(b"x")), MAIL, "no greeting within 0.3 s"),
        "full of NULs": (servers.flood(b"", bytes(5000)), WEB, "not an HTTP response|reset by peer"),
    }


@pytest.mark.parametrize("name", sorted(hostile(Servers())))
def test_a_hostile_server_is_failed_in_time(stage: Stage, servers: Servers, name: str) -> None:
    behave, asked, expected = hostile(servers)[name]
    port = servers.tcp(behave)
    check: NetworkCheck
    if asked == MAIL:
        check = SmtpCheck(connection=at(port, timeout=SHORT), timing=RARELY)
    else:
        check = web(port, timeout=SHORT, tls=Tls() if asked == TLS else None)
    began = time.monotonic()
    healthy, said = reason(stage, check)
    assert not healthy
    assert re.search(expected, said), said
    assert time.monotonic() - began < 10 * SHORT
    assert stage.room.snapshot(False)["attempts_open"] == 0


def test_an_endless_body_is_hashed_within_its_time_only(stage: Stage, servers: Servers) -> None:
    port = servers.tcp(servers.flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536))
    began = time.monotonic()
    healthy, said = reason(stage, web(port, Url(path="/", host="h", digest="0" * 32), timeout=SHORT))
    assert not healthy
    assert said in (
        "no end of the HTTP response within 0.3 s",
        "HTTP status 200, the body is longer than 64 MB (GET /, Host h)",
    )
    assert time.monotonic() - began < 10 * SHORT


def test_others_are_served_while_some_flood(stage: Stage, servers: Servers) -> None:
    floods = [servers.tcp(servers.flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) for _ in range(5)]
    good = servers.tcp(servers.silent)
    loud = [web(port, Url(path="/", host="h", digest="0" * 32), timeout=1.0) for port in floods]
    often = TcpCheck(connection=at(good, timeout=1.0), timing=SOON)
    began = time.monotonic()
    stage.configure(server(often, port=1), *(server(check, port=number) for number, check in enumerate(loud, 2)))
    assert not any(stage.verdict(number).healthy for number in range(2, 7))
    assert stage.verdict(1).healthy
    assert servers.asked[good] > (time.monotonic() - began) / SOON.delay_loop / 2


def test_others_are_served_while_a_regex_is_searched_that_costs_too_much(stage: Stage, servers: Servers) -> None:
    body = (b"ab" * 50 + b"\n") * 640
    costly = [servers.tcp(http(page(body))) for _ in range(5)]
    good = servers.tcp(http(page(b"well")))
    regex = Regex(pattern="[ab]*[abx]*[aby]*[abz]*[cd]")
    hard = [web(port, Url(path="/", host="h", regex=regex), timeout=20.0) for port in costly]
    easy = web(good, Url(path="/", host="h", regex=Regex(pattern="w.ll")), timeout=1.0)
    stage.configure(server(easy, port=1), *(server(check, port=number) for number, check in enumerate(hard, 2)))
    longest, last = 0.0, time.thread_time()

    def turned() -> bool:
        nonlocal longest, last
        now = time.thread_time()
        longest, last = max(longest, now - last), now
        return all(stage.health(number).known for number in range(2, 7))

    stage.until(turned, 40)
    assert not any(stage.health(number).healthy for number in range(2, 7))
    assert "costs too much on this body" in stage.health(2).checks[0].reason
    assert (stage.health(1).healthy, stage.health(1).known) == (True, True)
    # The searches took 1 s of a processor, and no turn of the loop more than a fraction of one.
    assert longest < 0.25


# Programs.


def answer(stage: Stage, order: Notify, ending: ProgramEnd, output: str = "") -> None:
    stage.room.receive(
        Notified(
            program=order.program,
            object=order.object,
            sequence=order.sequence,
            ending=ending,
            output=output,
            duration=0.01,
        )
    )


def test_a_program_is_ordered_and_its_answer_decides(stage: Stage) -> None:
    timing = msgspec.structs.replace(SOON, from_start=True, retry=0)
    check = MiscCheck(timing=timing, program="check:/bin/p/misc_path", text="/bin/p", timeout=3.0, dynamic=True)
    stage.check(check)

    def orders() -> list[Notify]:
        return [one for one in stage.said if isinstance(one, Notify)]

    stage.until(orders)
    first = orders()[0]
    assert (first.program, first.timeout, first.generation) == ("check:/bin/p/misc_path", 3.0, 1)
    answer(stage, first, Exited(12), "all well")
    told = stage.health()
    assert (told.healthy, told.weight, told.known) == (True, 10, True)
    stage.until(lambda: len(orders()) == 2)
    second = orders()[1]
    assert second.sequence > first.sequence
    answer(stage, msgspec.structs.replace(second, sequence=first.sequence), Exited(1))
    assert stage.health().healthy
    answer(stage, second, Exited(1), "no")
    told = stage.health()
    assert (told.healthy, told.weight) == (False, None)
    assert told.checks[0].reason == "exited with status 1: no"
    assert "Misc check by [/bin/p] failed: exited with status 1: no" in stage.log.lines


def test_a_program_that_cannot_be_run_fails_the_server(stage: Stage) -> None:
    stage.check(MiscCheck(timing=SOON, program="check:/bin/p/misc_path", text="/bin/p", timeout=3.0))
    stage.until(lambda: [one for one in stage.said if isinstance(one, Notify)])
    answer(stage, next(one for one in stage.said if isinstance(one, Notify)), NotStarted("no such file"))
    told = stage.health()
    assert (told.healthy, told.known) == (False, True)
    assert told.reason == "MISC_CHECK /bin/p: the program could not be run: no such file"


def test_a_program_that_must_not_be_run_fails_the_server_and_is_not_ordered(stage: Stage) -> None:
    stage.check(MiscCheck(timing=SOON, program="p", text="/bin/p", timeout=3.0, impossible="it is forbidden"))
    assert not stage.verdict().healthy
    assert stage.health().reason == "MISC_CHECK /bin/p: it is forbidden"
    assert not [one for one in stage.said if isinstance(one, Notify)]


def test_a_runner_that_was_replaced_says_nothing_of_the_server_and_is_asked_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kad.checker.program_attempt.PATIENCE", 0.02)
    check = MiscCheck(timing=SOON, program="check:/bin/p/misc_path", text="/bin/p", timeout=0.1)
    stage.check(check)
    orders = lambda: [one for one in stage.said if isinstance(one, Notify)]  # noqa: E731
    stage.until(lambda: len(orders()) == 2)
    assert (stage.health().healthy, stage.health().known) == (True, False)
    answer(stage, orders()[1], Exited(0))
    assert (stage.health().healthy, stage.health().known) == (True, True)


def test_a_runner_that_cannot_run_anything_says_nothing_of_the_server(stage: Stage) -> None:
    check = MiscCheck(timing=SOON, program="check:/bin/p/misc_path", text="/bin/p", timeout=3.0)
    stage.check(check)
    stage.until(lambda: [one for one in stage.said if isinstance(one, Notify)])
    order = next(one for one in stage.said if isinstance(one, Notify))
    answer(stage, order, NotStarted("no memory", transient=True))
    told = [one for one in stage.said if isinstance(one, ServerHealth)][-1]
    assert (told.healthy, told.known) == (True, False)
    assert "a check cannot be made: the program could not be run: no memory" in stage.log.lines
