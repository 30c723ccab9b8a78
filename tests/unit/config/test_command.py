"""How a command line is cut into words, and which ones are meant for a shell."""

from __future__ import annotations

import pytest

from kad.config.command import Command, command, is_for_shell, split
from kad.config.grammar import words_of
from kad.config.values import Wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/bin/x a  b\tc", ["/bin/x", "a", "b", "c"]),
        ("x one 'two three'", ["x", "one", "two three"]),
        ('x "a b" c', ["x", "a b", "c"]),
        ("""x a"b c"d'e f'g""", ["x", "ab cde fg"]),
        ("x '' \"\"", ["x", "", ""]),
        (r"x a\ b \"c\" \'", ["x", "a b", '"c"', "'"]),
        (r"x '\x41\x4a9' \101 \cA", ["x", "AJ9", "A", "\x01"]),
        (r"x \n\t\a\b\E\f\r\v", ["x", "\n\t\a\b\x1b\f\r\v"]),
        (r"x \q", ["x", "q"]),
        ("größe ä", ["größe", "ä"]),
        ("", []),
    ],
)
def test_words_of_a_command(text: str, words: list[str]) -> None:
    assert list(split(text)) == words


@pytest.mark.parametrize("text", ['x "a', "x 'a", r"x \x00", 'x "a\\"'])
def test_commands_that_cannot_be_cut(text: str) -> None:
    with pytest.raises(Wrong):
        split(text)


@pytest.mark.parametrize(
    "text",
    [
        "[[ -f /etc/keepalived/down ]] && exit 1 || exit 0",
        "killall -0 nginx && exit 0 || exit 1",
        "[ -f /x ]",
        "! pgrep x",
        "a | b",
        "a ; b",
        "a > /dev/null",
        "a >/dev/null 2>&1",
        "a 2>/dev/null",
        "a &>/dev/null",
        "a </dev/null",
        "a >>log",
        "test $(cat /x) = 1",
        "test `cat /x` = 1",
        'test "$(cat /x)" = 1',
    ],
)
def test_meant_for_a_shell(text: str) -> None:
    assert is_for_shell(text)


@pytest.mark.parametrize(
    "text",
    [
        "/usr/bin/curl http://192.0.2.1/?a=1&b=2",
        "/usr/bin/x a&&b",
        "/usr/bin/x a|b c;d e!f [a] x>y",
        "/usr/bin/x '&&' \"||\" \\; \\|",
        "/usr/bin/x '[[' ']]' '>' '2>&1'",
        "/usr/bin/x $HOME * ~",
        "/usr/bin/x --a=>b",
        "/usr/bin/x ]] ]",
    ],
)
def test_not_meant_for_a_shell(text: str) -> None:
    assert not is_for_shell(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('notify "/bin/x a b"', Command(text="/bin/x a b")),
        ('notify "/bin/x a b" root', Command(text="/bin/x a b", user="root")),
        ("notify \"/bin/x 'a b'\" root wheel", Command(text="/bin/x 'a b'", user="root", group="wheel")),
        (r'notify "/bin/x \"a b\" c"', Command(text=r"/bin/x \"a b\" c")),
        ("notify\t'/bin/x \"a\tb\"'\troot", Command(text='/bin/x "a\tb"', user="root")),
        ("notify '/bin/x \"a b\"'", Command(text='/bin/x "a b"')),
        ("notify /bin/x root", Command(text="/bin/x", user="root")),
    ],
)
def test_a_command_with_its_user(line: str, expected: Command) -> None:
    value = command()
    found = value.read(words_of("notify", value, line))
    assert found == expected
    assert value.read(words_of("notify", value, f"notify {value.write(found)}")) == expected


@pytest.mark.parametrize("line", ['notify "/bin/x', 'notify ""', "notify 'a"])
def test_lines_that_hold_no_command(line: str) -> None:
    value = command()
    with pytest.raises(Wrong):
        value.read(words_of("notify", value, line))
