"""Virtual servers of every kind that the kernel's table knows, as configurations that keepalived reads too."""

from __future__ import annotations

from typing import NamedTuple

from tests.vm.farm import NUMBERS, Farm


class Kind(NamedTuple):
    """One virtual_server with the three real servers of the farm."""

    name: str
    words: str
    """In the virtual_server."""
    reals: tuple[str, str, str] = ("", "", "")
    """In each of the real servers."""
    family: int = 4
    """Of the service."""
    real_family: int = 0
    head: str = ""
    """What follows `virtual_server`; empty: an address of its own, and the port of its number."""
    port: str = ""
    """Of the real servers; empty: that of the service."""
    check: str = f"TCP_CHECK {{ connect_port {Farm.PORT} }}"
    before: str = ""
    """Blocks that it needs."""
    reloaded: str = ""
    """Its words after the reload; empty: the same."""
    leaves: bool = False
    """Whether the reload takes it away: beside mixed families the kernel starts no sync daemon."""
    checked: bool = True
    """Whether a real server that fails is noticed."""


def _scheduler(name: str, words: str = "", kind: str = "NAT") -> Kind:
    return Kind(f"{name}{'-' if words else ''}{words}", f"lb_algo {name}\n{words}\nlb_kind {kind}\nprotocol TCP")


_TCP = "lb_algo wlc\nlb_kind NAT\nprotocol TCP"
_UDP = "lb_algo rr\nlb_kind DR\nprotocol UDP"
_GLOBAL = """global_defs {
    script_user root
    enable_script_security
    lvs_timeouts tcp 1000 tcpfin 50 udp 77
    SYNC
}
"""
_GROUP = """virtual_server_group many {
    198.51.100.1 700
    198.51.100.10-12 700
    fwmark 901
}
"""
_MIXED = """virtual_server_group NAME {
    198.51.100.LAST 700
    fwmark MARK
}
"""


def _mixed(name: str, number: int, words: str, port: str, member: str = "") -> Kind:
    """A group of an address, a mark, and what is in `member`."""
    group = _MIXED.replace("NAME", name).replace("LAST", str(number)).replace("MARK", str(number))
    return Kind(name, words, head=f"group {name}", port=port, before=group.replace("fwmark", f"{member}\n    fwmark"))


KINDS = [
    *(_scheduler(name) for name in ("rr", "lblc", "lblcr", "dh", "fo", "ovf", "sed", "nq")),
    _scheduler("wrr", kind="DR"),
    _scheduler("lc", kind="TUN"),
    _scheduler("sh", "sh-port"),
    _scheduler("sh", "sh-fallback"),
    _scheduler("mh", "mh-port"),
    _scheduler("mh", "flag-1"),
    Kind("udp", _UDP, reloaded=_UDP.replace("rr", "wrr")),
    Kind("sctp", _TCP.replace("TCP", "SCTP")),
    Kind("persistent", f"{_TCP}\npersistence_timeout 300", reloaded=f"{_TCP}\npersistence_timeout 50"),
    Kind("granular", f"{_TCP}\npersistence_timeout 300\npersistence_granularity 255.255.255.0", reloaded=_TCP),
    Kind("sip", f"{_UDP}\npersistence_timeout 60\npersistence_engine sip"),
    Kind("every-port", f"{_TCP}\npersistence_timeout 100", head="192.0.2.200 0", port="0"),
    Kind("fwmark", "lb_algo wlc\nlb_kind DR", head="fwmark 900", port="81", check="TCP_CHECK {\n}"),
    Kind("fwmark-nat", "lb_algo rr\nlb_kind NAT\nsorry_server 10.77.0.19 99", head="fwmark 903", port="80"),
    Kind("fwmark-6", "lb_algo wlc\nlb_kind DR\nip_family inet6", head="fwmark 902", port="80", real_family=6),
    Kind("group", _TCP, head="group many", port="700", before=_GROUP),
    _mixed("group-nat", 31, _TCP, "700"),
    _mixed("group-dr", 33, _TCP.replace("NAT", "DR"), "700"),
    Kind("v6-nat", _TCP, family=6),
    Kind("v6-granular", f"{_UDP}\npersistence_timeout 300\npersistence_granularity 64", family=6),
    Kind("v6-tun", "lb_algo sh\nlb_kind TUN\nprotocol TCP", family=6),
    Kind("v4-in-v6", "lb_algo rr\nlb_kind TUN\nprotocol TCP", family=4, real_family=6, leaves=True),
    Kind("ops", "lb_algo rr\nlb_kind NAT\nprotocol UDP\nops"),
    Kind("thresholds", _TCP, ("uthreshold 100\nlthreshold 50", "uthreshold 10", "weight 5")),
    Kind("quorum", f"{_TCP}\nquorum 3\nhysteresis 1", ("weight 1", "weight 2", "weight 3")),
    Kind("sorry", f"{_TCP}\nquorum 2\nsorry_server 10.77.0.19 99", reloaded=f"{_TCP}\nsorry_server 10.77.0.18 99"),
    Kind("sorry-method", f"{_TCP}\nquorum 2\nsorry_server 10.77.0.19 99\nsorry_server_lvs_method TUN"),
    Kind("sorry-inhibit", f"{_TCP}\nquorum 3\nsorry_server 10.77.0.19 99\nsorry_server_inhibit"),
    Kind("inhibit", _TCP, ("inhibit_on_failure\nweight 4", "inhibit_on_failure", "")),
    Kind("inhibit-quorum", f"{_TCP}\nquorum 2\ninhibit_on_failure\nsorry_server 10.77.0.19 99"),
    Kind("alpha", f"{_TCP}\nalpha\nwarmup 9000", check=f"TCP_CHECK {{ connect_port {Farm.PORT} }}", checked=False),
    Kind("omega", f"{_TCP}\nalpha\nomega"),
    Kind("weights", _TCP, ("weight 0", "weight 65535", "weight 10")),
    Kind("methods", _TCP, ("lvs_method DR", "lvs_method TUN", "lvs_method NAT")),
    Kind(
        "tunnels", _TCP, ("lvs_method TUN type gue port 6080", "lvs_method TUN type gre csum", "lvs_method TUN nocsum")
    ),
    Kind("unchecked", _TCP, check="", checked=False),
    Kind("misc", _TCP, check='MISC_CHECK {\n misc_path "/bin/true"\n}', checked=False),
]


