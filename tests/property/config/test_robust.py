"""Any text ends in findings: no traceback, nothing unsaid about a file that cannot run."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kad.config.analyzer import Analysis, effective, render, to_json, to_message
from kad.config.explain import words
from kad.config.language import language
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
            assert 1 <= one.place.column <= len(one.source) + 1


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
    "198.51.100.0/24 via 192.0.2.1 dev eth0 mtu lock 1400",
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
    analysis, printed = effective(FILE, a_host(text))
    is_whole(analysis)
    again, printed_again = effective(FILE, a_host(printed))
    assert printed_again == printed
    assert again.slices == analysis.slices
    with_defaults, _ = effective(FILE, a_host(effective(FILE, a_host(text), with_defaults=True)[1]))
    assert with_defaults.slices == analysis.slices
