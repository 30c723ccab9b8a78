"""A secret of a configuration is in the slice of its process, and in nothing that can be read."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from kad.analyzer.process import Analysis, effective, to_message
from kad.checker.checker_slice import CheckerSlice
from kad.checker.checks.http import HttpCheck
from kad.config.diagnostics import Diagnostic, Place, Report
from kad.config.render import render, to_json
from kad.config.secret_words import TOKEN
from kad.model import secret
from kad.model.bfd import BfdSlice
from kad.model.daemon import WatchdogSlice
from kad.model.ipvs import IpvsSlice
from kad.model.runner import RunnerSlice
from kad.model.secret import Secret, SecretBytes
from kad.model.vrrp import ReleaseSlice, VrrpSlice
from tests.config.hosts import FILE, a_host, judged

PLANTED = "Pl4nted"
KEY = f"{PLANTED}-key-0123456789-0123456789-0123456789"
TEXT = f"""\
vrrp_instance A {{
    interface eth0
    virtual_router_id 5
    authentication {{
        auth_type PASS
        auth_pass {PLANTED}
    }}
    virtual_ipaddress {{ 192.0.2.9/24 }}
}}
vrrp_instance B {{
    interface eth0
    virtual_router_id 6
    auth_hmac {{
        key 1 {KEY}
        active_key 1
    }}
    virtual_ipaddress {{ 192.0.2.10/24 }}
}}
SSL {{
    password {PLANTED}-ssl
}}
virtual_server 192.0.2.9 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 192.0.2.20 80 {{
        HTTP_GET {{
            basic_auth me {PLANTED} basic
            request_header X-Token {PLANTED}-token
            url {{
                path /
            }}
        }}
    }}
}}
"""


def readable(analysis: Analysis) -> str:
    """All that -t, the log and the parent's dump can show of it."""
    message = to_message(analysis)
    parts = [render(analysis.diagnostics), to_json(analysis.diagnostics), repr(analysis.diagnostics), repr(message)]
    parts += [finding.summary + finding.whole for finding in message.findings]
    return "\n".join(parts)


def test_each_process_gets_its_secrets() -> None:
    analysis = judged(TEXT)
    first, second = secret.decode(analysis.slices["vrrp"], VrrpSlice).instances
    assert first.authentication is not None
    assert first.authentication.password.reveal() == PLANTED
    assert second.auth_hmac is not None
    assert second.auth_hmac.keys[0].secret.reveal() == KEY.encode()
    checker = secret.decode(analysis.slices["checker"], CheckerSlice)
    [check] = checker.servers[0].checks
    assert isinstance(check, HttpCheck)
    headers = {name: value.reveal() for name, value in check.urls[0].headers}
    assert headers == {"X-Token": f"{PLANTED}-token", "Authorization": "Basic bWU6UGw0bnRlZCBiYXNpYw=="}
    assert [name for name in analysis.slices if PLANTED.encode() in analysis.slices[name]] == ["vrrp", "checker"]


def test_what_releases_gets_no_secret_and_all_that_is_held() -> None:
    analysis = judged(TEXT)
    assert analysis.release is not None
    assert PLANTED.encode() not in analysis.release
    whole, release = (secret.decode(each, VrrpSlice) for each in (analysis.slices["vrrp"], analysis.release))
    for one, other in zip(whole.instances, release.instances, strict=True):
        assert other.virtual_addresses == one.virtual_addresses
        assert (other.authentication, other.auth_hmac) == (None, None)
    # Nor can it ever get one: no field of it has a place for a secret.
    assert not kinds(ReleaseSlice) & {Secret, SecretBytes}
    assert kinds(VrrpSlice) >= {Secret, SecretBytes}


@pytest.mark.parametrize("kind", [RunnerSlice, IpvsSlice, BfdSlice, WatchdogSlice])
def test_no_other_process_can_be_given_a_secret(kind: type[msgspec.Struct]) -> None:
    assert not kinds(kind) & {Secret, SecretBytes}
    assert Secret in kinds(CheckerSlice)


def kinds(kind: Any) -> set[Any]:
    """Every type that a value of this type can hold, at any depth."""
    found, waiting = {kind}, [kind]
    while waiting:
        each = waiting.pop()
        inner = set(get_args(each))
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            inner |= set(get_type_hints(each).values())
        waiting += inner - found
        found |= inner
    return found


def test_what_prints_a_slice_masks_it() -> None:
    analysis = judged(TEXT)
    for kind, name in ((VrrpSlice, "vrrp"), (CheckerSlice, "checker")):
        decoded = secret.decode(analysis.slices[name], kind)
        for text in (repr(decoded), str(decoded), f"{decoded}", secret.to_json(decoded).decode()):
            assert PLANTED not in text
            assert "UGw0bnRlZ" not in text
        with pytest.raises(TypeError):
            msgspec.json.encode(decoded)


