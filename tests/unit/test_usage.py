"""Every option with every bad argument: one line and a hint, no traceback, and no file of the user is touched."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kad.cli import main as cli
from tests.config.test_planted import GOOD

TEXT = """\
vrrp_instance VI_1 {
    interface lo0
    virtual_router_id 51
    virtual_ipaddress { 192.0.2.1/24 }
}
"""
BAD = ("", "xyz", "-1", "/", "99999999999999999999", "0x1g", "\udcff", "ä", "²", "/no/such/place", "\x1b[31m")
"""Values that one option or another takes for good; none may end in a traceback."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "other.conf"
    path.write_text(TEXT)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of a command line, in which no daemon is started."""
    monkeypatch.setattr(cli, "_run", lambda options: 0)
    try:
        return cli.main(words)
    except SystemExit as ended:
        return int(ended.code or 0)


OPTIONS = sorted({name for action in cli.parser().actions for name in action.option_strings})


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_with_every_bad_argument(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "DEFAULT_FILES", (tmp_path / "default.conf",))
    monkeypatch.setattr(cli, "DEFAULT_RUNTIME_DIRECTORY", tmp_path / "run")
    separator = "=" if option.startswith("--") else ""
    for words in ([option], *([option, bad] for bad in BAD), *([f"{option}{separator}{bad}"] for bad in BAD)):
        status = run(monkeypatch, *words)
        said = capsys.readouterr().err
        assert status in (0, 1, 3, 6), (words, said)
        assert "Traceback" not in said
        if "See kad" in said:
            assert status == 1
            assert said.count("\n") == 2, said
            assert said.startswith("kad")
            assert "invalid" not in said
        assert "\x1b" not in said


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("-u", "xyz"), "kad: -u/--umask: xyz is not an octal mask of 0..0777"),
        (("-u", "1000"), "kad: -u/--umask: 1000 is not an octal mask of 0..0777"),
        (("--drain", "a", "b", "--timeout", "x"), "kad: --timeout: x is neither a number of seconds nor never"),
        (("--drain", "a"), "kad: --drain: expected 2 arguments"),
        (("-f",), "kad: -f/--use-file: expected one argument"),
        (("-f", ""), "kad: -f/--use-file: the value is empty"),
        (("--formt", "json"), "kad: unknown option --formt: did you mean --format?"),
        (("--signum", "KILL"), "kad: --signum: KILL is not one of STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON, TDUMP"),
        (("--dump", "--why"), "kad: --dump and --why do not go together"),
        (("-t", "--format", "xml"), "kad: --format: xml is not one of text, json"),
        (("--format", "json"), "kad: --format goes with --config-test alone"),
        (("--timeout", "5"), "kad: --timeout goes with --drain alone"),
        (("one.conf",), "kad: unexpected word one.conf: write -f one.conf where it is the configuration"),
        (("-g", "log"), "kad: unexpected word log: write -f log where it is the configuration"),
        (
            ("-t", "one.conf", "two.conf"),
            "kad: one.conf and two.conf: one configuration at a time; findings are appended to a file by -tLOG",
        ),
        (
            ("-t", "-f", "one.conf", "two.conf"),
            "kad: one.conf and two.conf: one configuration at a time; findings are appended to a file by -tLOG",
        ),
        (("-n", "-T"), "kad: -T must be the first word"),
        (("-p", "/"), "kad: -p/--pid: / is not the name of a file"),
    ],
)
def test_a_usage_error_is_one_line_and_a_hint(
    words: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 1
    assert capsys.readouterr().err == f"{line}\nSee kad --help.\n"


# -t


@pytest.mark.parametrize(
    "words", [("-t", "FILE"), ("--config-test", "FILE"), ("-t", "-f", "FILE"), ("-f", "FILE", "-t"), ("-Dt", "FILE")]
)
def test_each_form_of_t_tests_the_file(
    words: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    default = file.with_name("default.conf")
    default.write_text("include_me_not\n")
    monkeypatch.setattr(cli, "DEFAULT_FILES", (default,))
    assert run(monkeypatch, *(str(file) if word == "FILE" else word for word in words)) == 5
    assert capsys.readouterr().err.startswith(f"{file}:2:5: warning: VI_1: there is no interface lo0")
    assert (file.read_text(), default.read_text()) == (TEXT, "include_me_not\n")


def test_t_alone_tests_the_default_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "DEFAULT_FILES", (file,))
    assert run(monkeypatch, "-t") == 5
    assert f"{file}:2:5: " in capsys.readouterr().err


@pytest.mark.parametrize("form", ["-t{}", "--config-test={}", "-nt{}"])
@pytest.mark.parametrize("more", [(), ("--format", "json")])
def test_findings_are_appended_to_what_kad_has_written(
    form: str, more: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = file.with_name("findings")
    for times in (1, 2):
        assert run(monkeypatch, form.format(log), "-f", str(file), *more) == 5
        assert log.read_text().count("there is no interface lo0") == times


FOREIGN = {
    "notes": "remember the milk\n",
    "a configuration": TEXT,
    "all of GOOD": GOOD,
    "only indented lines": "    interface lo0\n",
    "JSON of something else": '{"a": 1}\n',
    "a list of something else": "[1, 2]\n",
    "findings, then notes": "/etc/x:1:1: warning: a\nremember the milk\n",
    "bytes": "\x00\x01\x02",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_log_that_holds_anything_else_is_refused(
    kind: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = file.with_name("log")
    log.write_text(FOREIGN[kind])
    assert run(monkeypatch, f"-t{log}", "-f", str(file)) == 1
    assert log.read_text() == FOREIGN[kind]
    said = capsys.readouterr().err
    assert said == f"kad: {log} holds more than findings of kad -t: nothing is written into it\n" + HINT


HINT = "To test a file, write kad -t FILE.\n"


@pytest.mark.parametrize("name", ["other.conf", "link", "included", "new.conf"])
def test_a_log_that_is_a_configuration_is_refused(
    name: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "link").symlink_to(file)
    (file.parent / "included").touch()
    file.write_text(f"include {file.parent}/included\n")
    before = file.read_text()
    log = file.parent / name
    assert run(monkeypatch, f"-t{log}", "-f", str(file)) == 1
    assert capsys.readouterr().err.endswith(HINT)
    assert (file.read_text(), (file.parent / "included").read_text()) == (before, "")
    assert not (file.parent / "new.conf").exists()


@pytest.mark.parametrize("form", ["-p{}", "-r{}", "-c{}", "-b{}", "-g{}"])
def test_no_option_makes_the_daemon_write_into_a_configuration(
    form: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "-n", form.format(file), "-f", str(file)) == 1
    what = "is a configuration" if form == "-g{}" else "is not a pid file"
    assert capsys.readouterr().err == f"kad: {file} {what}\nSee kad --help.\n"
    assert file.read_text() == TEXT


def test_pid_files_and_logs_of_an_earlier_run_are_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid, log = file.with_name("pid"), file.with_name("log")
    pid.write_text("4711\n")
    log.write_text("Mon Nov 30 10:55:06 2026: (VI_1) Entering MASTER STATE\n")
    assert run(monkeypatch, "-n", f"-p{pid}", f"-g{log}", "-f", str(file)) == 0


# a reader that has gone

_COMMANDS = [
    ["--help"],
    ["--version"],
    ["--signum", "STOP"],
    ["--explain"],
    ["--explain", "reference"],
    ["--explain", "priority"],
    ["--explain", "no_such"],
    ["-t", "FILE"],
    ["-t", "--format", "json", "FILE"],
    ["--print", "--defaults", "FILE"],
    ["--dump"],
    ["--status"],
    ["--why"],
    ["--why", "VI_1"],
    ["--drain", "a", "b"],
    ["--check-reload", "FILE"],
    ["--no-such-option"],
    ["-T", "--help"],
    ["-T", "-s", "127.0.0.1", "-p", "1", "-u", "/"],
]
_CHILD = """
import os, sys
from kad.cli import cause_chain as why, main as cli, reload_preview as check_reload
from kad.analyzer import process as analyzer
from kad.config import explain
from kad.cli import genhash
explain.overview(analyzer.language())
kind, file, run = sys.argv[1:4]
for number, command in enumerate(eval(sys.argv[4])):
    words = [file if word == "FILE" else word for word in command] + ([] if "-T" in command else ["--runtime-dir", run])
    if (child := os.fork()) == 0:
        if kind == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        elif kind == "closed":
            os.close(1); sys.stdout = None
            os.close(2); sys.stderr = None
        else:
            reader, writer = os.pipe()
            os.close(reader)
            os.dup2(writer, 1)
            if kind == "both":
                os.dup2(writer, 2)
        sys.exit(cli.main(words))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(1, f"{' '.join(command)}: {status}\\n".encode())
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """A runtime directory in which everything is answered, at length."""
    instance = (
        '{"name":"VI_1","state":"MASTER","since":1.0,"reason":"init","priority":100,"effective_priority":100,'
        '"virtual_addresses":[],"excluded_addresses":[],"tracks":[]}'
    )
    dump = f'{{"vrrp":{{"instances":[{instance}]}},"processes":{{}},"more":"{"x" * 200_000}"}}'
    answers = {
        b'"events"': '{"ok":true,"dump":[]}',
        b'"drain"': '{"ok":true,"text":"drained"}',
        b'"configuration"': '{"ok":false,"error":"not now"}',
    }
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control"))
    listener.listen(32)

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                request = client.recv(4096)
                found = (answer for word, answer in answers.items() if word in request)
                client.sendall(next(found, f'{{"ok":true,"dump":{dump}}}').encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield tmp_path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def statuses(kind: str, file: Path, run: Path) -> tuple[dict[str, int], str]:
    """The exit status of each command, and all that went to standard error."""
    words = [sys.executable, "-c", _CHILD, kind, str(file), str(run), repr(_COMMANDS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [line.rpartition(": ") for line in done.stdout.splitlines()]
    return {command: int(status) for command, _, status in lines}, done.stderr


EXPECTED = {
    "--explain no_such": 1,
    "-t FILE": 5,
    "-t --format json FILE": 5,
    "--print --defaults FILE": 5,
    "--check-reload FILE": 1,
    "--no-such-option": 1,
    "-T -s 127.0.0.1 -p 1 -u /": 1,
}
"""Of all others 0."""


@pytest.mark.parametrize("kind", ["output", "both", "closed"])
def test_a_reader_that_has_gone_changes_no_exit_status_and_is_no_complaint(kind: str, file: Path, daemon: Path) -> None:
    found, said = statuses(kind, file, daemon)
    assert found == {" ".join(command): EXPECTED.get(" ".join(command), 0) for command in _COMMANDS}, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    if kind != "output":
        assert said == ""


def test_a_full_device_is_one_line_and_exit_status_1(file: Path, daemon: Path) -> None:
    found, said = statuses("full", file, daemon)
    assert found["--dump"] == found["--help"] == found["--explain"] == found["--why VI_1"] == 1
    assert "kad: standard output: No space left on device\n" in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_commands_print_by_the_one_road_that_minds_a_reader_that_leaves() -> None:
    package = Path(cli.__file__).parent
    others = [path for path in package.rglob("*.py") if path.name != "output.py" and "demo" not in path.name]
    assert [path.name for path in others if re.search(r"\bprint\(|sys\.std(out|err)\.write", path.read_text())] == []


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_ask", interrupted)
    assert cli.main(["--dump"]) == 130


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("-p", "{0}/a", "-r", "{0}/a"), "{0}/a would be the pid file and the pid file of vrrp: name two files"),
        (("-b", "{0}/a", "-g{0}/a"), "{0}/a would be the pid file of bfd and the log file: name two files"),
        (
            ("-c", "{0}/control"),
            "{0}/control would be the control socket and the pid file of checker: name two files",
        ),
        (("-r", "{0}/link"), "{0}/kad.pid would be the pid file and the pid file of vrrp: name two files"),
        (("-p", "{0}/a", "-r", "{0}/.a.lock"), "{0}/.a.lock would be the lock of the pid file and the pid file of"),
        (("-g", "-p", "{0}/kad.log"), "{0}/kad.log would be the pid file and the log file: name two files"),
    ],
)
def test_no_file_of_the_daemon_is_two(
    words: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "kad.pid")
    given = [word.format(tmp_path) for word in words]
    with pytest.raises(SystemExit) as exit_status:
        cli.main(["-n", "-f", str(tmp_path / "none.conf"), "--runtime-dir", str(tmp_path), *given])
    assert exit_status.value.code == 1
    assert text.format(tmp_path) in capsys.readouterr().err
