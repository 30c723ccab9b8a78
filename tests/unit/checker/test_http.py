"""HTTP conversations without a network: what is asked, and what each answer means."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from kad.checker.checker_api import Computation, Outcome
from kad.checker.http_check import ENOUGH, LARGEST_HEAD, HttpConversation, request
from kad.model.checker import Regex, Url
from kad.model.secret import Secret
from tests.unit.checker.servers import page

URL = Url(path="/a?b=c", host="www.example")
HELLO = "5d41402abc4b2a76b9719d911017c592"
"""MD5 of hello, RFC 1321's algorithm by md5sum(1)."""


def changed(**fields: object) -> Url:
    return Url(**({"path": "/", "host": "h"} | fields))  # type: ignore[arg-type]


def outcome(url: Url, *pieces: bytes, protocol: str = "1.1", closed: bool = True) -> Outcome | None:
    conversation = HttpConversation(url, protocol)
    conversation.begin()
    for piece in pieces:
        said = computed(conversation.hear(piece))
        if isinstance(said, Outcome):
            return said
        assert said == b""
    if not closed:
        return None
    ended = computed(conversation.end())
    assert isinstance(ended, Outcome)
    return ended


def computed(said: bytes | Outcome | Computation) -> bytes | Outcome:
    return said.compute() if isinstance(said, Computation) else said


@pytest.mark.parametrize(
    ("protocol", "version", "more"),
    [("1.0", "1.0", ""), ("1.0C", "1.0", "Connection: close\r\n"), ("1.1", "1.1", "Connection: close\r\n")],
)
def test_the_request_is_keepalived_s(protocol: str, version: str, more: str) -> None:
    text = f"GET /a?b=c HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{more}Host: www.example\r\n\r\n"
    assert request(URL, protocol) == text.encode()


def test_method_and_headers_of_the_request_and_what_they_replace() -> None:
    url = changed(
        method="POST", headers=(("host", Secret("other")), ("X-One", Secret("a b")), ("User-Agent", Secret("me")))
    )
    text = "POST / HTTP/1.0\r\nContent-Length: 0\r\nhost: other\r\nX-One: a b\r\nUser-Agent: me\r\n\r\n"
    assert request(url, "1.0") == text.encode()


@pytest.mark.parametrize(
    ("status", "allowed", "ok"),
    [
        (200, ((200, 299),), True),
        (299, ((200, 299),), True),
        (300, ((200, 299),), False),
        (404, ((404, 404),), True),
        (200, ((404, 404),), False),
        (302, ((200, 200), (300, 305)), True),
    ],
)
def test_the_status_must_be_allowed(status: int, allowed: tuple[tuple[int, int], ...], ok: bool) -> None:
    url = changed(status=allowed)
    found = outcome(url, page(b"x", f"{status} Whatever"))
    assert found is not None
    assert found.ok is ok
    assert found.reason.startswith(f"HTTP status {status}")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and what is behind the length",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nServer: old\n\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_digest_is_that_of_the_body_however_it_comes(answer: bytes, size: int) -> None:
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    good = outcome(changed(digest=HELLO), *pieces)
    assert good is not None
    assert good.ok, good
    assert good.reason.endswith("digest matches")
    bad = outcome(changed(digest=HELLO.replace("5", "6")), *pieces)
    assert bad is not None
    assert not bad.ok
    assert f"digest {HELLO}, wanted: {HELLO.replace('5', '6')}" in bad.reason


def test_an_answer_that_has_ended_is_not_waited_for_on_an_open_connection() -> None:
    assert outcome(changed(digest=HELLO), page(b"hello"), closed=False) is not None
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert outcome(changed(digest=HELLO), chunked, closed=False) is not None
    assert outcome(changed(), b"HTTP/1.1 204 No Content\r\n\r\n", closed=False) == Outcome(True, "HTTP status 204")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert outcome(changed(method="HEAD"), head, closed=False) == Outcome(True, "HTTP status 200")
    assert outcome(changed(), head, closed=False) is None


@pytest.mark.parametrize("answer", [page(b"hello"), b"HTTP/1.0 200 OK\r\n\r\nhello"])
def test_a_conversation_that_has_ended_leaves_nothing_to_the_collector(answer: bytes) -> None:
    conversation = HttpConversation(URL, "1.0")
    if not isinstance(conversation.hear(answer), Outcome):
        conversation.end()
    left = weakref.ref(conversation)
    gc.disable()
    try:
        del conversation
        assert left() is None
    finally:
        gc.enable()


