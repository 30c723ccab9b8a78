"""Settings of the host that defeat a virtual server are noted, once each, and change no verdict."""

from __future__ import annotations

import pytest

from tests.config.hosts import a_host, judged, said


def service(kind: str, server: str, words: str = "", inside: str = "", address: str = "192.0.2.9") -> str:
    head = f"virtual_server {address} 80 {{\n lb_algo rr\n lb_kind {kind}\n protocol TCP\n{words}\n"
    return f"{head} real_server {server} 80 {{\n{inside}\n }}\n}}\n"


def notes(text: str, **settings: str) -> list[str]:
    more = {f"/proc/sys/net/{name.replace('__', '/')}": f"{value}\n" for name, value in settings.items()}
    analysis = judged(text, a_host(text, more=more))
    assert analysis.exit_code == 0
    return [finding.partition(" ")[2].partition(" ")[2] for finding in said(analysis) if "sysctl" in finding]


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        (
            service("NAT", "192.0.2.20"),
            {"ipv4__ip_forward": "0"},
            ["net.ipv4.ip_forward is 0: replies of NAT are not forwarded -> sysctl -w net.ipv4.ip_forward=1"],
        ),
        (service("NAT", "192.0.2.20"), {"ipv4__ip_forward": "1"}, []),
        (service("NAT", "192.0.2.20"), {}, []),
        (service("DR", "192.0.2.20"), {"ipv4__ip_forward": "0"}, []),
        (
            service("NAT", "2001:db8::20", address="2001:db8::9"),
            {"ipv6__conf__all__forwarding": "0"},
            [
                "net.ipv6.conf.all.forwarding is 0: replies of NAT are not forwarded"
                " -> sysctl -w net.ipv6.conf.all.forwarding=1"
            ],
        ),
        (
            service("NAT", "192.0.2.20") + service("NAT", "192.0.2.21", address="192.0.2.10"),
            {"ipv4__ip_forward": "0"},
            ["net.ipv4.ip_forward is 0: replies of NAT are not forwarded -> sysctl -w net.ipv4.ip_forward=1"],
        ),
        (
            service("DR", "192.0.2.20"),
            {"ipv4__vs__conntrack": "1"},
            [
                "net.ipv4.vs.conntrack is 1: connection tracking of IPVS sees half of each connection by DR"
                " -> sysctl -w net.ipv4.vs.conntrack=0"
            ],
        ),
        (
            service("DR", "192.0.2.20", inside="TCP_CHECK {\n}"),
            {"ipv4__vs__expire_nodest_conn": "0"},
            [
                "net.ipv4.vs.expire_nodest_conn is 0: clients of a server that is taken out wait until their"
                " connections time out -> sysctl -w net.ipv4.vs.expire_nodest_conn=1"
            ],
        ),
        (
            service("DR", "192.0.2.20", "inhibit_on_failure", "TCP_CHECK {\n}"),
            {"ipv4__vs__expire_nodest_conn": "0"},
            [],
        ),
        (service("DR", "192.0.2.20"), {"ipv4__vs__expire_nodest_conn": "0"}, []),
        (
            service("DR", "192.0.2.20", "persistence_timeout 50"),
            {"ipv4__vs__expire_quiescent_template": "0"},
            [
                "net.ipv4.vs.expire_quiescent_template is 0: persistent clients of a server that is drained or"
                " inhibited still reach it -> sysctl -w net.ipv4.vs.expire_quiescent_template=1"
            ],
        ),
        (
            service("DR", "192.0.2.2"),
            {"ipv4__conf__all__arp_ignore": "0", "ipv4__conf__all__arp_announce": "2"},
            [
                "net.ipv4.conf.all.arp_ignore is 0: this host is the real server 192.0.2.2, and answers ARP for the"
                " address of the service -> sysctl -w net.ipv4.conf.all.arp_ignore=1"
            ],
        ),
        (service("DR", "192.0.2.20"), {"ipv4__conf__all__arp_ignore": "0"}, []),
        (
            service("TUN", "192.0.2.2"),
            {"ipv4__conf__tunl0__rp_filter": "1", "ipv4__conf__all__rp_filter": "2"},
            [
                "net.ipv4.conf.tunl0.rp_filter is 1: this host is the real server 192.0.2.2, and drops what is"
                " tunnelled -> sysctl -w net.ipv4.conf.tunl0.rp_filter=0"
            ],
        ),
    ],
)
def test_a_setting_that_defeats_a_service_is_noted(text: str, settings: dict[str, str], expected: list[str]) -> None:
    assert notes(text, **settings) == expected
