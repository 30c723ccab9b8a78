"""Virtual MACs: what bears them on the wire, who answers with them, and that the host is as it was afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from kad.linux.sockets.arp import gratuitous_arp
from tests.lab.client import Client
from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import PAIRS, global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
VIRTUAL_MAC = "00:00:5e:00:01:33"
"""RFC 9568 7.3, for VRID 51."""
Pair = tuple[Lab, Node, Node]
SETTINGS = ("eth0/arp_ignore", "eth0/arp_filter", "eth0/rp_filter", "all/rp_filter", "default/rp_filter")


def links(node: Node) -> dict[str, dict[str, Any]]:
    """Interfaces of the node beside its own, by name."""
    return {link["ifname"]: link for link in node.ip("-d", "link") if link["ifname"] not in ("lo", "eth0", "eth1")}


def stable(links: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Without the state that the kernel works out up to a second after the flags."""
    return {name: {key: value for key, value in link.items() if key != "operstate"} for name, link in links.items()}


def settings(node: Node, names: tuple[str, ...] = SETTINGS) -> dict[str, str]:
    """Values of net.ipv4.conf, by INTERFACE/NAME."""
    root = Path("/proc/sys/net/ipv4/conf")
    return {name: node.inside(lambda name=name: (root / name).read_text().strip()) for name in names}


def mac(node: Node) -> str:
    (link,) = node.ip("link", "show", "eth0")
    return str(link["address"])


def neighbour(client: Node, address: str = VIP) -> str:
    """The MAC that the client has for the address."""
    return str(client.ip("neigh", "show", address)[0]["lladdr"])


def ping(client: Node, address: str = VIP) -> bool:
    return client.ask("ping", "-c1", "-W1", address).returncode == 0


def on(node: Node, address: str = VIP) -> set[str]:
    """Interfaces of the node that have the address."""
    held = node.ip("addr", "show", "to", f"{address}/32")
    return {link["ifname"] for link in held if link.get("addr_info")}


@pytest.mark.parametrize(
    ("first", "second", "version"),
    [
        pytest.param("keepalived", "keepalived", 3, id="keepalived-keepalived-3"),
        pytest.param("keepalived", "kad", 2, id="keepalived-kad-2"),
        pytest.param("kad", "keepalived", 3, id="kad-keepalived-3"),
        pytest.param("kad", "kad", 3, id="kad-kad-3"),
    ],
)
def test_the_virtual_mac_goes_from_one_to_the_other(pair: Pair, first: str, second: str, version: int) -> None:
    lab, a, b = pair
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    words: dict[str, Any] = {"version": version, "advert_int": 1 if version == 2 else 0.1, "more": "use_vmac"}
    one = lab.start(first, a, router(priority=255, state="MASTER", **words))
    two = lab.start(second, b, router(priority=253, **words))
    lab.wait_holder(VIP, a, seconds=5)
    two.wait_log("Entering BACKUP STATE")
    assert ping(client)
    assert neighbour(client) == VIRTUAL_MAC or "keepalived" in (first, second)
    assert on(a) == {"vrrp.51"}
    lab.wire.wait_advert(node="a", seconds=3)
    begin = time.time()
    assert one.stop() == 0
    lab.wait_holder(VIP, b, seconds=3)
    lab.wire.wait_announcements(1, node="b", address=VIP, seconds=2, since=begin)
    assert {advert.mac for advert in lab.wire.adverts()} == {VIRTUAL_MAC}
    assert {seen.frame[6:12].hex(":") for seen in lab.wire.announcements(address=VIP)} == {VIRTUAL_MAC}
    assert lab.wire.adverts(node="a", priority=0)
    assert links(a) == {}
    assert ping(client)


