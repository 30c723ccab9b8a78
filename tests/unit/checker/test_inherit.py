"""What checks take from above where they say nothing themselves, with keepalived's defaults."""

from __future__ import annotations

import pytest

from kad.checker.checker_slice import CheckerSlice
from kad.checker.checks.dns import DnsCheck
from kad.checker.checks.file import FileCheck
from kad.checker.checks.http import HttpCheck
from kad.checker.checks.misc import MiscCheck
from kad.checker.checks.ping import PingCheck
from kad.checker.checks.smtp import SmtpCheck
from kad.checker.checks.tcp import TcpCheck
from kad.checker.checks.udp import UdpCheck
from kad.model.checker import Regex, Tls, Url
from tests.config.test_model import judged, sliced

CA = "-----BEGIN CERTIFICATE-----\n"


def checked(checks: str, server: str = "", service: str = "", other: str = "") -> CheckerSlice:
    text = "virtual_server 192.0.2.9 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n"
    return sliced(f"{text}{service}\nreal_server 192.0.2.20 8080 {{\n{server}\n{checks}\n}}\n}}\n{other}", CheckerSlice)


def only(checks: str, server: str = "", service: str = "", other: str = "") -> object:
    (found,) = checked(checks, server, service, other).servers
    (check,) = found.checks
    return check


@pytest.mark.parametrize(
    ("name", "body", "retry", "before"),
    [
        ("TCP_CHECK", "", 1, 1.0),
        ("HTTP_GET", "url {\npath /\n}", 1, 3.0),
        ("SSL_GET", "url {\npath /\n}", 1, 3.0),
        ("SMTP_CHECK", "", 1, 1.0),
        ("DNS_CHECK", "", 3, 60.0),
        ("MISC_CHECK", "misc_path /bin/true", 0, 1.0),
        ("UDP_CHECK", "", 1, 1.0),
        ("PING_CHECK", "", 1, 1.0),
    ],
)
def test_each_checker_has_keepalived_s_defaults(name: str, body: str, retry: int, before: float) -> None:
    check = only(f"{name} {{\n{body}\n}}")
    timing = check.timing  # type: ignore[attr-defined]
    assert (timing.delay_loop, timing.retry, timing.delay_before_retry, timing.warmup) == (60.0, retry, before, 60.0)
    assert not timing.alpha
    assert timing.from_start is (name == "MISC_CHECK")


def test_the_nearest_word_counts() -> None:
    check = only(
        "TCP_CHECK {\nretry 5\nconnect_timeout 0.5\n}",
        server="delay_loop 7\nretry 6\nconnect_timeout 8",
        service="delay_loop 9\ndelay_before_retry 2\nwarmup 0\nalpha\nretry 7",
    )
    assert isinstance(check, TcpCheck)
    timing = check.timing
    assert (timing.delay_loop, timing.retry, timing.delay_before_retry, timing.warmup) == (7.0, 5, 2.0, 0.0)
    assert timing.alpha
    assert check.connection.timeout == 0.5


def test_a_dns_check_waits_delay_loop_before_a_retry_and_asks_for_the_root() -> None:
    check = only("DNS_CHECK {\n}", service="delay_loop 4")
    assert isinstance(check, DnsCheck)
    assert check.timing.delay_before_retry == 4.0
    assert check.question == b"\0\0\x06\0\x01"
    asked = only("DNS_CHECK {\ntype AAAA\nname www.example.org\n}")
    assert isinstance(asked, DnsCheck)
    assert asked.question == b"\x03www\x07example\x03org\0\0\x1c\0\x01"
    assert asked.connection.port == 8080


def test_where_a_check_connects_and_from_where() -> None:
    check = only("TCP_CHECK {\nconnect_ip 192.0.2.77\nconnect_port 9\nbindto 192.0.2.1\nbind_port 5\nfwmark 3\n}")
    assert isinstance(check, TcpCheck)
    found = check.connection
    assert (found.address, found.port, found.bindto, found.bind_port, found.fwmark) == (
        "192.0.2.77",
        9,
        "192.0.2.1",
        5,
        3,
    )


def test_a_source_of_the_other_family_is_not_used() -> None:
    check = only("TCP_CHECK {\nbindto 2001:db8::1\n}")
    assert isinstance(check, TcpCheck)
    assert check.connection.bindto is None


