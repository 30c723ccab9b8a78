"""Comments, quotes, braces, long lines and includes: from bytes to logical lines."""

from __future__ import annotations

import pytest

from kad.config.diagnostics import Report
from kad.config.preprocess import Preprocessor
from kad.model.host import FileLook
from tests.config.hosts import FILE, a_host


def lines_of(text: str | bytes) -> list[str]:
    return [line.text for line in Preprocessor(a_host(text), "node1", Report()).read(FILE)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a 1 # b\n! c\nd!e\n", ["a 1", "d"]),
        (r"a \# b \! c # d", ["a # b ! c"]),
        (r'a "# b \! c" # d', [r'a "# b \! c"']),
        ("script 'echo #1'", ["script 'echo"]),
        ("\t  a\t1 \r\n\r\n  b\f\n", ["a\t1", "b"]),
        ("a { b 1 } c { d 2 }", ["a", "{", "b 1", "}", "c", "{", "d 2", "}"]),
        ("a\n{\nb\n}", ["a", "{", "b", "}"]),
        ('a "{ b }" {', ['a "{ b }"', "{"]),
        ("größe 名前 # Kommentar: ä\n", ["größe 名前"]),
        (b"a \xff\xfe b\nc \xc3\xa4", ["a ÿþ b", "c ä"]),
        (b"a\0b\nc\n", ["c"]),
        ("", []),
        ("# nothing\n\n", []),
        ("x " + "y" * 1100, ["x " + "y" * 1100]),
    ],
)
def test_lines_of_a_text(text: str | bytes, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_each_line_knows_where_it_stands() -> None:
    read = Preprocessor(a_host("a\n\t b { c\n}"), "node1", Report()).read(FILE)
    assert [(line.text, line.place.line, line.place.column) for line in read] == [
        ("a", 1, 1),
        ("b", 2, 3),
        ("{", 2, 5),
        ("c", 2, 7),
        ("}", 3, 1),
    ]


WIDE = "global_defs {\n    router_id x\n}\n" * 20
READ_AS = "and keepalived and kad read UTF-8; nothing of it is read"


@pytest.mark.parametrize(
    ("text", "column", "finding"),
    [
        ('a "b\n', 3, "error: this quote has no closing quote on the line"),
        ('a "b" "c\n', 7, "error: this quote has no closing quote on the line"),
        (b"aaa\0\n", 1, "warning: a line with a NUL byte is not read"),
        (b"aaa\0\nb\nccccc\0\n", 1, "warning: 2 lines with a NUL byte are not read: the file is binary or damaged"),
        *(
            (WIDE.encode(form), 0, f"warning: the file is {name}, {READ_AS}")
            for name in ("UTF-16", "UTF-32")
            for form in (name, f"{name}-LE", f"{name}-BE")
        ),
        ("x" * 1024, 1, "warning: the line has 1024 bytes; keepalived drops everything before the 1023th"),
    ],
)
def test_what_is_wrong_with_a_line(text: str | bytes, column: int, finding: str) -> None:
    report = Report()
    list(Preprocessor(a_host(text), "node1", report).read(FILE))
    assert [(one.place.column, f"{one.severity}: {one.text}") for one in report.diagnostics] == [(column, finding)]


PROGRAM = FileLook(kind="file", mode=0o755, uid=0, gid=0)
FILES = {"/etc/kad/a.conf": "from a", "/etc/kad/b.conf": "from b", "/etc/kad/sub/c.conf": "include d.conf\nfrom c"}
FILES |= {"/etc/kad/sub/d.conf": "from d", "/etc/kad/run.sh": "from run.sh", "/etc/kad/loop.conf": "include loop.conf"}


def included(text: str) -> tuple[list[str], list[tuple[str, int]]]:
    """The lines, and the severity and exit code of each finding."""
    report = Report()
    host = a_host(text, more=FILES, looks={"/etc/kad/run.sh": PROGRAM})
    lines = [line.text for line in Preprocessor(host, "node1", report).read(FILE)]
    return lines, [(one.severity, one.klass.exit_code) for one in report.diagnostics]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x {\ninclude a.conf\n}", ["x", "{", "from a", "}"]),
        ("include *.conf\n", ["from a", "from b"]),
        ("include {b,a}.conf", ["from b", "from a"]),
        ("include /etc/kad/sub/c.conf\ninclude a.conf", ["from d", "from c", "from a"]),
        ('include "a.conf"', ["from a"]),
        ("$D=sub\ninclude ${D}/d.conf", ["from d"]),
        ("includex a.conf", ["includex a.conf"]),
        ("included a.conf", ["included a.conf"]),
        ("include", ["include"]),
    ],
)
def test_includes(text: str, lines: list[str]) -> None:
    found, findings = included(text.replace("*.conf", "[ab].conf"))
    assert (found, findings) == (lines, [])


