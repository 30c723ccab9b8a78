"""Whatever a child says, the parent lives: who breaks the protocol is replaced, and nothing of it is kept."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kad.model.notification import CheckDue, InstanceLine, InstanceStateChanged
from kad.shared import messages
from kad.shared.messages import Message
from kad.watchdog.latest_states import MOST_BYTES
from tests.unit.watchdog import Impostor, Parent, close_all, descriptors

Attack = Callable[[Impostor], object]


def body(message: Message, **fields: object) -> bytes:
    """The message as msgpack, with other values of some fields, or with unknown ones."""
    plain: dict[str, object] = msgspec.to_builtins(message)
    return msgspec.msgpack.encode({**plain, **fields})


ROUTER = messages.RouterState(name="VI_1", state="MASTER", since=1.0, priority=100, holds_addresses=True, slot=1)
HEALTH = messages.ServerHealth(
    service="s", address="10.0.0.1", port=80, healthy=True, known=True, since=1.0, reason="r"
)
EVENT = messages.Event(when=1.0, kind="link", object="eth0", text="t")
FACT = InstanceStateChanged(state="MASTER", previous_state="BACKUP", priority=100, reason="r")
NOTIFY = messages.Notify(program="o/notify_master", fact=FACT, generation=1, sequence=1)
CHECK = messages.Notify(program="check:p/misc_path", fact=CheckDue(check=1, timeout=1.0), generation=1, sequence=1)
LINE = InstanceLine(name="VI_1", word="MASTER", priority=100)
MAIL = messages.Mail(object="o", state="UP", subject="s", body="b", reason="r", when=1.0, sequence=1)
DEEP = b"\x91" * 100_000 + b"\xc0"
SNAPSHOT = messages.SnapshotTaken.KIND


def nested(message: Message) -> bytes:
    plain: dict[str, object] = msgspec.to_builtins(message)
    return msgspec.msgpack.encode({**plain, "unknown": msgspec.Raw(DEEP)})


def snapshot(json: bytes) -> bytes:
    return msgspec.msgpack.encode({"number": 1, "json": json})


def memory_file(size: int, *, seals: int = 0) -> int:
    descriptor = os.memfd_create("m", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, 1033, seals)
    return descriptor


def unsealed_snapshot() -> int:
    """Everything is right about it, but that its sender could change it while it is read."""
    descriptor = os.memfd_create("m", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, b'{"process": {"memory": {}}, "problems": []}')
    return descriptor


def with_descriptor(child: Impostor, make: Callable[[], int]) -> None:
    descriptor = make()
    child.raw(SNAPSHOT, msgspec.msgpack.encode({"number": 1, "json": None}), descriptors=[descriptor])
    os.close(descriptor)


def noted(**fields: object) -> Message:
    return msgspec.structs.replace(NOTIFY, fact=msgspec.structs.replace(FACT, **fields))


def lined(**fields: object) -> InstanceLine:
    return msgspec.structs.replace(LINE, **fields)


def mailed(**fields: object) -> Message:
    return msgspec.structs.replace(MAIL, **fields)


BEHIND: dict[str, Message] = {
    "checker": msgspec.structs.replace(HEALTH, reason="behind"),
    "bfd": messages.Observation(kind="bfd", name="s", value=1, since=1.0, reason="behind"),
}
"""What is sent after the attack by a process that may send no Event; it may send this."""


BREACHES: dict[str, tuple[str, Attack]] = {
    "an unknown field that is nested": ("vrrp", lambda c: c.raw(20, nested(ROUTER), "VI_1")),
    "nested where an order is passed on": ("vrrp", lambda c: c.raw(23, nested(NOTIFY), NOTIFY.key)),
    "no msgpack": ("vrrp", lambda c: c.raw(20, b"\xc1", "VI_1")),
    "no text": ("vrrp", lambda c: c.raw(44, body(EVENT).replace(b"eth0", b"\xff\xff\xff\xff"), "eth0")),
    "no kind": ("vrrp", lambda c: c.raw(999, b"\x80")),
    "a kind of the parent's": ("vrrp", lambda c: c.say(messages.Stop())),
    "the key of another object": ("vrrp", lambda c: c.raw(20, body(ROUTER), "VI_2")),
    "a slot that is none": ("vrrp", lambda c: c.raw(20, body(ROUTER, slot=10**9), "VI_1")),
    "a slot below none": ("vrrp", lambda c: c.raw(20, body(ROUTER, slot=-1), "VI_1")),
    "an interval that is no number": (
        "vrrp",
        lambda c: c.raw(20, body(ROUTER, advertisement_interval=float("nan")), "VI_1"),
    ),
    "a length without end": ("vrrp", lambda c: c.put(struct.pack("!IHH", 2**32 - 1, 20, 4))),
    "a frame that is too long": ("vrrp", lambda c: c.put(struct.pack("!IHH", 5_000_000, 20, 4))),
    "a key longer than its frame": ("vrrp", lambda c: c.put(struct.pack("!IHH", 3, 20, 4) + b"abc")),
    "a snapshot without its descriptor": ("vrrp", lambda c: c.say(messages.SnapshotTaken(number=1))),
    "a snapshot that is no JSON": ("vrrp", lambda c: c.raw(SNAPSHOT, snapshot(b"{"))),
    "a snapshot that is nested": (
        "vrrp",
        lambda c: c.raw(SNAPSHOT, snapshot(b'{"process": {"memory": {}}, "x": ' + b"[" * 100_000)),
    ),
    "a snapshot without a process": ("vrrp", lambda c: c.raw(SNAPSHOT, snapshot(b"{}"))),
    "a snapshot whose memory is a list": ("vrrp", lambda c: c.raw(SNAPSHOT, snapshot(b'{"process": {"memory": []}}'))),
    "a snapshot of 64 TB": ("vrrp", lambda c: with_descriptor(c, lambda: memory_file(64 << 40))),
    "a sealed one of 64 TB": ("vrrp", lambda c: with_descriptor(c, lambda: memory_file(64 << 40, seals=0xF))),
    "one that can still change": ("vrrp", lambda c: with_descriptor(c, unsealed_snapshot)),
    "a snapshot in a device": ("vrrp", lambda c: with_descriptor(c, lambda: os.open("/dev/zero", os.O_RDONLY))),
    "a generation that was not offered": ("vrrp", lambda c: c.say(messages.Configured(generation=2))),
    "a FIFO of a process that has none": ("checker", lambda c: c.say(messages.FifoOpened(path="/run/f"))),
    "a router of a process that has none": ("checker", lambda c: c.say(ROUTER)),
    "a server of a process that checks none": ("runner", lambda c: c.say(HEALTH)),
    "a script that the process does not run": (
        "bfd",
        lambda c: c.say(messages.Observation(kind="script", name="s", value=1, since=1.0, reason="r")),
    ),
    "a line of other events": (
        "ipvs",
        lambda c: c.say(messages.FifoLine(line=LINE, sequence=1)),
    ),
    "a program of another process": ("checker", lambda c: c.say(NOTIFY)),
    "a fact of another process": ("checker", lambda c: c.say(msgspec.structs.replace(CHECK, fact=FACT))),
    "a check of a process that makes none": ("vrrp", lambda c: c.say(CHECK)),
    "a state that is none": ("vrrp", lambda c: c.say(noted(state="-c"))),
    "a priority that is none": ("vrrp", lambda c: c.say(noted(priority=256))),
    "a reason with a NUL": ("vrrp", lambda c: c.say(noted(reason="a\0b"))),
    "a reason with a line of its own": ("vrrp", lambda c: c.say(noted(reason="a\nb"))),
    "a reason without end": ("vrrp", lambda c: c.say(noted(reason="x" * 4097))),
    "a wait that is no number": (
        "vrrp",
        lambda c: c.say(msgspec.structs.replace(NOTIFY, awaited_until=float("nan"))),
    ),
    "a name with a line of its own": ("vrrp", lambda c: c.say(messages.FifoLine(line=lined(name="a\nb"), sequence=1))),
    "a word that is none": ("vrrp", lambda c: c.say(messages.FifoLine(line=lined(word="UP 1"), sequence=1))),
    "a subject with a header": ("checker", lambda c: c.say(mailed(subject="s\r\nBcc: all@example.org"))),
    "a letter without end": ("checker", lambda c: c.say(mailed(body="x" * 4097))),
    "a weight that the kernel has not": ("checker", lambda c: c.say(msgspec.structs.replace(HEALTH, weight=2**31))),
    "a weight below 0": ("checker", lambda c: c.say(msgspec.structs.replace(HEALTH, weight=-1))),
    "a port that is none": ("checker", lambda c: c.say(msgspec.structs.replace(HEALTH, port=65536))),
    "a state since no time": ("checker", lambda c: c.say(msgspec.structs.replace(HEALTH, since=float("inf")))),
    "an event of the parent": ("ipvs", lambda c: c.say(msgspec.structs.replace(EVENT, kind="child"))),
    "an event of a script": ("vrrp", lambda c: c.say(msgspec.structs.replace(EVENT, kind="script"))),
    "a letter of no time": ("checker", lambda c: c.say(mailed(when=float("inf")))),
    "an observation of a process that makes none": (
        "checker",
        lambda c: c.say(messages.Observation(kind="process", name="s", value=1, since=1.0, reason="r")),
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_who_breaks_the_protocol_is_replaced(parent: Parent, name: str) -> None:
    who, attack = BREACHES[name]
    child = parent.child(who)
    parent.watchdog.dump.log_everything()  # so that a snapshot is waited for
    attack(child)
    # What comes behind it is not even looked at.
    child.say(BEHIND.get(who, msgspec.structs.replace(EVENT, text="behind")))
    # The first early death is answered by another life at once.
    parent.until(lambda: len(parent.lives[who]) == 2)
    said = [line for line in parent.log.lines if line.startswith(f"killing the {who} process")]
    assert len(said) == 1
    assert "it breaks the protocol" in said[0]
    assert not any("Traceback" in line for line in parent.log.lines)
    assert len(parent.watchdog.children._states) == 0
    assert not [entry for entry in parent.watchdog.journal.entries() if "behind" in entry.text]
    assert parent.child(who).member.configured_generation == 1


def test_a_fifo_with_a_nul_or_of_another_kind_is_not_opened(parent: Parent, tmp_path: Path) -> None:
    runner = parent.child("runner")
    parent.rest()
    before = descriptors()
    for path in ("/run/f\0ifo", str(tmp_path / "file"), "/dev/zero", "x" * 5000):
        runner.say(messages.FifoOpened(path=path))
    (tmp_path / "file").write_text("")
    parent.rest()
    assert descriptors() <= before
    os.mkfifo(tmp_path / "fifo")
    runner.say(messages.FifoOpened(path=str(tmp_path / "fifo")))
    parent.until(lambda: descriptors() - before)
    runner.say(messages.FifoOpened(path=str(tmp_path / "fifo"), deleted=True))
    parent.until(lambda: descriptors() <= before)
    assert len(parent.lives["runner"]) == 1


def test_descriptors_that_nobody_wants_are_closed(parent: Parent) -> None:
    child = parent.child("vrrp")
    parent.rest()
    before = descriptors()
    ends = os.pipe()
    for _ in range(300):
        child.raw(44, body(EVENT), "eth0", descriptors=[*ends, *ends])
        parent.rest()
    close_all(ends)
    assert descriptors() <= before
    assert len(parent.lives["vrrp"]) == 1


def test_descriptors_in_front_of_a_frame_that_does_not_end_are_bounded(parent: Parent) -> None:
    child = parent.child("vrrp")
    parent.rest()
    before = descriptors()
    ends = os.pipe()
    for byte in struct.pack("!IHH", 1000, 44, 4) + bytes(100):
        child.put(bytes([byte]), [*ends, *ends])
        parent.rest()
    close_all(ends)
    parent.until(lambda: len(parent.lives["vrrp"]) == 2)
    assert len(descriptors() - before) < 10


def test_states_without_end_are_bounded_and_cost_their_sender_alone(parent: Parent) -> None:
    checker, ipvs = parent.child("checker"), parent.child("ipvs")
    ipvs.say(messages.QuorumState(service="s", up=True, since=1.0, reason="r"))
    sent, number = 0, 0
    while len(parent.lives["checker"]) == 1:
        frame = messages.to_frame(
            messages.ServerHealth(
                service="s",
                address="10.0.0.1",
                port=number,
                healthy=True,
                known=True,
                since=1.0,
                reason="x" * 1_000_000,
            )
        )
        number += 1
        data = frame.encode()
        while data and len(parent.lives["checker"]) == 1:
            taken = checker.put(data)
            sent, data = sent + taken, data[taken:]
            parent.turn()
            ipvs.read()
            ipvs.received.clear()
        assert sent < 2 * MOST_BYTES
    assert len(parent.watchdog.children._states) == 1
    assert len(parent.lives["ipvs"]) == 1


def test_orders_without_end_are_bounded_and_cost_their_sender_alone(parent: Parent) -> None:
    vrrp, runner = parent.child("vrrp"), parent.child("runner")
    fact, sent = msgspec.structs.replace(FACT, reason="x" * 4096), 0
    while len(parent.lives["vrrp"]) == 1:
        data = messages.to_frame(msgspec.structs.replace(NOTIFY, fact=fact, sequence=sent)).encode()
        while data and len(parent.lives["vrrp"]) == 1:
            taken = vrrp.put(data)
            sent, data = sent + taken, data[taken:]
            parent.turn()
        assert sent < 100_000_000
    assert sum(len(order.frame.body) for order in runner.member.orders) < 34_000_000
    assert len(parent.lives["runner"]) == 1


def test_long_texts_and_many_kinds_of_events_are_bounded(parent: Parent) -> None:
    child = parent.child("vrrp")
    for number in range(200):
        event = messages.Event(when=1.0, kind=f"kind {number}", object="o" * 50_000, text="t" * 50_000)
        child.say(event)
        parent.rest()
    entries = list(parent.watchdog.journal.entries())
    assert max(len(entry.text) for entry in entries) == 2000
    assert max(len(entry.object) for entry in entries) == 300
    assert len({entry.kind for entry in entries}) <= 65


def test_a_page_that_tells_of_other_times_stops_nothing(parent: Parent) -> None:
    child = parent.child("vrrp")
    child.say(ROUTER)
    parent.until(lambda: len(parent.watchdog.children._states) == 1)
    page = child.member.page
    for moment in (float("nan"), float("inf"), -1.0, 1e300):
        page.turn(moment, bytes(112))
        page.spoke_at[1] = page.entered_at[1] = page.interval[1] = moment
        assert page.turned_at == 0.0
        assert page.spoken(1).at == page.spoken(1).entered_at == page.spoken(1).interval == 0.0
        wait = parent.watchdog.loop.wait()
        assert wait is not None
        assert 0.0 <= wait <= 3600.0


def test_a_child_that_closes_its_channel_and_does_not_end_is_replaced(parent: Parent) -> None:
    child = parent.child("checker")
    child.end.close()
    parent.until(lambda: child.member.supervision.deadline is not None and parent.is_at_rest())
    parent.watchdog.children.deadline_changed(child.member)
    parent.until(lambda: parent.watchdog.loop.turn() or len(parent.lives["checker"]) == 2)
    assert any("its channel is closed" in line for line in parent.log.lines)


def test_the_trace_of_a_deaf_child_has_an_end(parent: Parent) -> None:
    child = parent.child("vrrp")
    close_all([child.member.trace or -1])
    # It is as a child that writes without end, and never has to wait for a processor.
    child.member.trace = os.open("/dev/zero", os.O_RDONLY)
    parent.watchdog.children._kill(child.member, "no sign of life")
    assert 1000 < sum(len(line) for line in parent.log.lines) < 70_000
    parent.until(lambda: len(parent.lives["vrrp"]) == 2)