MISTAKES = [
    (f"auth_pass {PLANTED}", f"auth_pass {PLANTED} {PLANTED}-more"),
    (f"auth_pass {PLANTED}", f"auth_pass {PLANTED}-too-long {PLANTED}"),
    (f"auth_pass {PLANTED}", f'auth_pass "{PLANTED}'),
    (f"auth_pass {PLANTED}", f"auth_pas {PLANTED}"),
    (f"auth_pass {PLANTED}", f"auth_password {PLANTED}"),
    (f"auth_pass {PLANTED}", f"auth_type {PLANTED}"),
    (f"auth_pass {PLANTED}", f"auth_pass {PLANTED} {{"),
    (f"auth_pass {PLANTED}", f"auth_pass {PLANTED} }}"),
    (f"auth_pass {PLANTED}", f"auth_pass {PLANTED}\0"),
    (f"auth_pass {PLANTED}", "auth_pass " + PLANTED * 200),
    (f"auth_pass {PLANTED}", f"auth_pass {PLANTED}\nauth_type {PLANTED}"),
    ("auth_type PASS", f"auth_type PASS {PLANTED}"),
    (f"key 1 {KEY}", f"key 1 {PLANTED}"),
    (f"key 1 {KEY}", f"key 1 hex:{PLANTED}"),
    (f"key 1 {KEY}", f"key 999 {KEY}"),
    (f"key 1 {KEY}", f"key 1 {KEY}\nkey 1 {KEY}"),
    (f"password {PLANTED}-ssl", f"password {PLANTED} {PLANTED}"),
    (f"password {PLANTED}-ssl", f"passwd {PLANTED}"),
    (f"basic_auth me {PLANTED} basic", f"basic_auth {PLANTED}"),
    ("basic_auth me", "basicauth me"),
    (f"request_header X-Token {PLANTED}-token", f"request_header X-Token: {PLANTED}\x07"),
    (f"request_header X-Token {PLANTED}-token", f"request_header X(Token {PLANTED}"),
]


@pytest.mark.parametrize(("old", "new"), MISTAKES)
def test_no_finding_shows_a_secret(old: str, new: str) -> None:
    text = TEXT.replace(old, new, 1)
    said = readable(judged(text))
    assert judged(text).diagnostics
    assert text != TEXT
    if old == "auth_type PASS":
        # Nothing says that this word is one.
        said = said.replace(f"takes no more words; {PLANTED} is ignored", "").replace(f"auth_type PASS {PLANTED}", "")
    assert PLANTED not in said


def test_a_short_secret_is_hidden_in_its_own_line_alone() -> None:
    text = TEXT.replace(f"auth_pass {PLANTED}", "auth_pass 5 x").replace("virtual_router_id 5", "virtual_router_id 500")
    said = render(judged(text).diagnostics)
    assert "            auth_pass ****\n" in said or "        auth_pass ****\n" in said
    assert "virtual_router_id: 500 is not in 1..255" in said


def test_a_definition_with_the_secret_is_masked_too() -> None:
    text = f"$P={PLANTED}\n" + TEXT.replace(f"auth_pass {PLANTED}", "auth_pass $P\nauth_type $P")
    assert PLANTED not in readable(judged(text))


SHORT = [
    pytest.param("$P=zq7", "auth_pass $P", "$P=****", id="a name"),
    pytest.param("$P=zq7", "auth_pass ${P}", "$P=****", id="in braces"),
    pytest.param("$P=zq7 $_HASH", "auth_pass $P", "$P=****", id="more behind it"),
    pytest.param("$Q=zq7\n$P=$Q", "auth_pass $P", "$Q=****", id="through another name"),
    pytest.param("@node1 $P=zq7", "auth_pass $P", "@node1 $P=****", id="behind a condition"),
    pytest.param("$P=\\\nzq7", "auth_pass $P", "****", id="on the next line"),
    pytest.param("$P=zq7\n$P=other", "auth_pass $P", "$P=****", id="an earlier value"),
    pytest.param("$P=nopreempt \\\nauth_pass zq7", "$P", "****", id="the keyword in it"),
    pytest.param("", "~LST(P, zq7, zq8) auth_pass $P", "~LST(****", id="a list"),
]


def quoted(text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every line, as a finding quotes it."""
    numbers = range(1, len(text.splitlines()) + 1)
    found = [Diagnostic(severity="note", place=Place(FILE, number, 1), text="any") for number in numbers]
    monkeypatch.setattr(Report, "diagnostics", property(lambda report: found))
    return [one.source.strip() for one in judged(text).diagnostics]


@pytest.mark.parametrize(("definition", "use", "masked"), SHORT)
def test_a_definition_that_becomes_a_secret_is_masked_whatever_its_length(
    definition: str, use: str, masked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{definition}\n" + TEXT.replace(f"auth_pass {PLANTED}", use)
    lines = quoted(text, monkeypatch)
    assert len(lines) == len(text.splitlines())
    assert masked in lines
    assert not [line for line in lines if "zq7" in line]


def test_another_definition_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"$P=zq7\n$I=eth0\n{TEXT.replace(f'auth_pass {PLANTED}', 'auth_pass $P').replace('eth0', '$I')}"
    assert quoted(text, monkeypatch)[:2] == ["$P=****", "$I=eth0"]


def test_it_is_printed_as_a_token_that_is_refused() -> None:
    _, printed = effective(FILE, a_host(TEXT))
    assert PLANTED not in printed
    assert printed.count(TOKEN) == 5
    analysis = judged(printed)
    assert analysis.fatal
    assert [one.severity for one in analysis.diagnostics if TOKEN in one.text] == ["error"] * 5
    assert {one.proposal for one in analysis.diagnostics if TOKEN in one.text} == {
        "write the secret, or print the file with --print --secrets"
    }


def test_with_its_secrets_it_is_whole() -> None:
    analysis, printed = effective(FILE, a_host(TEXT), with_secrets=True)
    assert effective(FILE, a_host(printed), with_secrets=True)[1] == printed
    assert judged(printed).slices == analysis.slices == judged(TEXT).slices


def test_secrets_are_equal_by_value_and_are_no_text() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert SecretBytes(b"a") == SecretBytes(b"a") != Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert not isinstance(Secret("a"), str)
    assert f"{Secret('a')}|{Secret('abc')!r}" == "****|****"
    with pytest.raises(TypeError):
        json.dumps(Secret("a"))
