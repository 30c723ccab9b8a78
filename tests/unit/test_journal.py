"""The journal says each thing once and forgets the loud before the quiet; the chain leads from a state to its cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import msgspec
import pytest

from kad.cli.cause_chain import Unknown, Why
from kad.shared.messages import Event, Message, Observation, RouterState, to_plain
from kad.watchdog.journal import Journal
from tests.causes import cause, contribution

BORN = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC"""


@dataclass
class Story:
    """A journal on a clock that is set by hand."""

    now: float = BORN
    journal: Journal = field(init=False)
    _transitions: int = 0

    def __post_init__(self) -> None:
        self.journal = Journal(lambda: self.now)

    def at(self, seconds: float, message: Message | None = None) -> Story:
        self.now = BORN + seconds
        if message is not None:
            self.journal.take(message)
        return self

    def texts(self) -> list[str]:
        return [f"{entry.object} {entry.text}" for entry in self.journal.entries()]

    def plain(self) -> list[dict[str, Any]]:
        return [to_plain(entry) for entry in self.journal.entries()]


def router(state: str, seconds: float, reason: str, **more: Any) -> RouterState:
    settings: dict[str, Any] = {"name": "VI_1", "priority": 100, "holds_addresses": state == "MASTER"} | more
    moves = tuple(map(contribution, settings.pop("contributions", ())))
    return RouterState(state=state, since=BORN + seconds, cause=cause(reason), contributions=moves, **settings)


def script(value: int | None, seconds: float, reason: str, **more: Any) -> Observation:
    return Observation(kind="script", name="chk_nginx", value=value, since=BORN + seconds, reason=reason, **more)


def test_a_transition_is_noted_once_however_often_the_state_is_said() -> None:
    story = Story()
    backup = router("BACKUP", 1, "init", transitions=1)
    story.at(1, backup).at(2, backup).at(3, msgspec.structs.replace(backup, counters={"advert_rcvd": 5}))
    story.at(4, router("MASTER", 4, "no advert from 10.0.0.2 for 3.61 s", transitions=2))
    assert story.texts() == [
        "VI_1 INIT to BACKUP: init",
        "VI_1 BACKUP to MASTER: no advert from 10.0.0.2 for 3.61 s",
    ]
    last = list(story.journal.entries())[-1]
    assert (last.when, last.kind, last.details["old"], last.details["new"]) == (
        BORN + 4,
        "transition",
        "BACKUP",
        "MASTER",
    )


def test_transitions_that_nobody_heard_of_are_counted() -> None:
    story = Story()
    story.at(1, router("BACKUP", 1, "init", transitions=1)).at(9, router("BACKUP", 9, "x", transitions=4))
    assert story.texts()[-1] == "VI_1 BACKUP to BACKUP (2 more on the way): x"


def test_a_priority_that_moves_says_what_moves_it_and_what_no_longer_does() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "r"))
    low = router("MASTER", 1, "r", priority=95, contributions=("-5: script chk_nginx: gone",))
    story.at(2, low).at(3, low).at(4, router("MASTER", 1, "r")).at(5, router("MASTER", 1, "r", priority=90))
    assert story.texts()[1:] == [
        "VI_1 priority from 100 to 95: -5: script chk_nginx: gone",
        "VI_1 priority from 95 to 100: no longer -5: script chk_nginx: gone",
        "VI_1 priority from 100 to 90: as configured",
    ]


def test_a_script_is_noted_when_its_value_changes_with_what_it_printed() -> None:
    story = Story()
    story.at(0, script(None, 0, "not run yet")).at(1, script(1, 1, "exited with status 0"))
    story.at(2, script(1, 1, "exited with status 0"))
    story.at(3, script(0, 3, "exited with status 2", output="x" * 1000 + "no nginx\n"))
    story.at(4, script(0, 3, "exited with status 2", deleted=True))
    assert story.texts() == [
        "script/chk_nginx script chk_nginx succeeded: exited with status 0",
        "script/chk_nginx script chk_nginx failed: exited with status 2",
    ]
    output = list(story.journal.entries())[-1].details["output"]
    assert len(output) == 500
    assert output.endswith("no nginx\n")


