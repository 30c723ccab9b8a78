"""Frames in pieces and rubbish, and messages that come out as they went in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args, get_origin

import msgspec
import pytest

from kad.model.notification import InstanceLine, InstanceStateChanged
from kad.model.program_end import Killed
from kad.shared import messages
from kad.shared.framing import Assembler, BadFrame, Frame
from kad.shared.messages import Ping, RouterState, from_frame, to_frame
from kad.watchdog.process_registry import PROCESS_SPECS
from tests.causes import cause

STATE = RouterState(name="VI_1", state="MASTER", since=1000.5, cause=cause("init"), priority=100, holds_addresses=True)
FACT = InstanceStateChanged(state="MASTER", previous_state="BACKUP", priority=100, reason="no advert")
LINE = InstanceLine(name="VI_1", word="MASTER", priority=100)


def samples() -> Iterator[messages.Message]:
    """One of each kind, with a value of each field's type."""
    earlier = messages.Earlier(state=STATE, spoke_at=5.5, sent=1, received=2)
    alert = messages.Mail(object="VI_1", state="M", subject="s", body="b", reason="r", when=1.5, sequence=7)
    values = {
        "notify": messages.Notify(program="VI_1/notify", fact=FACT, generation=1, sequence=7),
        "mail": alert,
        "routers": (earlier,),
        "ending": Killed(9),
        "fact": FACT,
        "line": LINE,
        "state": "MASTER",
        "findings": (messages.Finding(severity="note", place="/a:1:1", text="b", quote=("c", "^"), refuses=True),),
    }
    plain: dict[object, object] = {int: 7, str: "ä", float: 1.5, bool: True, bytes: b"\0\xff"}
    plain |= {int | None: 8, float | None: 2.5, str | None: "ß"}
    for kind in messages.KINDS.values():
        fields = {}
        for field in msgspec.structs.fields(kind):
            if field.name in values:
                fields[field.name] = values[field.name]
            elif (bare := get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type) in plain:
                fields[field.name] = plain[bare]
        if kind is messages.FifoKept:
            fields["line"] = messages.FifoLine(line=LINE, sequence=7)
        yield kind(**fields)


@pytest.mark.parametrize("message", list(samples()), ids=lambda message: type(message).__name__)
def test_each_message_comes_out_as_it_went_in(message: messages.Message) -> None:
    (frame,) = Assembler().feed(to_frame(message).encode())
    assert from_frame(frame) == message
    assert frame.kind == message.KIND
    assert frame.key == message.key


def test_kinds_are_told_apart() -> None:
    numbers = [kind.KIND for kind in messages.Message.__subclasses__()]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < 65536 for number in numbers)


def test_the_bytes_of_a_frame() -> None:
    frame = Frame(20, "VI", b"\x80")
    assert frame.encode().hex() == "00000003" + "0014" + "0002" + "5649" + "80"


def test_frames_in_single_bytes() -> None:
    assembler = Assembler()
    stream = Frame(6, "", b"one").encode() + Frame(7, "key", b"").encode() + Frame(8, "é", b"three").encode()
    found = [frame for byte in stream for frame in assembler.feed(bytes([byte]))]
    assert found == [Frame(6, "", b"one"), Frame(7, "key", b""), Frame(8, "é", b"three")]


def test_many_frames_at_once_and_a_piece_of_the_next() -> None:
    assembler = Assembler()
    stream = Frame(6, "", b"1").encode() * 3
    assert list(assembler.feed(stream + stream[:5])) == [Frame(6, "", b"1")] * 3
    assert list(assembler.feed(b"")) == []
    assert list(assembler.feed(stream[5:9])) == [Frame(6, "", b"1")]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("04000001" + "0006" + "0000", "frame of 67108865 bytes with a key of 0"),
        ("ffffffff" + "ffff" + "ffff", "frame of 4294967295 bytes with a key of 65535"),
        ("00000001" + "0006" + "0002", "frame of 1 bytes with a key of 2"),
    ],
)
def test_a_header_that_cannot_be(header: str, said: str) -> None:
    with pytest.raises(BadFrame, match=said):
        list(Assembler().feed(bytes.fromhex(header)))


def test_a_key_that_is_no_text() -> None:
    (frame,) = Assembler().feed(bytes.fromhex("00000002" + "0006" + "0002" + "fffe"))
    assert frame.key == "��"


@pytest.mark.parametrize(
    "frame",
    [
        Frame(65535, "", b"\x80"),
        Frame(Ping.KIND, "", b""),
        Frame(Ping.KIND, "", b"\xc1"),
        Frame(Ping.KIND, "", b"\x80"),
        Frame(Ping.KIND, "", b"\x81\xa6number\xa1x"),
        Frame(Ping.KIND, "", b"\x81\xa6number\x01\x00"),
        Frame(RouterState.KIND, "", b"\x81\xa4name\x01"),
        Frame(RouterState.KIND, "", b"\x81\xa4name\xa1\xff"),
    ],
)
def test_a_body_that_is_no_message(frame: Frame) -> None:
    with pytest.raises(BadFrame, match=f"kind {frame.kind}: "):
        from_frame(frame)


def test_a_field_that_a_newer_kad_added_is_passed_over() -> None:
    assert from_frame(Frame(Ping.KIND, "", msgspec.msgpack.encode({"number": 3, "new": [1]}))) == Ping(number=3)


def test_keys_name_the_object() -> None:
    observation = messages.Observation(kind="script", name="chk", value=1, since=0.0, reason="")
    notify = messages.Notify(program="VI_1/notify", fact=FACT, generation=1, sequence=1)
    assert (STATE.key, observation.key, notify.key) == ("VI_1", "script/chk", "VI_1/VI_1/notify")
    assert Ping(number=1).key == ""
    assert STATE.IS_STATE
    assert observation.IS_STATE
    assert not notify.IS_STATE


def test_as_json_can_print_it() -> None:
    assert messages.to_plain(Ping(number=3)) == {"number": 3}


def test_what_one_child_takes_from_others_another_one_may_say() -> None:
    """A kind that nobody may say would cost its sender its life."""
    said = {kind.KIND for each in PROCESS_SPECS.values() for kind in each.sends}
    assert {number for each in PROCESS_SPECS.values() for number in each.wanted_kinds} <= said
    assert messages.IpvsState in PROCESS_SPECS["ipvs"].sends
