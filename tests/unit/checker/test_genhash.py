"""genhash prints what HTTP_GET compares, with keepalived's options."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest

from kad.cli.main import main
from tests.unit.checker.servers import Servers, http, over_tls, page
from tests.unit.checker.test_servers import context

HELLO = "5d41402abc4b2a76b9719d911017c592"
NOTHING = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("word", ["genhash", "-T", "--genhash"])
def test_one_line_with_the_digest(servers: Servers, capsys: pytest.CaptureFixture[str], word: str) -> None:
    port = servers.tcp(http(page(b"hello")))
    assert main([word, "-s", "127.0.0.1", "-p", str(port), "-u", "/"]) == 0
    assert capsys.readouterr().out == f"{HELLO}\n"


@pytest.mark.parametrize(
    ("words", "request_text"),
    [
        ((), b"GET /a HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.1:%d\r\n\r\n"),
        (("-V", "www.example"), b"GET /a HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: www.example\r\n\r\n"),
        (
            ("--protocol", "1.0c"),
            b"GET /a HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: 127.0.0.1:%d\r\n\r\n",
        ),
        (
            ("-P", "1.1"),
            b"GET /a HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: 127.0.0.1:%d\r\n\r\n",
        ),
    ],
)
def test_what_is_asked(servers: Servers, words: tuple[str, ...], request_text: bytes) -> None:
    heard: list[bytes] = []
    port = servers.tcp(http(page(b"hello"), heard=heard))
    assert main(["genhash", "--server", "127.0.0.1", "--port", str(port), "--url", "/a", *words]) == 0
    assert heard == [request_text % port if b"%d" in request_text else request_text]


def test_https_and_the_name(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    names: list[str | None] = []
    serving = context()
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    port = servers.tcp(over_tls(serving, http(page(b"hello"))))
    words = ["genhash", "-S", "-s", "127.0.0.1", "-p", str(port), "-u", "/", "-V", "www.example"]
    assert main(words) == 0
    assert main([*words, "-I"]) == 0
    assert capsys.readouterr().out == f"{HELLO}\n{HELLO}\n"
    assert names == [None, "www.example"]


def test_any_status_has_a_digest(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    port = servers.tcp(http(page(b"", "404 Not Found")))
    assert main(["genhash", "-s", "127.0.0.1", "-p", str(port), "-u", "/"]) == 0
    assert capsys.readouterr().out == f"{NOTHING}\n"


def test_the_answer_is_shown_where_that_is_asked_for(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    port = servers.tcp(http(page(b"hello")))
    assert main(["genhash", "-v", "-s", "127.0.0.1", "-p", str(port), "-u", "/"]) == 0
    said = capsys.readouterr().out
    assert "HTTP/1.1 200 OK" in said
    assert "000000  68 65 6c 6c 6f" in said
    assert said.endswith(f"\n{HELLO}\n")


def test_no_answer_is_an_error(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert main(["genhash", "-s", "127.0.0.1", "-p", str(port), "-u", "/"]) == 1
    assert capsys.readouterr().err == f"kad genhash: [127.0.0.1]:{port}: Connection refused\n"
    silent = servers.tcp(servers.silent)
    assert main(["genhash", "-s", "127.0.0.1", "-p", str(silent), "-u", "/", "-t", "0.2"]) == 1
    assert "no HTTP response within 0.2 s" in capsys.readouterr().err
    assert main(["genhash", "-s", "not an address", "-p", "80", "-u", "/"]) == 1
    assert capsys.readouterr().err


def test_words_that_are_missing_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["genhash", "-s", "127.0.0.1"])
    assert ended.value.code == 1
    assert "required: -p/--port, -u/--url" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("genhash") is None, reason="needs keepalived's genhash")
@pytest.mark.parametrize("body", [b"", b"hello", bytes(range(256)) * 300])
def test_keepalived_s_genhash_says_the_same(servers: Servers, capsys: pytest.CaptureFixture[str], body: bytes) -> None:
    port = servers.tcp(http(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    words = ["-s", "127.0.0.1", "-p", str(port), "-u", "/"]
    assert main(["genhash", *words]) == 0
    theirs = subprocess.run(["genhash", *words], capture_output=True, text=True, check=False, timeout=20)
    assert capsys.readouterr().out == theirs.stdout
