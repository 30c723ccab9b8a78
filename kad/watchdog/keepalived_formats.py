"""What the vrrp process tells about itself, in the file formats that keepalived's exporters and operators read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Plain = Mapping[str, Any]

_STATES = {"INIT": 0, "BACKUP": 1, "MASTER": 2, "FAULT": 3}
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_SCRIPT_KEYS = {
    "notify_backup": "script_backup",
    "notify_master": "script_master",
    "notify_fault": "script_fault",
    "notify_stop": "script_stop",
    "notify_deleted": "script_deleted",
    "notify_master_rx_lower_pri": "script_master_rx_lower_pri",
    "notify": "script",
}
_SCRIPT_TITLES = {
    "notify_backup": "Backup state transition script",
    "notify_master": "Master state transition script",
    "notify_fault": "Fault state transition script",
    "notify_stop": "Stop state transition script",
    "notify_deleted": "Deleted state transition script",
    "notify_master_rx_lower_pri": "Master rx lower pri script",
    "notify": "Generic state transition script",
}
_STATISTICS = (
    "advert_rcvd",
    "advert_sent",
    "become_master",
    "release_master",
    "packet_len_err",
    "advert_interval_err",
    "ip_ttl_err",
    "invalid_type_rcvd",
    "addr_list_err",
    "invalid_authtype",
    "authtype_mismatch",
    "auth_failure",
    "auth_ext_missing",
    "auth_ext_malformed",
    "auth_ext_unknown_key",
    "auth_ext_invalid_hmac",
    "auth_ext_stale",
    "auth_ext_replay",
    "pri_zero_rcvd",
    "pri_zero_sent",
)
_STATISTICS_TEXT = """\
VRRP Instance: {name}
  Advertisements:
    Received: {advert_rcvd}
    Sent: {advert_sent}
  Became master: {become_master}
  Released master: {release_master}
  Packet Errors:
    Length: {packet_len_err}
    TTL: {ip_ttl_err}
    Invalid Type: {invalid_type_rcvd}
    Advertisement Interval: {advert_interval_err}
    Address List: {addr_list_err}
  Authentication Errors:
    Invalid Type: {invalid_authtype}
    Type Mismatch: {authtype_mismatch}
    Failure: {auth_failure}
  Priority Zero:
    Received: {pri_zero_rcvd}
    Sent: {pri_zero_sent}