@pytest.mark.parametrize(("first", "second"), PAIRS[1:3])
def test_ipv6_has_a_virtual_mac_of_its_own(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    client = lab.node("c", {"eth0": ""})
    for number, node in enumerate((a, b, client), 1):
        node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
        # An interface that is made later has no IPv6 unless its maker says so.
        node.set_sysctl("net.ipv6.conf.default.disable_ipv6", "1")
        node.run("ip", "addr", "add", f"fe80::{number}/64", "dev", "eth0", "nodad")
        node.run("ip", "addr", "add", f"2001:db8::{number}/64", "dev", "eth0", "nodad")
    address = "2001:db8::51"
    words: dict[str, Any] = {"addresses": ("fe80::51/64", f"{address}/64"), "more": "use_vmac"}
    one = lab.start(first, a, router(priority=150, **words))
    lab.wait_holder(address, a, seconds=5)
    lab.start(second, b, router(priority=100, **words)).wait_log("Entering BACKUP STATE")
    assert client.ask("ping", "-c1", "-W1", address).returncode == 0
    assert neighbour(client, address) == "00:00:5e:00:02:33"
    lab.stays(address, a, 0.5)
    begin = time.time()
    assert one.stop() == 0
    lab.wait_holder(address, b, seconds=3)
    lab.wire.wait_announcements(1, node="b", address=address, seconds=2, since=begin)
    assert {advert.mac for advert in lab.wire.adverts()} == {"00:00:5e:00:02:33"}
    assert {seen.sender for seen in lab.wire.announcements(address=address)} == {"00:00:5e:00:02:33"}
    # The macvlan has no address of its own, which both hosts and the base would answer for.
    assert {advert.source for advert in lab.wire.adverts(node="a")} & {seen["local"] for seen in addresses(a)}
    assert links(a) == {}


def addresses(node: Node) -> list[dict[str, Any]]:
    (interface,) = node.ip("addr", "show", "dev", "eth0")
    return list(interface["addr_info"])


@pytest.mark.parametrize(("first", "second"), PAIRS[1:3])
def test_adverts_by_the_base_bear_its_own_mac(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    more = "use_vmac vip51\n vmac_xmit_base"
    lab.start(first, a, router(priority=150, more=more))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start(second, b, router(priority=100, more=more)).wait_log("Entering BACKUP STATE")
    assert ping(client)
    assert neighbour(client) == VIRTUAL_MAC or "keepalived" in (first, second)
    lab.stays(VIP, a, 0.5)
    assert {advert.mac for advert in lab.wire.adverts()} == {mac(a)}
    assert on(a) == {"vip51"}
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=3)


def test_one_speaks_by_its_base_and_one_by_the_virtual_mac(pair: Pair) -> None:
    """The kernel hands what bears the MAC of a macvlan to that macvlan alone: it must be heard there."""
    lab, a, b = pair
    lab.start_keepalived(a, router(priority=150, more="use_vmac"))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=100, more="use_vmac\n vmac_xmit_base")).wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, 0.6)


@pytest.mark.timing
def test_a_planned_handover_loses_no_packet_and_no_neighbour(pair: Pair) -> None:
    lab, a, b = pair
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    one = lab.start_kad(a, router(priority=150, more="use_vmac"))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=100, more="use_vmac")).wait_log("Entering BACKUP STATE")
    assert ping(client)
    lab.wire.wait_advert(node="a", seconds=1)
    with Client(client, VIP) as pinging:
        begin = time.time()
        one.send(signal.SIGTERM)
        lab.wait_holder(VIP, b, seconds=3)
        one.wait_exit()
        lab.hub.never(lambda: False, 0.3, "the client goes on")
    # Its packets go where the advert came from, and what they are for is there before.
    assert pinging.result.lost(begin) <= 1
    assert neighbour(client) == VIRTUAL_MAC
    # It lets go at the advert of the other one, not 100 ms later: one MAC at two ports would be answered by either.
    (gone,) = [event for event in lab.moves(VIP, begin) if event.node == "a"]
    assert 0 < gone.time - lab.wire.adverts(node="b", since=begin)[0].time < 0.05


def test_what_another_router_announces_is_not_answered(pair: Pair) -> None:
    """At a handover a gratuitous ARP, which is a question, finds the old MASTER; its answer would bear the same MAC."""
    lab, a, b = pair
    lab.start_kad(a, router(more="use_vmac"))
    lab.wait_holder(VIP, a, seconds=5)
    with b.socket(socket.AF_PACKET, socket.SOCK_RAW) as tap:
        tap.bind(("eth0", 0x0806))
        tap.settimeout(2)
        tap.send(gratuitous_arp(bytes.fromhex(VIRTUAL_MAC.replace(":", "")), VIP))
        assert ping(b)
        replies = []
        while not replies:
            frame = tap.recv(2048)
            if frame[20:22] == b"\x00\x02":
                replies.append(frame[:6].hex(":"))
    assert replies == [mac(b)]


