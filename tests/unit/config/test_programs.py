"""Where programs are found, who runs them, and which ones root had better not run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kad.config.build import Scope
from kad.config.command import Command
from kad.config.diagnostics import Complaint, Place, Report
from kad.config.programs import Programs
from kad.model.host import FileLook, Host
from tests.config.hosts import a_host

PLACE = Place("/f", 1, 1)
OPEN = "users other than root can change"


def look(mode: int, uid: int = 0, gid: int = 0, kind: str = "file") -> FileLook:
    return FileLook(kind=kind, mode=mode, uid=uid, gid=gid)


LOOKS = {
    "/opt/safe": look(0o755),
    "/opt/plain": look(0o644),
    "/opt/group": look(0o775, gid=65534),
    "/opt/rootgroup": look(0o775),
    "/opt/others": look(0o757),
    "/opt/foreign": look(0o755, uid=65534),
    "/opt/mine": look(0o700, uid=65534),
    "/opt/setuid": look(0o4757),
    "/tmp": look(0o1777, kind="directory"),
    "/tmp/safe": look(0o755),
    "/wide": look(0o777, kind="directory"),
    "/wide/safe": look(0o755),
    "/usr/bin/tool": look(0o755),
    "/bin/tool": look(0o755),
}


def made(
    text: str, *, secure: bool = False, host: Host | None = None, **more: str | None
) -> tuple[tuple[str, ...] | None, list[tuple[str, int]]]:
    """What execve would get, and what was said, with exit codes."""
    report = Report()
    programs = Programs(Scope(host or a_host(looks=LOOKS), report), user="root" if secure else None, secure=secure)
    command = Command(text=text, **more)
    program = programs.make(command, "x/y", PLACE, klass=Complaint.GENERAL)
    programs.conclude()
    said = [(one.text, one.klass.exit_code) for one in report.diagnostics]
    return program.argv if program else None, said


NOBODY_ASKED = ("scripts run without enable_script_security", 6)


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("/opt/safe a 'b c'", ("/opt/safe", "a", "b c")),
        ("tool -x", ("/usr/bin/tool", "-x")),
        ("opt/safe", ("/opt/safe",)),
        ("./opt/../opt/safe", ("/opt/safe",)),
    ],
)
def test_where_a_program_is_found(text: str, argv: tuple[str, ...]) -> None:
    assert made(text) == (argv, [NOBODY_ASKED])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("/opt/none", "/opt/none is not found on this host; the program is not run"),
        ("nothing", "nothing is not found on this host; the program is not run"),
        ("/opt/plain", "/opt/plain cannot be executed by this user; the program is not run"),
        ("/opt", "/opt cannot be executed by this user; the program is not run"),
    ],
)
def test_a_program_that_cannot_run(text: str, problem: str) -> None:
    assert made(text) == (None, [(problem, 5)])


@pytest.mark.parametrize("name", ["group", "others", "foreign"])
def test_root_runs_what_others_can_change_only_without_security(name: str) -> None:
    argv, findings = made(f"/opt/{name}")
    assert argv == (f"/opt/{name}",)
    assert findings[0] == (f"{OPEN} /opt/{name}, so running /opt/{name} as root is not safe; it is run anyway", 6)
    argv, findings = made(f"/opt/{name}", secure=True)
    assert argv is None
    assert findings[0][0].endswith("enable_script_security forbids to run it")


@pytest.mark.parametrize("path", ["/opt/safe", "/opt/rootgroup", "/tmp/safe"])
def test_safe_programs_run_with_security(path: str) -> None:
    assert made(path, secure=True) == ((path,), [])


def test_a_directory_that_others_can_change_is_not_safe() -> None:
    argv, findings = made("/wide/safe", secure=True)
    assert argv is None
    assert findings[0][0].startswith(f"{OPEN} /wide,")


@pytest.mark.parametrize(
    ("users", "uid", "argv"),
    [
        ({}, 0, None),
        ({"keepalived_script": (1002, 1002)}, 0, ("/opt/safe",)),
        # Who is not root cannot run anything as root.
        ({}, 65534, ("/opt/safe",)),
    ],
)
def test_with_security_root_runs_no_program_that_names_no_user(
    users: dict[str, tuple[int, int]], uid: int, argv: tuple[str, ...] | None
) -> None:
    report = Report()
    host = replace(a_host(looks=LOOKS, users=users), uid=uid)
    programs = Programs(Scope(host, report), secure=True)
    program = programs.make(Command(text="/opt/safe"), "x/y", PLACE)
    assert (program.argv if program else None) == argv
    check = programs.make_check(Command(text="/opt/safe"), "c/d", PLACE, None, native=True, tracked=True)
    assert (check[0].argv if check else None) == argv
    # What is never run needs no user.
    assert programs.make_check(Command(text="killall -0 nginx"), "c/e", PLACE, None, native=True, tracked=True)
    said = [(one.severity, one.text, one.klass.exit_code, one.about_host) for one in report.diagnostics]
    text = "enable_script_security without script_user needs a user keepalived_script"
    expected = [("warning", f"{text}; the program is not run", 5, True)]
    expected += [("warning", f"{text}; the check is ignored", 5, True)]
    assert [one for one in said if one[0] != "note"] == ([] if argv else expected)


def test_another_user_may_run_what_others_can_change() -> None:
    assert made("/opt/others", secure=True, user="nobody") == (("/opt/others",), [])


def test_setuid_counts_as_root() -> None:
    assert made("/opt/setuid", secure=True, user="nobody")[0] is None


def test_what_a_user_may_execute() -> None:
    assert made("/opt/mine", user="nobody", secure=True)[0] == ("/opt/mine",)
    host = a_host(looks=LOOKS, users={"other": (1001, 1001)})
    assert made("/opt/mine", user="other", host=host) == (
        None,
        [("/opt/mine cannot be executed by other; the program is not run", 5)],
    )


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"user": "ghost"}, "there is no user ghost on this host; the program is not run"),
        ({"user": "nobody", "group": "ghosts"}, "there is no group ghosts on this host; the program is not run"),
    ],
)
def test_users_that_are_not_there(more: dict[str, str], problem: str) -> None:
    assert made("/opt/safe", **more) == (None, [(problem, 5)])


def test_keepalived_script_runs_programs_where_it_exists() -> None:
    host = a_host(looks=LOOKS, users={"keepalived_script": (99, 99)})
    programs = Programs(Scope(host, Report()))
    program = programs.make(Command(text="/opt/safe"), "x/y", PLACE)
    assert program is not None
    assert program.user == "keepalived_script"


def test_a_shell_string_is_looked_into_as_far_as_its_first_word() -> None:
    argv, findings = made("missing -0 nginx || exit 1")
    assert argv == ("/bin/bash", "-c", "missing -0 nginx || exit 1")
    assert ("missing is not found on this host", 0) in findings


def test_escaped_quotes_are_quotes_for_the_shell() -> None:
    argv, _ = made(r"[ \"$(cat /x)\" = 1 ] && exit 0")
    assert argv == ("/bin/bash", "-c", '[ "$(cat /x)" = 1 ] && exit 0')


# What root runs is looked at from the root down, links and their targets, and all that a line names.

ALICE = 1000
HOME = {
    "/home/alice": look(0o755, uid=ALICE, kind="directory"),
    "/home/alice/x": look(0o755, uid=ALICE),
    "/home/alice/flag": look(0o644, uid=ALICE),
    "/home/alice/safe": look(0o755),
    "/opt/python": look(0o755),
    "/opt/found": look(0o755),
    "/opt/plain.sh": look(0o755),
    "/tmp": look(0o1777, kind="directory"),
    "/tmp/safe": look(0o755),
    "/var/spool": look(0o1777, uid=ALICE, kind="directory"),
    "/var/spool/safe": look(0o755),
    "/dev/null": look(0o666, kind="other"),
    "/usr/bin/tool": look(0o755),
    "/usr/bin/env": look(0o755),
    "/usr/bin/test": look(0o755),
    "/home/alice/linked": look(0o777, uid=ALICE, kind="link"),
    "/tmp/hers": look(0o777, uid=ALICE, kind="link"),
    "/tmp/roots": look(0o777, kind="link"),
}
LINKS = {
    "/home/alice/linked": "/usr/bin/tool",
    "/tmp/hers": "/usr/bin/tool",
    "/tmp/roots": "/usr/bin/tool",
    "/opt/to-hers": "../home/alice/x",
    "/opt/to-tool": "/usr/bin/tool",
    "/opt/way": "/home/alice",
    "/opt/around": "around",
}
SCRIPTS = {
    "/opt/python": "#!/home/alice/x -u\n",
    "/opt/found": "#!/usr/bin/env -S gadget -x\n",
    "/opt/plain.sh": "#!/bin/sh\n",
}


def secured(text: str, *, user: str | None = None) -> tuple[bool, list[str]]:
    """Whether it runs under enable_script_security, and what was said."""
    environment = {"PATH": "/usr/bin:/bin:/home/alice/bin"}
    looks = HOME | {"/home/alice/bin/gadget": look(0o755)}
    host = a_host(more=SCRIPTS, looks=looks, links=LINKS, users={"alice": (ALICE, ALICE)}, environment=environment)
    argv, findings = made(text, secure=True, host=host, user=user)
    return argv is not None, [text for text, _ in findings]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/home/alice/linked", "/home/alice"),
        ("/opt/to-hers", "/home/alice"),
        ("/opt/way/safe", "/home/alice"),
        ("/tmp/hers", "/tmp/hers"),
        ("/var/spool/safe", "/var/spool"),
        ("/opt/python", "/home/alice"),
        ("/opt/found", "/home/alice"),
        ("/bin/sh /home/alice/x", "/home/alice"),
        ("/usr/bin/env -i A=1 /home/alice/x", "/home/alice"),
        ("tool && /home/alice/x", "/home/alice"),
        ("tool;/home/alice/x ; true", "/home/alice"),
        ("tool | sh -c '. /home/alice/x'", "/home/alice"),
        ("tool $(/home/alice/x)", "/home/alice"),
        ("A=1 /home/alice/x || tool", "/home/alice"),
        ("sh < /home/alice/x", "/home/alice"),
        ("home/alice/x || tool", "/home/alice"),
        ("tool || gadget", "/home/alice"),
        ("tool || /tmp/absent", "/tmp/absent"),
        ("[ -f $(/home/alice/x) ] && tool", "/home/alice"),
        ("tool --with=/home/alice/x | tool", "/home/alice"),
    ],
)
def test_what_root_would_run_and_another_user_can_change_is_found(text: str, part: str) -> None:
    runs, findings = secured(text)
    assert not runs
    assert any(finding.startswith(f"{OPEN} {part}, so running ") for finding in findings), findings


@pytest.mark.parametrize(
    "text",
    [
        "/opt/to-tool",
        "/tmp/roots",
        "/tmp/safe",
        "/opt/plain.sh /home/alice/x",
        "/usr/bin/test -f /home/alice/flag",
        "[ -f /home/alice/flag ] && tool",
        "test -f /home/alice/flag && tool",
        "tool > /home/alice/flag 2>/dev/null",
        "tool </dev/null || true",
        "tool | tool http://example.com/a/b 1/2",
        "tool || touch /tmp/absent",
    ],
)
def test_what_only_root_can_change_runs_and_so_does_what_is_not_run(text: str) -> None:
    assert secured(text)[0], secured(text)[1]


def test_a_link_to_itself_can_be_followed_by_nobody() -> None:
    assert not secured("/opt/around")[0]


def test_another_user_may_run_all_of_that() -> None:
    for text in ("/home/alice/x", "/opt/to-hers", "tool && /home/alice/x", "/bin/sh /home/alice/x"):
        assert secured(text, user="alice")[0]


def test_of_a_shell_line_it_is_said_how_much_is_looked_at() -> None:
    assert (
        "enable_script_security looks at the paths in this line; what else a shell makes of it is not known"
        in secured("tool || true")[1]
    )
    assert not any("looks at the paths" in said for said in secured("/opt/to-tool")[1])
