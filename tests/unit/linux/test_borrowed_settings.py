"""Settings on loan: nothing is changed before it is noted, and what somebody else changed meanwhile stays."""

from __future__ import annotations

import errno

import pytest

from kad.linux.files import temporary_sysctls
from kad.linux.files.temporary_sysctls import BorrowedSettings, Setting
from kad.linux.refused import Refused

BASE = Setting("eth0", "arp_ignore")
ALL = Setting("all", "rp_filter")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Its settings; those that are not there cannot be read."""
    values = {("eth0", "arp_ignore"): "0", ("eth1", "arp_ignore"): "2", ("all", "rp_filter"): "1"}

    def read(family: int, interface: str, name: str) -> str:
        if (interface, name) not in values:
            raise Refused(name, errno.ENOENT)
        return values[interface, name]

    def write(family: int, interface: str, name: str, value: str) -> None:
        if interface == "eth1":
            raise Refused(f"writing {name}", errno.EROFS)
        values[interface, name] = value

    monkeypatch.setattr(temporary_sysctls, "interface_setting", read)
    monkeypatch.setattr(temporary_sysctls, "set_interface_setting", write)
    return values


def nothing(_: Setting) -> bool:
    return False


def everything(_: Setting) -> bool:
    return True


def test_it_is_noted_then_changed_and_then_as_it_was(kernel: dict[tuple[str, str], str]) -> None:
    before = dict(kernel)
    borrowed = BorrowedSettings()
    borrowed.borrow(BASE, 1)
    borrowed.borrow_zero(ALL)
    # At least so much is wanted, and there is.
    borrowed.borrow(Setting("eth1", "arp_ignore"), 1)
    assert kernel == before
    assert borrowed.words(everything, 255) == ["eth0/arp_ignore=0>1", "all/rp_filter=1>0"]
    borrowed.apply()
    assert (kernel[BASE], kernel[ALL]) == ("1", "0")
    borrowed.give_back(lambda setting: setting == ALL)
    assert (kernel[BASE], kernel[ALL]) == ("0", "0")
    borrowed.give_back(nothing)
    assert kernel == before


def test_another_life_goes_on_with_the_words(kernel: dict[tuple[str, str], str]) -> None:
    kernel[BASE] = "1"
    borrowed = BorrowedSettings()
    # Killed before the second one was changed.
    borrowed.remember(["eth0/arp_ignore=0>1", "all/rp_filter=1>0", "nonsense", "a/b", "=", "eth9/rp_filter=0>1"])
    borrowed.borrow(BASE, 1)
    borrowed.apply()
    assert kernel[ALL] == "0"
    assert borrowed.words(everything, 255)[:2] == ["eth0/arp_ignore=0>1", "all/rp_filter=1>0"]
    borrowed.give_back(nothing)
    assert (kernel[BASE], kernel[ALL]) == ("0", "1")


def test_what_somebody_else_changed_stays(kernel: dict[tuple[str, str], str]) -> None:
    borrowed = BorrowedSettings()
    borrowed.borrow(BASE, 1)
    borrowed.apply()
    kernel[BASE] = "8"
    borrowed.give_back(nothing)
    assert kernel[BASE] == "8"


def test_words_that_have_no_room_are_left_out(kernel: dict[tuple[str, str], str]) -> None:
    borrowed = BorrowedSettings()
    borrowed.borrow(BASE, 1)
    borrowed.borrow_zero(ALL)
    assert borrowed.words(everything, 20) == ["eth0/arp_ignore=0>1"]
    assert borrowed.words(lambda setting: setting == ALL, 255) == ["all/rp_filter=1>0"]


def test_what_is_refused_is_tried_again(kernel: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    borrowed = BorrowedSettings()
    borrowed.borrow(Setting("eth1", "arp_ignore"), 3)
    for _ in range(2):
        assert [str(each) for each in borrowed.apply()] == ["writing arp_ignore: Read-only file system"]

    def write(family: int, interface: str, name: str, value: str) -> None:
        kernel[interface, name] = value

    write_refused = temporary_sysctls.set_interface_setting
    monkeypatch.setattr(temporary_sysctls, "set_interface_setting", write)
    assert borrowed.apply() == []
    assert kernel["eth1", "arp_ignore"] == "3"
    monkeypatch.setattr(temporary_sysctls, "set_interface_setting", write_refused)
    assert [str(each) for each in borrowed.give_back(nothing)] == ["writing arp_ignore: Read-only file system"]
    monkeypatch.setattr(temporary_sysctls, "set_interface_setting", write)
    assert borrowed.give_back(nothing) == []
    assert kernel["eth1", "arp_ignore"] == "2"