def test_the_host_is_as_it_was_before(pair: Pair) -> None:
    lab, a, _ = pair
    a.set_sysctl("net.ipv4.conf.all.rp_filter", "1")
    a.set_sysctl("net.ipv6.conf.default.disable_ipv6", "0")
    before = settings(a)
    daemon = lab.start_kad(a, router(more="use_vmac"))
    lab.wait_holder(VIP, a, seconds=5)
    assert settings(a) == {
        "eth0/arp_ignore": "1",
        "eth0/arp_filter": "1",
        "eth0/rp_filter": "1",
        "all/rp_filter": "0",
        "default/rp_filter": "1",
    }
    own = {"arp_ignore": "1", "accept_local": "1", "rp_filter": "0", "promote_secondaries": "1"}
    names = {f"vrrp.51/{name}": value for name, value in own.items()}
    assert settings(a, tuple(names)) == names
    assert a.run("cat", "/proc/sys/net/ipv6/conf/vrrp.51/disable_ipv6").stdout == "1\n"
    kind = links(a)["vrrp.51"]["linkinfo"]
    assert (kind["info_kind"], kind["info_data"]["mode"]) == ("macvlan", "private")
    kill(lab, daemon)
    # Killed whole, what it borrowed is still known to the next life.
    daemon.kill()
    assert on(a) == {"vrrp.51"}
    again = lab.start_kad(a, router())
    again.wait_log("Entering MASTER STATE")
    assert (links(a), settings(a), on(a)) == ({}, before, {"eth0"})
    assert again.stop() == 0


def kill(lab: Lab, daemon: Kad) -> None:
    """The vrrp child dies and is replaced, and no interface notices."""
    moment = time.time()
    old, before = daemon.child("vrrp"), stable(links(daemon.node))
    os.kill(old, signal.SIGKILL)
    lab.wire.wait_advert(node=daemon.node.name, seconds=2, since=moment + 0.001)
    assert daemon.child("vrrp") != old
    assert stable(links(daemon.node)) == before
    assert lab.moves(VIP, moment) == []
    assert not daemon.logged("Netlink reports|VMAC interface", since=moment)


def test_a_daemon_that_ends_with_its_child_leaves_nothing(pair: Pair) -> None:
    lab, a, b = pair
    lab.start_kad(b, router(priority=150, more="use_vmac"))
    lab.wait_holder(VIP, b, seconds=5)
    before = settings(a)
    daemon = lab.start_kad(a, router(more="use_vmac"), "--dont-respawn")
    daemon.wait_log("Entering BACKUP STATE")
    assert settings(a) != before
    os.kill(daemon.child("vrrp"), signal.SIGKILL)
    assert daemon.wait_exit(3) != 0
    assert (links(a), settings(a)) == ({}, before)
    assert a.run("nft", "list", "tables").stdout == ""


def test_what_somebody_removes_or_switches_off_comes_back(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(more="use_vmac"))
    daemon.wait_log("Entering MASTER STATE")
    moment = time.time()
    a.run("ip", "link", "del", "vrrp.51")
    daemon.wait_log("somebody removed vrrp.51: putting it right", since=moment)
    lab.hub.until(lambda: on(a) == {"vrrp.51"}, 2, "the address is back")
    lab.wire.wait_advert(node="a", seconds=1, since=time.time())
    a.run("ip", "link", "set", "vrrp.51", "down")
    daemon.wait_log("somebody switched off vrrp.51", since=moment)
    lab.hub.until(lambda: links(a)["vrrp.51"]["operstate"] == "UP", 2, "it is on again")
    assert {advert.mac for advert in lab.wire.adverts(since=moment)} == {VIRTUAL_MAC}
    assert not daemon.logged("Entering", since=moment)
    # With the card it goes, and with the card it comes.
    lab.remove_interface(a, "eth0")
    daemon.wait_log("Entering FAULT STATE", since=moment)
    lab.add_interface(a, "eth0", "10.77.0.1/24")
    lab.hub.until(lambda: on(a) == {"vrrp.51"}, 3, "MASTER again")


