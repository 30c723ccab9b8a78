"""The command line: keepalived's options, kad's verbs, and what they exit with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kad.cli import main as cli

GOOD = """\
vrrp_instance VI_1 {
    interface lo0
    virtual_router_id 51
    virtual_ipaddress { 192.0.2.1/24 }
}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "kad.conf"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    ("name", "number"),
    [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36), ("TDUMP", 64)],
)
def test_signal_numbers_are_keepaliveds(name: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--signum", name]) == 0
    assert capsys.readouterr().out == f"{number}\n"


def test_an_unknown_signal_and_an_unknown_option_exit_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--signum", "KILL"], ["--no-such-option"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 1
        assert words[-1] in capsys.readouterr().err


def test_findings_go_to_standard_error_with_keepaliveds_exit_code(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["-t", "-f", str(configuration)]) == 5
    assert f"{configuration}:2:5: warning: VI_1: there is no interface lo0" in capsys.readouterr().err


def test_findings_can_be_appended_to_a_file(configuration: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = "/etc/kad/kad.conf:1:1: warning: before\n"
    log.write_text(before)
    assert cli.main([f"-t{log}", "-f", str(configuration)]) == 5
    assert log.read_text().startswith(before)
    assert "there is no interface lo0" in log.read_text()


def test_findings_as_json(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-t", "--format", "json", "-f", str(configuration)]) == 5
    found = json.loads(capsys.readouterr().out)
    assert [(each["line"], each["column"], each["severity"]) for each in found] == [(2, 5, "warning")]


def test_the_printed_configuration_reads_the_same(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--print", "-f", str(configuration)])
    printed = capsys.readouterr().out
    configuration.write_text(printed)
    cli.main(["--print", "-f", str(configuration)])
    assert capsys.readouterr().out == printed
    assert "virtual_router_id 51" in printed


def test_a_keyword_is_explained_and_a_misspelt_one_gets_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--explain", "virtual_router_id"]) == 0
    assert "virtual_router_id <INTEGER 1..255>" in capsys.readouterr().out
    assert cli.main(["--explain", "virtual_router_ip"]) == 1
    assert "virtual_router_id" in capsys.readouterr().err


def test_a_missing_file_ends_a_start_with_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-n", "-f", str(tmp_path / "none.conf"), "--runtime-dir", str(tmp_path / "run")]) == 6
    assert "there is no configuration file" in capsys.readouterr().err


def test_nobody_answers_where_no_daemon_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--dump", "--runtime-dir", str(tmp_path)]) == 1
    assert cli.main(["--status", "--runtime-dir", str(tmp_path)]) == 3
    assert "no kad is running here" in capsys.readouterr().err


def test_a_namespace_that_would_be_ignored_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-n", "-s", "blue"]) == 1
    assert "ip netns exec" in capsys.readouterr().err
