"""A checker process that an attacker controls: nothing that it sends has an effect outside of its own checks."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kad.model.notification import CheckDue, InstanceStateChanged, RealServerChanged
from kad.shared import messages
from kad.shared.messages import Message, Notified, Notify
from tests.lab.daemons import Kad
from tests.lab.impostor import Impostor, start_with_impostors
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.more]

VIP = "10.77.0.100"
OF_VRRP = """notify /etc/keepalived/of_vrrp.sh
    track_script {
        present
    }"""
TEXT = (
    global_defs()
    + 'vrrp_script present {\n script "/bin/true"\n interval 1\n}\n'
    + instance(more=OF_VRRP)
    + """virtual_server 10.77.0.200 80 {
 lb_kind NAT
 real_server 10.88.0.1 80 {
  notify_down /etc/keepalived/of_ipvs.sh
  MISC_CHECK {
   misc_path "/etc/keepalived/of_check.sh"
   misc_timeout 5
  }
 }
}
"""
)
OF_CHECK = "check:/etc/keepalived/of_check.sh/misc_path"
DOWN = "service:10.77.0.200 80 UDP/10.88.0.1 80/notify_down"
MASTER = InstanceStateChanged(state="MASTER", previous_state="BACKUP", priority=100, reason="why")
HIJACK: dict[str, Any] = {
    "arguments": ["-c", "touch /run/ran_argument"],
    "environment": {"BASH_ENV": "/etc/keepalived/hijack.sh"},
}


def order(program: str, fact: object) -> Notify:
    return Notify(program=program, fact=fact, generation=1, sequence=2**62)  # type: ignore[arg-type]


def hijacking(impostor: Impostor, message: Notify) -> None:
    """With arguments and environment of the attacker's choice beside the fact."""
    body = msgspec.msgpack.encode({**msgspec.to_builtins(message), **HIJACK})
    impostor.raw(Notify.KIND, body, message.key)


def saying(message: Message) -> Callable[[Impostor], None]:
    return lambda impostor: impostor.say(message)


ATTACKS: dict[str, tuple[Callable[[Impostor], None], str]] = {
    "a program of another process": (
        lambda impostor: hijacking(impostor, order("VI_1/notify", MASTER)),
        "the checker process may not have 'VI_1/notify' run",
    ),
    "a program of another process, for a fact of its own": (
        saying(order(DOWN, CheckDue(check=1, timeout=5.0))),
        f"the checker process may not have '{DOWN}' run",
    ),
    "its own program, for the fact of another process": (
        lambda impostor: hijacking(impostor, order(OF_CHECK, MASTER)),
        "the checker process may not have a program run for InstanceStateChanged",
    ),
    "its own program, for a fact that has no end": (
        saying(order(OF_CHECK, RealServerChanged(up=False, reason="x" * 100_000))),
        "kind 23: Expected `str` of length <= 4096 - at `$.fact.reason`",
    ),
    "the state of a router": (
        saying(messages.RouterState(name="VI_9", state="MASTER", since=1.0, priority=255, holds_addresses=True)),
        "the checker process may not send RouterState",
    ),
    "an observation of the runner": (
        saying(messages.Observation(kind="script", name="present", value=0, since=1.0, reason="forged")),
        "the checker process may not send Observation",
    ),
    "a FIFO of root": (
        saying(messages.FifoOpened(path="/run/secret")),
        "the checker process may not send FifoOpened",
    ),
    "a device": (
        saying(messages.FifoOpened(path="/dev/full")),
        "the checker process may not send FifoOpened",
    ),
}


def prepare(node: Node) -> None:
    """Programs that leave a file each."""
    for name in ("of_vrrp", "of_ipvs", "of_check"):
        node.write(f"{name}.sh", f"#!/bin/bash\necho x >>/run/ran_{name}\n", 0o755)
    node.write("hijack.sh", "touch /run/ran_hijack\n")
    assert node.ask("mkfifo", "-m", "600", "/run/secret").returncode == 0


def ran(node: Node) -> list[str]:
    return sorted(path.name for path in (node.files / "run").glob("ran_*"))


def count(node: Node, name: str) -> int:
    return len(node.read_run(name).splitlines()) if (node.files / "run" / name).exists() else 0


def opened(daemon: Kad) -> set[str]:
    """What the parent has open."""
    return {str(path.readlink()) for path in Path(f"/proc/{daemon.pid}/fd").iterdir() if path.is_symlink()}


def check(lab: Lab, impostor: Impostor, fact: CheckDue) -> Notified:
    """The answer of the runner to a check of this process."""
    impostor.say(msgspec.structs.replace(order(OF_CHECK, fact), sequence=1))

    def answered() -> Notified | None:
        answers = [each for each in impostor.read() if isinstance(each, Notified)]
        return next((each for each in answers if each.program == OF_CHECK), None)

    return lab.hub.until(answered, 5, "the runner answers")


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_it_sends_has_no_effect_and_costs_its_process(pair: tuple[Lab, Node, Node], attack: str) -> None:
    lab, a, _ = pair
    prepare(a)
    send, reason = ATTACKS[attack]
    daemon, impostors = start_with_impostors(lab, a, TEXT, "checker")
    with impostors:
        [checker] = impostors.wait("checker")
        lab.wait_holder(VIP, a, seconds=8)
        begin = time.time()
        lab.hub.until(lambda: count(a, "ran_of_vrrp") == 2, 5, "BACKUP and MASTER are notified")
        send(checker)
        assert reason in daemon.wait_log("killing the checker process").text
        checker = impostors.next_life(checker)
        # What the runner is sent it does in order: this check comes behind anything that was sent before.
        assert str(check(lab, checker, CheckDue(check=1, timeout=5.0)).ending) == "exited with status 0"
        assert ran(a) == ["ran_of_check", "ran_of_vrrp"]
        assert (count(a, "ran_of_check"), count(a, "ran_of_vrrp")) == (1, 2)
        assert not opened(daemon) & {"/run/secret", "/dev/full"}
        assert not [event for event in daemon.dump("events") if event["object"] == "VI_9"]
        lab.stays(VIP, a, 0.5)
        assert not lab.moves(VIP, begin)
        times = [advert.time for advert in lab.wire.adverts(node="a", since=begin)]
        assert max(later - earlier for earlier, later in pairwise(times)) < 0.3


def test_a_check_that_the_configuration_does_not_hold_is_refused_by_the_runner(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    prepare(a)
    daemon, impostors = start_with_impostors(lab, a, TEXT, "checker")
    with impostors:
        [checker] = impostors.wait("checker")
        lab.wait_holder(VIP, a, seconds=8)
        checker.say(order("check:/bin/sh -c id/misc_path", CheckDue(check=1, timeout=5.0)))
        daemon.wait_log("check:/bin/sh -c id/misc_path is not configured")
        checker.say(order(OF_CHECK, CheckDue(check=1, timeout=500.0)))
        daemon.wait_log("of_check.sh/misc_path is not run for CheckDue with a timeout of 500 s")
        for number in range(2, 12):
            checker.say(order(OF_CHECK, CheckDue(check=number, timeout=5.0)))
        daemon.wait_log("of_check.sh/misc_path runs 1 times already")
        lab.hub.until(lambda: ran(a) == ["ran_of_check", "ran_of_vrrp"], 5, "the first check is made")
        assert not daemon.logged("killing")