"""


def json_dump(vrrp: Plain, runner: Plain | None = None, version: int = 1) -> str:
    """keepalived.json: version 1 an array of instances, version 2 an object that holds it as "vrrp"."""
    commands = _commands(runner)
    instances = [
        {"data": _json_data(instance, commands), "stats": _statistics(instance)}
        for instance in vrrp.get("instances", [])
    ]
    whole: object = instances if version == 1 else {"vrrp": instances}
    return json.dumps(whole, separators=(",", ":")).replace("/", "\\/") + "\n"


def stats(vrrp: Plain) -> str:
    """keepalived.stats."""
    return "".join(
        _STATISTICS_TEXT.format(name=instance["name"], **_statistics(instance))
        for instance in vrrp.get("instances", [])
    )


def data(vrrp: Plain, runner: Plain | None = None) -> str:
    """keepalived.data: what exporters read of it."""
    commands = _commands(runner)
    lines = ["------< VRRP Topology >------"]
    for instance in vrrp.get("instances", []):
        lines += _data_lines(instance, commands, vrrp.get("groups", []))
    scripts = (runner or {}).get("scripts", [])
    if scripts:
        lines.append("------< VRRP Scripts >------")
    for script in scripts:
        lines += _script_lines(script, vrrp.get("instances", []))
    groups = vrrp.get("groups", [])
    if groups:
        lines.append("------< VRRP Sync groups >------")
    for group in groups:
        lines += _group_lines(group, commands)
    return "\n".join(lines) + "\n"


def _json_data(instance: Plain, commands: Mapping[str, str]) -> dict[str, object]:
    """Keys and types are keepalived's: some flags are numbers, others booleans."""
    configured = instance["configuration"]
    announcing, device = configured["announcing"], configured.get("device")
    told: dict[str, object] = {
        "iname": instance["name"],
        "dont_track_primary": int(not configured["track_primary"]),
        "skip_check_adv_addr": int(configured["skip_check_adv_addr"]),
        "strict_mode": int(configured["strict"]),
        "vmac_ifname": device["name"] if device else "",
        "ifp_ifname": device["name"] if device else instance["interface"],
        "master_priority": instance["last_master_priority"],
        "last_transition": round(instance["since"], 6),
        "garp_delay": _number(announcing["master_delay"]),
        "garp_refresh": _number(announcing["master_refresh"]),
        "garp_rep": announcing["master_repeat"],
        "garp_refresh_rep": announcing["master_refresh_repeat"],
        "garp_lower_prio_delay": _number(announcing["lower_prio_delay"]),
        "garp_lower_prio_rep": announcing["lower_prio_repeat"],
        "lower_prio_no_advert": int(configured["lower_prio_no_advert"]),
        "higher_prio_send_advert": int(configured["higher_prio_send_advert"]),
        "vrid": instance["virtual_router_id"],
        "base_priority": instance["priority"],
        "effective_priority": instance["effective_priority"],
        "vipset": any(address.get("held") for address in _addresses(instance)),
        "promote_secondaries": configured["promote_secondaries"],
        "adver_int": _number(instance["advertisement_interval"]),
        "master_adver_int": _number(_master_interval(instance)),
        "accept": int(configured["accept"]),
        "nopreempt": not instance["preempt"],
        "preempt_delay": _number(instance["preempt_delay"]),
        "state": _STATES.get(instance["state"], 0),
        "wantstate": _STATES[_wanted_state(instance)],
        "version": instance["version"],
        "smtp_alert": configured["smtp_alert"],
        "notify_deleted": configured["notify_deleted"],
    }
    for keyword, key in _SCRIPT_KEYS.items():
        if command := commands.get(f"{instance['name']}/{keyword}"):
            told[key] = command
    lists = {
        "vips": [_address(address, instance) for address in instance["virtual_addresses"]],
        "evips": [_address(address, instance) for address in instance["excluded_addresses"]],
        "vroutes": instance["keepalived_routes"],
        "vrules": instance["keepalived_rules"],
        "track_ifp": _tracked(instance, "interface"),
        "track_script": [commands.get(f"script:{name}/script", name) for name in _tracked(instance, "script")],
        "track_process": _tracked(instance, "process"),
    }
    told.update({key: entries for key, entries in lists.items() if entries})
    authentication = configured.get("authentication")
    told["auth_type"] = {"PASS": 1, "AH": 2}[authentication["type"]] if authentication else 0
    if authentication:
        told["auth_data"] = _masked(authentication)
    return told


def _data_lines(instance: Plain, commands: Mapping[str, str], groups: Sequence[Plain]) -> Iterator[str]:
    configured = instance["configuration"]
    yield f" VRRP Instance = {instance['name']}"
    yield from _indented(_state_lines(instance, groups))
    yield from _indented(_announcing_lines(configured["announcing"]))
    yield from _indented(_protocol_lines(instance))
    yield from _indented(_address_lines(instance))
    for kind, title in (("interface", "interfaces"), ("script", "scripts"), ("process", "processes")):
        tracks = [track for track in instance["tracks"] if track["kind"] == kind]
        if tracks:
            yield f"   Tracked {title} :"
            yield from (
                f"     {track['name']} weight {track['weight']}{' reverse' * track['reverse']}" for track in tracks
            )
    yield f"   Using smtp notification = {_word(configured['smtp_alert'])}"
    yield f"   Notify deleted = {'Deleted' if configured['notify_deleted'] else 'Fault'}"
    yield from _indented(_notify_lines(instance["name"], commands))
    yield f"   Notify priority changes = {_truth(configured['notify_priority_changes'])}"


