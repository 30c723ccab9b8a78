"""What FIFO and mail words become, and what is said of halves of them."""

from __future__ import annotations

import pytest

from kad.analyzer.process import Analysis, Options, analyze
from kad.checker.checker_slice import CheckerSlice
from kad.model import secret
from kad.model.ipvs import IpvsSlice
from kad.model.runner import Fifo, Mailing, RunnerSlice
from kad.model.vrrp import VrrpSlice
from tests.config.hosts import FILE, a_host, judged, said

INSTANCE = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nMORE\nvirtual_ipaddress { 192.0.2.9/24 }\n}\n"


def text(*words: str, more: str = "") -> str:
    return "global_defs {\n" + "\n".join(words) + "\n}\n" + INSTANCE.replace("MORE", more)


def runner(analysis: Analysis) -> RunnerSlice:
    return secret.decode(analysis.slices["runner"], RunnerSlice)


def checker(analysis: Analysis) -> CheckerSlice:
    return secret.decode(analysis.slices["checker"], CheckerSlice)


def vrrp(analysis: Analysis) -> VrrpSlice:
    return secret.decode(analysis.slices["vrrp"], VrrpSlice)


def fifos(*words: str) -> tuple[Fifo, ...]:
    return runner(judged(text(*words))).fifos


SERVICE = """virtual_server 192.0.2.9 80 {
 lb_algo rr
 lb_kind NAT
 protocol TCP
 quorum_up /bin/true
 MORE
 real_server 192.0.2.20 80 {
  notify_up /bin/true
  notify_down /bin/no-such-program
  SERVER
 }
}
"""
FIFOS = ("notify_fifo /run/all", "vrrp_notify_fifo /run/vrrp nobody nogroup", "lvs_notify_fifo /run/lvs")


def served(*words: str, more: str = "", server: str = "") -> str:
    """A file with a virtual server alone."""
    return "global_defs {\n" + "\n".join(words) + "\n}\n" + SERVICE.replace("MORE", more).replace("SERVER", server)


def ipvs(analysis: Analysis) -> IpvsSlice:
    return secret.decode(analysis.slices["ipvs"], IpvsSlice)


def test_each_fifo_gets_the_events_of_its_sources_with_keepalived_s_mode() -> None:
    every = Fifo(path="/run/all", sources=("vrrp", "lvs"), mode=0o600)
    of_vrrp = Fifo(path="/run/vrrp", sources=("vrrp",), mode=0o600, user="nobody", group="nogroup")
    of_ipvs = Fifo(path="/run/lvs", sources=("lvs",), mode=0o600)
    assert runner(judged(text(*FIFOS) + SERVICE.replace("MORE", "").replace("SERVER", ""))).fifos == (
        every,
        of_vrrp,
        of_ipvs,
    )
    assert fifos(*FIFOS) == (every, of_vrrp)
    assert runner(judged(served(*FIFOS))).fifos == (every, of_ipvs)


def test_a_file_without_instances_still_has_its_programs_and_outlets() -> None:
    analysis = judged(served())
    assert {program.id for program in runner(analysis).programs} == {
        "service:192.0.2.9 80/quorum_up",
        "service:192.0.2.9 80/192.0.2.20 80/notify_up",
    }
    [service] = ipvs(analysis).virtual_servers
    assert service.notifies == ("quorum_up",)
    assert service.real_servers[0].notifies == ("notify_up",)
    assert not ipvs(analysis).feeds_fifo
    assert ipvs(judged(served("lvs_notify_fifo /run/lvs"))).feeds_fifo
    assert not ipvs(judged(served("vrrp_notify_fifo /run/f"))).feeds_fifo


MAILED = ("smtp_server 192.0.2.1", "notification_email {\na@b\n}")


@pytest.mark.parametrize(
    ("words", "more", "server", "of_service", "of_server"),
    [
        ((), "", "", False, True),
        (("smtp_alert off",), "", "", False, False),
        (("smtp_alert",), "", "", True, True),
        (("smtp_alert", "smtp_alert_checker off"), "", "", False, False),
        (("smtp_alert off", "smtp_alert_checker"), "", "", True, True),
        (("smtp_alert_checker off",), "smtp_alert", "", True, False),
        (("smtp_alert_checker",), "", "smtp_alert off", True, False),
    ],
)
def test_who_is_told_of_by_mail(
    words: tuple[str, ...], more: str, server: str, of_service: bool, of_server: bool
) -> None:
    analysis = judged(served(*MAILED, *words, more=more, server=server))
    [service] = ipvs(analysis).virtual_servers
    assert (service.smtp_alert, service.real_servers[0].smtp_alert) == (of_service, of_server)
    [checked] = checker(analysis).servers
    name = "Realserver [192.0.2.20]:tcp:80 of virtual server [192.0.2.9]:tcp:80"
    assert checked.mailed_as == (name if of_server else "")


def test_nobody_is_told_of_by_mail_that_nobody_would_get() -> None:
    [service] = ipvs(judged(served("smtp_alert"))).virtual_servers
    assert not service.smtp_alert
    assert not service.real_servers[0].smtp_alert


def test_no_checker_emails_reaches_the_checker() -> None:
    assert checker(judged(served(*MAILED))).mails_each_check
    assert not checker(judged(served(*MAILED, "no_checker_emails"))).mails_each_check


def test_services_of_one_group_are_numbered_as_keepalived_does() -> None:
    group = "virtual_server_group G {\n192.0.2.9 80\n}\n"
    twice = SERVICE.replace("192.0.2.9 80", "group G").replace("MORE", "").replace("SERVER", "")
    services = ipvs(judged(group + twice + twice.replace("TCP", "UDP"))).virtual_servers
    assert [service.label for service in services] == ["[G]:0", "[G]:1"]


def test_a_server_is_named_with_the_port_that_it_has_in_the_table() -> None:
    direct = served(*MAILED).replace("lb_kind NAT", "lb_kind DR").replace("192.0.2.20 80", "192.0.2.20")
    [checked] = checker(judged(direct)).servers
    assert (checked.port, checked.mailed_as.split()[1]) == (80, "[192.0.2.20]:tcp:80")


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
