"""kad's -t beside keepalived's on the same host: the same class of exit code, and nothing refused that it accepts."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kad.analyzer.language import language
from kad.analyzer.process import analyze
from kad.model.host import Host
from tests.config.oracle_network import NETWORK
from tests.config.test_planted import GOOD
from tests.config.test_words import ROWS

pytestmark = pytest.mark.lab

PATIENCE = 5.0
CLASSES = {0: "clean", 5: "complaint", 6: "complaint", 1: "fatal", 2: "fatal", 4: "fatal"}
NEWER = {
    "use_symlink_paths",
    "set_supplementary_groups",
    "json_version",
    "iproute_usr_dir",
    "iproute_etc_dir",
    "state_dump_file",
    "stats_dump_file",
    "json_dump_file",
    "dbus_no_interface_name",
    "v3_checksum_as_v2",
    "vrrp_ipsets",
    "vrrp_delay_after_boot",
    "vrrp_owner_ignore_adverts",
    "snmp_vs_stats_update_interval",
    "snmp_rs_stats_update_interval",
    "no_virtual_ipaddress",
    "timer_expired_backup",
    "thread_timer_expired",
    "owner_ignore_adverts",
    "auth_hmac",
    "multihop",
    "sni_name",
    "tls_compliant",
}
"""Words that keepalived 2.2.7 does not know yet."""
OTHERWISE = NEWER | {
    # It takes any word for these two, and says nothing.
    "vrrp_strict",
    "vrrp_skip_check_adv_addr",
    # It is built without iptables; it asks the DNS; it needs a word that newer ones do not.
    "vrrp_iptables",
    "smtp_server",
    "process_name",
    # kad refuses them while they have no effect.
    "net_namespace",
    "net_namespace_ipvs",
    # It crashes without a name, or without a url.
    "bfd_instance",
    "neighbor_ip",
    "neighbour_ip",
    "HTTP_GET",
    "SSL_GET",
    "url",
}

INSTANCE = (
    "vrrp_instance A {\nstate BACKUP\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.9/24 }\n%s\n}\n"
)
SERVER = (
    "virtual_server 192.0.2.9 80 {\ndelay_loop 6\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n%s\n"
    "real_server 192.0.2.20 80 {\nweight 1\n%s\n}\n}\n"
)
BLOCKS: dict[str, Callable[[str], str]] = {
    "": lambda line: line + "\n" + INSTANCE % "",
    "global_defs": lambda line: f"global_defs {{\n{line}\n}}\n" + INSTANCE % "",
    "vrrp_instance": lambda line: INSTANCE % line,
    "vrrp_instance/authentication": lambda line: INSTANCE % f"authentication {{\nauth_pass 1\n{line}\n}}",
    "vrrp_sync_group": lambda line: f"vrrp_sync_group G {{\ngroup {{\nA\n}}\n{line}\n}}\n" + INSTANCE % "",
    "vrrp_script": lambda line: f"vrrp_script S {{\nscript /bin/true\n{line}\n}}\n" + INSTANCE % "",
    "vrrp_track_process": lambda line: f"vrrp_track_process P {{\nprocess x\n{line}\n}}\n" + INSTANCE % "",
    "track_file": lambda line: f"track_file T {{\nfile /tmp/x\n{line}\n}}\n" + INSTANCE % "",
    "bfd_instance": lambda line: f"bfd_instance B {{\nneighbor_ip 192.0.2.77\n{line}\n}}\n" + INSTANCE % "",
    "SSL": lambda line: f"SSL {{\n{line}\n}}\n" + SERVER % ("", ""),
    "virtual_server": lambda line: SERVER % (line, ""),
    "virtual_server/real_server": lambda line: SERVER % ("", line),
    "virtual_server/real_server/TCP_CHECK": lambda line: SERVER % ("", f"TCP_CHECK {{\n{line}\n}}"),
    "virtual_server/real_server/DNS_CHECK": lambda line: SERVER % ("", f"DNS_CHECK {{\n{line}\n}}"),
    "virtual_server/real_server/UDP_CHECK": lambda line: SERVER % ("", f"UDP_CHECK {{\n{line}\n}}"),
    "virtual_server/real_server/HTTP_GET": lambda line: SERVER % ("", f"HTTP_GET {{\nurl {{\npath /\n}}\n{line}\n}}"),
    "virtual_server/real_server/HTTP_GET/url": lambda line: (
        SERVER % ("", f"HTTP_GET {{\nurl {{\npath /\n{line}\n}}\n}}")
    ),
}
VALUES = ("", " xyzzy", " 1", " -7", " 99999999999", " on", " 1 xyzzy")


def verdict_of_keepalived(path: Path) -> str | None:
    """The class of its exit code; None when it crashed, was ended by a signal, or hung."""
    command = ["ip", "netns", "exec", NETWORK, "unshare", "-p", "-f", "keepalived", "-t", "-f", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return CLASSES.get(process.wait(PATIENCE))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def differences(texts: list[str], host: Host, tmp_path: Path) -> tuple[int, list[str]]:
    """How many files both judged, and those that they judged differently."""
    judged, different = 0, []
    path = tmp_path / "file.conf"
    for text in texts:
        path.write_text(text)
        theirs = verdict_of_keepalived(path)
        if theirs is None:
            continue
        judged += 1
        ours = CLASSES[analyze(str(path), host).exit_code]
        if ours != theirs:
            different.append(f"keepalived: {theirs}, kad: {ours}\n{text}")
    return judged, different


@pytest.mark.parametrize("context", sorted(BLOCKS))
def test_words_with_and_without_values(context: str, host: Host, tmp_path: Path) -> None:
    words = [word for place, word, kind in ROWS if place == context and kind in ("value", "flag") and word[0] != "("]
    rng = random.Random(context)
    texts = []
    for word in words:
        if word not in OTHERWISE and not word.startswith("include"):
            texts += [BLOCKS[context](word + value) for value in ("", rng.choice(VALUES[1:]))]
    judged, different = differences(texts, host, tmp_path)
    assert not different, "\n".join(different)
    assert judged > len(texts) * 0.9


def damaged(rng: random.Random) -> str:
    """A good file with one line gone, moved, said twice, cut, misspelt, or with a number changed."""
    lines = re.sub(r"(?m)^.*(smtp_server|killall|HTTP_GET).*$", "", GOOD.replace("eth1", "far")).splitlines()
    at = rng.randrange(len(lines))
    words = lines[at].split()
    match rng.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(rng.randrange(len(lines)), lines[at])
        case 2:
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        case 3 if words:
            lines[at] = lines[at].rsplit(None, 1)[0]
        case 4 if words:
            cut = rng.randrange(len(words[0]))
            lines[at] = lines[at].replace(words[0], words[0][:cut] + words[0][cut + 1 :], 1)
        case 5:
            lines[at] = re.sub(r"\d+", rng.choice(["0", "300", "99999", "x", "1.5"]), lines[at], count=1)
        case _:
            word = rng.choice(sorted({word for layout in language().layouts() for word in layout.words} - OTHERWISE))
            lines.insert(at, f"{word} {rng.choice(['1', 'on', 'x', 'far'])}")
    return "\n".join(lines) + "\n"


def test_damaged_files(host: Host, tmp_path: Path) -> None:
    """Where braces are wrong the two go on reading differently, so that a few verdicts may differ."""
    rng = random.Random(7)
    judged, different = differences([damaged(rng) for _ in range(200)], host, tmp_path)
    assert judged >= 160
    assert len(different) <= judged * 0.03, "\n".join(different)
