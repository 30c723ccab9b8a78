"""What FIFO and mail words become, and what is said of halves of them."""

from __future__ import annotations

import msgspec
import pytest

from kad.config.analyzer import Analysis, Options, analyze
from kad.run.keywords import Fifo, Mailing, RunnerSlice
from kad.vrrp.keywords import VrrpSlice
from tests.config.hosts import FILE, a_host, judged, said

INSTANCE = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nMORE\nvirtual_ipaddress { 192.0.2.9/24 }\n}\n"


def text(*words: str, more: str = "") -> str:
    return "global_defs {\n" + "\n".join(words) + "\n}\n" + INSTANCE.replace("MORE", more)


def runner(analysis: Analysis) -> RunnerSlice:
    return msgspec.msgpack.decode(analysis.slices["runner"], type=RunnerSlice)


def vrrp(analysis: Analysis) -> VrrpSlice:
    return msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice)


def fifos(*words: str) -> tuple[Fifo, ...]:
    return runner(judged(text(*words))).fifos


def test_each_fifo_gets_the_events_of_its_sources_with_keepalived_s_mode() -> None:
    assert fifos("notify_fifo /run/all", "vrrp_notify_fifo /run/vrrp nobody nogroup", "lvs_notify_fifo /run/lvs") == (
        Fifo(path="/run/all", sources=("vrrp", "lvs"), mode=0o600),
        Fifo(path="/run/vrrp", sources=("vrrp",), mode=0o600, user="nobody", group="nogroup"),
        Fifo(path="/run/lvs", sources=("lvs",), mode=0o600),
    )


def test_script_user_owns_the_fifo_and_umask_masks_its_mode() -> None:
    [fifo] = fifos("notify_fifo /run/all", "script_user nobody", "umask 022")
    assert (fifo.user, fifo.mode) == ("nobody", 0o644)


def test_the_umask_of_the_command_line_goes_before_that_of_the_file() -> None:
    host = a_host(text("notify_fifo /run/all", "umask 0"))
    [fifo] = runner(analyze(FILE, host, Options(umask=0o137))).fifos
    assert fifo.mode == 0o640


def test_the_program_of_a_fifo() -> None:
    [fifo] = fifos("vrrp_notify_fifo /run/f", 'vrrp_notify_fifo_script "/bin/true one" nobody')
    assert fifo.script is not None
    assert (fifo.script.argv, fifo.script.user) == (("/bin/true", "one"), "nobody")


@pytest.mark.parametrize(
    ("words", "findings"),
    [
        (
            ("notify_fifo /run/f", "vrrp_notify_fifo /run/f"),
            ["warning 3 /run/f gets every event already; vrrp_notify_fifo is ignored"],
        ),
        (
            ("notify_fifo /run/f stranger",),
            ["warning 2 there is no user stranger on this host; it is ignored"],
        ),
    ],
)
def test_a_fifo_that_cannot_be_is_said(words: tuple[str, ...], findings: list[str]) -> None:
    assert said(judged(text(*words))) == findings


def test_a_program_without_a_fifo_is_said() -> None:
    findings = said(judged(text('notify_fifo_script "/bin/true"')))
    assert "note 2 notify_fifo_script has no notify_fifo to read" in findings


def test_lines_are_made_only_where_somebody_reads_them() -> None:
    assert not vrrp(judged(text("lvs_notify_fifo /run/f"))).feeds_fifo
    assert vrrp(judged(text("notify_fifo /run/f"))).feeds_fifo


def test_priorities_are_told_as_the_instance_says_else_its_group_else_the_globals() -> None:
    group = "vrrp_sync_group G {\ngroup {\nA\n}\nnotify_priority_changes\n}\n"

    def told(*words: str, more: str = "", grouped: bool = True) -> bool:
        [instance] = vrrp(judged(text(*words, more=more) + group * grouped)).instances
        return instance.notify_priority_changes

    assert told()
    assert not told(more="notify_priority_changes off")
    assert not told(grouped=False)
    assert told("vrrp_notify_priority_changes", grouped=False)
    assert told(more="notify_priority_changes", grouped=False)


MAIL = ("notification_email {\nroot@example.org ops@example.org\nThe Boss <boss@example.org>\n}",)


def mailing(*words: str) -> Mailing | None:
    return runner(judged(text(*words))).mailing


def test_mail_with_every_default() -> None:
    assert mailing(*MAIL, "smtp_server 192.0.2.25") == Mailing(
        server="192.0.2.25",
        port=25,
        timeout=30.0,
        helo="node1.example",
        sender="root@node1.example",
        recipients=("root@example.org", "ops@example.org", "The Boss <boss@example.org>"),
        router_id="node1.example",
        faults=True,
    )


def test_mail_with_every_word() -> None:
    words = ("smtp_server 2001:db8::25 2525", "smtp_connect_timeout 7", "smtp_helo_name me", "router_id R")
    assert mailing("notification_email {\na@b\n}", *words, "notification_email_from x@y", "no_email_faults") == Mailing(
        server="2001:db8::25",
        port=2525,
        timeout=7.0,
        helo="me",
        sender="x@y",
        recipients=("a@b",),
        router_id="R",
        faults=False,
    )


@pytest.mark.parametrize("server", ["[2001:db8::25]", "somebody@2001:db8::25"])
def test_the_server_is_found_in_what_stands_around_it(server: str) -> None:
    found = mailing(*MAIL, f"smtp_server {server}")
    assert found is not None
    assert found.server == "2001:db8::25"


def test_half_of_what_mail_takes_is_said() -> None:
    assert said(judged(text("notification_email {\na@b\n}"))) == [
        "note 3 no mail is sent without smtp_server -> add smtp_server HOST [PORT]"
    ]
    assert said(judged(text("smtp_server mail"))) == [
        "note 2 no mail is sent without notification_email -> add it with an address"
    ]
    assert mailing("smtp_server mail") is None


def test_smtp_alert_of_the_instance_goes_before_that_of_the_globals() -> None:
    def alerted(*words: str, more: str = "") -> bool:
        return vrrp(judged(text(*words, more=more))).instances[0].smtp_alert

    assert not alerted()
    assert alerted("smtp_alert")
    assert not alerted("smtp_alert", "smtp_alert_vrrp off")
    assert alerted("smtp_alert off", more="smtp_alert")
    assert not alerted("smtp_alert", more="smtp_alert off")