def test_a_reload_takes_the_virtual_mac_and_leaves_it(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    daemon.wait_log("Entering MASTER STATE")
    for more, place, bears in (("use_vmac", "vrrp.51", VIRTUAL_MAC), ("", "eth0", mac(a))):
        moment = daemon.reload(router(more=more))
        lab.hub.until(lambda place=place: on(a) == {place}, 3, f"{VIP} on {place}")

        def macs(moment: float = moment) -> list[str]:
            return [seen.frame[6:12].hex(":") for seen in lab.wire.announcements(since=moment)]

        # A second burst may be due before the reload is in force.
        lab.hub.until(lambda bears=bears, macs=macs: bears in macs(), 2, f"announced as {bears}")
        assert set(macs()[macs().index(bears) :]) == {bears}
        assert lab.wire.wait_advert(node="a", seconds=1, since=time.time()).mac == bears
        assert not daemon.logged("Entering", since=moment)
    lab.hub.until(lambda: links(a) == {}, 1, "the macvlan is gone")
    moment = daemon.reload(
        router(more="use_vmac") + instance("VI_2", vrid=52, addresses=("10.77.0.102",), more="use_vmac")
    )
    lab.wait_holder("10.77.0.102", a, seconds=3)
    moment = daemon.reload(router(more="use_vmac"))
    lab.hub.until(lambda: set(links(a)) == {"vrrp.51"}, 3, "only one is left")
    assert lab.wire.wait_advert(vrid=52, priority=0, seconds=1, since=moment).mac == "00:00:5e:00:01:34"


def test_addresses_elsewhere_get_a_virtual_mac_of_their_own(pair: Pair) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24", lan="other")
    addresses = ("10.77.0.100/24 dev eth0", "10.78.0.5/24 dev eth1", "10.78.0.6/24 dev eth1 use_vmac")
    text = router(addresses=addresses, more="use_vmac\n garp_extra_if 1")
    daemon = lab.start_kad(a, text)
    lab.wait_holder("10.78.0.6", a, seconds=5)
    assert [on(a, address) for address in (VIP, "10.78.0.5", "10.78.0.6")] == [{"vrrp.51"}, {"eth1"}, {"vrrp1.51"}]
    assert links(a)["vrrp1.51"]["address"] == VIRTUAL_MAC
    # Five at once, five after a second (garp_master_delay), and from then on one a second where it is asked for.
    lab.wire.wait_announcements(12, node="a", address="10.78.0.6", seconds=4)
    assert len(lab.wire.announcements(address="10.78.0.5")) == 10
    text = router(addresses=addresses, more="use_vmac\n use_vmac_addr")
    daemon.reload(text)
    lab.hub.until(lambda: on(a, "10.78.0.5") == {"vrrp1.51"}, 3, "the other address is there too")


def test_no_report_bears_the_virtual_mac(pair: Pair) -> None:
    """A BACKUP that joined a group would teach the switch that the virtual MAC is behind its port."""
    lab, a, b = pair
    lab.start_keepalived(b, router(priority=150, more="use_vmac"))
    lab.wait_holder(VIP, b, seconds=5)
    with a.socket(socket.AF_PACKET, socket.SOCK_RAW) as tap:
        tap.bind(("eth0", 0x0003))
        tap.setblocking(False)
        sent: list[bytes] = []

        def reports() -> list[bytes]:
            """IGMP that left the node."""
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame, (_, _, kind, _, _) = tap.recvfrom(2048)
                    if kind == socket.PACKET_OUTGOING:
                        sent.append(frame)
            return [frame for frame in sent if frame[12:14] == b"\x08\x00" and frame[23] == 2]

        lab.start_kad(a, router(more="use_vmac")).wait_log("Entering BACKUP STATE")
        # Each report is sent twice, at random moments of a second.
        lab.hub.until(lambda: len(reports()) >= 2, 4, "reports by the base")
        assert {frame[6:12].hex(":") for frame in sent} == {mac(a)}


def test_what_this_kernel_does_not_have_is_a_fault_with_a_reason(lab: Lab) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24"})
    daemon = lab.start_kad(a, router(more="use_ipvlan 10.77.0.4/24"))
    found = daemon.wait_log(r"Entering (FAULT|MASTER) STATE").text
    if "FAULT" in found:
        assert "cannot make vrrp.51: this kernel has no ipvlan" in found
    else:
        assert on(a) == {"vrrp.51"}
        assert lab.wire.wait_advert(node="a", seconds=1).source == "10.77.0.4"


def test_a_name_that_is_taken_is_a_fault_until_it_is_free(lab: Lab) -> None:
    a = lab.node("a", {"eth0": ""})
    daemon = lab.start_kad(a, router(interface="eth1", more="use_vmac shared"))
    daemon.wait_log("Entering FAULT STATE.*interface eth1 does not exist")
    a.run("ip", "link", "add", "shared", "type", "veth", "peer", "name", "other")
    lab.add_interface(a, "eth1", "10.77.0.1/24")
    daemon.wait_log("interface shared is there already, and it is no macvlan")
    a.run("ip", "link", "del", "shared")
    lab.hub.until(lambda: on(a) == {"shared"}, 3, "MASTER")


# accept mode


@pytest.mark.parametrize("program", ["keepalived", "kad"])
def test_no_accept_drops_what_is_for_the_address(lab: Lab, program: str) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24"})
    client = lab.node("c", {"eth0": "10.77.0.9/24"})
    silent, owned, plain = (f"10.77.0.{number}" for number in (101, 102, 103))
    text = global_defs()
    text += instance("VI_1", vrid=51, priority=150, addresses=(silent,), more="no_accept")
    text += instance("VI_2", vrid=52, priority=255, addresses=(owned,), more="no_accept")
    text += instance("VI_3", vrid=53, priority=150, addresses=(plain,))
    daemon = lab.start(program, a, text)
    for address in (silent, owned, plain):
        lab.wait_holder(address, a, seconds=5)
    lab.wire.wait_announcements(1, address=silent, seconds=2)
    assert (ping(client, owned), ping(client, plain)) == (True, True)
    assert client.ask("ping", "-c1", "-W0.3", silent).returncode != 0
    # It is found all the same: a MASTER answers ARP (RFC 9568 6.4.3).
    assert neighbour(client, silent)
    assert daemon.stop() == 0
    assert a.run("nft", "list", "tables").stdout == ""


def test_the_table_follows_the_addresses(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, "global_defs {\n nftables silence\n nftables_counters\n}\n" + instance(more="no_accept"))
    lab.wait_holder(VIP, a, seconds=5)
    assert "10.77.0.100" in rules(a, "silence")
    lab.start_keepalived(b, router(priority=200))
    lab.wait_holder(VIP, b, seconds=3)
    lab.hub.until(lambda: "10.77.0.100" not in rules(a, "silence"), 1, "only a MASTER is silent")
    lab.daemons[1].stop()
    lab.wait_holder(VIP, a, seconds=3)
    # Whoever takes something from the tables is noticed at once.
    whole = rules(a, "silence")
    assert not daemon.logged("nftables")
    for words in (
        ("flush", "ruleset"),
        ("delete", "table", "ip", "silence"),
        ("flush", "chain", "ip", "silence", "in"),
    ):
        a.run("nft", *words)
        lab.hub.until(lambda: rules(a, "silence") == whole, 2, lambda: daemon.log)
    assert len(daemon.logged("what nftables have in table ip silence: putting it back")) == 3
    assert [each["text"] for each in daemon.dump("events") if each["kind"] == "firewall"]
    a.run("nft", "add", "table", "ip", "other")
    a.run("nft", "delete", "element", "ip", "silence", "vips", "{ 10.77.0.100 }")
    a.run("nft", "delete", "table", "ip", "other")
    daemon.wait_log("what nftables have in table ip silence: back in 0.1 s")
    lab.hub.until(lambda: rules(a, "silence") == whole, 2, lambda: daemon.log)
    daemon.reload("global_defs {\n nftables silence\n}\n" + instance(more="no_accept", addresses=(VIP, "10.77.0.101")))
    lab.hub.until(lambda: "10.77.0.101" in rules(a, "silence"), 3, "the table is whole again")
    os.kill(daemon.child("vrrp"), signal.SIGKILL)
    lab.wire.wait_advert(node="a", seconds=2, since=time.time() + 0.05)
    assert "10.77.0.101" in rules(a, "silence")
    assert rules(a, "silence").count("saddr @vips") == 1
    daemon.reload(router())
    lab.hub.until(lambda: rules(a, "silence") == "", 3, "nobody needs it any more")


def rules(node: Node, table: str) -> str:
    return node.ask("nft", "list", "table", "ip", table).stdout


def test_strict_mode_says_that_it_is_silent(lab: Lab) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24"})
    daemon: Daemon = lab.start_kad(a, router(more="strict_mode true"))
    daemon.wait_log("nothing sent to 10.77.0.100 is answered, not even ping")
    lab.wait_holder(VIP, a, seconds=5)
    assert "10.77.0.100" in rules(a, "keepalived")
