"""auth_hmac in files: keys of three kinds, what is wrong with one is said without telling it."""

from __future__ import annotations

import pytest

from kad.model import secret
from kad.model.host import FileLook, Host
from kad.model.secret import SecretBytes
from kad.model.vrrp import AuthHmac, HmacKey, VrrpInstance, VrrpSlice
from tests.config.hosts import a_host, judged, said

TEXT = "0123456789abcdef0123456789ABCDEF"
DIGITS = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
FILE = "/etc/kad/key"


def text(*lines: str, more: str = "") -> str:
    inside = "\n".join(lines)
    return (
        "vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress { 192.0.2.9/24 }\n"
        f"auth_hmac {{\n{inside}\n}}\n{more}\n}}\n"
    )


def host(content: str | bytes, *lines: str, mode: int = 0o600, more: str = "") -> Host:
    look = FileLook(kind="file", mode=mode, uid=0, gid=0)
    return a_host(text(*lines, more=more), more={FILE: content}, looks={FILE: look})


def instance(source: str | Host) -> VrrpInstance:
    analysis = judged("", source) if isinstance(source, Host) else judged(source)
    (only,) = secret.decode(analysis.slices["vrrp"], VrrpSlice).instances
    return only


def hmac(*lines: str, more: str = "") -> AuthHmac | None:
    return instance(text(*lines, more=more)).auth_hmac


def findings(source: str | Host) -> list[str]:
    return said(judged("", source) if isinstance(source, Host) else judged(source))


SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        (TEXT, TEXT.encode()),
        (f'"{TEXT} with a space"', f"{TEXT} with a space".encode()),
        ("x" * 64, b"x" * 64),
        (f"hex:{DIGITS}", SECRET),
        (f"hex:{DIGITS}{DIGITS}".upper().replace("HEX", "hex"), SECRET + SECRET),
    ],
)
def test_a_key_in_the_file(value: str, secret: bytes) -> None:
    made = text(f"key 7 {value}", "active_key 7")
    assert findings(made) == []
    assert instance(made).auth_hmac == AuthHmac(
        keys=(HmacKey(id=7, secret=SecretBytes(secret)),), active_key=7, time_window=5
    )


@pytest.mark.parametrize(
    ("content", "secret"),
    [(TEXT, TEXT.encode()), (f"{TEXT}\n", TEXT.encode()), (f"hex:{DIGITS}\r\n", SECRET)],
)
def test_a_key_beside_the_file(content: str, secret: bytes) -> None:
    made = host(content, f"key 1 file:{FILE}", "active_key 1")
    assert findings(made) == []
    found = instance(made).auth_hmac
    assert found is not None
    assert found.keys == (HmacKey(id=1, secret=SecretBytes(secret)),)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601, 0o644])
def test_a_key_file_that_others_may_use_is_insecure_and_used(mode: int) -> None:
    made = host(TEXT, f"key 1 file:{FILE}", "active_key 1", mode=mode)
    assert findings(made) == [f"warning 6 A: others than its owner may use the key file {FILE} -> chmod 600 {FILE}"]
    assert judged("", made).exit_code == 6
    assert instance(made).auth_hmac is not None


SIGNED_BY_NONE = "warning 7 A: there is no key 1 to sign with; adverts are neither signed nor verified"


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("x" * 31, "key 1: it has 31 bytes, and 32 to 64 are needed"),
        ("x" * 65, "key 1: it has 65 bytes, and 32 to 64 are needed"),
        ("hex:" + "0" * 62, "key 1: it has 31 bytes, and 32 to 64 are needed"),
        ("hex:" + "0" * 65, "key 1: what follows hex: is not pairs of hexadecimal digits"),
        ("hex:" + "g" * 64, "key 1: what follows hex: is not pairs of hexadecimal digits"),
        ("file:/none", "key 1: the file /none cannot be read: No such file or directory"),
    ],
)
def test_a_key_that_is_none(value: str, wrong: str) -> None:
    made = text(f"key 1 {value}", "active_key 1")
    assert findings(made) == [f"warning 6 A: {wrong}; it is ignored", SIGNED_BY_NONE]
    assert judged(made).exit_code == 5
    assert instance(made).auth_hmac is None


