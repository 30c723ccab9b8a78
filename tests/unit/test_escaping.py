"""What others wrote neither commands a terminal nor passes for a line of kad's own."""

from __future__ import annotations

import json
import os

import pytest

from kad.model import escaping
from kad.model.notification import InstanceLine
from kad.model.runner import Mailing
from kad.runner.fifo_queue import Backlog
from kad.runner.mail_queue import Letter
from kad.runner.mail_sender import compose
from kad.shared.log import Destination, Logger
from kad.shared.messages import FifoLine
from tests.unit.test_log import console

HOSTILE = (
    "no disk\x1b[2J\x1b]0;owned\x07\nKeepalived_vrrp[1]: (VI_1) Entering MASTER STATE\r\x9b31m\u202egnp.exe\u2028x\x00"
)
ONE_LINE = (
    r"no disk\x1b[2J\x1b]0;owned\x07\nKeepalived_vrrp[1]: (VI_1) Entering MASTER STATE\r\x9b31m\u202egnp.exe\u2028x\x00"
)


@pytest.mark.parametrize(
    ("text", "line"), [("plain", "plain"), ("käse 日本", "käse 日本"), ("a\tb\nc", "a\\tb\\nc"), (HOSTILE, ONE_LINE)]
)
def test_one_line(text: str, line: str) -> None:
    assert escaping.one_line(text) == line


def test_every_control_character_is_escaped_and_nothing_else_changes() -> None:
    every = "".join(map(chr, (*range(0xA0), 0xD800, 0x2066)))
    assert escaping.one_line(every).isprintable()
    assert escaping.lines("a\tb\nä") == "a\tb\nä"
    assert escaping.everywhere({"output": "two\n lines\x1b\n"}) == {"output": "two lines\\x1b"}
    assert escaping.everywhere({"a\n": ["\x1b", 1, None, {"b": "\x07"}]}) == {
        "a\\n": ["\\x1b", 1, None, {"b": "\\x07"}]
    }


def test_a_document_means_the_same_and_commands_nothing() -> None:
    value = {"output": "\x7f\x9b\u202e ä"}
    printed = escaping.in_json(json.dumps(value, ensure_ascii=False))
    assert printed == '{"output": "\\u007f\\u009b\\u202e ä"}'
    assert json.loads(printed) == value


def test_in_the_log_only_the_first_line_is_at_the_margin() -> None:
    with console(65536) as (reader, _):
        log = Logger("Keepalived_runner", Destination(console=True, syslog=False))
        log.info(f"VRRP_Script(chk) printed: {HOSTILE}")
        log.info("x" * 5000)
        log.info("next")
        written = os.read(reader, 65536).decode()
    lines = written.splitlines()
    ident = f"Keepalived_runner[{os.getpid()}]: "
    assert [line.partition(ident)[2][:40] for line in lines] == [
        r"VRRP_Script(chk) printed: no disk\x1b[2J",
        "    Keepalived_vrrp[1]: (VI_1) Entering ",
        "x" * 40,
        "next",
    ]
    assert "\x1b" not in written
    assert len(lines[2]) == 4000


def test_in_mail_and_fifo() -> None:
    mailing = Mailing(server="h", helo="h", sender="a@h", recipients=("b@h",), router_id="r")
    message = compose(mailing, Letter(subject=HOSTILE, body=HOSTILE, alerts=()))
    assert message["Subject"] == ONE_LINE
    assert r"no disk\x1b[2J" in message.get_content()
    backlog = Backlog()
    backlog.add(FifoLine(line=InstanceLine(name=HOSTILE, word="MASTER", priority=100), sequence=1))
    assert backlog.head.count(b"\n") == 1
    assert b"\x1b" not in backlog.head
