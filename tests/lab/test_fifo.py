"""What readers of notify FIFOs find, beside keepalived: lines, their order, owners, programs, reloads and crashes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
RECORD = '#!/bin/sh\nout=$1; shift; echo "$@" >> /run/$out\n'


class Reader:
    """Reads a FIFO of a node, and opens it by name again after its end of file."""

    def __init__(self, lab: Lab, node: Node, name: str = "fifo") -> None:
        self._hub = lab.hub
        self.path: Path = node.files / "run" / name
        self.lines: list[str] = []
        self.ends = 0
        self._rest = b""
        self._descriptor: int | None = None

    def open(self) -> bool:
        """True once it is open."""
        if self._descriptor is None:
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
                self._hub.watch(self._descriptor, self.read)
        return self._descriptor is not None

    def wait(self, count: int, seconds: float = 8) -> list[str]:
        """The lines since the last question; there must be so many, and no more."""

        def come() -> bool:
            self.open()
            return len(self.lines) >= count

        self._hub.until(come, seconds, lambda: f"{count}: {self.lines}")
        lines, self.lines = self.lines, []
        assert len(lines) == count, lines
        return lines

    def close(self) -> None:
        if self._descriptor is not None:
            self._hub.forget(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def descriptor(self) -> int:
        """Where it is open."""
        assert self._descriptor is not None
        return self._descriptor

    def read(self) -> None:
        """What is there."""
        assert self._descriptor is not None
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._descriptor, 65536)
            if not data:
                self.ends += 1
                self.close()
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.lines += [line.decode() for line in whole]


def recorded(node: Node, name: str = "told") -> list[str]:
    try:
        return node.read_run(name).splitlines()
    except FileNotFoundError:
        return []


GROUPED = (
    global_defs("vrrp_notify_fifo /run/fifo")
    + instance("VI_1", priority=150)
    + instance("VI_2", interface="eth1", vrid=52, priority=150, addresses=("10.78.0.100/24",))
    + "vrrp_sync_group G1 {\n group {\n VI_1\n VI_2\n }\n}\n"
)


@pytest.mark.parametrize("program", BOTH)
def test_a_sync_group_is_told_after_its_members_and_nobody_is_told_twice(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24")
    lab.link_down(a, "eth1")
    daemon = lab.start(program, a, GROUPED)
    reader = Reader(lab, a)

    def told(state: str, priority: int = 150) -> None:
        *members, group = reader.wait(3)
        assert sorted(members) == [f'INSTANCE "VI_{number}" {state} {priority}' for number in (1, 2)]
        assert group == f'GROUP "G1" {state} 0'

    told("FAULT")
    lab.heal(a, "eth1")
    told("BACKUP")
    told("MASTER")
    lab.link_down(a, "eth0")
    told("FAULT")
    lab.heal(a, "eth0")
    told("BACKUP")
    told("MASTER")
    daemon.stop()
    told("STOP")
    lab.hub.until(lambda: reader.ends == 1, 2, "the end of file")
    assert not reader.path.exists()


@pytest.mark.parametrize("program", BOTH)
def test_at_the_start_the_group_is_told_before_its_members(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24")
    lab.start(program, a, GROUPED)
    lines = Reader(lab, a).wait(6)
    assert lines[0] == 'GROUP "G1" BACKUP 0'
    assert sorted(lines[1:3]) == ['INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_2" BACKUP 150']
    assert sorted(lines[3:5]) == ['INSTANCE "VI_1" MASTER 150', 'INSTANCE "VI_2" MASTER 150']
    assert lines[5] == 'GROUP "G1" MASTER 0'


def watched(*lines: str) -> str:
    """A file with an instance whose priority a flag lowers by 20."""
    script = 'vrrp_script flag {\n script "/usr/bin/test ! -e /run/flag"\n interval 1\n weight -20\n}\n'
    return (
        global_defs("vrrp_notify_fifo /run/fifo", "vrrp_notify_priority_changes")
        + script
        + instance(priority=150, more="\n".join(("track_script {\n flag\n }", *lines)))
    )


@pytest.mark.parametrize("program", BOTH)
def test_priority_changes_reach_the_fifo_alone(pair: Pair, program: str) -> None:
    lab, a, b = pair
    a.write("record.sh", RECORD, 0o755)
    lab.start(program, a, watched('notify "/etc/keepalived/record.sh told"'))
    reader = Reader(lab, a)
    assert reader.wait(2) == ['INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_1" MASTER 150']
    (a.files / "run" / "flag").touch()
    assert reader.wait(1) == ['INSTANCE "VI_1" MASTER_PRIORITY 130']
    lab.start_kad(b, global_defs() + instance(priority=140))
    assert reader.wait(1) == ['INSTANCE "VI_1" BACKUP 130']
    (a.files / "run" / "flag").unlink()
    lines = reader.wait(2)
    assert lines == ['INSTANCE "VI_1" BACKUP_PRIORITY 150', 'INSTANCE "VI_1" MASTER 150']
    lab.hub.until(lambda: len(recorded(a)) >= 4, 3, lambda: f"four notifications: {recorded(a)}")
    assert recorded(a) == [f"INSTANCE VI_1 {word}" for word in ("BACKUP 150", "MASTER 150", "BACKUP 130", "MASTER 150")]


@pytest.mark.parametrize("program", BOTH)
def test_a_master_that_hears_a_lower_priority_says_so(pair: Pair, program: str) -> None:
    lab, a, b = pair
    a.write("record.sh", RECORD, 0o755)
    programs = (
        'notify_master_rx_lower_pri "/etc/keepalived/record.sh lower only"',
        'notify "/etc/keepalived/record.sh told"',
    )
    lab.start(program, a, global_defs("notify_fifo /run/fifo") + instance(priority=150, more="\n".join(programs)))
    reader = Reader(lab, a)
    assert reader.wait(2) == ['INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_1" MASTER 150']
    speaker = b.socket(socket.AF_PACKET, socket.SOCK_RAW)
    speaker.bind(("eth0", 0))
    weaker = pdu("10.77.0.2", version=3, vrid=51, priority=20, addresses=(VIP,), interval=10)
    speaker.send(frame(ipv4(weaker, "10.77.0.2"), "02:00:00:00:00:02"))
    speaker.close()
    assert reader.wait(1) == ['INSTANCE "VI_1" MASTER_RX_LOWER_PRI 150']
    lab.hub.until(lambda: recorded(a, "lower"), 2, "the program is run")
    assert recorded(a, "lower") == ["only"]
    # Programs run beside one another; that of an earlier event may be through later.
    lab.hub.until(lambda: len(recorded(a)) >= 2, 3, lambda: f"two notifications: {recorded(a)}")
    assert recorded(a) == ["INSTANCE VI_1 BACKUP 150", "INSTANCE VI_1 MASTER 150"]


@pytest.mark.parametrize("program", BOTH)
@pytest.mark.parametrize("word", ["FAULT", "DELETED"])
def test_an_instance_that_a_reload_removes_says_farewell(pair: Pair, program: str, word: str) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    own = ['notify_fault "/etc/keepalived/record.sh told fault"', 'notify "/etc/keepalived/record.sh general"']
    if word == "DELETED":
        own.append('notify_deleted "/etc/keepalived/record.sh told deleted"')
    kept = global_defs("vrrp_notify_fifo /run/fifo") + instance("VI_1", priority=150)
    gone = instance("VI_2", vrid=52, priority=150, addresses=("10.77.0.102/24",), more="\n".join(own))
    daemon = lab.start(program, a, kept + gone)
    reader = Reader(lab, a)
    reader.wait(4)
    daemon.reload(kept)
    assert reader.wait(1) == [f'INSTANCE "VI_2" {word} 150']
    lab.wait_holder("10.77.0.102", seconds=3)
    if program == "keepalived":
        # It ends programs while it reloads, sometimes these too; and its FIFO is another one.
        assert reader.ends == 1
        return
    assert reader.ends == 0
    lab.hub.until(lambda: len(recorded(a, "general")) == 3, 3, "the programs of the removed instance run")
    assert recorded(a) == [word.lower()]
    assert recorded(a, "general")[-1] == f"INSTANCE VI_2 {word} 150"


@pytest.mark.parametrize("program", BOTH)
def test_a_fifo_belongs_to_whom_the_file_says(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    defs = global_defs("notify_fifo /run/fifo", "vrrp_notify_fifo /run/vrrp nobody daemon", "umask 0027")
    daemon = lab.start(program, a, defs + instance(priority=150))
    one, two = Reader(lab, a), Reader(lab, a, "vrrp")
    assert one.wait(2) == two.wait(2) == ['INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_1" MASTER 150']
    looks = [reader.path.stat() for reader in (one, two)]
    assert [stat.filemode(look.st_mode) for look in looks] == ["prw-r-----", "prw-r-----"]
    assert [(look.st_uid, look.st_gid) for look in looks] == [(0, 0), (65534, 1)]
    daemon.stop()
    assert not one.path.exists()
    assert not two.path.exists()


def test_a_reload_keeps_the_fifo_and_writes_the_states_where_that_is_asked(pair: Pair) -> None:
    """keepalived removes it at each reload, makes another one, and its readers find the end of file."""
    lab, a, _ = pair
    text = global_defs("vrrp_notify_fifo /run/fifo", "fifo_write_vrrp_states_on_reload") + instance(priority=150)
    daemon = lab.start_kad(a, text)
    reader = Reader(lab, a)
    reader.wait(2)
    inode = reader.path.stat().st_ino
    daemon.reload(text.replace("priority 150", "priority 160"))
    assert reader.wait(1) == ['INSTANCE "VI_1" MASTER 160']
    assert (reader.path.stat().st_ino, reader.ends) == (inode, 0)
    daemon.reload(text.replace("    vrrp_notify_fifo /run/fifo", ""))
    lab.hub.until(lambda: reader.ends == 1, 3, "the end of file")
    assert not reader.path.exists()


READING = """#!/bin/sh
echo "started $*" >> /run/read
while read -r line; do echo "$line" >> /run/read; done < "$2"
echo end >> /run/read
"""


def test_the_program_of_a_fifo_is_started_again_when_it_dies_and_hears_the_last_line(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("reading.sh", READING, 0o755)
    words = ("vrrp_notify_fifo /run/fifo", 'vrrp_notify_fifo_script "/etc/keepalived/reading.sh one"')
    text = global_defs(*words) + instance(priority=150)
    daemon = lab.start_kad(a, text)
    expected = ["started one /run/fifo", 'INSTANCE "VI_1" BACKUP 150', 'INSTANCE "VI_1" MASTER 150']
    lab.hub.until(lambda: recorded(a, "read") == expected, 5, lambda: f"{recorded(a, 'read')}")
    daemon.reload(text)
    daemon.wait_log("Reload complete")
    [pid] = [pid for pid, name in daemon.family().items() if name == "reading.sh"]
    os.kill(pid, signal.SIGKILL)
    daemon.wait_log(r"FIFO script /etc/keepalived/reading.sh one ended \(due to signal 9\) after .* s; again in 1 s")
    lab.link_down(a)
    expected += ["started one /run/fifo", 'INSTANCE "VI_1" FAULT 150']
    lab.hub.until(lambda: recorded(a, "read") == expected, 5, lambda: f"{recorded(a, 'read')}")
    assert daemon.stop() == 0
    assert recorded(a, "read") == [*expected, 'INSTANCE "VI_1" STOP 150', "end"]
    assert "reading.sh" not in a.processes().values()


def test_another_program_takes_the_place_of_the_first_at_a_reload(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("reading.sh", READING, 0o755)
    text = global_defs("vrrp_notify_fifo /run/fifo", 'vrrp_notify_fifo_script "/etc/keepalived/reading.sh one"')
    daemon = lab.start_kad(a, text + instance(priority=150))
    lab.hub.until(lambda: len(recorded(a, "read")) == 3, 5, lambda: f"{recorded(a, 'read')}")
    daemon.reload(text.replace("reading.sh one", "reading.sh two") + instance(priority=150))
    lab.hub.until(lambda: recorded(a, "read")[3:] == ["started two /run/fifo"], 5, lambda: f"{recorded(a, 'read')}")
    assert list(daemon.family().values()).count("reading.sh") == 1


def test_a_killed_runner_leaves_the_fifo_to_the_next_one_and_no_program_behind(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("reading.sh", READING.replace("/run/read", "/run/script"), 0o755)
    words = ("notify_fifo /run/fifo", "vrrp_notify_fifo /run/other")
    words += ('vrrp_notify_fifo_script "/etc/keepalived/reading.sh one"',)
    daemon = lab.start_kad(a, global_defs(*words) + instance(priority=150))
    reader = Reader(lab, a)
    reader.wait(2)
    lab.hub.until(lambda: len(recorded(a, "script")) == 3, 5, lambda: f"{recorded(a, 'script')}")
    os.kill(daemon.child("runner"), signal.SIGKILL)
    daemon.wait_log(
        "Starting the runner process", since=daemon.wait_log("runner process .* died|runner.*signal 9").time
    )
    lab.link_down(a)
    assert reader.wait(1) == ['INSTANCE "VI_1" FAULT 150']
    lab.hub.until(lambda: list(daemon.family().values()).count("reading.sh") == 1, 3, "one program reads")
    lab.hub.until(lambda: recorded(a, "script")[-1] == 'INSTANCE "VI_1" FAULT 150', 3, "and hears")
    assert recorded(a, "script").count('INSTANCE "VI_1" FAULT 150') == 1
    assert list(a.processes().values()).count("reading.sh") == 1
    daemon.stop()
    assert not reader.path.exists()
    assert not (a.files / "run" / "other").exists()


@pytest.mark.parametrize("read", ["slowly", "later"])
def test_a_killed_runner_loses_no_line_that_nobody_has_read(pair: Pair, read: str) -> None:
    lab, a, _ = pair
    names = [f"an_instance_whose_name_is_long_enough_to_fill_a_small_pipe_soon_{number:02d}" for number in range(20)]
    vips = [f"10.77.0.{100 + number}/24" for number in range(20)]
    text = global_defs("vrrp_notify_fifo /run/fifo") + "".join(
        instance(name, vrid=51 + number, priority=150, addresses=(vips[number],)) for number, name in enumerate(names)
    )
    daemon = lab.start_kad(a, text)
    reader = Reader(lab, a)
    told = reader.wait(40)
    fcntl.fcntl(reader.descriptor(), fcntl.F_SETPIPE_SZ, 4096)
    # From now on nobody reads, and with `later` nobody has it open.
    if read == "slowly":
        lab.hub.forget(reader.descriptor())
    else:
        reader.close()

    def said() -> int:
        (served,) = daemon.dump("runner")["fifos"]
        return int(served["written"]) + int(served["waiting"])

    def change(to: Callable[[Node], None], lines: int) -> None:
        to(a)
        lab.hub.until(lambda: said() >= lines, 5, lambda: f"{lines} lines: {said()}")

    change(lab.link_down, 60)
    change(lab.heal, 100)  # BACKUP and MASTER
    change(lab.link_down, 120)
    (served,) = daemon.dump("runner")["fifos"]
    waiting = int(served["waiting"])
    assert waiting > 10
    killed = time.time()
    os.kill(daemon.child("runner"), signal.SIGKILL)
    daemon.wait_log("Starting the runner process", since=killed)
    lab.hub.until(lambda: said() == waiting, 5, lambda: f"what waited waits again: {said()} of {waiting}")
    change(lab.heal, waiting + 40)
    if read == "slowly":
        lab.hub.watch(reader.descriptor(), reader.read)
    told += reader.wait(120)
    for name in names:
        states = [line.split()[2] for line in told if f'"{name}"' in line]
        assert states == ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"]


def test_a_fifo_that_cannot_be_made_hurts_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    (a.files / "run" / "fifo").write_text("precious")
    words = ("notify_fifo /run/fifo", "vrrp_notify_fifo /run/no/such/folder/fifo")
    daemon = lab.start_kad(a, global_defs(*words) + instance(priority=150))
    lab.wait_holder(VIP, a, seconds=5)
    daemon.wait_log("/run/fifo is no FIFO")
    daemon.wait_log("FIFO /run/no/such/folder/fifo: No such file or directory")
    assert daemon.stop() == 0
    assert (a.files / "run" / "fifo").read_text() == "precious"
