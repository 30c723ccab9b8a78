"""Configuration files as people write them, made by a seed: masks, doubles, odd spaces, lists with wrong words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_GLOBAL = """global_defs {
    enable_script_security
    script_user root
    router_id node
    vrrp_version 2
    vrrp_cpu_affinity 0
    vrrp_garp_master_delay 3
    lvs_timeouts tcp 100 tcpfin 50 udp 77
    lvs_sync_daemon eth0 VI_1 id 7
    notification_email {
        root@localhost admin@localhost
    }
    nftables keepalived
    umask 077
}
"""
_TRACKED = """track_file tf {
    file /tmp/tf
    weight 2
    init_file 5
}
vrrp_track_process tp {
    process nosuchprogram
    weight 3
}
bfd_instance peer {
    neighbor_ip 192.0.2.77
    source_ip 192.0.2.2
}
linkbeat_interfaces {
    eth1 MII
}
"""
_SCRIPT = """vrrp_script ok {
    script "/bin/true"
    interval 2
    weight 5
}
"""
_INSTANCE = """vrrp_instance VI_NUMBER {
    state BACKUP
    interface eth0
    virtual_router_id NUMBER
    priority 100
    advert_int 1
    garp_master_repeat 2
    unicast_src_ip 192.0.2.2
    unicast_peer {
        192.0.2.3
        192.0.2.4 min_ttl 250
    }
    authentication {
        auth_type PASS
        auth_pass secret
    }
    track_interface {
        eth1 weight 5
    }
    track_script {
        ok weight 4
    }
    track_file {
        tf weight 3
    }
    track_process {
        tp weight 0
    }
    virtual_ipaddress {
        192.0.2.1NUMBER/24
        192.0.2.2NUMBER/24 dev eth0 label eth0:NUMBER
        192.0.2.3NUMBER/32 scope link
    }
    virtual_ipaddress_excluded {
        192.0.2.4NUMBER/24 brd +
    }
    virtual_routes {
        198.51.100.0/24 via 192.0.2.1 dev eth0
    }
    virtual_rules {
        from 192.0.2.0/24 table 5 preference 1NUMBER
    }
    notify "/bin/true all"
    notify_master "/bin/true"
}
"""
_GROUP = """vrrp_sync_group G {
    group {
        VI_1
        VI_2
    }
    track_interface {
        far
    }
    sync_group_tracking_weight
}
"""
_MEMBERS = """virtual_server_group vips {
    192.0.2.61 80
    192.0.2.62-64 80
}
"""
_SERVICE = """virtual_server HEAD {
    delay_loop 6
    retry 2
    lb_algo rr
    lb_kind NAT
    protocol TCP
    persistence_timeout 50
    persistence_granularity 255.255.255.0
    quorum 1
    sorry_server 198.51.100.9 80
    quorum_up "/bin/true up"
    real_server 198.51.100.10 80 {
        weight 1
        TCP_CHECK {
            connect_ip 198.51.100.10
            connect_timeout 3
            retry 1
        }
    }
    real_server 198.51.100.11 80 {
        weight 2
        inhibit_on_failure
        notify_up "/bin/true"
        HTTP_GET {
            url {
                path /
                status_code 200 302
            }
            connect_timeout 3
            retry 0
        }
    }
    real_server 198.51.100.12 80 {
        MISC_CHECK {
            misc_path "/bin/true"
            misc_timeout 3
        }
    }
}
"""
_ADDRESSES = re.compile(
    r"(unicast_src_ip|virtual_server|real_server|sorry_server|connect_ip|neighbor_ip|source_ip|192\.0\.2\.[34]\b)(?!/)"
)
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_BEHIND = ("/24", "/32", "/33", "/x", "-9", "/24/25")
_LISTS = {
    "vrrp_cpu_affinity": ("x", "99999", "99"),
    "lvs_timeouts": ("udp x", "bogus", "tcp"),
    "lvs_sync_daemon": ("maxlen x", "ttl 300", "group 192.0.2.1"),
    "init_file": ("bogus", "overwrite"),
    "eth1 MII": ("bogus",),
    "eth1 weight": ("bogus", "reverse"),
    "ok weight": ("bogus", "reverse"),
    "192.0.2.4 min_ttl": ("max_ttl x", "bogus 5", "max_ttl 255"),
    "scope link": ("bogus", "brd x", "label"),
    "lb_kind": ("bogus", "type ipip"),
    "status_code": ("3xx", "700", "200-299", "299-200"),
    "        VI_1": ("VI_9", "VI_2"),
}
"""How lines with a list begin, and words that may be appended."""
_OTHERS = {
    "state": "MASTER",
    "interface": "far",
    "priority": "150",
    "advert_int": "2",
    "nftables": "other",
    "lvs_sync_daemon": "eth1",
    "router_id": "other",
    "lb_algo": "wrr",
    "lb_kind": "DR",
    "quorum_up": '"/bin/false"',
    "notify": '"/bin/false"',
    "notify_master": '"/bin/false"',
    "notify_up": '"/bin/false"',
    "sorry_server": "198.51.100.8 80",
    "auth_pass": "other",
    "weight": "7",
    "persistence_timeout": "60",
    "quorum": "2",
    "vrrp_version": "2",
    "umask": "022",
    "interval": "3",
}
"""Another value for a second line of the keyword."""
_SPACES = ("\t", "  ", " \t ", "\v", "\f", "\u00a0", " \u00a0")

Lines = list[str]


def _mask(rng: random.Random, lines: Lines) -> Lines:
    """Something stands behind an address."""
    places = [at for at, line in enumerate(lines) if _ADDRESSES.search(line) and _ADDRESS.search(line)]
    if places:
        at = rng.choice(places)
        lines[at] = _ADDRESS.sub(lambda found: found[0] + rng.choice(_BEHIND), lines[at], count=1)
    return lines


def _double(rng: random.Random, lines: Lines) -> Lines:
    """A keyword stands there twice, with the same or another value."""
    places = [at for at, line in enumerate(lines) if line.split()[:1] and line.split()[0] in _OTHERS]
    at = rng.choice(places)
    word = lines[at].split()[0]
    again = lines[at] if rng.random() < 0.4 else f"    {word} {_OTHERS[word]}"
    return [*lines[: at + 1], again, *lines[at + 1 :]]


def _listed_twice(rng: random.Random, lines: Lines) -> Lines:
    """An entry of a block stands there twice."""
    places = [at for at, line in enumerate(lines) if re.match(r" {8}(192|eth1|ok|tf|tp|VI|198|from|far)", line)]
    if not places:
        return lines
    at = rng.choice(places)
    return [*lines[: at + 1], lines[at], *lines[at + 1 :]]


def _word(rng: random.Random, lines: Lines) -> Lines:
    """A list has one more word."""
    places = [(at, start) for at, line in enumerate(lines) for start in _LISTS if start in line]
    if places:
        at, start = rng.choice(places)
        lines[at] = f"{lines[at]} {rng.choice(_LISTS[start])}"
    return lines


def _space(rng: random.Random, lines: Lines) -> Lines:
    """Between words, before or behind them, there are other spaces."""
    for _ in range(rng.choice((1, 1, 4))):
        at = rng.randrange(len(lines))
        space = rng.choice(_SPACES)
        line = lines[at]
        match rng.randrange(4):
            case 0:
                line = line.replace(" ", space)
            case 1:
                line = f"{line}{space}"
            case 2:
                line = f"{space}{line}"
            case _:
                line = space.join(line.rsplit(" ", 1))
        lines[at] = line
    return lines


def _whole(rng: random.Random, lines: Lines) -> Lines:
    """The whole file has other spaces or ends of lines."""
    match rng.randrange(4):
        case 0:
            return [f"{line}\r" for line in lines]
        case 1:
            lines[0] = f"\ufeff{lines[0]}"
            return lines
        case 2:
            return [line.replace("    ", "\t") for line in lines]
        case _:
            return [line.replace(" {", "{") if not line.startswith(" ") else line for line in lines]


def _absent(rng: random.Random, lines: Lines) -> Lines:
    """An interface is absent, and may be expected."""
    places = [at for at, line in enumerate(lines) if re.search(r"\beth[01]\b|\bfar\b", line) and ":" not in line]
    at = rng.choice(places)
    lines[at] = re.sub(r"\b(eth[01]|far)\b", "nosuch0", lines[at], count=1)
    return ["global_defs {", "    dynamic_interfaces", "}", *lines] if rng.random() < 0.5 else lines


def _definition(rng: random.Random, lines: Lines) -> Lines:
    """Definitions, sequences, and comments that come of them."""
    before = [
        "$FIRST=21",
        "$LAST=23",
        "$OFF=${_HASH}",
        "$PRIORITY=110",
        "$MORE= \\",
        "# a comment \\",
        "    priority 90",
    ]
    for at in [at for at, line in enumerate(lines) if line.strip().startswith("192.0.2.1")][:1]:
        lines.insert(at, "        ~SEQ(X,$FIRST,$LAST) 192.0.2.${X}/24")
    for at in [at for at, line in enumerate(lines) if line.strip().startswith("priority")]:
        lines[at] = rng.choice(
            ("    priority $PRIORITY", "${OFF}  priority 120", "    priority 100 ${OFF} 1", "    $MORE")
        )
    return [*before, *lines]


def _missing(rng: random.Random, lines: Lines) -> Lines:
    """A line is not there, or its value is not."""
    at = rng.randrange(len(lines))
    if re.search(r"[{}]|interface", lines[at]) or len(lines[at].split()) < 2:
        return lines
    if rng.random() < 0.5:
        return [*lines[:at], *lines[at + 1 :]]
    lines[at] = re.sub(r"\d+(?=\s*$)", rng.choice(("0", "70000", "x", "5x", "-1", "1.5")), lines[at])
    return lines


CHANGES: tuple[Callable[[random.Random, Lines], Lines], ...] = (
    _mask,
    _double,
    _listed_twice,
    _word,
    _space,
    _whole,
    _absent,
    _definition,
    _missing,
)


def a_file(seed: int) -> str:
    """The file of that number: good, but for one to three changes."""
    rng = random.Random(seed)
    parts = [_TRACKED, _SCRIPT]
    numbers = range(1, rng.choice((2, 3)) + 1)
    if len(numbers) > 1 and rng.random() < 0.6:
        parts.append(_GROUP)
    parts += [_INSTANCE.replace("NUMBER", str(number)) for number in numbers]
    for head in rng.sample(("192.0.2.51 80", "fwmark 7", "group vips"), rng.randrange(3)):
        parts.append((_MEMBERS if "group" in head else "") + _SERVICE.replace("HEAD", head))
    if rng.random() < 0.1:
        parts.append(parts.pop(1))
    lines = (_GLOBAL + "".join(parts)).splitlines()
    changes = rng.sample(CHANGES, rng.choice((1, 1, 2, 3)))
    for change in sorted(changes, key=CHANGES.index):
        lines = change(rng, lines)
    return "\n".join(lines) + "\n"