@pytest.mark.parametrize(
    ("url", "checker", "server", "service", "host"),
    [
        ("virtualhost u", "virtualhost c", "virtualhost r", "virtualhost v", "u"),
        ("", "virtualhost c", "virtualhost r", "virtualhost v", "c"),
        ("", "", "virtualhost r", "virtualhost v", "r"),
        ("", "", "", "virtualhost v", "v"),
        ("", "", "", "", "192.0.2.20:8080"),
        ("", "connect_ip 2001:db8::5", "", "", "[2001:db8::5]:8080"),
    ],
)
def test_the_host_header_comes_from_the_nearest_virtualhost(
    url: str, checker: str, server: str, service: str, host: str
) -> None:
    check = only(f"HTTP_GET {{\n{checker}\nurl {{\npath /\n{url}\n}}\n}}", server, service)
    assert isinstance(check, HttpCheck)
    assert check.urls[0].host == host
    assert check.urls[0].name is None


@pytest.mark.parametrize(
    ("words", "name"),
    [("", None), ("enable_sni", "v"), ("sni_name s", "s"), ("sni_name", "v"), ("enable_sni\nvirtualhost c", "c")],
)
def test_the_name_in_tls_is_sent_where_it_is_asked_for(words: str, name: str | None) -> None:
    check = only(f"SSL_GET {{\n{words}\nurl {{\npath /\n}}\n}}", service="virtualhost v")
    assert isinstance(check, HttpCheck)
    assert check.urls[0].name == name
    assert check.tls == Tls()


def test_a_url_says_what_must_come_back() -> None:
    url = """
        path /a
        digest 0123456789ABCDEF0123456789abcdef
        status_code 200 300-302
        status_code 404
        regex "a\\d+ b"
        regex_options caseless multiline
        regex_no_match
        regex_min_offset 3
        regex_max_offset 9
    """
    check = only(f"HTTP_GET {{\nhttp_protocol 1.0c\nfast_recovery\nurl {{\n{url}\n}}\nurl {{\npath /b\n}}\n}}")
    assert isinstance(check, HttpCheck)
    assert check.protocol == "1.0C"
    assert (check.timing.urls, check.timing.fast_recovery) == (2, True)
    assert check.urls[0] == Url(
        path="/a",
        host="192.0.2.20:8080",
        status=((200, 200), (300, 302), (404, 404)),
        digest="0123456789abcdef0123456789abcdef",
        regex=Regex(pattern="a\\d+ b", options=("caseless", "multiline"), no_match=True, first=3, last=9),
    )
    assert check.urls[1].status == ((200, 299),)


def test_kad_s_own_words_of_a_request() -> None:
    words = "basic_auth me my secret\nrequest_header X-One a b\nmethod HEAD"
    check = only(f"HTTP_GET {{\n{words}\nurl {{\npath /\nrequest_header x-one nearer\n}}\n}}")
    assert isinstance(check, HttpCheck)
    assert check.urls[0].method == "HEAD"
    headers = [(name, value.reveal()) for name, value in check.urls[0].headers]
    assert headers == [("x-one", "nearer"), ("Authorization", "Basic bWU6bXkgc2VjcmV0")]


def test_old_hosts_of_an_smtp_check_are_a_check_each() -> None:
    body = "helo_name me.example\nretry 4\nhost {\nconnect_port 25\n}\nhost {\nconnect_port 26\nretry 2\n}"
    (server,) = checked(f"SMTP_CHECK {{\n{body}\n}}").servers
    found = [check for check in server.checks if isinstance(check, SmtpCheck)]
    assert [(check.connection.port, check.timing.retry, check.helo_name) for check in found] == [
        (25, 4, "me.example"),
        (26, 2, "me.example"),
    ]


def test_programs_of_equal_checks_are_one_program() -> None:
    text = 'MISC_CHECK {\nmisc_path "/bin/true a"\nmisc_timeout 3\nmisc_dynamic\n}\n'
    slices = checked(text + text)
    one, two = slices.servers[0].checks
    assert isinstance(one, MiscCheck)
    assert isinstance(two, MiscCheck)
    assert (one.program, one.timeout, one.dynamic) == ("check:/bin/true a/misc_path", 3.0, True)
    assert (two.program, two.dynamic) == (one.program, False)


