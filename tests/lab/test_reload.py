"""HUP: only what changed is touched, and a file with an error changes nothing."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance, router

pytestmark = pytest.mark.lab

VIP, MORE, THIRD, FOURTH = "10.77.0.100", "10.77.0.101", "10.77.0.102", "10.77.0.103"
Pair = tuple[Lab, Node, Node]


def master(lab: Lab, program: str, node: Node, text: str) -> Daemon:
    """The program is MASTER on the node, and has said so."""
    daemon = lab.start(program, node, text)
    lab.wait_holder(VIP, node, seconds=5)
    daemon.wait_log("Entering MASTER STATE")
    return daemon


def largest_gap(lab: Lab, node: Node, vrid: int, since: float) -> float:
    """Seconds; the longest silence of a router between two of its adverts."""
    times = [advert.time for advert in lab.wire.adverts(node=node.name, vrid=vrid, since=since)]
    return max(later - earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize("program", BOTH)
def test_a_changed_priority_moves_no_address(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = master(lab, program, a, router(priority=100))
    begin = daemon.reload(router(priority=120))
    lab.wire.wait_advert(node="a", priority=120, seconds=5, since=begin)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, begin) == []
    assert not lab.wire.adverts(node="a", priority=0)


@pytest.mark.parametrize("program", BOTH)
def test_an_address_more_and_less_without_a_transition(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = master(lab, program, a, router())
    begin = daemon.reload(router(addresses=(f"{VIP}/24", f"{MORE}/24")))
    lab.wait_holder(MORE, a, seconds=5)
    lab.wire.wait_announcements(1, node="a", address=MORE, seconds=2)
    lab.hub.until(lambda: lab.wire.adverts(node="a")[-1].addresses == (VIP, MORE), 2, "both are announced")
    daemon.reload(router())
    lab.wait_holder(MORE, seconds=5)
    lab.hub.until(lambda: lab.wire.adverts(node="a")[-1].addresses == (VIP,), 2, "one is announced")
    assert lab.moves(VIP, begin) == []
    assert not lab.wire.adverts(node="a", priority=0)
    assert not daemon.logged("Entering", since=begin)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("vrrp_instance VI_1 {\n    state MASTER\n", id="a brace is missing"),
        pytest.param(router(priority=120).replace("virtual_router_id 51", ""), id="no virtual_router_id"),
        pytest.param(router(priority=120).replace("priority 120", "priority 1000"), id="a priority of 1000"),
        pytest.param(router(priority=120).replace("priority 120", "prioriti 120"), id="an unknown keyword"),
        pytest.param("", id="an empty file"),
    ],
)
def test_a_file_with_an_error_leaves_everything_as_it_was(pair: Pair, broken: str) -> None:
    lab, a, _ = pair
    daemon = master(lab, "kad", a, router(priority=100))
    family = daemon.family()
    begin = daemon.reload(broken)
    refused = daemon.wait_log("Reload refused", since=begin)
    lab.stays(VIP, a, 0.5)
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=refused.time)} == {100}
    assert lab.moves(VIP, begin) == []
    assert daemon.family() == family
    daemon.reload(router(priority=130))
    lab.wire.wait_advert(node="a", priority=130, seconds=5, since=begin)
    assert lab.moves(VIP, begin) == []


def test_no_advert_is_late_for_a_reload(pair: Pair) -> None:
    lab, a, _ = pair
    text = global_defs() + instance("one", vrid=1, advert_int=0.5)
    more = instance("two", vrid=2, advert_int=0.5, addresses=("10.77.0.102",))
    daemon = master(lab, "kad", a, text)
    begin = lab.wire.wait_advert(node="a", vrid=1, seconds=2).time
    for round_ in range(4):
        moment = daemon.reload(text + more if round_ % 2 == 0 else text)
        daemon.wait_log("Reload complete", since=moment)
        lab.wire.wait_advert(node="a", vrid=1, seconds=2)
    # A tenth of the interval; the rest is for a test machine that is busy with other things.
    assert largest_gap(lab, a, 1, begin) < 0.5 * 1.1 + 0.05
    assert lab.moves(VIP, begin) == []


@pytest.mark.parametrize("program", BOTH)
def test_instances_come_and_go_beside_one_that_stays(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    stays = global_defs() + instance("stays", vrid=1)
    daemon = lab.start(program, a, stays + instance("leaves", vrid=2, addresses=(MORE,)))
    lab.wait_holder(VIP, a, seconds=5)
    lab.wait_holder(MORE, a, seconds=5)
    begin = daemon.reload(stays + instance("comes", vrid=3, addresses=("10.77.0.103",)))
    lab.wait_holder(MORE, seconds=5)
    lab.wire.wait_advert(node="a", vrid=2, priority=0, seconds=2, since=begin)
    lab.wait_holder("10.77.0.103", a, seconds=5)
    lab.hub.never(lambda: lab.wire.adverts(node="a", vrid=2, since=time.time()), 0.3, "the one that left speaks")
    assert lab.moves(VIP, begin) == []
    assert not lab.wire.adverts(node="a", vrid=1, priority=0)


def test_a_reload_of_the_same_text_changes_nothing_but_the_generation(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    daemon.wait_log("Entering MASTER STATE")
    before = daemon.dump()
    begin = daemon.reload()
    daemon.wait_log("Reload complete", since=begin)
    after = daemon.dump()
    assert after["generation"] == before["generation"] + 1
    [old], [new] = before["vrrp"]["instances"], after["vrrp"]["instances"]
    assert (new["state"], new["since"], new["reason"]) == ("MASTER", old["since"], old["reason"])
    assert {name: each["pid"] for name, each in after["processes"].items()} == {
        name: each["pid"] for name, each in before["processes"].items()
    }
    assert lab.moves(VIP, begin) == []


def waiting(*, first: float, second: float, refresh: float, interval: float) -> str:
    """preempt_delay of the routers 51 and 52, garp_master_refresh of 53, the interval of the script of 54."""
    script = (
        f'vrrp_script asked {{\n script "/usr/bin/test -e /etc/keepalived/well"\n interval {interval}\n user root\n}}\n'
    )
    return (
        global_defs()
        + script
        + instance("longest", vrid=51, priority=150, advert_int=0.3, addresses=(VIP,), more=f"preempt_delay {first}")
        + instance("shortest", vrid=52, priority=150, advert_int=0.3, addresses=(MORE,), more=f"preempt_delay {second}")
        + instance(
            "announces",
            vrid=53,
            priority=150,
            advert_int=0.3,
            addresses=(THIRD,),
            more=f"garp_master_refresh {refresh}",
        )
        + instance(
            "asks", vrid=54, priority=150, advert_int=0.3, addresses=(FOURTH,), more="track_script {\n asked\n }"
        )
    )


def test_what_waits_waits_as_long_as_the_reload_says(pair: Pair) -> None:
    lab, a, b = pair
    a.write("well", "")
    others = "".join(
        instance(f"VI_{vrid}", vrid=vrid, priority=100, advert_int=0.3, addresses=(vip,))
        for vrid, vip in ((51, VIP), (52, MORE), (54, FOURTH))
    )
    master(lab, "kad", b, global_defs() + others)
    lab.wait_holder(FOURTH, b, seconds=5)
    daemon = lab.start_kad(a, waiting(first=300, second=2, refresh=300, interval=300))
    daemon.wait_log(r"\(asks\) Entering MASTER STATE")
    daemon.wait_log(r"\(announces\) Entering MASTER STATE")
    (begin,) = {line.time for line in daemon.logged(r"\(longest\) Entering BACKUP STATE")}
    daemon.reload(waiting(first=2, second=300, refresh=4, interval=300))
    lab.wait_holder(VIP, a, seconds=5)
    # preempt_delay runs from the first lower advert. The last advert before its end, at most an interval earlier,
    # starts the three intervals and 106/256 of one: 2 - 0.3 + 1.024 at the least.
    assert 2.7 < daemon.wait_log(r"\(longest\) Entering MASTER STATE").time - begin < 4.5
    lab.stays(MORE, b, 0.1)
    entered = daemon.wait_log(r"\(announces\) Entering MASTER STATE").time
    refreshed = lab.wire.wait_announcements(1, node="a", address=THIRD, seconds=6, since=entered + 3)[0]
    assert 3.9 < refreshed.time - entered < 5.5
    (a.files / "etc" / "well").unlink()
    daemon.reload(waiting(first=2, second=300, refresh=4, interval=3))
    lab.wait_holder(FOURTH, b, seconds=2)
    assert lab.moves(MORE, begin) == []


def surplus(count: int, name: str = "VI_1", vrid: int = 51) -> str:
    """An instance with more addresses than one advert names, which is a warning with two figures."""
    addresses = (f"{VIP}/24", *(f"10.{78 + vrid + n // 250}.0.{n % 250 + 1}/32" for n in range(count - 1)))
    return instance(name, vrid=vrid, addresses=addresses)


def test_the_figures_of_a_warning_may_change(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = master(lab, "kad", a, global_defs() + surplus(260))
    daemon.wait_log("the other 5 are held but not advertised")
    begin = daemon.reload(global_defs() + surplus(261))
    daemon.wait_log("Reload complete", since=begin)
    daemon.wait_log("the other 6 are held but not advertised", since=begin)
    assert not daemon.logged("Reload refused", since=begin)
    lab.wait_holder("10.130.0.10", a, seconds=5)
    # The same about another instance is another finding.
    begin = daemon.reload(global_defs() + surplus(261) + surplus(260, "VI_2", 52).replace(f"{VIP}/24", f"{MORE}/24"))
    daemon.wait_log("Reload refused", since=begin)
    assert lab.moves(VIP, begin) == []