def test_what_is_loud_pushes_out_itself_and_not_the_quiet() -> None:
    story = Story()
    story.at(1, router("BACKUP", 1, "init"))
    for number in range(10_000):
        story.journal.note("link", "interface/eth0", f"{number}")
    texts = story.texts()
    assert texts[0] == "VI_1 INIT to BACKUP: init"
    assert texts[1:] == [f"interface/eth0 {number}" for number in range(6_000, 10_000)]
    assert [entry.text for entry in story.journal.latest(2)] == ["9998", "9999"]


def test_it_is_bounded_in_the_number_of_objects_too() -> None:
    story = Story()
    for number in range(10_000):
        story.journal.note("link", f"interface/{number}", "up")
    assert len(story.texts()) == 5_000


def test_an_event_of_a_child_is_taken_as_it_is() -> None:
    story = Story()
    story.at(5, Event(when=BORN + 4.5, kind="link", object="interface/eth0", text="eth0 down"))
    [entry] = story.journal.entries()
    assert (entry.when, entry.kind, entry.object, entry.text) == (BORN + 4.5, "link", "interface/eth0", "eth0 down")


# why


def instance(**more: Any) -> dict[str, Any]:
    return {
        "name": "VI_1",
        "state": "BACKUP",
        "since": BORN + 7,
        "reason": "advert from 10.0.0.2 priority 98 > 95",
        "priority": 100,
        "effective_priority": 95,
        "master_address": "10.0.0.2",
        "master_priority": 98,
        "faults": [],
        "tracks": [{"kind": "script", "name": "chk_nginx"}],
    } | more


def why(story: Story, *instances: dict[str, Any], name: str = "VI_1", fall: int = 2) -> list[str]:
    scripts = [{"name": "chk_nginx", "fall": fall, "rise": 1}]
    typed = [{**each, "cause": to_plain(cause(each["reason"]))} for each in instances]
    dump = {"vrrp": {"instances": typed}, "runner": {"scripts": scripts}}
    return Why(dump, story.plain(), UTC).chain(name).splitlines()


def lost_nginx() -> Story:
    story = Story()
    story.at(1, router("BACKUP", 1, "init")).at(2, router("MASTER", 2, "no advert from anyone for 3.61 s"))
    said = "no process nginx since 22:13:25.211 (pid 812 exited, status 137)"
    story.at(6.5, script(0, 6.5, said))
    story.at(6.6, router("MASTER", 2, "r", priority=95, contributions=(f"-5: script chk_nginx: {said}",)))
    return story.at(7, router("BACKUP", 7, "advert from 10.0.0.2 priority 98 > 95", priority=95))


def test_the_chain_leads_from_the_state_over_the_priority_to_the_script() -> None:
    assert why(lost_nginx(), instance()) == [
        "VI_1 is BACKUP since 22:13:27.000: priority 95 < 98 of 10.0.0.2;",
        "  because its priority fell from 100 to 95 at 22:13:26.600: -5 by script chk_nginx;",
        "    because chk_nginx failed twice: no process nginx since 22:13:25.211 (pid 812 exited, status 137) "
        "(at 22:13:26.500).",
    ]