def _state_lines(instance: Plain, groups: Sequence[Plain]) -> Iterator[str]:
    yield f"VRRP Version = {instance['version']}"
    yield from (f"Sync group = {group['name']}" for group in groups if instance["name"] in group["members"])
    yield f"State = {instance['state']}"
    if instance["state"] == "BACKUP" and instance.get("master_address"):
        yield f"Master router = {instance['master_address']}"
        yield f"Master priority = {instance['last_master_priority']}"
        if instance["version"] == 3:
            yield f"Master advert int = {_master_interval(instance):.2f} sec"
    yield f"Wantstate = {_wanted_state(instance)}"
    faults = instance.get("faults", [])
    yield f"Number of interface and track script faults = {len(faults)}"
    yield from (f"Fault = {fault}" for fault in faults)
    moment = datetime.fromtimestamp(instance["since"], UTC).strftime("%a %b %d %H:%M:%S.%f %Y UTC")
    yield f"Last transition = {instance['since']:.6f} ({moment})"
    yield f"Last transition reason = {instance['reason']}"
    down = instance["timers"].get("master_down_interval")
    if down is not None:
        yield f"Master down timer = {round(down * 1e6)} usecs"
    device = instance["configuration"].get("device")
    if device:
        by_base = str(instance["configuration"].get("transmits_by_base", False)).lower()
        yield f"Use VMAC, i/f name {device['name']}, xmit_base = {by_base}"
        yield f"Interface = {device['name']}, vmac on {device['base']}"
    elif instance["interface"]:
        yield f"Interface = {instance['interface']}"


def _wanted_state(instance: Plain) -> str:
    """What keepalived calls so: the state that it has, before it has one that of the configuration."""
    state = str(instance["state"])
    return state if state in ("MASTER", "BACKUP", "FAULT") else str(instance["configuration"]["state"])


def _announcing_lines(announcing: Plain) -> Iterator[str]:
    yield f"Gratuitous ARP delay = {_number(announcing['master_delay'])}"
    yield f"Gratuitous ARP repeat = {announcing['master_repeat']}"
    yield f"Gratuitous ARP refresh = {_number(announcing['master_refresh'])}"
    yield f"Gratuitous ARP refresh repeat = {announcing['master_refresh_repeat']}"
    yield f"Gratuitous ARP lower priority delay = {_number(announcing['lower_prio_delay'])}"
    yield f"Gratuitous ARP lower priority repeat = {announcing['lower_prio_repeat']}"


def _protocol_lines(instance: Plain) -> Iterator[str]:
    configured = instance["configuration"]
    yield f"Down timer adverts = {configured['down_timer_adverts']}"
    yield f"Send advert after receive lower priority advert = {_truth(not configured['lower_prio_no_advert'])}"
    yield f"Send advert after receive higher priority advert = {_truth(configured['higher_prio_send_advert'])}"
    yield f"Virtual Router ID = {instance['virtual_router_id']}"
    yield f"Priority = {instance['priority']}"
    yield f"Effective priority = {instance['effective_priority']}"
    interval = instance["advertisement_interval"]
    yield (
        f"Advert interval = {_number(interval)} sec"
        if instance["version"] == 2
        else (f"Advert interval = {round(interval * 1000)} milli-sec")
    )
    if instance["version"] == 3 and instance["state"] == "BACKUP":
        yield f"Master advert interval = {round(_master_interval(instance) * 1000)} milli-sec"
    yield f"Accept = {_ability(configured['accept'])}"
    yield f"Preempt = {_ability(instance['preempt'])}"
    if instance["preempt_delay"]:
        yield f"Preempt delay = {_number(instance['preempt_delay'])} secs"
    yield f"Promote_secondaries = {_ability(configured['promote_secondaries'])}"
    authentication = configured.get("authentication")
    if authentication:
        yield f"Authentication type = {'SIMPLE_PASSWORD' if authentication['type'] == 'PASS' else 'IPSEC_AH'}"
        yield f"Password = {_masked(authentication)}"
    elif instance["version"] == 2:
        yield "Authentication type = none"


def _address_lines(instance: Plain) -> Iterator[str]:
    yield f"Virtual IP ({len(instance['virtual_addresses'])}):"
    yield from (f"  {_address(address, instance)}" for address in instance["virtual_addresses"])
    if instance["excluded_addresses"]:
        yield "Virtual IP Excluded :"
        yield from (f"  {_address(address, instance)}" for address in instance["excluded_addresses"])
    for name in ("routes", "rules"):
        if entries := instance[f"keepalived_{name}"]:
            yield f"Virtual {name.capitalize()} :"
            yield from (f"  {each}" for each in entries)
    if peers := instance["configuration"].get("unicast_peers"):
        yield "Unicast Peer :"
        yield from (f"  {peer['address']}" for peer in peers)