def test_a_probe_is_the_program_itself_where_that_is_asked() -> None:
    text = 'MISC_CHECK {\nmisc_path "killall -0 nginx"\nMORE\n}\n'
    slices = checked(text.replace("MORE", "") + text.replace("MORE", "native no"))
    native, itself = slices.servers[0].checks
    assert isinstance(native, MiscCheck)
    assert isinstance(itself, MiscCheck)
    assert (native.program, itself.program) == (
        "check:killall -0 nginx/misc_path",
        "check:killall -0 nginx itself/misc_path",
    )


def test_a_program_without_misc_timeout_has_delay_loop() -> None:
    check = only("MISC_CHECK {\nmisc_path /bin/true\nmisc_timeout 0\n}", service="delay_loop 8")
    assert isinstance(check, MiscCheck)
    assert check.timeout == 8.0


def test_what_a_datagram_holds_and_what_must_come_back() -> None:
    check = only("UDP_CHECK {\npayload 00 1 ff\nrequire_reply 0ax0\nmin_reply_length 2\nmax_reply_length 9\n}")
    assert isinstance(check, UdpCheck)
    assert check.payload == b"\x00\x01\xff"
    assert (check.require_reply, check.reply, check.mask) == (True, b"\x0a\x00", b"\xff\x0f")
    assert (check.min_reply_length, check.max_reply_length) == (2, 9)
    silent = only("UDP_CHECK {\n}")
    assert isinstance(silent, UdpCheck)
    assert (silent.require_reply, silent.max_reply_length) == (False, 255)


def test_pings_of_one_host_are_one_check_whatever_the_port() -> None:
    check = only("PING_CHECK {\n}")
    assert isinstance(check, PingCheck)
    assert check.connection.port == 0


def test_a_file_has_its_own_weight_or_that_of_the_track_file() -> None:
    track = "track_file f {\nfile /tmp/f\nweight 3\n}\n"
    assert only("FILE_CHECK {\ntrack_file f\n}", other=track) == FileCheck(name="f", weight=3)
    own = only("FILE_CHECK {\ntrack_file f\nweight -2 reverse\n}", other=track)
    assert own == FileCheck(name="f", weight=-2, reverse=True)


@pytest.mark.parametrize(("words", "homes"), [("", None), ("ha_suspend", ("192.0.2.9",))])
def test_ha_suspend_asks_for_the_address_of_the_service(words: str, homes: tuple[str, ...] | None) -> None:
    assert checked("TCP_CHECK {\n}", service=words).servers[0].while_local == homes


def test_a_group_is_suspended_while_none_of_its_addresses_is_here_and_a_mark_never() -> None:
    body = "ha_suspend\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 192.0.2.20 80 {\nTCP_CHECK {\n}\n}\n"
    text = f"virtual_server_group g {{\n192.0.2.5 80\n192.0.2.7-9 80\n}}\nvirtual_server group g {{\n{body}}}\n"
    text += f"virtual_server fwmark 3 {{\n{body.replace('protocol TCP', '')}}}\n"
    group, mark = sliced(text, CheckerSlice).servers
    assert group.while_local == ("192.0.2.5", "192.0.2.7-192.0.2.9")
    assert mark.while_local is None
    # The one is suspended and the other is not: they cannot share their check.
    assert group.checks != mark.checks


def test_a_server_without_port_is_asked_on_the_port_of_the_service() -> None:
    text = "virtual_server 192.0.2.9 443 {\nlb_algo rr\nlb_kind DR\nprotocol TCP\n"
    text += "real_server 192.0.2.20 {\nTCP_CHECK {\n}\n}\n}\n"
    (server,) = sliced(text, CheckerSlice).servers
    (check,) = server.checks
    assert isinstance(check, TcpCheck)
    assert check.connection.port == 443


def test_a_missing_authority_is_said_and_nothing_is_verified() -> None:
    text = "virtual_server 192.0.2.9 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 192.0.2.20 80 {\n"
    text += "SSL_GET {\nurl {\npath /\n}\n}\n}\n}\nSSL {\nca /nowhere/ca.pem\n}\n"
    found = [one.text for one in judged(text).diagnostics if "/nowhere/ca.pem" in one.text]
    assert found == ["/nowhere/ca.pem cannot be read: No such file or directory; it is ignored"]
    (server,) = sliced(text, CheckerSlice).servers
    (check,) = server.checks
    assert isinstance(check, HttpCheck)
    assert check.tls == Tls()