def test_a_fault_leads_to_the_link_and_the_way_back_to_its_return() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "init")).at(
        2, Event(when=BORN + 2, kind="link", object="interface/eth0", text="Netlink reports eth0 down")
    )
    story.at(2, router("FAULT", 2, "interface eth0 is down"))
    fault = instance(state="FAULT", since=BORN + 2, faults=["interface eth0 is down"], master_priority=None)
    assert why(story, fault) == [
        "VI_1 is FAULT since 22:13:22.000: interface eth0 is down;",
        "  because Netlink reports eth0 down (at 22:13:22.000).",
    ]
    story.at(5, Event(when=BORN + 5, kind="link", object="interface/eth0", text="Netlink reports eth0 up"))
    story.at(5, router("BACKUP", 5, "no longer: interface eth0 is down"))
    story.at(6, router("MASTER", 6, "priority 100 > 50 of 10.0.0.2"))
    master = instance(
        state="MASTER", since=BORN + 6, reason="priority 100 > 50 of 10.0.0.2", effective_priority=100, tracks=[]
    )
    assert why(story, master) == [
        "VI_1 is MASTER since 22:13:26.000: priority 100 > 50 of 10.0.0.2;",
        "  because VI_1 went from FAULT to BACKUP at 22:13:25.000: no longer: interface eth0 is down;",
        "    because Netlink reports eth0 up (at 22:13:25.000).",
    ]


def test_a_member_of_a_group_is_explained_by_the_one_that_failed() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "init")).at(1, router("MASTER", 1, "init", name="VI_2"))
    story.at(3, script(0, 3, "exited with status 1"))
    story.at(3, router("FAULT", 3, "sync group G: VI_2 is in FAULT"))
    story.at(3, router("FAULT", 3, "script chk_nginx: exited with status 1", name="VI_2"))
    told = why(
        story,
        instance(state="FAULT", since=BORN + 3, faults=["sync group G: VI_2 is in FAULT"], effective_priority=100),
        instance(name="VI_2"),
        fall=1,
    )
    assert told == [
        "VI_1 is FAULT since 22:13:23.000: sync group G: VI_2 is in FAULT;",
        "  because VI_2 went from MASTER to FAULT at 22:13:23.000: script chk_nginx: exited with status 1;",
        "    because chk_nginx failed: exited with status 1 (at 22:13:23.000).",
    ]


def test_an_old_priority_change_explains_nothing_new_but_the_present_priority() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "init"))
    story.at(2, router("MASTER", 1, "init", priority=95, contributions=("-5: script chk_nginx: no",)))
    story.at(8, router("BACKUP", 8, "sync", priority=95, contributions=("-5: script chk_nginx: no",)))
    story.at(9, router("MASTER", 9, "priority 95 > 50 of 10.0.0.2", priority=95))
    master = instance(state="MASTER", since=BORN + 9, reason="priority 95 > 50 of 10.0.0.2")
    assert why(story, master) == [
        "VI_1 is MASTER since 22:13:29.000: priority 95 > 50 of 10.0.0.2;",
        "  besides, its priority fell from 100 to 95 at 22:13:22.000: -5: script chk_nginx: no.",
    ]


def test_of_several_things_that_move_a_priority_each_is_said() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "init"))
    story.at(2, script(0, 2, "no such thing; really"))
    moved = ("-5: script chk_nginx: no such thing; really", "+3: file n is 3; or so")
    story.at(3, router("MASTER", 1, "init", priority=98, contributions=moved))
    story.at(4, router("BACKUP", 4, "advert from 10.0.0.2 priority 99 > 98", priority=98))
    low = instance(since=BORN + 4, reason="x", effective_priority=98, master_priority=99)
    assert why(story, low)[:2] == [
        "VI_1 is BACKUP since 22:13:24.000: priority 98 < 99 of 10.0.0.2 (x);",
        "  because its priority fell from 100 to 98 at 22:13:23.000: -5 by script chk_nginx; +3: file n is 3; or so;",
    ]


def test_a_replaced_process_and_who_killed_it() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "init"))
    story.at(2).journal.note(
        "child", "child/vrrp", "killing the vrrp process 7: no sign of life for 0.30 s", what="killed"
    )
    story.at(2.1).journal.note("child", "child/vrrp", "vrrp process died of signal 9", what="ended")
    story.at(2.2).journal.note("child", "child/vrrp", "Starting the vrrp process, pid=8", what="started")
    story.at(3, router("BACKUP", 3, "the process was replaced too late to go on"))
    told = why(story, instance(since=BORN + 3, reason="the process was replaced too late to go on", tracks=[]))
    assert told[1:3] == [
        "  because vrrp process died of signal 9 (at 22:13:22.100);",
        "  because killing the vrrp process 7: no sign of life for 0.30 s (at 22:13:22.000).",
    ]


