"""Any text ends in findings: no traceback, nothing unsaid about a file that cannot run."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kad.analyzer.language import language
from kad.analyzer.process import Analysis, effective, to_json, to_message
from kad.config.explain import words
from kad.config.render import render
from kad.model.secret import MASK
from tests.config.encoded import encode
from tests.config.hosts import FILE, a_host, judged

WORDS = sorted({word for _, word, _, _ in words(language())})
FILE_TEXT = """
$VIP=192.0.2.9
global_defs {
    router_id node1
    script_user nobody
}
vrrp_script S {
    script "[[ -f /x ]] && exit 1 || exit 0"
    interval 1
    weight -5
}
vrrp_instance A {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass Mcy1995
    }
    virtual_ipaddress {
        ${VIP}/24 dev eth0 label eth0:0
    }
    track_script {
        S
    }
    notify "/etc/keepalived/notify.sh a 'b c'"
}
~SEQ(i, 20, 22) virtual_server 192.0.2.$i 80 {
    lb_algo rr
    real_server 192.0.2.30 80 {
        HTTP_GET {
            url {
                path /
                status_code 200
            }
        }
    }
}
"""


def is_whole(analysis: Analysis) -> None:
    """Everything that can be made of an analysis can be made, and it agrees with itself."""
    render(analysis.diagnostics)
    to_json(analysis.diagnostics)
    message = to_message(analysis)
    assert analysis.fatal == any(one.severity == "error" for one in analysis.diagnostics) == bool(message.fatal)
    if not analysis.diagnostics:
        assert analysis.exit_code == 0
    for one in analysis.diagnostics:
        assert one.severity in ("error", "warning", "note")
        assert one.text
        assert (one.severity == "note") <= (one.klass.exit_code == 0)
        if one.place.line:
            # A secret is quoted as a mask, which may be shorter; the caret then stands at the end of the line.
            assert one.place.column >= 1
            assert one.place.column <= len(one.source) + 1 or MASK in one.source


@given(st.text())
@example("\\")
@example("$")
@example("${")
@example("$A=\\\n$A")
@example("~SEQ(")
@example("@")
@example("include")
@example('include ""')
@example("include \0")
@example('vrrp_instance "" {\n}')
@example("vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n{\n}\n")
@settings(max_examples=200, deadline=None)
def test_any_text(text: str) -> None:
    is_whole(judged(text.encode(errors="surrogatepass")))


@given(st.binary())
@settings(max_examples=100, deadline=None)
def test_any_bytes(data: bytes) -> None:
    is_whole(judged(data))


@given(
    st.lists(
        st.sampled_from([*'{}"\\#!$@~\n \t/.:-019a', "$A=", "${A}", "~SEQ(i,2) ", "@^x ", *WORDS[::7]]), max_size=60
    )
)
@settings(max_examples=300, deadline=None)
def test_any_words_of_the_language(pieces: list[str]) -> None:
    is_whole(judged("".join(pieces)))
    is_whole(judged(" ".join(pieces)))


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 30),
        st.one_of(st.sampled_from([*"{}\"'\\#!$@~\n/", "\n}\n", "{\n", *WORDS[::11]]), st.text(max_size=5)),
    ),
    min_size=1,
    max_size=5,
)


@given(EDITS)
@example([(0.0, 0, "{"), (0.3359375, 3, "\t")])
@settings(max_examples=300, deadline=None)
def test_any_damage_to_a_good_file(edits: list[tuple[float, int, str]]) -> None:
    text = FILE_TEXT
    for where, removed, added in edits:
        at = int(where * len(text))
        text = text[:at] + added + text[at + removed :]
    is_whole(judged(text.encode(errors="surrogatepass")))


ARGUMENTS = [
    "",
    "1",
    "-1",
    "0.5",
    "99999999999999999999",
    "192.0.2.1",
    "192.0.2.1/24 dev eth0",
    "192.0.2.1-9 80",
    "2001:db8::1",
    "eth0",
    "on",
    '"a b"',
    '""',
    '"/bin/true a" nobody',
    "S weight 5 reverse",
    "TUN type gue port 5",
    "all 5",
    "fwmark 5 inet6",
    "9" * 5000,
    "2147483648",
    "4294967295",
    "4294967296",
    "1_000",
    "fe80::1%eth0",
    "fe80::1%eth0/64",
    "ff02::12%eth0",
    "..",
    "a/b",
    "0123456789abcdef",
    "a" * 70,
    ".example",
    "192.0.2.1 dev a/b",
    "2001:db8::1/64 dev ..",
    "192.0.2.1 preferred_lft 4294967296",
    "v1 2001:db8::5/64",
    "v1 192.0.2.5/24",
    "group 4294967296",
    "eth0 group ff02::1%eth0",
    "198.51.100.0/24 via 192.0.2.1 dev eth0 mtu lock 1400",
    "2001:db8::/64 via fe80::1%eth0 dev eth0",
    "198.51.100.0/24 dev a/b",
    "198.51.100.0/24 no_track nexthop via fe80::1 dev eth0",
    "198.51.100.0/24 dev eth0 no_track encap ip id 18446744073709551616 dst 192.0.2.3",
    "198.51.100.0/24 dev eth0 no_track encap ip dst 192.0.2.3 flags 65536",
    "198.51.100.0/24 dev eth0 no_track rtt 200s rto_min 1ms",
    "fwmark 0x1ffffffff table 5 preference 7",
    "from 192.0.2.0/24 goto 2000 preference 0100",
    "from 192.0.2.0/24 table 5 preference 1_000",
    "from 2001:db8::/64 table 4294967296 preference 4294967296",
    "iif a/b table 5 preference 7",
    "from 192.0.2.0/24 table 5 preference 7",
    "0a 0b",
    "200-299 404",
    "PASS",
    "é",
]
LAYOUTS = list(language().layouts())


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Blocks with words that belong in them, and values that mostly do not."""
    lines = []
    for layout in draw(st.lists(st.sampled_from(LAYOUTS), min_size=1, max_size=4)):
        steps = layout.context.split("/") if layout.context else []
        for depth, step in enumerate(steps):
            opener = LAYOUTS[0] if not depth else next(one for one in LAYOUTS if one.context == "/".join(steps[:depth]))
            entry = opener.words[step]
            head = " 192.0.2.7 80" if step in ("virtual_server", "real_server") else " N"
            lines.append(f"{step}{head if entry.layout and entry.layout.head else ''} {{")
        for word in draw(st.lists(st.sampled_from(sorted(layout.words) or ["x"]), max_size=4)):
            entry = layout.words.get(word)
            first, second = draw(st.sampled_from(ARGUMENTS)), draw(st.sampled_from(ARGUMENTS))
            if entry is not None and entry.keyword.is_entries:
                lines += [f"{word} {{", first, second, "}"]
            elif entry is None or not entry.opens:
                lines.append(f"{word} {first} {second}")
        lines += ["}"] * len(steps)
    return "\n".join(lines) + "\n"


