"""Whether the files of kad are still those that a daemon began with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import kad
from kad.watchdog.installed_version import Installation


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed kad of two files."""
    folder = tmp_path / "kad"
    (folder / "linux").mkdir(parents=True)
    (folder / "__init__.py").write_text('VERSION = "3.2.1"\n')
    (folder / "linux" / "__init__.py").touch()
    monkeypatch.setattr(kad, "__file__", str(folder / "__init__.py"))
    return folder


def test_the_same_files_are_no_other(folder: Path) -> None:
    installation = Installation()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "kad.cpython-311.pyc").touch()
    assert installation.other() == ""


def test_another_version_is_named(folder: Path) -> None:
    installation = Installation()
    (folder / "__init__.py").write_text('"""Newer."""\n\nVERSION = "4.0.0"\n')
    said = f"kad v4.0.0 was installed over kad v{kad.VERSION}, which still runs: restart the daemon"
    assert installation.other() == said


def test_the_same_text_in_another_file_is_another_installation(folder: Path) -> None:
    installation, path = Installation(), folder / "linux" / "__init__.py"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    new = path.with_suffix(".new")
    new.touch()
    os.utime(new, ns=times)
    new.replace(path)
    assert "was installed over" in installation.other()


def test_no_files_at_all(folder: Path) -> None:
    installation = Installation()
    shutil.rmtree(folder)
    said = f"the files of kad v{kad.VERSION}, which still runs, are gone: install it again and restart the daemon"
    assert installation.other() == said
