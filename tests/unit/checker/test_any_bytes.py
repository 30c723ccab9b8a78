"""Whatever a server sends, in whatever pieces: an outcome or silence, never an exception."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from kad.checker.checker_api import Conversation, Outcome
from kad.checker.checks import dns as dns_check
from kad.checker.checks import udp as udp_check
from kad.checker.checks.dns import DnsCheck
from kad.checker.checks.smtp import SmtpConversation
from kad.checker.checks.udp import UdpCheck
from kad.checker.http_check import HttpConversation
from kad.checker.tls import Contexts, TlsFailed
from kad.linux.sockets.icmp import Echo
from kad.model.checker import Connection, Regex, Timing, Tls, Url

DNS = DnsCheck(connection=Connection(address="127.0.0.1"), timing=Timing(), question=b"\0\0\x06\0\x01", text=". SOA")
URL = Url(path="/", host="h", digest="0" * 32, regex=Regex(pattern="a.c", options=("utf", "caseless")))
CONTEXTS = Contexts()
LINES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 999 \n",
    b"HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 99999999999999999999999\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"220 x\r\n",
    b"220-x\r\n",
    b"250\n",
    b"\x16\x03\x03\x00\x05",
]
pieces = st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=60)), max_size=14)


def talk(conversation: Conversation, heard: list[bytes]) -> Outcome:
    conversation.begin()
    for piece in heard:
        said = conversation.hear(piece) if piece else b""
        if isinstance(said, Outcome):
            return said
        assert conversation.awaited
    return conversation.end()


@given(heard=pieces, method=st.sampled_from(["GET", "HEAD"]), looks=st.booleans())
@settings(deadline=None)
def test_http(heard: list[bytes], method: str, looks: bool) -> None:
    url = Url(path="/", host="h", method=method)
    if looks:
        url = URL
    assert talk(HttpConversation(url, "1.1"), heard).reason


@given(heard=pieces)
@settings(deadline=None)
def test_http_says_the_same_of_the_same_bytes_in_other_pieces(heard: list[bytes]) -> None:
    whole = b"".join(heard)
    single = [bytes((byte,)) for byte in whole]
    url = Url(path="/", host="h", digest="0" * 32)
    assert talk(HttpConversation(url, "1.1"), [whole]).ok is talk(HttpConversation(url, "1.1"), single).ok


@given(heard=pieces)
@settings(deadline=None)
def test_smtp(heard: list[bytes]) -> None:
    assert talk(SmtpConversation("me"), heard).reason


@given(heard=pieces)
@settings(deadline=None)
def test_tls(heard: list[bytes]) -> None:
    layer = CONTEXTS.layer(Tls(), URL)
    layer.begin()
    assert layer.outgoing()
    with contextlib.suppress(TlsFailed):
        for piece in heard:
            assert layer.take(piece) == b""
        layer.end()
    layer.close()


@given(data=st.binary(max_size=80), number=st.integers(0, 65535))
@settings(deadline=None)
def test_datagrams(data: bytes, number: int) -> None:
    judge = dns_check.Judge(DNS, number)
    assert judge.judge(data) is None or data[:2] == number.to_bytes(2)
    assert judge.judge(number.to_bytes(2) + b"\x81\x80" + data) is None or DNS.question in data
    assert not judge.silence(5.0).ok
    check = UdpCheck(
        connection=Connection(address="127.0.0.1"),
        timing=Timing(),
        require_reply=True,
        reply=b"\x01\x02",
        mask=b"\xff\xff",
        max_reply_length=50,
    )
    found = udp_check.judge(check, data)
    assert found is not None
    assert found.ok is (data[:2] == b"\x01\x02" and len(data) <= 50)


@given(data=st.binary(max_size=80))
@settings(deadline=None)
def test_echoes(data: bytes) -> None:
    echo = Echo(Connection(address="127.0.0.1"))
    try:
        assert not echo.is_reply(data)
    finally:
        echo.socket.close()
