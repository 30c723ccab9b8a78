"""Every word that keepalived knows is known, in its place, with a sentence of help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kad.analyzer.language import language
from kad.analyzer.process import to_message
from kad.config.explain import words
from kad.config.preprocess import CHECKS
from kad.vrrp.keywords import address_words, route_words
from tests.config.hosts import judged, said

ROWS = [
    tuple(line.split("\t")) for line in Path(__file__).with_name("keepalived_words.tsv").read_text().splitlines()[1:]
]
LAYOUTS = {layout.context: layout for layout in language().layouts()}
LINES = {
    "virtual_ipaddress": "192.0.2.9/24",
    "virtual_routes": "198.51.100.0/24 no_track",
    "virtual_rules": "table 5 preference 1",
}


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 644


@pytest.mark.parametrize(("context", "word", "kind"), [row for row in ROWS if row[0] in LAYOUTS and row[1][0] != "("])
def test_each_word_is_known_where_it_belongs(context: str, word: str, kind: str) -> None:
    if not context and word.startswith("include"):
        assert word.removeprefix("include") in CHECKS
    elif context == "virtual_server_group":
        assert LAYOUTS[context].lines is not None
    else:
        entry = LAYOUTS[context].words[word]
        assert entry.opens is (kind in ("block", "list"))
        assert entry.keyword.help


@pytest.mark.parametrize(("context", "word", "kind"), [row for row in ROWS if row[0] in LINES])
def test_each_option_of_a_line_is_known(context: str, word: str, kind: str) -> None:
    known = {
        "virtual_ipaddress": {*address_words.FLAGS, *address_words.WITH_VALUE, "(address)"},
        "virtual_routes": {
            *route_words.ROUTE_OPTIONS,
            "(destination)",
            "inet",
            "inet6",
            "via",
            "gw",
            "or",
            "as",
            "encap",
            "nexthop",
        },
        "virtual_rules": {*route_words.RULE_OPTIONS, "inet", "inet6", "type"},
    }
    assert word in known[context]


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] not in LAYOUTS and row[0] not in LINES])
def test_no_row_is_left_out(row: tuple[str, str, str]) -> None:
    assert row[0] == "vrrp_track_file" or row[1] == "(entry)", row


def test_the_old_spelling_of_track_file_opens_the_same_block() -> None:
    top = LAYOUTS[""].words
    assert top["vrrp_track_file"].layout is top["track_file"].layout


def test_words_without_effect_are_counted() -> None:
    """Of keepalived's own; the number can only fall."""
    rows = {(context, word) for context, word, _ in ROWS}
    silent = {(context, word) for context, word, _, is_silent in words(language()) if is_silent} & rows
    assert len(silent) <= 41
    assert ("global_defs", "enable_traps") in silent
    assert ("vrrp_instance", "priority") not in silent


def test_the_readme_names_every_word_without_effect_and_no_other() -> None:
    rows = {(context, word) for context, word, _ in ROWS}
    silent = {word for context, word, _, is_silent in words(language()) if is_silent and (context, word) in rows}
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [named] = re.findall(r"without effect so far, with a note each \(([^)]+)\):\s([^.]+)\.", readme)
    assert sorted(re.findall(r"`(\w+)`", named[1])) == sorted(silent)
    assert re.findall(r"`(\w+)`", named[0]) == sorted(
        word for _, word in DECIDED if DECIDED[_, word].startswith("error")
    )


