"""A verb of the control socket is one file: its name, who may ask it, and its answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kad.shared.control_protocol import ControlError, Permission
from kad.watchdog import verbs
from kad.watchdog.control_clients import Client
from kad.watchdog.verb import Verb
from kad.watchdog.verb_registry import VERBS
from tests.unit.watchdog import Parent
from tests.unit.watchdog.copied import Copy

VERB = """
import msgspec
from kad.shared.control_protocol import Permission
from kad.watchdog.verb import Verb

class Arguments(msgspec.Struct):
    word: str = "nothing"

def _answer(daemon, client, arguments):
    if arguments.word == "bad":
        client.refuse("that is no word")
    else:
        client.reply({{"ok": True, "word": arguments.word, "children": list(daemon.children.members)}})

VERB = Verb(name="{name}", permission=Permission.{permission}, answer=_answer, arguments=Arguments)
"""


def test_another_verb_is_one_file(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("watchdog/verbs/echo.py", VERB.format(name="echo", permission="LOOK"))
    with copy.daemon() as process:
        assert copy.ask("echo", word="heard") == {
            "ok": True,
            "word": "heard",
            "children": ["runner", "vrrp", "bfd", "ipvs", "checker"],
        }
        assert copy.ask("echo")["word"] == "nothing"
        with pytest.raises(ControlError, match="that is no word"):
            copy.ask("echo", word="bad")
        with pytest.raises(ControlError, match="unknown request shout"):
            copy.ask("shout")
        # A word that is no text: the client is not served, and the next one is.
        with pytest.raises(ControlError, match="cut off"):
            copy.ask("echo", word=7)
        assert copy.ask("stop") == {"ok": True}
        assert process.wait(30) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to become another user")
def test_who_may_ask_it_is_said_in_that_file(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("watchdog/verbs/echo.py", VERB.format(name="echo", permission="LOOK"))
    copy.write("watchdog/verbs/change.py", VERB.format(name="change", permission="ACT"))
    with copy.daemon():
        assert copy.ask_as_group("echo")["ok"] is True
        assert copy.ask_as_group("change") == {"ok": False, "error": "no permission for change"}
        assert copy.ask("change")["ok"] is True


def test_each_verb_stands_in_a_file_of_its_name() -> None:
    [folder] = verbs.__path__
    assert set(VERBS) == {path.stem for path in Path(folder).glob("*.py")} - {"__init__"}
    assert {name for name, verb in VERBS.items() if verb.permission is Permission.LOOK} == {"dump", "status"}
    assert {name for name, verb in VERBS.items() if verb.permission is Permission.ACT} == {
        "configuration",
        "drain",
        "reload",
        "stop",
        "undrain",
    }


def test_a_reload_is_refused_while_the_daemon_stops(parent: Parent) -> None:
    parent.child("runner")
    parent.watchdog.stop(0, "")
    with parent.client() as client:
        client.sendall(b'{"verb": "reload"}\n')
        parent.rest()
        assert client.recv(1000) == b' {"ok":false,"error":"the daemon is stopping"}'
        assert client.recv(1) == b""


def test_a_verb_that_speaks_to_a_client_that_has_ended_keeps_nothing(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Client] = []
    verb = Verb(name="echo", permission=Permission.LOOK, answer=lambda daemon, client, arguments: asked.append(client))
    monkeypatch.setitem(VERBS, "echo", verb)
    with parent.client() as connection:
        connection.sendall(b'{"verb": "echo"}\n')
        parent.until(lambda: asked)
        parent.watchdog.control.close()
        asked[0].allow(1000.0)
        assert list(parent.watchdog.control._clients) == []
        asked[0].reply({"ok": True})
        assert list(parent.watchdog.control._clients) == []
        assert (connection.recv(10), connection.recv(10)) == (b" ", b"")


def test_a_client_that_has_ended_is_not_told_of_the_reload(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent.watchdog.reload, "ask", lambda: None)
    with parent.client() as client:
        client.sendall(b'{"verb": "reload"}\n')
        parent.until(lambda: parent.watchdog.reload._waiting)
        # It has no place any more.
        parent.watchdog.control.close()
        assert parent.watchdog.reload._waiting == []
