"""How findings look: the place, the sentence, the line with a caret, the proposal; and as JSON."""

from __future__ import annotations

import json

from kad.analyzer.language import language
from kad.analyzer.process import to_json, to_message
from kad.config.explain import explain, overview, reference
from kad.config.render import render
from kad.model.finding import Identity, Subject
from tests.config.hosts import FILE, judged

TEXT = "global_defs {\n\trouter_id x\n}\nvrrp_instance A {\n\t\tprioritty 5\n}\n"


def test_a_finding_for_a_person() -> None:
    analysis = judged(TEXT)
    assert render(analysis.diagnostics[1:]) == (
        f"{FILE}:4:1: warning: A: it has no virtual_router_id; the instance is ignored\n"
        "    vrrp_instance A {\n"
        "    ^\n"
        "    add virtual_router_id with 1..255\n"
        f"{FILE}:5:3: warning: unknown keyword prioritty in vrrp_instance; the line is ignored\n"
        "            prioritty 5\n"
        "            ^\n"
        "    did you mean priority?\n"
    )
    assert render(analysis.diagnostics[:1]) == f"{FILE}: error: nothing that is configured here can run\n"


def test_a_finding_for_an_editor() -> None:
    found = json.loads(to_json(judged(TEXT).diagnostics))
    assert found[2] == {
        "file": FILE,
        "line": 5,
        "column": 3,
        "severity": "warning",
        "code": "unknown-keyword",
        "subject": {"block": "vrrp_instance A", "keyword": "prioritty", "item": ""},
        "text": "unknown keyword prioritty in vrrp_instance; the line is ignored",
        "proposal": "did you mean priority?",
        "about_host": False,
        "exit_code": 5,
    }


def test_what_the_parent_hears() -> None:
    message = to_message(judged(TEXT))
    assert (message.exit_code, message.fatal) == (5, 2)
    assert message.findings[2].summary == (
        f"{FILE}:5:3: warning: unknown keyword prioritty in vrrp_instance; the line is ignored (did you mean priority?)"
    )
    assert message.refusals == {
        Identity("nothing-can-run"),
        Identity("no-virtual-router-id", Subject("vrrp_instance A")),
        Identity("unknown-keyword", Subject("vrrp_instance A", "prioritty")),
    }


def test_findings_about_the_host_refuse_no_reload() -> None:
    text = "vrrp_instance A {\ninterface nope\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.9 }\n"
    text += 'notify "/nowhere"\nnotify_master /bin/true\n}\n'
    analysis = judged(text)
    assert [one.severity for one in analysis.diagnostics] == ["warning"] * 3
    assert to_message(analysis).refusals == frozenset()


def test_a_word_is_explained_in_each_of_its_meanings() -> None:
    assert explain("priority", language()) == (
        "priority <INTEGER 1..255>\n"
        "    255 owns the addresses\n"
        "    default: 100; 255 with state MASTER\n"
        "    in: vrrp_instance\n"
    )
    found = explain("weight", language())
    assert found is not None
    assert found.count("weight <") == 7
    assert explain("prioritty", language()) is None
    assert "the same as lb_algo" in (explain("lvs_sched", language()) or "")
    assert "old spelling of garp_extra_if" in (explain("vmac_garp_intvl", language()) or "")


def test_every_word_is_in_the_overview_and_on_the_reference_page() -> None:
    listed, page = overview(language()), reference(language())
    for layout in language().layouts():
        for word in layout.words:
            assert f"    {word}" in listed
            assert f"| `{word}" in page


def test_nothing_in_a_file_steers_a_terminal() -> None:
    text = "vrrp_instance \x1b[31mA {\n\tprio\x07rity\x9b 5 \0\n}\n"
    for shown in (render(judged(text).diagnostics), *(one.summary for one in to_message(judged(text)).findings)):
        assert not {"\x1b", "\x07", "\x9b", "\0", "\t"} & set(shown)
    assert "        prio?rity? 5\n        ^\n" in render(judged(text.replace(" \0", "")).diagnostics)
