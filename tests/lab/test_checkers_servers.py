"""Each checker against a server that somebody else wrote: nginx, aiosmtpd, dnsmasq, the kernel's ping, a program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node

pytestmark = pytest.mark.lab

CERTIFICATES = Path(__file__).parents[1] / "unit" / "checker" / "certificates"
SERVER = "10.77.0.2"
NGINX = """
worker_processes 1;
pid /run/nginx.pid;
error_log /run/nginx-error.log;
events {}
http {
    access_log /run/nginx-access.log;
    default_type text/plain;
    root /etc/keepalived/www;
    server { listen 80; listen [::]:80; location /private { auth_basic here; auth_basic_user_file passwd; } }
    server { listen 80; server_name other.example; return 404; }
    server { listen 81 proxy_protocol; location / { return 200 "$proxy_protocol_addr\\n"; } }
    server { listen 82; location / { ssi on; ssi_types text/plain; } }
    server {
        listen 443 ssl;
        server_name www.example;
        ssl_certificate /etc/keepalived/server.pem;
        ssl_certificate_key /etc/keepalived/server.pem;
        return 200 "named";
    }
    server {
        listen 443 ssl default_server;
        ssl_certificate /etc/keepalived/server.pem;
        ssl_certificate_key /etc/keepalived/server.pem;
        return 503;
    }
}
"""
SERVICE = """
virtual_server 192.0.2.9 80 {{
    delay_loop 0.3
    delay_before_retry 0.1
    warmup 0
    connect_timeout 2
    lb_algo rr
    lb_kind NAT
    protocol TCP
{service}
    real_server {address} {port} {{
{checks}
    }}
}}
{other}
"""


def configuration(checks: str, address: str = SERVER, port: int = 80, service: str = "", other: str = "") -> str:
    return SERVICE.format(checks=checks, address=address, port=port, service=service, other=other)


def server_of(kad: Kad) -> Any:
    (server,) = kad.dump("checker")["servers"]
    return server


Verdict = Callable[..., tuple[bool, str]]
Row = tuple[str, tuple[bool, str]]
"""A check, and what is to be said of the server: healthy, and words of the reason."""


@pytest.fixture
def verdict(pair: tuple[Lab, Node, Node]) -> Iterator[Verdict]:
    """Starts kad on the first node with these checks; whether the server is healthy at first, and why."""
    lab, client, _ = pair
    started: list[Kad] = []

    def ask(checks: str, **more: Any) -> tuple[bool, str]:
        kad = lab.start_kad(client, configuration(checks, **more))
        started.append(kad)
        kad.wait_log(r"real_server .* is (healthy|failed)")
        server = server_of(kad)
        return server["healthy"], server["checks"][0]["reason"]

    yield ask
    for kad in started:
        assert kad.stop() == 0


@pytest.fixture
def web(pair: tuple[Lab, Node, Node]) -> Node:
    """An nginx on the second node, plain and with TLS."""
    node = pair[2]
    folder = node.files / "etc" / "www"
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text("hello from nginx\n")
    (folder / "included.txt").write_text('<!--#echo var="DATE_GMT" --> one\n<!--#include file="index.html" -->')
    (folder / "private").mkdir(exist_ok=True)
    (folder / "private" / "index.html").write_text("secret")
    node.write("passwd", "me:{PLAIN}my secret\n")
    node.write("server.pem", (CERTIFICATES / "server.pem").read_text())
    node.write("nginx.conf", NGINX)
    node.run("nginx", "-c", "/etc/keepalived/nginx.conf")
    return node


def url(words: str) -> str:
    return "url {\n" + words + "\n}"


def http(words: str, urls: str = url("path /"), name: str = "HTTP_GET") -> str:
    return f"{name} {{\n{words}\n{urls}\n}}"


NGINX_CHECKS: list[Row] = [
    ("TCP_CHECK {\n}", (True, "connected")),
    ("TCP_CHECK {\nconnect_port 88\n}", (False, "Connection refused")),
    (http(""), (True, "HTTP status 200")),
    (http("http_protocol 1.1"), (True, "HTTP status 200")),
    (http("virtualhost other.example"), (False, "HTTP status 404")),
    (http("virtualhost other.example", url("path /\nstatus_code 400-404")), (True, "HTTP status 404")),
    (http("", url('path /\nregex "from NGINX$"\nregex_options caseless multiline')), (True, "regex matches")),
    (http("", url('path /\nregex "apache"')), (False, 'regex "apache" does not match; the body begins')),
    (http("", url("path /private/")), (False, "HTTP status 401")),
    (http("basic_auth me my secret", url("path /private/")), (True, "HTTP status 200")),
    (http("method HEAD"), (True, "HTTP status 200")),
    (http("connect_port 81\nproxy_protocol", url('path /\nregex "10.77.0.1"')), (True, "regex matches")),
    (http("connect_port 81\nproxy_protocol 2"), (True, "HTTP status 200")),
    (http("connect_port 81"), (False, "")),
    (
        http("connect_port 82\nhttp_protocol 1.1", url('path /included.txt\nregex "GMT one"')),
        (True, "regex matches"),
    ),
    (http("connect_port 443\nenable_sni\nvirtualhost www.example", name="SSL_GET"), (True, "HTTP status 200")),
    (http("connect_port 443", name="SSL_GET"), (False, "HTTP status 503")),
    (
        http("connect_port 443\nverify /etc/keepalived/authority.pem\nvirtualhost www.example", name="SSL_GET"),
        (True, "HTTP status 200"),
    ),
    (
        http("connect_port 443\nverify /etc/keepalived/other.pem", name="SSL_GET"),
        (False, "the certificate is not accepted: unable to get local issuer certificate"),
    ),
    (http("", name="SSL_GET"), (False, "TLS: ")),
    ("SMTP_CHECK {\n}", (False, "no greeting within 2 s")),
]


def test_nginx(web: Node, pair: tuple[Lab, Node, Node]) -> None:
    for name in ("authority.pem", "other.pem"):
        pair[1].write(name, (CERTIFICATES / name).read_text())
    assert_verdicts(pair, NGINX_CHECKS, 80)


def assert_verdicts(pair: tuple[Lab, Node, Node], rows: Sequence[Row], port: int) -> None:
    """Each row is a real server of its own; all are asked by one kad."""
    lab, client, _ = pair
    others = "".join(
        f"    real_server 10.77.1.{number} 80 {{\n{aimed(checks, port)}\n    }}\n"
        for number, (checks, _) in enumerate(rows, 1)
    )
    kad = lab.start_kad(client, configuration("TCP_CHECK {\n}", service=others))
    lab.hub.until(lambda: len(kad.logged("real_server .10.77.1.* is (healthy|failed)")) == len(rows), 10, kad.log)
    servers = {server["address"]: server for server in kad.dump("checker")["servers"]}
    wrong = []
    for number, (checks, (healthy, reason)) in enumerate(rows, 1):
        found = servers[f"10.77.1.{number}"]
        said = found["checks"][0]["reason"]
        if found["healthy"] is not healthy or reason not in said:
            wrong.append((checks, found["healthy"], said))
    assert wrong == []
    assert kad.stop() == 0


def aimed(checks: str, port: int) -> str:
    """The check, asking the server of these tests where it does not say whom."""
    head, _, rest = checks.partition("\n")
    return "\n".join(
        [head, f"connect_ip {SERVER}", *([] if "connect_port" in rest else [f"connect_port {port}"]), rest]
    )


def test_the_digest_of_genhash_is_that_of_the_check(web: Node, pair: tuple[Lab, Node, Node], verdict: Verdict) -> None:
    done = pair[1].kad("genhash", "-s", SERVER, "-p", "80", "-u", "/index.html")
    theirs = pair[1].run("genhash", "-s", SERVER, "-p", "80", "-u", "/index.html")
    assert done.stdout == theirs.stdout
    digest = done.stdout.strip()
    assert verdict(http("", url(f"path /index.html\ndigest {digest}"))) == (True, "HTTP status 200, digest matches")


def test_a_server_that_dies_is_failed_after_its_retries_and_returns(web: Node, pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    kad = lab.start_kad(client, configuration(http("retry 2")))
    kad.wait_log(r"real_server \[10.77.0.2\]:80 of virtual_server 192.0.2.9 80 is healthy: HTTP_GET")
    web.run("nginx", "-c", "/etc/keepalived/nginx.conf", "-s", "stop")
    line = kad.wait_log(r"real_server \[10.77.0.2\]:80 of .* is failed: HTTP_GET .*: Connection refused")
    assert kad.logged(r"HTTP_CHECK on service \[10.77.0.2\]:tcp:80 failed after 2 retries: Connection refused")
    web.run("nginx", "-c", "/etc/keepalived/nginx.conf")
    kad.wait_log(r"real_server \[10.77.0.2\]:80 of .* is healthy", since=line.time)
    assert kad.logged(r"Remote Web server \[10.77.0.2\]:tcp:80 succeed on service", line.time)
    assert kad.stop() == 0


def test_ipv6(web: Node, pair: tuple[Lab, Node, Node], verdict: Verdict) -> None:
    for node, address in ((pair[1], "fd77::1/64"), (web, "fd77::2/64")):
        node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
        node.run("ip", "-6", "addr", "add", address, "dev", "eth0", "nodad")
    checks = http("connect_ip fd77::2") + "\nPING_CHECK {\nconnect_ip fd77::2\n}"
    assert verdict(checks) == (True, "HTTP status 200")


def test_aiosmtpd(pair: tuple[Lab, Node, Node], verdict: Verdict) -> None:
    words = [sys.executable, "-m", "aiosmtpd", "-n", "-l", f"{SERVER}:25", "-c", "aiosmtpd.handlers.Sink"]
    mail = pair[2].start(words, stderr=subprocess.DEVNULL)
    wait_for_port(pair, 25)
    assert verdict("SMTP_CHECK {\nconnect_port 25\n}") == (True, "SMTP 250")
    mail.terminate()
    mail.wait()


DNSMASQ_CHECKS: list[Row] = [
    ("DNS_CHECK {\ntype A\nname www.example\n}", (True, "DNS NOERROR")),
    ("DNS_CHECK {\ntype A\nname elsewhere.test\n}", (False, "DNS REFUSED")),
    (
        "UDP_CHECK {\npayload 12 34 01 00 00 01 00 00 00 00 00 00 03 777777 07 6578616d706c65 00 00 01 00 01\n"
        "require_reply 1234 8x8x 0001 0001\nmin_reply_length 20\nmax_reply_length 60\n}",
        (True, "reply of 45 bytes"),
    ),
    ("UDP_CHECK {\nconnect_port 54\n}", (False, "Connection refused")),
    ("UDP_CHECK {\nrequire_reply\nconnect_timeout 0.5\n}", (False, "no reply within 0.5 s")),
]


@pytest.mark.skipif(shutil.which("dnsmasq") is None, reason="needs dnsmasq")
def test_dnsmasq(pair: tuple[Lab, Node, Node]) -> None:
    words = ["dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-a", SERVER, "-A", "/www.example/192.0.2.1", "-x", ""]
    names = pair[2].start([*words, "-u", "root"], stderr=subprocess.DEVNULL)
    wait_for_port(pair, 53)
    assert_verdicts(pair, DNSMASQ_CHECKS, 53)
    names.terminate()
    names.wait()


def wait_for_port(pair: tuple[Lab, Node, Node], port: int) -> None:
    lab, _, node = pair
    lab.hub.until(lambda: f":{port} " in node.run("ss", "-Hltn").stdout, 10, f"somebody listens on port {port}")


def test_a_fixed_source_port_is_free_again_for_each_attempt(web: Node, pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    kad = lab.start_kad(client, configuration("TCP_CHECK {\nbindto 10.77.0.1\nbind_port 999\nretry 0\n}"))

    def attempts() -> int:
        servers = kad.dump("checker")["servers"]
        return int(servers[0]["checks"][0]["attempts"]) if servers else 0

    kad.wait_log("real_server .* is healthy")
    lab.hub.until(lambda: attempts() >= 6, 10, "six attempts are made")
    assert not kad.logged("is failed")
    assert privileges(kad.child("checker")) == 1 << 10
    assert kad.stop() == 0


def test_ping(pair: tuple[Lab, Node, Node]) -> None:
    lab, client, other = pair
    kad = lab.start_kad(client, configuration("PING_CHECK {\nconnect_timeout 0.4\n}"))
    kad.wait_log("real_server .* is healthy: PING_CHECK .*: echo")
    lab.cut(other)
    line = kad.wait_log("real_server .* is failed: PING_CHECK .*: no echo within 0.4 s")
    lab.heal(other)
    kad.wait_log("real_server .* is healthy", since=line.time)
    assert kad.stop() == 0


def test_ping_where_the_kernel_s_ping_is_not_for_everybody(pair: tuple[Lab, Node, Node], verdict: Verdict) -> None:
    pair[1].set_sysctl("net.ipv4.ping_group_range", "1 0")
    assert verdict("PING_CHECK {\n}") == (True, "echo")


def test_a_program_decides_and_sets_the_weight(pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    client.write("says", "0")
    client.write("ask.sh", '#!/bin/bash\necho asked\nexit "$(cat /etc/keepalived/says)"\n', 0o755)
    text = configuration("MISC_CHECK {\nmisc_path /etc/keepalived/ask.sh\nmisc_dynamic\n}")
    kad = lab.start_kad(client, text)
    kad.wait_log("real_server .* is healthy: MISC_CHECK .*: exited with status 0: asked")
    assert server_of(kad)["weight"] is None
    client.write("says", "52")
    lab.hub.until(lambda: server_of(kad)["weight"] == 50, 5, "the weight is 50")
    client.write("says", "1")
    kad.wait_log("Misc check by .* failed: exited with status 1: asked")
    assert (server_of(kad)["healthy"], server_of(kad)["weight"]) == (False, None)
    assert kad.stop() == 0


def test_a_program_that_hangs_is_ended_and_not_started_twice(pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    script = "#!/bin/bash\necho $$ >>/run/started\ntrap '' TERM\nwhile :; do sleep 0.1; done\n"
    client.write("hang.sh", script, 0o755)
    text = configuration("MISC_CHECK {\nmisc_path /etc/keepalived/hang.sh\nmisc_timeout 1\n}")
    kad = lab.start_kad(client, text)
    line = kad.wait_log("real_server .* is failed: MISC_CHECK .*: the program timed out after 1 s")
    # Its time was over long before it was dead.
    assert line.time - kad.started < 4
    assert len(client.read_run("started").split()) == 1
    assert kad.stop() == 0


def test_a_mark_needs_a_privilege_that_a_reload_brings(web: Node, pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    client.run("ip", "rule", "add", "fwmark", "7", "prohibit")
    kad = lab.start_kad(client, configuration("TCP_CHECK {\n}"))
    kad.wait_log("real_server .* is healthy")
    first = kad.child("checker")
    assert privileges(first) == 0
    moment = kad.reload(configuration("TCP_CHECK {\nfwmark 7\nretry 0\n}"))
    kad.wait_log("checks now need CAP_NET_ADMIN, which this process gave up", since=moment)
    kad.wait_log("real_server .* is failed: TCP_CHECK .*: (Permission denied|.*unreachable|No route)", since=moment)
    second = kad.child("checker")
    assert second != first
    assert privileges(second) == 1 << 12
    assert kad.stop() == 0


def privileges(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapEff")).split()[1], 16)


def test_a_checker_that_dies_is_replaced_and_goes_on_with_its_verdicts(web: Node, pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    kad = lab.start_kad(client, configuration("TCP_CHECK {\nconnect_port 88\ndelay_loop 30\n}"))
    kad.wait_log("real_server .* is failed")
    before = server_of(kad)
    first = kad.child("checker")
    os.kill(first, signal.SIGKILL)
    lab.hub.until(lambda: _child(kad) not in (None, first), 5, "another checker runs")
    after = server_of(kad)
    assert (after["healthy"], after["known"], after["since"]) == (False, True, before["since"])
    assert after["checks"][0]["attempts"] == 0
    assert kad.stop() == 0


def _child(kad: Kad) -> int | None:
    try:
        return kad.child("checker")
    except LookupError:
        return None


def test_ha_suspend_follows_the_address(web: Node, pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    kad = lab.start_kad(client, configuration("TCP_CHECK {\n}", service="ha_suspend"))
    kad.wait_log("Startup complete")
    assert server_of(kad)["suspended"]
    client.run("ip", "addr", "add", "192.0.2.9/32", "dev", "lo")
    kad.wait_log("real_server .* is healthy: TCP_CHECK")
    client.run("ip", "addr", "del", "192.0.2.9/32", "dev", "lo")
    lab.hub.until(lambda: server_of(kad)["suspended"], 5, "the checks are suspended")
    assert server_of(kad)["healthy"]
    assert kad.stop() == 0


def test_a_tracked_file_moves_the_weight(pair: tuple[Lab, Node, Node]) -> None:
    lab, client, _ = pair
    client.write("number", "3\n")
    track = "track_file f {\nfile /etc/keepalived/number\nweight 2\n}\n"
    kad = lab.start_kad(client, configuration("FILE_CHECK {\ntrack_file f\n}", other=track))
    kad.wait_log("Startup complete")
    lab.hub.until(lambda: server_of(kad)["weight_change"] == 6, 5, "the weight is 6 more")
    client.write("number", "-5\n")
    lab.hub.until(lambda: server_of(kad)["weight_change"] == -10, 5, "the weight is 10 less")
    assert kad.stop() == 0