def test_a_key_file_of_any_bytes() -> None:
    made = host(b"\xff" * 40, f"key 1 file:{FILE}", "active_key 1")
    assert findings(made)[0] == (
        f"warning 6 A: key 1: the file {FILE} is neither text nor hex: and digits; it is ignored"
    )


@pytest.mark.parametrize("number", ["0", "256", "x", "-1", "2x"])
def test_the_number_of_a_key(number: str) -> None:
    found = findings(text(f"key {number} {TEXT}", f"key 1 {TEXT}", "active_key 1"))
    assert len(found) == 1
    assert TEXT not in found[0]
    assert found[0].startswith("warning 6 key: ")


def test_the_first_key_of_a_number_counts() -> None:
    made = text(f"key 1 {TEXT}", f"key 1 hex:{DIGITS}", "active_key 1")
    assert findings(made) == ["warning 7 A: key 1 is written twice; the first one is used"]
    found = instance(made).auth_hmac
    assert found is not None
    assert found.keys == (HmacKey(id=1, secret=SecretBytes(TEXT.encode())),)


def test_without_an_active_key_nothing_is_signed() -> None:
    made = text(f"key 1 {TEXT}")
    assert findings(made) == [
        "warning 5 A: there is no active_key to sign with; adverts are neither signed nor verified"
    ]
    assert instance(made).auth_hmac is None
    assert findings(text(f"key 1 {TEXT}", "active_key 2")) == [
        "warning 7 A: there is no key 2 to sign with; adverts are neither signed nor verified"
    ]


@pytest.mark.parametrize(
    ("line", "more", "window"),
    [
        ("", "", 5),
        ("", "advert_int 2", 6),
        ("", "advert_int 200", 300),
        ("time_window 1", "", 1),
        ("time_window 300", "", 300),
    ],
)
def test_the_window(line: str, more: str, window: int) -> None:
    found = hmac(f"key 1 {TEXT}", "active_key 1", line, more=more)
    assert found is not None
    assert found.time_window == window


@pytest.mark.parametrize("version", ["version 2", "version 3\nadvert_int 0.1"])
def test_the_modes(version: str) -> None:
    for mode in ("enforce", "permissive", "receive-only"):
        found = hmac(f"key 1 {TEXT}", "active_key 1", f"mode {mode}", "anti_replay monotonic", more=version)
        assert found is not None
        assert (found.mode, found.monotonic) == (mode, True)


def test_strict_mode_enforces() -> None:
    made = text(f"key 1 {TEXT}", "active_key 1", "mode permissive", more="strict_mode")
    assert "warning 8 A: strict mode does not support mode permissive; enforce is used" in findings(made)
    found = instance(made).auth_hmac
    assert found is not None
    assert found.mode == "enforce"


def test_it_takes_the_place_of_a_password() -> None:
    more = "authentication {\nauth_type PASS\nauth_pass 1234\n}"
    made = text(f"key 1 {TEXT}", "active_key 1", more=more)
    assert findings(made) == ["warning 9 A: authentication cannot be combined with auth_hmac; it is ignored"]
    found = instance(made)
    assert found.authentication is None
    assert found.auth_hmac is not None


def test_a_signed_advert_names_fewer_addresses() -> None:
    addresses = "virtual_ipaddress {\n" + "\n".join(f"198.51.100.{last}" for last in range(1, 255)) + "\n}"
    narrow = text(f"key 1 {TEXT}", "active_key 1", more=addresses)
    assert len(instance(narrow).virtual_addresses) == 255
    six = "\n".join(f"fe80::{last:x}" for last in range(1, 100))
    made = (
        "vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\n"
        f"auth_hmac {{\nkey 1 {TEXT}\nactive_key 1\n}}\nvirtual_ipaddress {{\n{six}\n}}\n}}\n"
    )
    # 1500 - 48 - 28 = 1424 = 89 x 16.
    assert len(instance(made).virtual_addresses) == 89
