"""Commands that kad answers itself: what is recognised, what is not, and the same truth as a real shell's."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from kad.config.command import is_for_shell, split
from kad.config.native_commands import recognise
from kad.model.tracking import FileExists, KillallName, PgrepName, PidofName, Probe, ProcessesRun, ProcessOfFileRuns

NGINX = ProcessesRun(patterns=(KillallName(name="nginx"),))
DOWN = FileExists(path="/etc/keepalived/down", kind="file")
PID = ProcessOfFileRuns(path="/run/nginx.pid")


@pytest.mark.parametrize(
    ("command", "probe"),
    [
        ("killall -0 nginx", Probe(asks=NGINX)),
        ("/usr/bin/killall -0 nginx", Probe(asks=NGINX)),
        ("/bin/killall -0 nginx >/dev/null 2>&1", Probe(asks=NGINX)),
        ("killall -0 nginx && exit 0 || exit 1", Probe(asks=NGINX)),
        ("killall -0 nginx || exit 1", Probe(asks=NGINX)),
        ("killall -0 nginx && exit 0", Probe(asks=NGINX)),
        ("killall -0 nginx && exit 1 || exit 0", Probe(asks=NGINX, good_if=False)),
        ("! killall -0 nginx", Probe(asks=NGINX, good_if=False)),
        ("killall -0 nginx &>/dev/null || exit 255;", Probe(asks=NGINX)),
        (
            "killall -0 nginx php-fpm",
            Probe(asks=ProcessesRun(patterns=(KillallName(name="nginx"), KillallName(name="php-fpm")))),
        ),
        ("pidof haproxy", Probe(asks=ProcessesRun(patterns=(PidofName(name="haproxy"),), each=False))),
        (
            "pidof -x check.sh > /dev/null",
            Probe(asks=ProcessesRun(patterns=(PidofName(name="check.sh", scripts=True),), each=False)),
        ),
        ("pgrep nginx", Probe(asks=ProcessesRun(patterns=(PgrepName(name="nginx"),)))),
        ("pgrep -x nginx || exit 1", Probe(asks=ProcessesRun(patterns=(PgrepName(name="nginx", exact=True),)))),
        ("pgrep '^nginx$'", Probe(asks=ProcessesRun(patterns=(PgrepName(name="^nginx$"),)))),
        ("kill -0 $(cat /run/nginx.pid)", Probe(asks=PID)),
        ("/bin/kill -0 `cat /run/nginx.pid` 2>/dev/null", Probe(asks=PID)),
        ('kill -0 "$(cat /run/nginx.pid)" || exit 1', Probe(asks=PID)),
        ('kill -0 \\"$(cat /run/nginx.pid)\\"', Probe(asks=PID)),
        ("kill -s 0 $( cat /run/nginx.pid )", Probe(asks=PID)),
        ("[[ -f /etc/keepalived/down ]] && exit 1 || exit 0", Probe(asks=DOWN, good_if=False)),
        ("[ -f /etc/keepalived/down ] && exit 1 || exit 0", Probe(asks=DOWN, good_if=False)),
        ("[ ! -f /etc/keepalived/down ]", Probe(asks=DOWN, good_if=False)),
        ("! [ ! -f /etc/keepalived/down ]", Probe(asks=DOWN)),
        ("test -f /etc/keepalived/down", Probe(asks=DOWN)),
        ("/usr/bin/test ! -f /etc/keepalived/down", Probe(asks=DOWN, good_if=False)),
        ("test -d '/var/lib/a b'", Probe(asks=FileExists(path="/var/lib/a b", kind="directory"))),
        ("[ -e /run/up ] || exit 3", Probe(asks=FileExists(path="/run/up", kind="anything"))),
    ],
)
def test_what_only_asks_is_recognised(command: str, probe: Probe) -> None:
    assert recognise(command) == probe


@pytest.mark.parametrize(
    "command",
    [
        "killall nginx",
        "killall -9 nginx",
        "killall -0",
        "killall -0 nginx nginx",
        "killall -0 nginx /usr/sbin/nginx",
        "killall -r -0 nginx",
        "killall -e -0 nginx",
        "killall -I -0 nginx",
        "killall -0 -- nginx",
        "killall -w -0 nginx",
        "pidof -- nginx",
        "pgrep -v nginx",
        "pgrep -i nginx",
        "pgrep -- nginx",
        "killall -u www -0 nginx",
        "/opt/bin/killall -0 nginx",
        "killall -0 nginx && exit 1",
        "killall -0 nginx || exit 0",
        "killall -0 nginx && killall -0 php-fpm",
        "killall -0 nginx | cat",
        "killall -0 $NAME && exit 0 || exit 1",
        "killall -0 ngin* || exit 1",
        "killall -0 nginx || exit $?",
        "killall -0 nginx || exit 256",
        "killall -0 nginx || reboot",
        "killall -0 nginx > /var/log/x || exit 1",
        "sudo killall -0 nginx",
        "systemctl is-active nginx",
        "pidof -o 1 nginx",
        "pidof -c nginx",
        "pgrep -f nginx",
        "pgrep -u www nginx",
        "pgrep nginx php",
        "pgrep '[n]ginx'",
        "pgrep 'ngin\\{1\\}x'",
        "pgrep '[[:alpha:]]'",
        "pgrep '|nginx'",
        "pgrep 'c++'",
        "kill -0 1",
        "kill -9 $(cat /run/nginx.pid)",
        "kill -0 $(cat /run/a.pid /run/b.pid)",
        "kill -0 $(pidof nginx)",
        "[ -f /a -a -f /b ]",
        "[ -f /a",
        "[[ -f /a ]",
        "[ -s /a ]",
        "[ -f /a* ]",
        "[[ -f $X ]]",
        "[ ! ! -f /a ]",
        "test /a",
        "/bin/true",
        "/bin/true && exit 0 || exit 1",
        "'unclosed",
        "exit 0",
        "! ",
        "",
    ],
)
def test_everything_else_is_a_program(command: str) -> None:
    assert recognise(command) is None


FORMS = [
    "{}",
    "! {}",
    "{} && exit 0 || exit 1",
    "{} && exit 1 || exit 0",
    "{} || exit 1",
    "{} || exit 7",
    "{} && exit 3 || exit 0",
    "{} || exit 1 && exit 0",
    "! {} && exit 0 || exit 1",
    "{} >/dev/null 2>&1 || exit 1",
]
QUESTIONS = [
    "[ -f {0} ]",
    "[ ! -f {0} ]",
    "[[ -d {0} ]]",
    "[[ ! -e {0} ]]",
    "test -e {0}",
    "test ! -d {0}",
    "kill -0 $(cat {0})",
    "kill -0 `cat {0}` 2>/dev/null",
]


def truth(probe: Probe) -> bool:
    match probe.asks:
        case FileExists(path=path, kind=kind):
            try:
                mode = os.stat(path).st_mode
            except OSError:
                return probe.good_if is False
            fits = {"file": stat.S_ISREG(mode), "directory": stat.S_ISDIR(mode), "anything": True}
            return fits[kind] == probe.good_if
        case ProcessOfFileRuns(path=path):
            try:
                os.kill(int(Path(path).read_text()), 0)
            except (OSError, ValueError):
                return probe.good_if is False
            return probe.good_if
    raise AssertionError(probe)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_truth_is_that_of_a_real_shell(form: str, question: str, tmp_path: Path) -> None:
    (tmp_path / "own").write_text(f"{os.getpid()}\n")
    (tmp_path / "dead").write_text("4194303\n")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    for name in ("own", "dead", "empty", "folder", "dangling", "link", "missing"):
        command = form.format(question.format(tmp_path / name))
        argv = ["/bin/bash", "-c", command] if is_for_shell(command) else list(split(command))
        status = subprocess.run(argv, capture_output=True, check=False).returncode
        probe = recognise(command)
        assert probe is not None, command
        assert truth(probe) == (status == 0), f"{command} with {name}"


def test_a_probe_says_what_it_asks() -> None:
    assert str(recognise("killall -0 nginx php-fpm")) == "OK if processes nginx and php-fpm run"
    assert str(recognise("kill -0 $(cat /run/x.pid)")) == "OK if the process of /run/x.pid runs"
    assert str(recognise("[[ -f /x ]] && exit 1 || exit 0")) == "OK unless file /x exists"
