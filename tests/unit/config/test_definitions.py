"""What $NAME, ~SEQ, ~LST and @ID stand for; each row was also asked of keepalived."""

from __future__ import annotations

import pytest

from kad.config.diagnostics import Report
from kad.config.preprocess import Preprocessor
from tests.config.hosts import FILE, a_host


def expanded(text: str, config_id: str = "node1") -> tuple[list[str], list[str]]:
    """The logical lines, and what was said."""
    report = Report()
    host = a_host(text, environment={"VIP": "192.0.2.9"})
    lines = [line.text for line in Preprocessor(host, config_id, report).read(FILE)]
    return lines, [f"{one.severity}: {one.text}" for one in report.diagnostics]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("$X=one\nq $X", ["q one"]),
        ("$X=one\nq $X, z\nq $X) z", ["q one, z", "q one) z"]),
        ("$X=one\nq ${X}y", ["q oney"]),
        ("$X=one\nq $X.y", ["q $X.y"]),
        ('$X=1\nfoo"$X" "$X x" "${X}"', ['foo"$X" "1 x" "1"']),
        ("$X=\nq $X z", ["q  z"]),
        ("$X=1\n$X=2\nq $X", ["q 2"]),
        ("$A=1\n$B=$A\n$A=2\nstate$B x", ["state2 x"]),
        ("$A=1\n$$A x\n$A$A y\n${A}${A}", ["$1 x", "$A1 y", "11"]),
        ("$M=a \\\n  b \\\n  c\nq $M\nz ${M}\nw $M x", ["q a", "b", "c", "z a", "b", "c", "w $M x"]),
        ("$M=\\\n  b \\\n c\nq $M", ["q b", "c"]),
        ("$M=\\\n  b \\\n\n  c\nq $M", ["c", "q b"]),
        ("$N=n1\n$M=a $N\\\n b ${N}x\n$N=n2\nq $M", ["q a n2", "b n2x"]),
        ("$K=1\\\n2 $M\\\n3\n$M= a\\\n  b\nq $K\nz", ["q 1", "2 a", "b", "3", "z"]),
        ("$M=a\\\n$K=5\\\nc $K\nq $M\nl $K", ["q a", "c 5", "l 5"]),
        ("q ${_INSTANCE} ${_PWD}", ["q node1 /etc/kad"]),
        ('q "${_INSTANCE} ${_HASH}${_BANG}" ${_PWD}', ['q "node1 #!" /etc/kad']),
        # What such a sign makes of a line is a comment.
        ("q 1${_HASH} b", ["q 1"]),
        ("${_BANG} q", []),
        ("$T=${_HASH}\n${T} q { b }\n${T}", []),
        ('$T=${_HASH}\nq "${T}" ${T} b', ['q "#"']),
        # Names between the brackets of a sequence.
        ("$A=2\n$B=3\n~SEQ(X,$A,$B) ${X}$A", ["22", "32"]),
        ("$A=2\n~SEQ(X, $A, ${A}, 4) q ${X} ${A}", ["q 2 2", "q 4 2"]),
        ("$A=2,3\n~SEQ(X,$A) q $X", ["q 2", "q 3"]),
        ("$A=2\n~SEQ(X,$A) ~SEQ(Y,$X) q $X $Y", ["q 1 1", "q 2 1", "q 2 2"]),
        ("$A=u\n$B={v,w}\n~LST(X,$A,x) q $X\n~LST({X,Y},$B) q $X $Y", ["q u", "q x", "q v w"]),
        ("$A=X\n~SEQ($A,2) q $X", ["q 1", "q 2"]),
        ("$_HASH=x\nq ${_HASH}", ["q x"]),
        ("q ${_ENV VIP}", ["q 192.0.2.9"]),
        ("q ${_RANDOM 5 5} ${_RANDOM 0}", ["q 5 0"]),
        ("~SEQ(a, 3) foo$a bar ${a}x", ["foo1 bar 1x", "foo2 bar 2x", "foo3 bar 3x"]),
        ("~SEQ(a,1,2) ~SEQ(b,5,6) q $a $b z", ["q 1 5 z", "q 1 6 z", "q 2 5 z", "q 2 6 z"]),
        ("~SEQx(a,9,2,14) q $a", ["q 9", "q b", "q d"]),
        ("~SEQ(a,-2) q $a", ["q -1", "q -2"]),
        ("~SEQ (a,3,1) q ${a}", ["q 3", "q 2", "q 1"]),
        ("~SEQ(a,0x10,0x11) x${a}y\n~SEQ(a,010,011) x${a}y", ["x16y", "x17y", "x8y", "x9y"]),
        ("~SEQ(a,1,2) $M${a}=val\nq $M1 $M2", ["q val val"]),
        ("~LST(a, b, c,, d) q ${a}e", ["q be", "q ce", "q e", "q de"]),
        ("~LST({a, b}, {1, 2}, {3}) q ${a} ${b}e", ["q 1 2e", "q 3 e"]),
        ("~LST(a,b) ~SEQ(i,1,2) -${a}${i}", ["-b1", "-b2"]),
        ("x ~SEQ(a, 3) y", ["x ~SEQ(a, 3) y"]),
        ("@node1 a\n@node2 b\n@^node1 c\n@^node2 d\n@node1", ["a", "d"]),
        ("@^node2 @node1 x\n@node1 $X=1\n@node2 $X=2\nq $X", ["x", "q 1"]),
        ("@node2 vrrp_instance A {\n}", ["}"]),
        ("$C=@node1 a\n$C\n$C b", ["a", "a b"]),
    ],
)
def test_a_line_stands_for_lines(text: str, lines: list[str]) -> None:
    assert expanded(text)[0] == lines


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("~SEQ(a,5,1,1) q", "warning: ~SEQ cannot count from 5 to 1 by 1; the line is ignored"),
        ("~SEQ(a,5,0,1) q", "warning: ~SEQ cannot count from 5 to 1 by 0; the line is ignored"),
        ("~SEQ(a) q", "warning: ~SEQ needs a name and one to three numbers; the line is ignored"),
        ("~SEQ(a,08) q", "warning: ~SEQ 08 is not a number; the line is ignored"),
        ("~SEQ(a,1 q", "warning: ~SEQ needs (NAME, VALUE ...) and a text after it; the line is ignored"),
        ("~SEQx(a,-1,1) q", "warning: ~SEQ counts hexadecimal numbers, which cannot be negative; the line is ignored"),
        ("~LST({a,b}, {1,2,3}) q", "warning: ~LST has more values than the names a b; the line is ignored"),
        ("~LST(a, b c) q", "warning: ~LST cannot take b c for a value; the line is ignored"),
        ("$A=a$A\nq $A", "error: the definitions used here expand without end"),
        ("q $A", "note: $A is not defined; it is left as it is"),
        ("$A=a\\\nb\nq $A x", "note: $A has several lines, so nothing may follow it; it is left as it is"),
        ("q ${_ENV NOTHING}", "warning: the environment variable NOTHING is not set; it is replaced by nothing"),
        ("q ${_RANDOM 7 3}", "warning: ${_RANDOM 7 3}: the first number is the larger one; it is used"),
    ],
)
def test_what_cannot_be_expanded_is_said(text: str, finding: str) -> None:
    assert expanded(text)[1] == [finding]


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert expanded("q ${_RANDOM}") == expanded("q ${_RANDOM}")


def test_a_small_file_cannot_stand_for_an_endless_one() -> None:
    doubled = "\n".join(f"$A{n}=$A{n + 1}\\\n$A{n + 1}" for n in range(40))
    lines, findings = expanded("$A40=x\n" + doubled + "\n$A0")
    assert findings == ["error: the definitions used here expand without end"]
    assert len(lines) < 500_000