def test_a_short_body_is_said_but_is_no_failure() -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
    assert outcome(changed(), short) == Outcome(True, "HTTP status 200, 5 of 9 bytes")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the connection was closed without an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n", "the connection was closed in the middle of its head"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP response"),
        (b"\x16\x03\x01\x02\x00\x01", "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not an HTTP response"),
    ],
)
def test_what_is_no_answer_fails(answer: bytes, reason: str) -> None:
    found = outcome(changed(), answer) if answer else outcome(changed())
    assert found is not None
    assert not found.ok
    assert reason in found.reason


def test_a_head_without_end_is_given_up() -> None:
    conversation = HttpConversation(changed(), "1.1")
    assert conversation.hear(b"HTTP/1.1 200 OK\r\n") == b""
    taken = 17
    while True:
        said = conversation.hear(b"X-Endless: " + b"x" * 1013)
        taken += 1024
        if said != b"":
            break
    assert said == Outcome(False, f"the head of the HTTP response is longer than {LARGEST_HEAD} bytes (GET /, Host h)")
    assert taken <= LARGEST_HEAD + 2048


def test_a_body_that_nobody_looks_at_need_not_end() -> None:
    conversation = HttpConversation(changed(), "1.1")
    assert conversation.hear(b"HTTP/1.1 200 OK\r\n\r\n") == b""
    taken, said = 0, b""
    while said == b"":
        said = conversation.hear(b"x" * 4096)  # type: ignore[assignment]
        taken += 4096
    assert said == Outcome(True, "HTTP status 200")
    assert taken <= ENOUGH + 8192


def test_a_body_that_is_looked_at_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kad.checker.http_check.LARGEST_BODY", 3 << 20)
    conversation = HttpConversation(changed(digest=HELLO), "1.1")
    said: object = conversation.hear(b"HTTP/1.1 200 OK\r\n\r\n")
    taken = 0
    while said == b"":
        said = conversation.hear(b"x" * 65536)
        taken += 65536
    assert said == Outcome(False, "HTTP status 200, the body is longer than 3 MB (GET /, Host h)")
    assert taken <= (3 << 20) + 65536