@pytest.mark.parametrize(
    ("pattern", "errors_of"),
    [
        ("missing.conf", "mwa"),
        ("missing*.conf", "wa"),
        ("{a,missing}.conf", "ba"),
        ("run.sh", "rmwba"),
        ("sub", "rmwba"),
    ],
)
@pytest.mark.parametrize("letter", ["", "r", "m", "w", "b", "a"])
def test_the_letter_says_which_failures_are_errors(pattern: str, letter: str, errors_of: str) -> None:
    _, findings = included(f"include{letter} {pattern}")
    assert findings == [("error", 6) if letter and letter in errors_of else ("note", 0)]


def test_a_file_that_includes_itself_is_an_error() -> None:
    assert included("include loop.conf") == ([], [("error", 6)])


@pytest.mark.parametrize("pattern", ["/etc/kad/none.conf", "/etc/kad/sub", "/etc/kad/run.sh"])
def test_a_file_that_cannot_be_the_configuration_is_an_error(pattern: str) -> None:
    report = Report()
    host = a_host("", more=FILES, looks={"/etc/kad/run.sh": PROGRAM})
    assert list(Preprocessor(host, "node1", report).read(pattern)) == []
    assert [(one.severity, one.klass.exit_code) for one in report.diagnostics] == [("error", 6)]


def test_several_files_are_read_in_order_with_a_warning() -> None:
    report = Report()
    host = a_host("", more=FILES)
    assert [line.text for line in Preprocessor(host, "node1", report).read("/etc/kad/[ab].conf")] == [
        "from a",
        "from b",
    ]
    assert [(one.severity, one.klass.exit_code) for one in report.diagnostics] == [("warning", 5)]


@pytest.mark.parametrize(
    ("check", "pattern", "is_error"),
    [
        ("include_check", "missing.conf", True),
        ("include_check read", "missing.conf", False),
        ("include_check read", "run.sh", True),
        ("include_check match", "run.sh", True),
        ("include_check match", "missing*.conf", False),
        ("include_check wildcard_match", "missing*.conf", True),
        ("include_check\ninclude_check -match", "missing.conf", False),
        ("include_check\ninclude_check -match", "missing*.conf", True),
        ("include_check read\ninclude_check +match", "missing.conf", True),
    ],
)
def test_plain_includes_check_what_include_check_says(check: str, pattern: str, is_error: bool) -> None:
    _, findings = included(f"{check}\ninclude {pattern}")
    assert findings == [("error", 6) if is_error else ("note", 0)]


def test_include_check_ends_with_its_file() -> None:
    report = Report()
    host = a_host("include sub.conf\ninclude missing.conf", more={"/etc/kad/sub.conf": "include_check"})
    list(Preprocessor(host, "node1", report).read(FILE))
    assert [one.severity for one in report.diagnostics] == ["note"]


def test_the_command_line_can_ask_for_every_check() -> None:
    report = Report()
    list(Preprocessor(a_host("include missing.conf"), "node1", report, all_checks=True).read(FILE))
    assert [one.severity for one in report.diagnostics] == ["error"]
