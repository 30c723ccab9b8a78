"""Which macvlans and ipvlans come of use_vmac and its kin: names, MACs, addresses on them, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from kad.model.host import Host, Interface
from kad.model.vrrp import Filtering, VirtualDevice, VrrpInstance, VrrpSlice
from tests.config.hosts import a_host, judged, said

ADDRESS = "192.0.2.9/24"
MAC = "00:00:5e:00:01:33"
PLAIN = VirtualDevice(name="vrrp.51", base="eth0", mac=MAC)


def block(name: str, words: str, *, vrid: int = 51, addresses: Sequence[str] = (ADDRESS,)) -> str:
    held = "\n".join(addresses)
    common = f"interface eth0\nvirtual_router_id {vrid}\npriority 100\nversion 3\n"
    return f"vrrp_instance {name} {{\n{common}{words}\nvirtual_ipaddress {{\n{held}\n}}\n}}\n"


def sliced(text: str, host: Host | None = None) -> VrrpSlice:
    return msgspec.msgpack.decode(judged(text, host).slices["vrrp"], type=VrrpSlice)


def only(words: str, addresses: Sequence[str] = (ADDRESS,), defaults: str = "") -> VrrpInstance:
    (found,) = sliced(f"global_defs {{\n{defaults}\n}}\n" + block("A", words, addresses=addresses)).instances
    return found


def findings(words: str, text: str = "", host: Host | None = None) -> list[str]:
    """Without what is not about use_vmac and its kin."""
    return [each for each in said(judged(text or block("A", words), host)) if "advert_int" not in each]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("use_vmac", {}),
        ("use_vmac front", {"name": "front"}),
        ("use_vmac name group group 7", {"name": "group", "group": 7}),
        ("use_vmac 02:1:2:3:4:5 front", {"name": "front", "mac": "02:01:02:03:04:05"}),
        ("use_vmac 02:01:02:03:04", {"mac": "02:01:02:03:04:33"}),
        ("use_ipvlan", {"mac": None, "mode": "bridge"}),
        (
            "use_ipvlan ipv 192.0.2.4/24 vepa",
            {"name": "ipv", "mac": None, "mode": "vepa", "address": "192.0.2.4", "prefix": 24},
        ),
    ],
)
def test_the_device_of_an_instance(words: str, expected: dict[str, object]) -> None:
    found = only(words)
    assert found.device == msgspec.structs.replace(PLAIN, **expected)
    assert found.own_interface == found.speaks_on == found.hears_on == found.device.name
    assert found.virtual_addresses[0].device is None


def test_where_an_instance_speaks_and_hears() -> None:
    plain = only("")
    assert (plain.device, plain.speaks_on, plain.hears_on) == (None, "eth0", "eth0")
    by_base = only("use_vmac\nvmac_xmit_base")
    # What bears the virtual MAC reaches the macvlan alone.
    assert (by_base.speaks_on, by_base.hears_on, by_base.own_interface) == ("eth0", "vrrp.51", "vrrp.51")
    unicast = only("use_vmac\nvmac_xmit_base\nunicast_peer {\n192.0.2.3\n}")
    assert (unicast.speaks_on, unicast.hears_on, unicast.own_interface) == ("eth0", "eth0", "vrrp.51")
    assert only("use_ipvlan 192.0.2.4/24").source_address == "192.0.2.4"


def test_no_two_instances_get_the_same_name() -> None:
    six = block("C", "use_vmac", addresses=("fe80::9/64", "2001:db8::9/64"))
    other = block("B", "use_vmac").replace("eth0", "eth1")
    devices = [
        each.device for each in sliced(block("A", "use_vmac") + other + six + block("D", "use_vmac", vrid=52)).instances
    ]
    assert devices == [
        PLAIN,
        VirtualDevice(name="vrrp1.51", base="eth1", mac=MAC),
        VirtualDevice(name="vrrp6.51", base="eth0", family=6, mac="00:00:5e:00:02:33", ipv6=True),
        VirtualDevice(name="vrrp.52", base="eth0", mac="00:00:5e:00:01:34"),
    ]


def test_addresses_on_other_interfaces() -> None:
    addresses = (ADDRESS, "192.0.2.10 dev eth0", "198.51.100.9 dev eth1", "198.51.100.10 dev eth1 use_vmac")
    found = only("use_vmac", addresses)
    assert [each.device for each in found.virtual_addresses] == [None, None, "eth1", "vrrp1.51"]
    assert [each.name for each in found.devices] == ["vrrp.51", "vrrp1.51"]
    found = only("use_vmac_addr", addresses, "vmac_prefix v\nvmac_addr_prefix va")
    assert [each.device for each in found.virtual_addresses] == [None, "eth0", "va.51", "va.51"]
    assert found.devices == (VirtualDevice(name="va.51", base="eth1", mac=MAC),)


def test_a_device_knows_whether_it_may_get_ipv6() -> None:
    text = block("A", "use_vmac\nvirtual_ipaddress_excluded {\n2001:db8::9/64\n}")
    (found,) = sliced(text).instances
    assert found.device == msgspec.structs.replace(PLAIN, ipv6=True)


def a_host_with(text: str, name: str, kind: str, mac: str = "") -> Host:
    host = a_host(text)
    host.interfaces[name] = Interface(name=name, index=9, flags=0x1003, kind=kind, mac=mac)
    return host


def test_a_foreign_interface_keeps_its_name() -> None:
    def named(words: str, kind: str, mac: str = "") -> str:
        text = block("A", words)
        (found,) = sliced(text, a_host_with(text, "vrrp.51", kind, mac)).instances
        assert found.device is not None
        return found.device.name

    assert named("use_vmac", "veth") == "vrrp1.51"
    assert named("use_vmac", "macvlan", "02:00:00:00:00:01") == "vrrp1.51"
    # What an earlier life made, or an administrator for this very use.
    assert named("use_vmac", "macvlan", MAC) == "vrrp.51"
    assert named("use_vmac vrrp.51", "macvlan", "02:00:00:00:00:01") == "vrrp.51"
    assert named("use_vmac vrrp.51", "veth") == "vrrp1.51"


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        ("use_vmac eth1", "6 A: eth1 is the name of another interface; the device gets another name"),
        (
            "use_vmac a_name_too_long_for_linux",
            "6 use_vmac: a_name_too_long_for_linux cannot be the name of an interface; use_vmac goes without it",
        ),
        (
            "use_vmac 01:02:03:04:05:06",
            "6 use_vmac: 01:02:03:04:05:06 is a multicast address; use_vmac goes without it",
        ),
        (
            "use_vmac group nobody",
            "6 A: the group nobody is neither a number of 0..4294967295 nor in /etc/iproute2/group; it is ignored",
        ),
        (
            "strict_mode true\naccept\nuse_vmac 02:02:03:04:05:06",
            "8 A: strict mode needs the virtual MAC; it is used",
        ),
        (
            "strict_mode true\naccept\nuse_vmac\nvmac_xmit_base",
            "9 A: strict mode sends from the virtual MAC; vmac_xmit_base is ignored",
        ),
        (
            "use_vmac\ncheck_unicast_src\nunicast_peer {\n192.0.2.3\n}",
            "6 A: with unicast_peer adverts leave by the interface -> add vmac_xmit_base",
        ),
    ],
)
def test_what_is_wrong_is_said(words: str, finding: str) -> None:
    assert findings(words) == [f"warning {finding}"]
    (found,) = sliced(block("A", words)).instances
    assert found.device is not None
    if "strict" in words:
        assert (found.device.mac, found.speaks_on) == (MAC, "vrrp.51")


def test_strict_mode_says_that_it_is_silent() -> None:
    remedy = " is answered, not even ping -> "
    silent = "note 6 A: in strict mode a router that does not own its addresses is silent on them: nothing sent to "
    assert findings("strict_mode true") == [f"{silent}192.0.2.9{remedy}add accept"]
    assert findings("strict_mode true\naccept") == []
    assert findings("no_accept") == []
    two = block("A", "strict_mode true", addresses=(ADDRESS, "192.0.2.10/24")).replace("version 3", "version 2")
    assert findings("", two) == [
        f"{silent}192.0.2.9 and 1 more{remedy}leave out vrrp_strict, or use version 3 and add accept"
    ]
    refused = "warning 7 A: strict mode of version 2 accepts nothing (RFC 3768); accept is ignored"
    assert refused in findings("", two.replace("strict_mode true", "strict_mode true\naccept"))


def test_the_words_about_nftables() -> None:
    assert sliced(block("A", "")).filtering == Filtering()
    defaults = "global_defs {\nnftables mine\nnftables_priority -5\nnftables_ifindex\nnftables_counters\n}\n"
    expected = Filtering(table="mine", priority=-5, by_index=True, counters=True)
    assert sliced(defaults + block("A", "")).filtering == expected
