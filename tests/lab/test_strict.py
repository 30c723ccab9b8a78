"""Strict mode seen by another host: which addresses answer ping and TCP, what kernel and log hold, what is refused."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.test_accept import answering
from tests.lab.test_claims import say
from tests.lab.test_ipv6 import speak_ipv6
from tests.lab.texts import BOTH, global_defs, instance
from tests.lab.wire import Advert

pytestmark = pytest.mark.lab


class Router(NamedTuple):
    """One instance under vrrp_strict, and whether its addresses answer."""

    said: dict[str, Any]
    answers: bool
    vips: tuple[str, ...] = ()
    """Instead of 10.77.0.VRID."""


PASSWORD = "authentication {\n auth_type PASS\n auth_pass abc\n }"
OWNER: dict[str, Any] = {"priority": 255, "state": "MASTER"}
# 3.008 s until it is MASTER.
V2: dict[str, Any] = {"version": 2, "advert_int": 1, "priority": 254}
FORCED = (
    "preempt_delay 30",
    "down_timer_adverts 5",
    "lower_prio_no_advert false",
    "higher_prio_send_advert true",
    "garp_lower_prio_repeat 3",
    "garp_master_delay 0",
)
ROUTERS = {
    101: Router({}, False),
    102: Router({"more": "accept"}, True),
    103: Router({"more": "strict_mode off"}, True),
    104: Router({"more": "strict_mode off\n no_accept"}, False),
    105: Router(OWNER, True),
    106: Router(OWNER | {"more": "no_accept"}, True),
    107: Router({"more": "unicast_src_ip 10.77.0.1\n unicast_peer {\n 10.77.0.2\n }"}, False),
    111: Router(V2, False),
    112: Router(V2 | {"more": "accept"}, False),
    113: Router(V2 | {"more": PASSWORD}, False),
    114: Router(V2 | {"more": f"strict_mode off\n {PASSWORD}"}, True),
    # It must say that it is one.
    115: Router({"priority": 255, "state": "BACKUP", "advert_int": 1}, True),
    116: Router({"advert_int": 1, "priority": 254, "more": "\n ".join(FORCED)}, False),
    121: Router({}, False, ("fe80::121/64", "2001:db8::121/64")),
    122: Router({"more": "accept"}, True, ("fe80::122/64", "2001:db8::122/64")),
}
BEGINNER, FORCED_ONE, LOCKED, UNLOCKED, UNICAST, WITHOUT = 115, 116, 113, 114, 107, 131
REFUSED = {
    112: "strict mode of version 2 accepts nothing",
    113: "strict mode does not support authentication; it is ignored",
    115: "in strict mode an instance of priority 255 starts as MASTER; state BACKUP is ignored",
    116: "preempt_delay cannot be combined with strict mode; it is ignored",
    WITHOUT: "strict mode needs a virtual_ipaddress; the instance is ignored",
}
RULES = {
    "type filter hook input priority filter - 1; policy accept;",
    "type filter hook output priority filter - 1; policy accept;",
    "ip daddr @vips drop",
    "ip saddr @vips drop",
    "icmpv6 type @neighbor-discovery accept",
    "ip6 daddr fe80::/10 goto in_link_local",
    "ip6 daddr @vips drop",
    "ip6 saddr fe80::/10 goto out_link_local",
    "ip6 saddr @vips drop",
}
SILENCE = "is silent on them: nothing sent to .* is answered, not even ping"


def text(*words: str) -> str:
    found = global_defs("vrrp_garp_master_repeat 1", *words)
    for vrid, each in ROUTERS.items():
        addresses = each.vips or (f"10.77.0.{vrid}/24",)
        found += instance(f"VI_{vrid}", vrid=vrid, addresses=addresses, **each.said)
    return found


def addresses(*, answer: bool) -> tuple[str, ...]:
    """Those of the routers that do, or do not."""
    chosen = {vrid: each for vrid, each in ROUTERS.items() if each.answers is answer}
    texts = [vip for vrid, each in chosen.items() for vip in each.vips or (f"10.77.0.{vrid}/24",)]
    found = [each.removesuffix("/24").removesuffix("/64") for each in texts]
    return tuple(f"{each}%eth0" if each.startswith("fe80") else each for each in found)


def refusing(client: Node, targets: tuple[str, ...]) -> set[str]:
    """Those of the addresses whose kernel answers TCP, which nobody serves there."""

    def refuses(target: str) -> bool:
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with client.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(0.3)
            try:
                connection.connect((target, 9))
            except ConnectionRefusedError:
                return True
            except TimeoutError:
                return False
            raise AssertionError(f"somebody serves {target}")

    with ThreadPoolExecutor() as together:
        return {each for each, good in zip(targets, together.map(refuses, targets), strict=True) if good}


def dropped(node: Node) -> set[str]:
    """The addresses in the sets of nftables."""
    listed = json.loads(node.run("nft", "-j", "list", "sets").stdout)["nftables"]
    sets = [each["set"] for each in listed if "set" in each]
    found: set[str] = set()
    for each in sets:
        if each["name"].startswith("vips"):
            found |= {one["concat"][0] if isinstance(one, dict) else one for one in each.get("elem", ())}
    return found


def speak(lab: Lab, b: Node, priority: int) -> Advert:
    """An advert of another router for the VRID whose words are forced."""
    address = f"10.77.0.{FORCED_ONE}"
    begin = time.time()
    said = pdu("10.77.0.2", version=3, vrid=FORCED_ONE, priority=priority, addresses=(address,), interval=100)
    say(b, frame(ipv4(said, "10.77.0.2"), "02:00:00:00:00:02"))
    return lab.wire.wait_advert(node="b", vrid=FORCED_ONE, seconds=1, since=begin)


@pytest.mark.parametrize("program", BOTH)
def test_strict_mode(pair: tuple[Lab, Node, Node], program: str) -> None:
    lab, a, b = pair
    for number, node in enumerate((a, b), start=1):
        speak_ipv6(node, f"fe80::{number}/64", f"2001:db8::{number}/64")
    empty = instance(f"VI_{WITHOUT}", vrid=WITHOUT, addresses=(), version=2, **OWNER)
    # keepalived 2.2.7 refuses the whole file for one without an address.
    daemon = lab.start(program, a, text("vrrp_strict") + (empty if program == "kad" else ""))
    began = {vrid: lab.wire.wait_advert(node="a", vrid=vrid, seconds=2, since=0) for vrid in (101, 105, BEGINNER)}
    # The owner begins as MASTER, also one that says BACKUP: not the 3 s of three lost adverts later.
    assert began[BEGINNER].time - began[105].time < 2
    # With preempt_delay this one would be waited for: 3.008 s from now.
    lab.wire.wait_advert(node="a", vrid=101, count=12, seconds=2, since=0)
    speak(lab, b, 1)
    for vrid in ROUTERS:
        began[vrid] = lab.wire.wait_advert(node="a", vrid=vrid, seconds=4, since=0)
    # Three intervals and 2/256 of one, not five.
    assert 2.8 < began[FORCED_ONE].time - began[105].time < 3.8
    assert began[LOCKED].authentication == bytes(8)
    assert began[UNLOCKED].authentication == b"abc" + bytes(5)
    assert {each.destination for each in lab.wire.adverts(node="a", vrid=UNICAST)} == {"10.77.0.2"}

    answer, silent = addresses(answer=True), addresses(answer=False)
    for target in (*answer, *silent):
        lab.wait_holder(target.partition("%")[0], a, seconds=2)
    assert answering(b, (*answer, *silent)) == set(answer)
    local = tuple(each for each in (*answer, *silent) if "%" not in each)
    assert refusing(b, local) == set(answer) & set(local)
    # no_accept drops them too, and of an owner nothing.
    assert dropped(a) == {each.partition("%")[0] for each in silent}
    assert {line.strip() for line in a.run("nft", "list", "ruleset").stdout.splitlines()} >= RULES

    yields_without_a_word(lab, b)
    lab.hub.until(lambda: f"10.77.0.{FORCED_ONE}" not in dropped(a), 1, "what it does not hold it does not drop")
    if program == "kad":
        tells_what_it_does(lab, daemon)
        daemon.reload(text())
        without = set(addresses(answer=False)) - {f"10.77.0.{vrid}" for vrid in (104, FORCED_ONE)}
        lab.hub.until(
            lambda: dropped(a) == {"10.77.0.104"}, 3, lambda: f"not dropped without strict mode: {dropped(a)}"
        )
        lab.hub.until(lambda: answering(b, tuple(without)) == without, 3, "without strict mode they answer")
    assert daemon.stop() == 0
    assert a.run("nft", "list", "tables").stdout == ""


def yields_without_a_word(lab: Lab, b: Node) -> None:
    """It contradicts no lower advert, announces nothing against it, and yields to a higher one in silence."""
    address = f"10.77.0.{FORCED_ONE}"
    # The next one that is due is 1 s away.
    lab.wire.wait_advert(node="a", vrid=FORCED_ONE, seconds=2)
    heard = speak(lab, b, 1)
    lab.hub.never(
        lambda: (
            lab.wire.adverts(node="a", vrid=FORCED_ONE, since=heard.time)
            or lab.wire.announcements(node="a", address=address, since=heard.time)
        ),
        0.3,
        "a lower advert is not contradicted",
    )
    heard = speak(lab, b, 255)
    lab.wait_holder(address, seconds=1)
    assert not lab.wire.adverts(node="a", vrid=FORCED_ONE, since=heard.time)


def tells_what_it_does(lab: Lab, daemon: Daemon) -> None:
    """One plain sentence for each router whose addresses strict mode makes silent, and one for each word it refuses."""
    silent = {vrid for vrid, each in ROUTERS.items() if not each.answers and "strict_mode off" not in str(each.said)}
    said = daemon.logged(SILENCE)
    assert {line.text.partition("VI_")[2][:3] for line in said} == {str(vrid) for vrid in silent}
    assert len(said) == len(silent)
    for vrid, sentence in REFUSED.items():
        assert daemon.logged(f"warning: VI_{vrid}: .*{sentence}")
    assert not lab.wire.adverts(vrid=WITHOUT)