NOWHERE = "error: addresses and services would be those of another network namespace"
DECIDED = {
    ("", "net_namespace"): NOWHERE,
    ("", "net_namespace_ipvs"): "error: the virtual servers would be in the table of another network namespace",
    ("", "namespace_with_ipsets"): "note: it says something of net_namespace, which is refused",
    ("", "use_pid_dir"): "note: only the places of the pid files are others",
    ("", "instance"): "note: only the names of the pid files are others",
    ("global_defs", "config_save_dir"): "note: copies for people",
    ("global_defs", "tmp_config_directory"): "note: kad keeps no copy on the disk",
    ("global_defs", "data_use_instance"): "note: names of dumps",
    ("global_defs", "json_dump_file"): "note: dumps for people",
    ("global_defs", "json_version"): "note: dumps for people",
    ("global_defs", "state_dump_file"): "note: dumps for people",
    ("global_defs", "stats_dump_file"): "note: dumps for people",
    ("global_defs", "use_symlink_paths"): "note: kad runs every program by the path as written",
    ("global_defs", "random_seed"): "note: only the spread of the first checks is another",
    ("global_defs", "max_auto_priority"): "note: processor time, the service is the same",
    ("global_defs", "min_auto_priority_delay"): "note: processor time, the service is the same",
    ("global_defs", "vrrp_iptables"): "note: kad drops the same packets by nftables",
    ("global_defs", "vrrp_ipsets"): "note: kad drops the same packets by nftables",
    ("global_defs", "lvs_netlink_cmd_rcv_bufs"): "note: kad waits for each answer of IPVS",
    ("global_defs", "lvs_netlink_cmd_rcv_bufs_force"): "note: kad waits for each answer of IPVS",
    ("global_defs", "lvs_netlink_monitor_rcv_bufs"): "note: the ipvs process listens to no events",
    ("global_defs", "lvs_netlink_monitor_rcv_bufs_force"): "note: the ipvs process listens to no events",
    ("global_defs", "enable_dbus"): "note: management",
    ("global_defs", "dbus_service_name"): "note: management",
    ("global_defs", "dbus_no_interface_name"): "note: management",
    ("global_defs", "snmp_socket"): "note: management",
    ("global_defs", "enable_traps"): "note: management",
    ("global_defs", "enable_snmp_vrrp"): "note: management",
    ("global_defs", "enable_snmp_keepalived"): "note: management",
    ("global_defs", "enable_snmp_rfc"): "note: management",
    ("global_defs", "enable_snmp_rfcv2"): "note: management",
    ("global_defs", "enable_snmp_rfcv3"): "note: management",
    ("global_defs", "enable_snmp_checker"): "note: management",
    ("global_defs", "snmp_vs_stats_update_interval"): "note: management",
    ("global_defs", "snmp_rs_stats_update_interval"): "note: management",
    ("vrrp_instance", "debug"): "note: shown in dumps only",
    ("virtual_server", "snmp_name"): "note: management",
    ("virtual_server/real_server", "snmp_name"): "note: management",
}
"""Every keyword that kad only reads, and whether a file with it may run: is the service the one that the file says?"""
INSTANCE = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.9/24 }\n%s\n}\n"
SERVICE = "virtual_server 192.0.2.9 80 {\n%s\nreal_server 192.0.2.20 80 {\n%s\n}\n}\n"


def test_the_list_of_keywords_without_effect_is_whole() -> None:
    assert {(context, word) for context, word, _, is_silent in words(language()) if is_silent} == set(DECIDED)


@pytest.mark.parametrize(("context", "word"), DECIDED)
def test_a_keyword_without_effect_is_noted_or_refused(context: str, word: str) -> None:
    value = LAYOUTS[context].words[word].keyword.value
    takes = value is not None and value.least
    line = f"{word} {'1' if takes else ''}"
    match context:
        case "":
            text = line + "\n" + INSTANCE % ""
        case "global_defs":
            text = f"global_defs {{\n{line}\n}}\n" + INSTANCE % ""
        case "vrrp_instance":
            text = INSTANCE % line
        case "virtual_server":
            text = SERVICE % (line, "")
        case _:
            text = SERVICE % ("", line)
    severity, _, reason = DECIDED[context, word].partition(": ")
    analysis = judged(text)
    [found] = [one for one in analysis.diagnostics if "has no effect in kad yet" in one.text]
    assert found.severity == severity
    assert analysis.fatal is (severity == "error")
    if severity == "error":
        assert found.text == f"{word}: has no effect in kad yet; without it {reason}"
        # A reload that brings it is refused.
        assert to_message(analysis).fatal == 2


def test_a_word_without_effect_says_so_once() -> None:
    text = "global_defs {\n enable_traps\n enable_traps\n}\nvirtual_server 192.0.2.1 80 {\n snmp_name x\n}\n"
    notes = [finding for finding in said(judged(text)) if "no effect" in finding]
    assert notes == [
        "note 2 enable_traps: has no effect in kad yet",
        "note 6 snmp_name: has no effect in kad yet",
    ]