@given(configurations())
@settings(max_examples=400, deadline=None)
def test_what_is_printed_back_says_the_same(text: str) -> None:
    analysis, printed = effective(FILE, a_host(text), with_secrets=True)
    is_whole(analysis)
    again, printed_again = effective(FILE, a_host(printed), with_secrets=True)
    assert printed_again == printed
    assert again.slices == analysis.slices
    with_defaults, _ = effective(FILE, a_host(effective(FILE, a_host(text), with_defaults=True, with_secrets=True)[1]))
    assert with_defaults.slices == analysis.slices


CONTEXTS = {layout.context: layout for layout in LAYOUTS}
CHECKS = ("TCP_CHECK", "HTTP_GET", "SSL_GET", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK", "PING_CHECK")
SERVER = "virtual_server/real_server"


def lines_of(context: str, argument: str) -> list[str]:
    """Each word of the block, with that behind it or in it."""
    entries = {word: entry for word, entry in CONTEXTS[context].words.items() if not entry.opens}
    return [
        f"{word} {{\n{argument}\n}}" if entry.keyword.is_entries else f"{word} {argument}"
        for word, entry in sorted(entries.items())
    ]


def instances(lines: list[str], address: str, first: int) -> str:
    return "".join(
        f"vrrp_instance I{number} {{\ninterface eth0\nvirtual_router_id {number}\n"
        f"virtual_ipaddress {{\n{address}\n}}\n{line}\n}}\n"
        for number, line in enumerate(lines, first)
    )


def services(argument: str) -> str:
    """A virtual server for each of its words, and one with a real server for each word of a check."""
    text = "".join(
        f"virtual_server 192.0.2.1 {number} {{\n{line}\nreal_server 192.0.2.30 80 {{\n}}\n}}\n"
        for number, line in enumerate([*lines_of("virtual_server", argument)], 1)
    )
    bodies = lines_of(SERVER, argument)
    for check in CHECKS:
        urls = lines_of(f"{SERVER}/{check}/url", argument) if f"{SERVER}/{check}/url" in CONTEXTS else []
        said = "enable_sni\nurl {\npath /\n}\n" if urls else ""
        bodies += [f"{check} {{\n{said}{line}\n}}" for line in lines_of(f"{SERVER}/{check}", argument)]
        bodies += [f"{check} {{\nenable_sni\nurl {{\npath /\nregex a\n{line}\n}}\n}}" for line in urls]
    servers = "".join(f"real_server 192.0.2.30 {number} {{\n{body}\n}}\n" for number, body in enumerate(bodies, 1))
    return f"{text}virtual_server 192.0.2.2 80 {{\n{servers}}}\n"


def everything(argument: str) -> str:
    """Whatever one word makes impossible, the others are there all the same."""
    lines = lines_of("vrrp_instance", argument)
    return (
        instances(lines, "192.0.2.9/24", 1)
        + instances(lines, "fe80::9/64", 1 + len(lines))
        + instances(["", ""], argument, 254)
        + services(argument)
        + "\n".join(lines_of("", argument))
    )


@pytest.mark.parametrize("argument", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_what_is_left_can_be_put_to_the_kernel(argument: str) -> None:
    analysis = judged(everything(argument))
    is_whole(analysis)
    encode(analysis)


SERVICE = "virtual_server 192.0.2.1 80 {\nreal_server 192.0.2.30 80 {\nTCP_CHECK {\n}\n}\n}\n"


@pytest.mark.parametrize("argument", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_so_can_what_follows_from_global_words(argument: str) -> None:
    some = instances(["", "use_vmac", "use_vmac_addr"], "192.0.2.9/24", 1) + SERVICE
    words = "\n".join(lines_of("global_defs", argument))
    analysis = judged(f"global_defs {{\n{words}\n}}\n{some}")
    is_whole(analysis)
    encode(analysis)
