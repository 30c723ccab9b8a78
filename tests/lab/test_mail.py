"""Alerts by mail, as a real SMTP server gets them, beside keepalived's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
WORDS = (
    "router_id NODE_A",
    "smtp_alert",
    "notification_email {\n root@example.org\n ops@example.org\n }",
    "notification_email_from kad@example.org",
    "smtp_helo_name node-a.example.org",
)


@contextlib.contextmanager
def sink(node: Node, host: str = "127.0.0.1", port: int = 25) -> Iterator[subprocess.Popen[bytes]]:
    """A mail server on the node."""
    words = (sys.executable, "-m", "tests.lab.mail_sink", host, str(port), "/run/mails")
    process = node.start(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def letters(node: Node) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in node.read_run("mails").splitlines()]
    except FileNotFoundError:
        return []


def subjects(node: Node) -> list[str]:
    return [letter["headers"]["Subject"] for letter in letters(node)]


def configured(*words: str, server: str = "127.0.0.1", **more: Any) -> str:
    return global_defs(*WORDS, f"smtp_server {server}", *words) + instance(priority=150, **more)


@pytest.mark.parametrize("program", BOTH)
def test_each_transition_is_told_once_in_the_words_of_keepalived(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    with sink(a):
        daemon = lab.start(program, a, configured())
        lab.hub.until(lambda: len(letters(a)) == 2, 8, lambda: f"two letters: {subjects(a)}")
        lab.link_down(a)
        lab.hub.until(lambda: len(letters(a)) == 3, 8, lambda: f"three letters: {subjects(a)}")
        assert sorted(subjects(a)) == [
            f"[NODE_A] VRRP Instance VI_1 - Entering {state} state" for state in ("BACKUP", "FAULT", "MASTER")
        ]
        for letter in letters(a):
            owning = "now" if "MASTER" in letter["headers"]["Subject"] else "no longer"
            assert letter["body"].splitlines()[0] == f"=> VRRP Instance is {owning} owning VRRP VIPs <="
            assert letter["sender"] == "kad@example.org"
            assert letter["recipients"] == ["root@example.org", "ops@example.org"]
            assert letter["headers"]["From"] == "kad@example.org"
            assert letter["headers"]["To"] == "root@example.org, ops@example.org"
            assert letter["headers"]["X-Mailer"].startswith("Keepalived")
            assert letter["helo"] == "node-a.example.org"
            if program == "kad":
                assert "Reason: " in letter["body"]
        if program == "kad":
            assert "Reason: interface eth0 is down\n" in letters(a)[2]["body"]
            assert daemon.stop() == 0
            assert subjects(a)[3:] == ["[NODE_A] VRRP Instance VI_1 - Stopping"]


@pytest.mark.parametrize("program", BOTH)
def test_a_group_is_told_beside_its_members_and_faults_only_where_wanted(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24")
    lab.link_down(a, "eth1")
    second = instance("VI_2", interface="eth1", vrid=52, addresses=("10.78.0.100/24",))
    group = "vrrp_sync_group G1 {\n group {\n VI_1\n VI_2\n }\n smtp_alert\n}\n"
    with sink(a):
        daemon = lab.start(program, a, configured("no_email_faults") + second + group)
        daemon.wait_log("(?i)entering FAULT state")
        lab.heal(a)
        lab.hub.until(lambda: len(letters(a)) == 6, 8, lambda: f"six letters: {subjects(a)}")
        expected = [
            f"[NODE_A] VRRP {who} - Entering {state} state"
            for who in ("Group G1", "Instance VI_1", "Instance VI_2")
            for state in ("BACKUP", "MASTER")
        ]
        assert sorted(subjects(a)) == expected
        [body] = [each["body"] for each in letters(a) if "Group G1 - Entering MASTER" in each["headers"]["Subject"]]
        assert body.splitlines()[0] == "=> All VRRP group instances are now in MASTER state <="


RECORD = """#!/bin/sh
echo "$KAD_PREVIOUS_STATE $KAD_STATE $KAD_PRIORITY: $KAD_REASON" >> /run/notified
"""


def test_programs_and_mail_arrive_once_each_in_order_with_the_reason(pair: Pair) -> None:
    lab, a, b = pair
    a.write("record.sh", RECORD, 0o755)
    a.run("cp", "/bin/sleep", "/run/server")
    server = a.start(("/run/server", "1000"))
    script = 'vrrp_script chk {\n script "killall -0 server"\n interval 1\n weight -60\n fall 2\n}\n'
    more = 'track_script {\n chk\n }\n notify "/etc/keepalived/record.sh"'
    with sink(a):
        lab.start_kad(a, script + configured(more=more))
        lab.wait_holder("10.77.0.100", a, seconds=8)
        lab.start_kad(b, global_defs() + instance(priority=100))
        lab.wire.wait_advert(node="a", priority=150, seconds=5)
        server.kill()
        server.wait()
        lab.wait_holder("10.77.0.100", b, seconds=8)
        server = a.start(("/run/server", "1000"))
        lab.wait_holder("10.77.0.100", a, seconds=8)
        lab.hub.until(lambda: len(letters(a)) == 4, 8, lambda: f"four letters: {subjects(a)}")
        lab.hub.never(lambda: len(letters(a)) > 4, 1, "a fifth letter")
        server.kill()
        server.wait()
    reasons = [
        "init",
        "no advert from anyone for [0-9.]+ s",
        "advert from 10.77.0.2 priority 100 > 90",
        "priority 150 > 100 of 10.77.0.2",
    ]
    changes = ["INIT BACKUP 150", "BACKUP MASTER 150", "MASTER BACKUP 90", "BACKUP MASTER 150"]
    notified = a.read_run("notified").splitlines()
    told = letters(a)
    assert len(notified) == len(told) == 4
    for change, reason, line, letter in zip(changes, reasons, notified, told, strict=True):
        assert re.fullmatch(f"{change}: {reason}", line)
        assert letter["headers"]["Subject"].endswith(f"Entering {change.split()[1]} state")
        assert re.search(f"^Reason: {reason}$", letter["body"], re.MULTILINE)


def test_an_instance_without_smtp_alert_is_not_told_of(pair: Pair) -> None:
    lab, a, _ = pair
    quiet = instance("VI_2", vrid=52, priority=150, addresses=("10.77.0.102/24",), more="smtp_alert off")
    with sink(a):
        lab.start_kad(a, configured() + quiet)
        lab.wait_holder("10.77.0.102", a, seconds=5)
        lab.hub.until(lambda: len(letters(a)) == 2, 5, lambda: f"two letters: {subjects(a)}")
        lab.hub.never(lambda: len(letters(a)) > 2, 1, "a third letter")
        assert all("VI_1" in subject for subject in subjects(a))


def test_ipv6_and_another_port(pair: Pair) -> None:
    lab, a, _ = pair
    a.set_sysctl("net.ipv6.conf.lo.disable_ipv6", "0")
    with sink(a, "::1", 2525):
        lab.start_kad(a, configured(server="::1 2525"))
        lab.hub.until(lambda: len(letters(a)) == 2, 8, lambda: f"two letters: {subjects(a)}")
        assert letters(a)[0]["peer"][0] == "::1"


def test_what_could_not_be_sent_is_sent_when_the_server_is_back_even_by_the_next_runner(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, configured())
    daemon.wait_log(r"mail alerts? could not be sent: 127.0.0.1 port 25: Connection refused; again in 5 s")
    lab.wait_holder("10.77.0.100", a, seconds=5)
    lab.link_down(a)
    daemon.wait_log("Entering FAULT STATE")
    os.kill(daemon.child("runner"), signal.SIGKILL)
    with sink(a):
        lab.hub.until(lambda: len(letters(a)) >= 3, 12, lambda: f"three letters: {subjects(a)}")
    assert subjects(a) == [
        f"[NODE_A] VRRP Instance VI_1 - Entering {state} state" for state in ("BACKUP", "MASTER", "FAULT")
    ]


def test_many_alerts_at_once_are_one_letter(pair: Pair) -> None:
    lab, a, _ = pair
    many = "".join(
        instance(f"VI_{number}", vrid=number, priority=150, addresses=(f"10.77.1.{number}/24",))
        for number in range(101, 141)
    )
    with sink(a):
        lab.start_kad(a, configured() + many)
        names = {"VI_1", *(f"VI_{number}" for number in range(101, 141))}

        def told() -> set[str]:
            said = "\n".join(f"{letter['headers']['Subject']}\n{letter['body']}" for letter in letters(a))
            return {name for name in names if f"VRRP Instance {name} - Entering MASTER state" in said}

        lab.hub.until(lambda: told() == names, 10, lambda: f"{names - told()} {subjects(a)}")
        assert len(letters(a)) <= 20
        gathered = [letter for letter in letters(a) if " alerts, the last: " in letter["headers"]["Subject"]]
        assert gathered
        assert "VRRP Instance VI_140 - Entering" in "".join(letter["body"] for letter in gathered)


def test_a_refused_recipient_is_said_and_the_others_are_told(pair: Pair) -> None:
    lab, a, _ = pair
    with sink(a):
        daemon = lab.start_kad(a, configured("notification_email {\n nobody@example.org\n }"))
        lab.hub.until(lambda: len(letters(a)) == 2, 8, lambda: f"two letters: {subjects(a)}")
        assert letters(a)[0]["recipients"] == ["root@example.org", "ops@example.org"]
        daemon.wait_log("nobody@example.org is refused: 550 there is nobody")
        assert daemon.dump("runner")["mail"]["letters_sent"] == 2


def test_a_server_that_never_answers_holds_nobody(pair: Pair) -> None:
    lab, a, _ = pair
    listening = a.start(
        (sys.executable, "-c", "import socket,time; s=socket.create_server(('127.0.0.1',25)); time.sleep(100)")
    )
    try:
        lab.hub.until(lambda: ":0019 " in (a.run("cat", "/proc/net/tcp").stdout), 5, "it listens")
        daemon = lab.start_kad(a, configured("smtp_connect_timeout 1"))
        lab.wait_holder("10.77.0.100", a, seconds=5)
        daemon.wait_log(r"mail alerts? could not be sent: .*timed out; again in 5 s")
        runner = daemon.child("runner")
        lab.link_down(a)
        daemon.wait_log("Entering FAULT STATE")
        assert daemon.stop(10) == 0
        assert not daemon.logged("killing the runner")
        assert runner not in a.processes()
    finally:
        listening.kill()
        listening.wait()


CHECKED = """
virtual_server 192.0.2.9 80 {
    delay_loop 0.2
    delay_before_retry 0.05
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.2 8080 {
        TCP_CHECK {
        }
    }
}
"""


def test_a_server_that_comes_and_goes_is_told_with_its_reason(pair: Pair) -> None:
    """A file without any instance: the letters need the runner all the same."""
    lab, a, b = pair
    listen = [sys.executable, "-m", "http.server", "8080", "--bind", "10.77.0.2", "--directory", "/run"]
    name = "[NODE_A] Realserver [10.77.0.2]:tcp:8080 of virtual server [192.0.2.9]:tcp:80"
    quiet = subprocess.DEVNULL
    with sink(a):
        lab.start_kad(a, global_defs(*WORDS[:1], *WORDS[2:], "smtp_server 127.0.0.1") + CHECKED)
        lab.hub.until(lambda: len(letters(a)) == 1, 8, "the letter that it is down")
        server = b.start(listen, stdout=quiet, stderr=quiet)
        lab.hub.until(lambda: len(letters(a)) == 2, 8, "the letter that it is up")
        server.kill()
        server.wait()
        lab.hub.until(lambda: len(letters(a)) == 3, 8, "the letter that it is down again")
        assert subjects(a) == [f"{name} - {word}" for word in ("DOWN", "UP", "DOWN")]
        for letter, word in zip(letters(a), ("failed", "succeed", "failed"), strict=True):
            assert letter["body"].splitlines()[0] == f"=> TCP CHECK {word} on service <="
        assert "Reason: TCP_CHECK [10.77.0.2]:tcp:8080: Connection refused\n" in letters(a)[0]["body"]
