"""Small files that stand for endless ones: a finding with its place, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kad.linux.netlink import host
from kad.linux.netlink.host import LocalFiles
from kad.model.host import TooMany
from tests.config.hosts import judged, said

DIGITS = "9" * 5000


def instance(more: str) -> str:
    return (
        f"vrrp_instance A {{\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {{ 192.0.2.9/24 }}\n{more}\n}}\n"
    )


BOMBS = [
    ("~SEQ(X,1,999999999999999999) foo ${X}\n", "warning 1 ~SEQ counts more than 100000 numbers; the line is ignored"),
    (f"~SEQ(X,1,{DIGITS}) foo\n", "warning 1 ~SEQ takes numbers of at most 19 digits; the line is ignored"),
    (f"~SEQ(X,1,0x{'f' * 900}) foo\n", "warning 1 ~SEQ takes numbers of at most 19 digits; the line is ignored"),
    (f"~SEQ(X,0,1,1{'0' * 300}) foo\n", "warning 1 ~SEQ takes numbers of at most 19 digits; the line is ignored"),
    ("~SEQ(X,1,100000) ~SEQ(Y,1,100000) $Z=1\n", "error 1 the definitions used here expand without end"),
    (instance(f"priority {DIGITS}"), "warning 5 priority: a number has too many digits; using default"),
    (instance(f"advert_int {DIGITS}"), "warning 5 advert_int: "),
    (instance(f"priority ${{_RANDOM {DIGITS}}}"), "warning 5 ${_RANDOM} takes numbers of at most 19 digits;"),
    (instance(f"priority ${{_RANDOM 1 {'9' * 900}}}"), "warning 5 ${_RANDOM} takes numbers of at most 19 digits;"),
    (instance(f"track_interface {{\neth1 weight {DIGITS}\n}}"), "warning 6 "),
    (instance(f"virtual_rules {{\nfrom 10.0.0.0/8 fwmark {DIGITS} table 1\n}}"), "warning 6 rule from 10.0.0.0/8: "),
    (f"virtual_server 192.0.2.9 {DIGITS} {{\n}}\n", "warning 1 virtual_server: a number has too many digits"),
    (f"include /etc/kad/{'{a,b}' * 40}.conf\n", "error 1 the include has more than 1000 alternatives; it is not read"),
    (f"include /etc/kad/{'{a,b}' * 9000}\n", "error 1 the include has more than 1000 alternatives; it is not read"),
    (f"include {'{' * 400}a,b{'}' * 400}\n", "error 1 the include has more than 1000 alternatives; it is not read"),
    (
        "".join(f"$A{n}=$A{n - 1} $A{n - 1}\n" for n in range(1, 40)) + "foo $A39\n",
        "error 40 the definitions used here",
    ),
]


@pytest.mark.parametrize(("text", "finding"), BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_a_finding_in_bounded_time(text: str, finding: str) -> None:
    begin = time.process_time()
    found = said(judged(text))
    assert time.process_time() - begin < 15
    assert any(one.startswith(finding) for one in found), found[:5]


def test_a_pattern_for_all_files_of_the_host_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / f"folder{number}").mkdir()
        for name in ("a.conf", "b.conf", ".hidden.conf"):
            (tmp_path / f"folder{number}" / name).touch()
    files = LocalFiles()
    assert len(files.glob(f"{tmp_path}/*/*.conf")) == 60
    assert files.glob(f"{tmp_path}/folder7//?.conf") == [f"{tmp_path}/folder7//{name}.conf" for name in "ab"]
    assert files.glob(f"{tmp_path}/folder7/.*.conf") == [f"{tmp_path}/folder7/.hidden.conf"]
    assert files.glob(f"{tmp_path}/none/*") == []
    monkeypatch.setattr(host, "_MOST_MATCHES", 59)
    with pytest.raises(TooMany, match="more than 59 files match"):
        files.glob(f"{tmp_path}/*/*.conf")
    monkeypatch.setattr(host, "_GLOB_SECONDS", -1.0)
    with pytest.raises(TooMany, match="took more than"):
        files.glob(f"{tmp_path}/*/none*")