def text(*, reloaded: bool = False) -> str:
    """All of them in one file. The reload takes the third real server away and gives the second more weight."""
    sync = "lvs_sync_daemon eth0 id 7 maxlen 1200 port 9000 ttl 3 group 224.0.0.99" if reloaded else ""
    numbered = [(number, kind) for number, kind in enumerate(KINDS, start=1) if not (reloaded and kind.leaves)]
    return _GLOBAL.replace("SYNC", sync) + "\n".join(_block(number, kind, reloaded) for number, kind in numbered)


def checks() -> int:
    """Checks of each real server of the farm."""
    return sum(kind.checked for kind in KINDS)


def services(kind: Kind) -> tuple[str, ...]:
    """Its names in a tests.vm.tables.Table."""
    number = KINDS.index(kind) + 1
    protocol = "UDP" if "UDP" in kind.words else "SCTP" if "SCTP" in kind.words else "TCP"
    match kind.head.split():
        case ["fwmark", mark]:
            return (f"FWM {mark}{' IPv6' if kind.real_family == 6 else ''}",)
        case ["group", "many"]:
            return *(f"TCP 198.51.100.{last}:700" for last in (1, 10, 11, 12)), "FWM 901"
        case ["group", _]:
            members = (line.split() for line in kind.before.splitlines()[1:-1])
            return tuple(
                f"FWM {member[1]}" if member[0] == "fwmark" else f"TCP {member[0]}:{member[1]}"
                for member in members
                if member
            )
        case [address, port]:
            return (f"{protocol} {address}:{port}",)
    return (
        (f"{protocol} [2001:db8::{number}]:{1000 + number}",)
        if kind.family == 6
        else (f"{protocol} 192.0.2.{number}:{1000 + number}",)
    )


def _block(number: int, kind: Kind, reloaded: bool) -> str:
    port = kind.port or str(1000 + number)
    own = f"{'2001:db8::' if kind.family == 6 else '192.0.2.'}{number} {port}"
    timers = "delay_loop 2\nwarmup 0\nretry 1\ndelay_before_retry 0.1"
    words = kind.reloaded if reloaded and kind.reloaded else kind.words
    net = "fd00:77::1" if (kind.real_family or kind.family) == 6 else "10.77.0.1"
    reals = ""
    for at, more in zip(NUMBERS, kind.reals, strict=True):
        if reloaded and at == 3:
            continue
        if reloaded and at == 2:
            more = f"{more}\nweight 77"
        reals += f"real_server {net}{at} {port} {{\n{more}\n{kind.check}\n}}\n"
    return f"{kind.before}virtual_server {kind.head or own} {{\n{timers}\n{words}\n{reals}}}\n"
