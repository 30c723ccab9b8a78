"""Whatever the sentences are, what is decided from findings and causes is the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import pytest

from kad.analyzer.process import to_message
from kad.model.cause import HigherPriorityReceived, InstanceStarted, describe
from kad.shared.messages import Analyzed, to_plain
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import ChangeState, Started, State
from kad.vrrp.router import Router
from kad.watchdog.two_phase_commit import refusal
from tests.altered import alter, rotated
from tests.config.hosts import judged
from tests.play import Due, Play
from tests.unit import test_journal
from tests.unit.vrrp.samples import instance

GOOD = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress { 192.0.2.9 }\n%s}\n"
FILES = {
    "good": GOOD % "",
    "an unknown keyword": GOOD % "prioritty 5\n",
    "another unknown keyword": GOOD % "priorityy 5\n",
    "a number out of bounds": GOOD % "priority 300\n",
    "another number out of bounds": GOOD % "priority 301\n",
    "a wrong word in an address": GOOD % "virtual_ipaddress_excluded { 192.0.2.8 labl x }\n",
    "two addresses that are none": GOOD % "virtual_ipaddress_excluded {\n192.0.2.x\n192.0.2.y\n}\n",
    "an address that is none": GOOD % "virtual_ipaddress_excluded {\n192.0.2.x\n}\n",
    "strict mode": GOOD % "strict_mode\nauthentication {\nauth_type PASS\nauth_pass secret12\n}\n",
    "an unclosed block": GOOD % "track_script {\n",
    "an unknown script": GOOD % "track_script {\nnope\n}\n",
    "no interface of this host": GOOD.replace("eth0", "nope9") % "",
    "an environment variable": "$X=${_ENV NOPE}\n" + GOOD % "",
    "a virtual server without protocol": GOOD % ""
    + "virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.2 80 {\n}\n}\n",
    "nothing": "",
}


def refusals(messages: dict[str, Analyzed]) -> dict[tuple[str, str], tuple[list[tuple[str, ...]], int]]:
    """For each running and each new file: which findings refuse the reload, and how many other reasons do."""
    found = {}
    for running, before in messages.items():
        for wanted, after in messages.items():
            refused = refusal(
                after.findings,
                before.refusals,
                unusable=bool(after.fatal),
                runs_something=True,
                has_work=wanted != "nothing",
            )
            new = refused.findings if refused is not None else ()
            codes = [(each.code, *map(str, each.subjects)) for each in new]
            found[running, wanted] = (codes, len(refused.reasons) if refused is not None else 0)
    return found


def test_a_reload_is_accepted_or_refused_for_the_same_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {name: to_message(judged(text)) for name, text in FILES.items()}
    alter(monkeypatch.setattr)
    altered = {name: to_message(judged(text)) for name, text in FILES.items()}
    told = [each.text for message in plain.values() for each in message.findings]
    changed = [each.text for message in altered.values() for each in message.findings]
    assert len(told) == len(changed) >= 15
    assert not set(told) & set(changed)
    decided = refusals(altered)
    assert decided == refusals(plain)
    # And they are what an operator expects.
    assert decided["an unknown keyword", "another unknown keyword"][0] == [
        ("unknown-keyword", "Subject(block='vrrp_instance A', keyword='priorityy', item='')")
    ]
    assert decided["a number out of bounds", "another number out of bounds"] == ([], 0)
    assert decided["an address that is none", "two addresses that are none"][0] != []
    assert decided["two addresses that are none", "an address that is none"] == ([], 0)
    assert decided["good", "nothing"][1] == 1
    # One process of a daemon may be started by words that another one does not know.
    assert refusals({**plain, "good": altered["good"]})["strict mode", "strict mode"] == ([], 0)


STORIES: list[Callable[[], None]] = [
    test_journal.test_the_chain_leads_from_the_state_over_the_priority_to_the_script,
    test_journal.test_a_fault_leads_to_the_link_and_the_way_back_to_its_return,
    test_journal.test_a_member_of_a_group_is_explained_by_the_one_that_failed,
    test_journal.test_of_several_things_that_move_a_priority_each_is_said,
    test_journal.test_a_replaced_process_and_who_killed_it,
    test_journal.test_a_reload_explains_a_priority_that_is_as_configured,
]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def chains(monkeypatch: pytest.MonkeyPatch, story: Callable[[], None]) -> list[list[str]]:
    """Each answer of --why that the story asks for: how deep each line lies, and the moments in it."""
    answers: list[list[str]] = []
    ask = test_journal.why

    def why(*arguments: object, **options: object) -> list[str]:
        lines = ask(*arguments, **options)  # type: ignore[arg-type]
        answers.append(
            [" ".join([re.match(" *", line)[0], *re.findall(r"\d\d:\d\d:\d\d\.\d{3}", line)]) for line in lines]
        )  # type: ignore[index]
        return lines

    with monkeypatch.context() as patched:
        patched.setattr(test_journal, "why", why)
        # Its words are others.
        with contextlib.suppress(AssertionError):
            story()
    return answers


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_why_follows_the_same_causes(monkeypatch: pytest.MonkeyPatch, story: Callable[[], None]) -> None:
    plain = chains(monkeypatch, story)
    alter(monkeypatch.setattr)
    altered = chains(monkeypatch, story)
    assert altered
    assert altered == plain[: len(altered)]
    assert any(len(each) > 1 for each in altered)


def test_a_router_owns_its_addresses_and_starts_whatever_that_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    alter(monkeypatch.setattr)
    play = Play(Router(instance(priority=255)))
    [*_, began] = play.machine.handle(Started(), 0.0)
    assert began == ChangeState(State.INIT, State.BACKUP, InstanceStarted())
    assert str(began.cause) == rotated("init")
    [*_, entered] = (play >> Due(0.0)).machine.handle(DeadlineReached(), 0.0)
    assert to_plain(entered.cause) == {"kind": "addresses-owned"}


def test_a_cause_is_printed_from_its_figures() -> None:
    cause = HigherPriorityReceived(source="10.0.0.2", priority=150, own_priority=100)
    assert describe(cause) == "advert from 10.0.0.2 priority 150 > 100"
    assert to_plain(cause) == {
        "kind": "higher-priority-received",
        "source": "10.0.0.2",
        "priority": 150,
        "own_priority": 100,
    }
    assert describe(None) == ""