@pytest.mark.parametrize(
    ("regex", "body", "ok"),
    [
        (Regex(pattern="l+o"), b"hello", True),
        (Regex(pattern="L+O"), b"hello", False),
        (Regex(pattern="L+O", options=("caseless",)), b"hello", True),
        (Regex(pattern="^second$"), b"first\nsecond\n", False),
        (Regex(pattern="^second$", options=("multiline",)), b"first\nsecond\n", True),
        (Regex(pattern="l.o"), b"l\no", False),
        (Regex(pattern="l.o", options=("dotall",)), b"l\no", True),
        (Regex(pattern="(?<=he)llo"), b"hello", True),
        (Regex(pattern="hell", no_match=True), b"hello", False),
        (Regex(pattern="hull", no_match=True), b"hello", True),
        (Regex(pattern="l", first=3), b"hello", True),
        (Regex(pattern="l", first=4), b"hello", False),
        (Regex(pattern="l", first=99), b"hello", False),
        (Regex(pattern="l", last=2), b"hello", True),
        (Regex(pattern="l", last=1), b"hello", False),
        (Regex(pattern="\u00e4", options=("utf",)), "k\u00e4se".encode(), True),
        (Regex(pattern="k.s", options=("utf",)), "k\u00e4se".encode(), True),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_the_body_must_match(regex: Regex, body: bytes, ok: bool, size: int) -> None:
    answer = page(body)
    found = outcome(changed(regex=regex), *(answer[at : at + size] for at in range(0, len(answer), size)))
    assert found is not None
    assert found.ok is ok, found


@pytest.mark.parametrize(
    ("url", "answer", "reason"),
    [
        (
            changed(path="/up", host="www.example", status=((200, 204), (301, 301))),
            page(b"x", "503 Busy"),
            "HTTP status 503, wanted: 200-204, 301 (GET /up, Host www.example)",
        ),
        (
            changed(host="www.example", digest="0" * 32),
            page(b"hello"),
            f"HTTP status 200, digest {HELLO}, wanted: {'0' * 32} (GET /, Host www.example)",
        ),
        (
            changed(host="h:81", regex=Regex(pattern="w.ll")),
            page(b"out of order\n" * 9),
            'HTTP status 200, regex "w.ll" does not match; the body begins '
            "'out of order\\nout of order\\nout of order\\no' (GET /, Host h:81)",
        ),
        (
            changed(host="h", regex=Regex(pattern="order", no_match=True)),
            page(b"out of order"),
            'HTTP status 200, regex "order" matches at byte 7, wanted: no match (GET /, Host h)',
        ),
        (
            changed(host="h", regex=Regex(pattern="l", last=1)),
            page(b"hello"),
            'HTTP status 200, regex "l" matches only at byte 2, wanted: 0 to 1; '
            "the body begins 'hello' (GET /, Host h)",
        ),
        (
            changed(host="h"),
            b"SSH-2.0-x\r\n",
            "not an HTTP response, it begins 'SSH-2.0-x\\r\\n': Expected HTTP/, RTSP/ or ICE/ (GET /, Host h)",
        ),
    ],
)
def test_a_failure_says_what_was_wanted_and_what_came(url: Url, answer: bytes, reason: str) -> None:
    assert outcome(url, answer) == Outcome(False, reason)


@pytest.mark.parametrize("offset", [(1 << 20) - 3, (1 << 20) - 600_000, 3 << 20])
def test_a_match_is_found_wherever_a_window_ends(offset: int) -> None:
    body = b"." * offset + b"needle" + b"." * 100
    answer = page(body)
    pieces = [answer[at : at + 50_000] for at in range(0, len(answer), 50_000)]
    found = outcome(changed(regex=Regex(pattern="needle(?=[.])")), *pieces)
    assert found == Outcome(True, "HTTP status 200, regex matches")
    here = outcome(changed(regex=Regex(pattern="needle", first=offset, last=offset)), *pieces)
    assert here is not None
    assert here.ok
    later = outcome(changed(regex=Regex(pattern="needle", first=offset + 1)), *pieces)
    assert later is not None
    assert not later.ok


def test_the_end_of_a_window_is_not_the_end_of_the_body() -> None:
    body = b"." * ((1 << 20) - 40) + b"last" + b"." * 5000
    found = outcome(changed(regex=Regex(pattern="last(?![.])")), page(body))
    assert found is not None
    assert not found.ok


def test_a_regex_that_would_take_for_ever_is_given_up() -> None:
    found = outcome(changed(regex=Regex(pattern="(a+)+$")), page(b"a" * 60 + b"b"))
    assert found == Outcome(False, "HTTP status 200, regex: match limit exceeded (GET /, Host h)")


LINES = (b"ab" * 50 + b"\n") * 640
COSTLY = "[ab]*[abx]*[aby]*[abz]*[cd]"
"""Some 100,000 steps at each of 64,000 bytes: none reaches the limit of PCRE2, all together take minutes."""


def test_a_regex_that_costs_little_at_each_of_many_bytes_is_given_up_outside_of_the_loop() -> None:
    conversation = HttpConversation(changed(regex=Regex(pattern=COSTLY)), "1.1")
    begun = time.thread_time()
    said = conversation.hear(page(LINES))
    in_loop = time.thread_time() - begun
    assert isinstance(said, Computation)
    begun = time.thread_time()
    reason = (
        f'HTTP status 200, regex "{COSTLY}" costs too much on this body: '
        "given up after 0.2 s of a processor (GET /, Host h)"
    )
    assert said.compute() == Outcome(False, reason)
    outside = time.thread_time() - begun
    assert in_loop < 0.1
    assert 0.15 < outside < 2


def test_a_regex_of_which_much_is_to_be_searched_is_found_outside_of_the_loop() -> None:
    """It takes longer than the loop gives, and less than there is."""
    pattern = COSTLY
    conversation = HttpConversation(changed(regex=Regex(pattern=pattern)), "1.1")
    said = conversation.hear(page((b"ab" * 25 + b"\n") * 6 + b"c"))
    assert isinstance(said, Computation)
    assert said.compute() == Outcome(True, "HTTP status 200, regex matches")


def test_a_regex_that_cannot_be_understood_is_left_out_as_keepalived_does() -> None:
    assert outcome(changed(regex=Regex(pattern="(")), page(b"x")) == Outcome(True, "HTTP status 200")
