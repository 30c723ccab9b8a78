"""The runtime directory: made, closed or refused, and files in it that are whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kad.linux.files.runtime_directory import prepare_runtime_directory, read_file, replace_file
from kad.linux.refused import Refused


def test_it_is_made_with_its_parents(tmp_path: Path) -> None:
    wanted = tmp_path / "run" / "kad"
    assert prepare_runtime_directory(wanted) == ""
    assert stat.S_IMODE(wanted.stat().st_mode) & 0o022 == 0
    assert prepare_runtime_directory(wanted) == ""


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_an_open_one_is_closed_and_that_is_said(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    (tmp_path / "ours").touch()
    assert "no longer" in prepare_runtime_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_what_all_share_is_refused_and_stays_open() -> None:
    with pytest.raises(Refused, match="others can write in it"):
        prepare_runtime_directory(Path("/tmp"))
    assert stat.S_IMODE(Path("/tmp").stat().st_mode) == 0o1777


def test_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused):
        prepare_runtime_directory(tmp_path / "file")


def test_a_file_is_replaced_whole_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert read_file(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["kept"]


def test_links_are_replaced_and_never_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    path = tmp_path / "kept"
    path.symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        read_file(path)
    replace_file(path, b"ours")
    assert (read_file(path), precious.read_bytes()) == (b"ours", b"precious")