def _script_lines(script: Plain, instances: Iterable[Plain]) -> Iterator[str]:
    yield f" VRRP Script = {script['name']}"
    yield f"   Command = {_quoted(script['command'])}"
    yield f"   Interval = {_number(script['interval'])} sec"
    yield f"   Timeout = {_number(script['timeout'])} sec"
    yield f"   Weight = {script['weight']}"
    yield f"   Rise = {script['rise']}"
    yield f"   Fall = {script['fall']}"
    yield f"   Result = {script['counter']}"
    yield f"   Status = {({None: 'INIT', 0: 'BAD', 1: 'GOOD'})[script['value']]}"
    yield "   Tracking instances :"
    for instance in instances:
        for track in instance["tracks"]:
            if track["kind"] == "script" and track["name"] == script["name"]:
                yield f"     {instance['name']}, weight {track['weight']}{' reverse' * track['reverse']}"
    yield f"   State = {'idle' if script['phase'] in ('idle', 'waiting') else 'running'}"


def _group_lines(group: Plain, commands: Mapping[str, str]) -> Iterator[str]:
    yield f" VRRP Sync Group = {group['name']}, {group['state']}"
    yield "   VRRP member instances :"
    yield from (f"     {member}" for member in group["members"])
    yield from _indented(_notify_lines(f"group:{group['name']}", commands))


def _notify_lines(owner: str, commands: Mapping[str, str]) -> Iterator[str]:
    for keyword, title in _SCRIPT_TITLES.items():
        if command := commands.get(f"{owner}/{keyword}"):
            yield f"{title} = {command}"


def _commands(runner: Plain | None) -> dict[str, str]:
    """Program id → its words, each in single quotes as keepalived prints them."""
    if runner is None:
        return {}
    commands = {name: _quoted(words) for name, words in runner.get("programs", {}).items()}
    return commands | {f"script:{entry['name']}/script": _quoted(entry["command"]) for entry in runner["scripts"]}


def _quoted(words: Iterable[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


def _statistics(instance: Plain) -> dict[str, int]:
    return {name: instance["statistics"].get(name, 0) for name in _STATISTICS}


def _addresses(instance: Plain) -> list[Plain]:
    return [*instance["virtual_addresses"], *instance["excluded_addresses"]]


def _device(address: Plain, instance: Plain) -> str:
    """Where the address is, and what that is on."""
    configured = instance["configuration"]
    own = configured.get("device")
    devices = [*([own] if own else []), *configured.get("further_devices", ())]
    name = address["device"] or (own["name"] if own else instance["interface"])
    return next((f"{name}@{device['base']}" for device in devices if device["name"] == name), str(name))


def _address(address: Plain, instance: Plain) -> str:
    """`ADDR[/LEN] dev IF[@BASE] scope S[ label L][ deprecated| preferred_lft …][ set]`; no length for a host's own."""
    is_six = ":" in address["address"]
    is_host = address["prefix"] == (128 if is_six else 32)
    text = str(address["address"]) + ("" if is_host else f"/{address['prefix']}")
    scope = address.get("scope", 0)
    text += f" dev {_device(address, instance)}{' use_vmac' if address.get('use_vmac') else ''}"
    text += f" scope {_SCOPES.get(scope, scope)}"
    if address.get("label"):
        text += f" label {address['label']}"
    if is_six:
        text += " deprecated" if is_host else " preferred_lft forever"
    return text + (" set" if address.get("held") else "")


def _tracked(instance: Plain, kind: str) -> list[str]:
    return [track["name"] for track in instance["tracks"] if track["kind"] == kind]


def _master_interval(instance: Plain) -> float:
    return float(instance.get("master_advertisement_interval") or instance["advertisement_interval"])


def _masked(authentication: Plain) -> str:
    return str(authentication["password"])


def _number(seconds: float) -> float | int:
    """Whole numbers without a fraction."""
    return int(seconds) if float(seconds).is_integer() else seconds


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"   {line}" for line in lines)


def _word(flag: bool) -> str:
    return "yes" if flag else "no"


def _truth(flag: bool) -> str:
    return "true" if flag else "false"


def _ability(flag: bool) -> str:
    return "enabled" if flag else "disabled"
