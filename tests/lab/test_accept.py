"""A router that does not accept what is sent to its addresses: no answer from them, and neighbours find them still."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_ipv6 import speak_ipv6
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

OWN = ("fe80::1%eth0", "2001:db8::1")
VIPS = ("fe80::100%eth0", "2001:db8::100")


def answering(client: Node, addresses: tuple[str, ...]) -> set[str]:
    """Those of the addresses that answer a ping, asked all at once."""

    def answers(address: str) -> bool:
        words = ["ping", "-n", "-q", "-c", "3", "-i", "0.1", "-W", "0.3", address]
        with client.start(words, stdout=subprocess.DEVNULL) as ping:
            return ping.wait() == 0

    with ThreadPoolExecutor() as together:
        return {each for each, good in zip(addresses, together.map(answers, addresses), strict=True) if good}


def neighbours(client: Node) -> dict[str, str]:
    """The hardware addresses of those that answered a neighbour solicitation."""
    entries = client.ip("-6", "neigh", "show", "dev", "eth0")
    return {each["dst"]: each["lladdr"] for each in entries if "REACHABLE" in each["state"]}


SUBJECTS = [
    pytest.param("keepalived", (), "no_accept", id="keepalived"),
    pytest.param("kad", (), "no_accept", id="kad"),
    pytest.param("kad", ("nftables_ifindex", "vrrp_strict"), "", id="kad-ifindex-strict"),
]


@pytest.mark.parametrize(("program", "defs", "word"), SUBJECTS)
def test_addresses_of_ipv6_that_accept_nothing(
    pair: tuple[Lab, Node, Node], program: str, defs: tuple[str, ...], word: str
) -> None:
    lab, a, client = pair
    for number, node in enumerate((a, client), start=1):
        speak_ipv6(node, f"fe80::{number}/64", f"2001:db8::{number}/64")

    def text(word: str) -> str:
        return global_defs(*defs) + instance(addresses=("fe80::100/64", "2001:db8::100/64"), more=word)

    daemon = lab.start(program, a, text(word))
    for address in VIPS:
        lab.wait_holder(address.partition("%")[0], a, seconds=8)
    lab.hub.until(lambda: answering(client, OWN) == set(OWN), 3, "its own addresses answer")
    assert answering(client, VIPS) == set()
    # Asked who has them, it answers.
    (link,) = a.ip("link", "show", "eth0")
    known = neighbours(client)
    assert {address: known.get(address.partition("%")[0]) for address in VIPS} == dict.fromkeys(VIPS, link["address"])
    # Nothing leaves with such a source either.
    for target, source, answered in (("2001:db8::2", "2001:db8::1", 0), ("2001:db8::2", "2001:db8::100", 1)):
        assert a.ask("ping", "-n", "-c", "1", "-W", "0.3", "-I", source, target).returncode == answered
    if program == "kad":
        # keepalived 2.2.7 goes on with what it began with.
        daemon.reload(text("accept"))
        lab.hub.until(lambda: answering(client, VIPS) == set(VIPS), 3, "accepted now")
        daemon.reload(text(word))
        lab.hub.until(lambda: not answering(client, VIPS), 3, "not accepted again")
    assert daemon.stop() == 0
    assert a.run("nft", "list", "tables").stdout == ""