def test_a_reload_explains_a_priority_that_is_as_configured() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "init"))
    story.at(2).journal.note("reload", "reload", "generation 2 of the configuration is in force")
    story.at(2.1, router("MASTER", 1, "init", priority=90))
    story.at(3, router("BACKUP", 3, "advert from 10.0.0.2 priority 98 > 90", priority=90))
    low = instance(since=BORN + 3, reason="advert from 10.0.0.2 priority 98 > 90", priority=90, effective_priority=90)
    assert why(story, low)[1:] == [
        "  because its priority fell from 100 to 90 at 22:13:22.100: as configured;",
        "    because generation 2 of the configuration is in force (at 22:13:22.000).",
    ]


def test_the_day_is_said_where_it_is_another_one() -> None:
    story = Story()
    story.at(1, router("BACKUP", 1, "init"))
    story.at(86_400 * 3).journal.note("reload", "reload", "x")
    [line] = why(story, instance(since=BORN + 1, reason="init", effective_priority=100, master_priority=None))
    assert line == "VI_1 is BACKUP since 2023-11-14 22:13:21.000: it has started."


def test_causes_in_a_circle_end() -> None:
    story = Story()
    story.at(1, router("MASTER", 1, "i")).at(1, router("MASTER", 1, "i", name="VI_2"))
    story.at(2, router("FAULT", 2, "sync group G: VI_2 is in FAULT"))
    story.at(2, router("FAULT", 2, "sync group G: VI_1 is in FAULT", name="VI_2"))
    fault = instance(state="FAULT", since=BORN + 2, faults=["sync group G: VI_2 is in FAULT"], effective_priority=100)
    assert len(why(story, fault, instance(name="VI_2"))) == 2


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(Unknown, match="there is no vrrp_instance VI_9; there are: VI_1"):
        why(Story(), instance(), name="VI_9")


def test_what_is_removed_leaves_with_the_crowd() -> None:
    story = Story()
    story.at(1, router("BACKUP", 1, "init", transitions=1))
    story.at(2, router("BACKUP", 1, "init", name="VI_2", transitions=1))
    gone = msgspec.structs.replace(router("BACKUP", 1, "init", name="VI_2"), deleted=True)
    story.at(3, gone)
    assert story.texts()[-1] == "VI_2 BACKUP to nothing: removed from the configuration"
    for number in range(4000):
        story.at(4, Event(kind="link", object="link/eth0", text=f"change {number}", when=BORN + 4))
    assert [text for text in story.texts() if text.startswith("VI_")] == ["VI_1 INIT to BACKUP: init"]


def test_details_of_an_event_are_kept_whatever_they_are_called() -> None:
    story = Story()
    details = {"kind": "x", "object": "y", "text": "z", "when": 1, "peer": "10.0.0.2"}
    story.at(1, Event(kind="refused", object="VI_1", text="refused", when=BORN + 1, details=details))
    [entry] = story.journal.entries()
    assert (entry.kind, entry.details) == ("refused", details)


def test_a_transition_has_its_cause_and_the_events_that_it_follows_from() -> None:
    story = Story()
    story.at(1, router("FAULT", 1, "interface eth0 is down"))
    [entry] = story.plain()
    key = {"kind": "link", "object": "interface/eth0"}
    assert entry["details"]["cause"] == {
        "kind": "faults-began",
        "faults": ({"text": "interface eth0 is down", "event": key},),
    }
    assert entry["details"]["causes"] == (key,)
    assert entry["details"]["reason"] == "interface eth0 is down"
