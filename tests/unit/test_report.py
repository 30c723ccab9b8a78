"""keepalived's files, byte for byte where exporters read them; expected texts are what keepalived 2.2.7 wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kad.model import secret
from kad.model.secret import Secret
from kad.model.tracking import TrackItem
from kad.model.vrrp import Authentication, VirtualAddress, VrrpInstance
from kad.watchdog import keepalived_formats


def instance(**changes: Any) -> dict[str, Any]:
    """What the vrrp process tells about one router."""
    configured = VrrpInstance(
        name="VI_1",
        state="MASTER",
        interface="eth0",
        virtual_router_id=51,
        priority=110,
        authentication=Authentication(type="PASS", password=Secret("abcd")),
        virtual_addresses=(VirtualAddress(address="192.0.2.100", prefix=24, label="eth0:0"),),
        tracks=(TrackItem(kind="interface", name="lo", weight=5), TrackItem(kind="script", name="chk", weight=-20)),
        notifies=("notify_master", "notify"),
    )
    told = {
        "name": "VI_1",
        "state": "MASTER",
        "since": 1795402698.043076,
        "reason": "no advert for 3.55 s",
        "interface": "eth0",
        "virtual_router_id": 51,
        "version": 2,
        "priority": 110,
        "effective_priority": 115,
        "master_address": None,
        "master_priority": None,
        "last_master_priority": 0,
        "keepalived_routes": [],
        "keepalived_rules": [],
        "advertisement_interval": 1.0,
        "master_advertisement_interval": 1.0,
        "preempt": True,
        "preempt_delay": 0.0,
        "virtual_addresses": [
            {
                "address": "192.0.2.100",
                "prefix": 24,
                "device": "eth0",
                "scope": 0,
                "label": "eth0:0",
                "held": True,
            },
            {"address": "192.0.2.101", "prefix": 32, "device": None, "scope": 0, "label": None, "held": True},
        ],
        "excluded_addresses": [
            {"address": "2001:db8::1", "prefix": 64, "device": "eth0", "scope": 0, "label": None, "held": True}
        ],
        "tracks": [
            {"kind": "interface", "name": "lo", "weight": 5, "reverse": False, "value": 1},
            {"kind": "script", "name": "chk", "weight": -20, "reverse": False, "value": 1},
        ],
        "timers": {"skew_time": 0.550781, "master_down_interval": 3.550781, "next_in": 0.4},
        "statistics": {"advert_rcvd": 0, "advert_sent": 5, "become_master": 1, "release_master": 0},
        "discarded": {},
        "faults": [],
        "configuration": json.loads(secret.to_json(configured)),
    }
    return told | changes


def snapshot(*instances: dict[str, Any]) -> dict[str, Any]:
    return {"instances": list(instances), "groups": []}


RUNNER = {
    "programs": {"VI_1/notify_master": ["/usr/bin/true", "master"], "VI_1/notify": ["/usr/bin/true"]},
    "scripts": [
        {
            "name": "chk",
            "command": ["/usr/bin/true"],
            "interval": 1.0,
            "timeout": 1.0,
            "weight": -20,
            "rise": 1,
            "fall": 1,
            "counter": 1,
            "value": 1,
            "phase": "waiting",
        }
    ],
}

STATISTICS = """\
VRRP Instance: VI_1
  Advertisements:
    Received: 0
    Sent: 5
  Became master: 1
  Released master: 0
  Packet Errors:
    Length: 0
    TTL: 0
    Invalid Type: 0
    Advertisement Interval: 0
    Address List: 0
  Authentication Errors:
    Invalid Type: 0
    Type Mismatch: 0
    Failure: 0
  Priority Zero:
    Received: 0
    Sent: 0
