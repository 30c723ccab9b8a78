"""Why a reload was refused: every reason once, as the finding that it is where it is one."""

from __future__ import annotations

from kad.shared.messages import Finding
from kad.watchdog.two_phase_commit import Refusal, refusal

OLD = Finding(severity="warning", place="/etc/kad/kad.conf:2:1", text="old", refuses=True)
NOTE = Finding(severity="note", place="/etc/kad/kad.conf:2:5", text="a brace is missing")
BRACE = Finding(severity="error", place="/etc/kad/kad.conf:9:1", text="a brace is missing", refuses=True)
PRIORITY = Finding(
    severity="warning",
    place="/etc/kad/kad.conf:3:5",
    text="A: priority 300 is beyond 255",
    proposal="did you mean 30?",
    quote=("    priority 300", "    ^"),
    refuses=True,
)


def test_a_reason_is_its_finding() -> None:
    found = refusal(["a brace is missing", "A: priority 300 is beyond 255"], [OLD, NOTE, PRIORITY, BRACE])
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


def test_a_reason_without_a_finding_stands_for_itself() -> None:
    found = refusal(["the analyzer died", "missing"], [OLD, PRIORITY])
    assert found == Refusal(reasons=("the analyzer died", "missing"))
    assert found.text == found.brief == "the analyzer died; missing"
    assert found.lines == "the analyzer died\nmissing\n"


def test_both_together() -> None:
    found = refusal(["old", "the file cannot be used"], [OLD])
    assert found.brief == "1 new finding, see above; the file cannot be used"
