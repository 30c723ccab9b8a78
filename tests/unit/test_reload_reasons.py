"""Why a reload is refused: findings that the running files do not have, known by code and subject and not by words."""

from __future__ import annotations

from kad.model.finding import Identity, Subject
from kad.shared.messages import Finding
from kad.watchdog.two_phase_commit import Refusal, refusal

A = Subject("vrrp_instance A", "priority")
OLD = Finding(
    severity="warning", place="/etc/kad/kad.conf:2:1", text="old", code="old", subjects=(Subject(),), refuses=True
)
NOTE = Finding(severity="note", place="/etc/kad/kad.conf:2:5", text="a brace is missing", code="brace")
BRACE = Finding(severity="error", place="/etc/kad/kad.conf:9:1", text="a brace is missing", code="brace", refuses=True)
PRIORITY = Finding(
    severity="warning",
    place="/etc/kad/kad.conf:3:5",
    text="A: priority 300 is beyond 255",
    code="out-of-bounds",
    subjects=(A,),
    figures={"text": "300"},
    proposal="did you mean 30?",
    quote=("    priority 300", "    ^"),
    refuses=True,
)
RUNNING = OLD.identities


def refused(
    *found: Finding,
    running: frozenset[Identity] = RUNNING,
    unusable: bool = False,
    runs: bool = True,
    work: bool = True,
) -> Refusal | None:
    return refusal(found, running, unusable=unusable, runs_something=runs, has_work=work)


def test_what_is_new_refuses() -> None:
    found = refused(OLD, NOTE, PRIORITY, BRACE)
    assert found == Refusal(findings=(PRIORITY, BRACE))
    assert found.text == (
        "/etc/kad/kad.conf:3:5: warning: A: priority 300 is beyond 255 (did you mean 30?); "
        "/etc/kad/kad.conf:9:1: error: a brace is missing"
    )
    assert found.lines == (
        "/etc/kad/kad.conf:3:5: warning: A: priority 300 is beyond 255\n"
        "        priority 300\n"
        "        ^\n"
        "    did you mean 30?\n"
        "/etc/kad/kad.conf:9:1: error: a brace is missing\n"
    )
    assert found.brief == "2 new findings, see above"


def test_other_figures_of_the_same_finding_do_not_refuse() -> None:
    other = Finding(
        severity="warning", place="x:1:1", text="priority 301", code="out-of-bounds", subjects=(A,), refuses=True
    )
    assert refused(OLD, other, running=PRIORITY.identities | RUNNING) is None


def test_the_same_words_about_another_object_refuse() -> None:
    other = Finding(
        severity="warning",
        place="/etc/kad/kad.conf:3:5",
        text=PRIORITY.text,
        code="out-of-bounds",
        subjects=(A, Subject("vrrp_instance B", "priority")),
        refuses=True,
    )
    assert refused(other, running=PRIORITY.identities) == Refusal(findings=(other,))


def test_another_finding_about_the_same_object_refuses() -> None:
    other = Finding(severity="warning", place="x:1:1", text=PRIORITY.text, code="other", subjects=(A,), refuses=True)
    assert refused(other, running=PRIORITY.identities) == Refusal(findings=(other,))


def test_an_unusable_file_and_one_that_gives_nothing_to_do() -> None:
    unusable = Refusal(reasons=("the file cannot be used",))
    assert refused(OLD) is None
    assert refused(OLD, unusable=True) == unusable
    assert refused(BRACE, unusable=True) == Refusal(findings=(BRACE,))
    # An empty file is a mistake where something runs, and nothing new where nothing does.
    assert refused(work=False) == Refusal(reasons=("nothing is configured that could run",))
    assert refused(BRACE, work=False) == Refusal(findings=(BRACE,))
    assert refused(work=False, runs=False) is None
    assert unusable.text == unusable.brief == "the file cannot be used"
    assert unusable.lines == "the file cannot be used\n"


def test_findings_and_reasons_together() -> None:
    both = Refusal((OLD,), ("the file cannot be used",))
    assert both.brief == "1 new finding, see above; the file cannot be used"