"""

JSON_DATA = (
    r'[{"data":{"iname":"VI_1","dont_track_primary":0,"skip_check_adv_addr":0,"strict_mode":0,"vmac_ifname":"",'
    r'"ifp_ifname":"eth0","master_priority":0,"last_transition":1795402698.043076,"garp_delay":5,"garp_refresh":0,'
    r'"garp_rep":5,"garp_refresh_rep":1,"garp_lower_prio_delay":5,"garp_lower_prio_rep":5,"lower_prio_no_advert":0,'
    r'"higher_prio_send_advert":0,"vrid":51,"base_priority":110,"effective_priority":115,"vipset":true,'
    r'"promote_secondaries":false,"adver_int":1,"master_adver_int":1,"accept":1,"nopreempt":false,"preempt_delay":0,'
    r'"state":2,"wantstate":2,"version":2,"smtp_alert":false,"notify_deleted":false,'
    r'"script_master":"' + r"'\/usr\/bin\/true' 'master'" + r'","script":"' + r"'\/usr\/bin\/true'" + r'",'
    r'"vips":["192.0.2.100\/24 dev eth0 scope global label eth0:0 set","192.0.2.101 dev eth0 scope global set"],'
    r'"evips":["2001:db8::1\/64 dev eth0 scope global preferred_lft forever set"],"track_ifp":["lo"],'
    r'"track_script":["' + r"'\/usr\/bin\/true'" + r'"],"auth_type":1,"auth_data":"****"},"stats":{'
)


def test_statistics_are_keepalived_s_text() -> None:
    assert keepalived_formats.stats(snapshot(instance())) == STATISTICS


def test_json_is_keepalived_s_to_the_byte() -> None:
    text = keepalived_formats.json_dump(snapshot(instance()), RUNNER)
    assert text.startswith(JSON_DATA)
    [told] = json.loads(text)
    assert told["stats"]["advert_sent"] == 5
    assert told["stats"]["auth_ext_replay"] == 0
    assert len(told["stats"]) == 20


def test_json_version_2_is_an_object() -> None:
    told = json.loads(keepalived_formats.json_dump(snapshot(instance(), instance(name="VI_2")), version=2))
    assert list(told) == ["vrrp"]
    assert [entry["data"]["iname"] for entry in told["vrrp"]] == ["VI_1", "VI_2"]


def test_fractions_of_a_second_stay_and_states_are_numbers() -> None:
    changed = instance(
        version=3,
        state="BACKUP",
        advertisement_interval=0.5,
        master_advertisement_interval=0.25,
        last_master_priority=200,
        preempt=False,
    )
    [told] = json.loads(keepalived_formats.json_dump(snapshot(changed)))
    data = told["data"]
    assert (data["adver_int"], data["master_adver_int"], data["state"], data["nopreempt"]) == (0.5, 0.25, 1, True)
    assert data["master_priority"] == 200


@pytest.mark.parametrize(("state", "number"), [("INIT", 0), ("BACKUP", 1), ("MASTER", 2), ("FAULT", 3)])
def test_the_numbers_of_the_states(state: str, number: int) -> None:
    [told] = json.loads(keepalived_formats.json_dump(snapshot(instance(state=state))))
    assert told["data"]["state"] == number


def test_a_host_address_of_ipv6_is_deprecated_and_has_no_length() -> None:
    host = {"address": "2001:db8::1", "prefix": 128, "device": "eth0", "scope": 253, "label": None, "held": False}
    [told] = json.loads(keepalived_formats.json_dump(snapshot(instance(excluded_addresses=[host]))))
    assert told["data"]["evips"] == ["2001:db8::1 dev eth0 scope link deprecated"]


def test_data_has_the_lines_that_exporters_read() -> None:
    text = keepalived_formats.data(snapshot(instance()), RUNNER)
    for line in (
        "------< VRRP Topology >------",
        " VRRP Instance = VI_1",
        "   VRRP Version = 2",
        "   State = MASTER",
        "   Wantstate = MASTER",
        "   Last transition = 1795402698.043076 (Mon Nov 23 02:58:18.043076 2026 UTC)",
        "   Master down timer = 3550781 usecs",
        "   Interface = eth0",
        "   Gratuitous ARP delay = 5",
        "   Gratuitous ARP lower priority repeat = 5",
        "   Send advert after receive lower priority advert = true",
        "   Virtual Router ID = 51",
        "   Priority = 110",
        "   Effective priority = 115",
        "   Advert interval = 1 sec",
        "   Accept = enabled",
        "   Preempt = enabled",
        "   Authentication type = SIMPLE_PASSWORD",
        "   Password = ****",
        "   Virtual IP (2):",
        "     192.0.2.100/24 dev eth0 scope global label eth0:0 set",
        "   Tracked interfaces :",
        "     lo weight 5",
        "   Tracked scripts :",
        "     chk weight -20",
        "   Master state transition script = '/usr/bin/true' 'master'",
        "------< VRRP Scripts >------",
        " VRRP Script = chk",
        "   Command = '/usr/bin/true'",
        "   Status = GOOD",
        "   State = idle",
        "     VI_1, weight -20",
    ):
        assert line in text.splitlines(), line
    assert "abcd" not in text


def test_routes_and_rules_are_told_in_keepalived_s_words() -> None:
    route = "prepend 198.51.100.0/24 dev eth0 proto 18"
    told = instance(keepalived_routes=[route], keepalived_rules=["from 10.0.0.1 priority 16384 tos 0x0 lookup 7"])
    text = keepalived_formats.data(snapshot(told), RUNNER)
    assert f"   Virtual Routes :\n     {route}\n   Virtual Rules :\n     from 10.0.0.1 priority" in text
    written = keepalived_formats.json_dump(snapshot(told), RUNNER)
    assert '"vroutes":["prepend 198.51.100.0\\/24 dev eth0 proto 18"],"vrules":["from 10.0.0.1 priority' in written


@pytest.mark.parametrize(("state", "wanted"), [("INIT", 2), ("BACKUP", 1), ("MASTER", 2), ("FAULT", 3)])
def test_the_wanted_state_is_the_present_one_and_at_first_the_configured_one(state: str, wanted: int) -> None:
    [told] = json.loads(keepalived_formats.json_dump(snapshot(instance(state=state))))
    assert told["data"]["wantstate"] == wanted
    word = {1: "BACKUP", 2: "MASTER", 3: "FAULT"}[wanted]
    assert f"   Wantstate = {word}" in keepalived_formats.data(snapshot(instance(state=state))).splitlines()


def test_data_of_a_version_3_backup_names_its_master() -> None:
    backup = instance(
        version=3,
        state="BACKUP",
        advertisement_interval=0.5,
        master_advertisement_interval=0.25,
        master_address="192.0.2.2",
        last_master_priority=200,
    )
    lines = keepalived_formats.data(
        {"instances": [backup], "groups": [{"name": "G", "state": "BACKUP", "members": ["VI_1"]}]}
    )
    for line in (
        "   Sync group = G",
        "   Master router = 192.0.2.2",
        "   Master priority = 200",
        "   Master advert int = 0.25 sec",
        "   Master advert interval = 250 milli-sec",
        "   Advert interval = 500 milli-sec",
        " VRRP Sync Group = G, BACKUP",
        "     VI_1",
    ):
        assert line in lines.splitlines(), line
