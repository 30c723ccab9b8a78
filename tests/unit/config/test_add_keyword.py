"""README's "How to add a keyword", followed in a copy of the package: one field in one file, a block likewise."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import kad

PACKAGE = Path(kad.__file__).parent
FIELD = 'NAME: Annotated[int | None, keyword(integer(1, 9), "help for NAME", default="5")] = None'
BLOCK = """
class UplinkBlock(Block, frozen=True, kw_only=True):
    \"\"\"new_uplink NAME { }\"\"\"

    name: Annotated[str, Head(text("NAME"))]
    new_cost: Annotated[int | None, keyword(integer(1, 9), "help for new_cost", default="5")] = None


"""
BLOCK_FIELD = 'new_uplink: Annotated[tuple[UplinkBlock, ...], block(UplinkBlock, "an uplink", collected=True)] = ()'
TEXT = """global_defs {
  new_global 7
  new_daemon 7
}
vrrp_script s {
  script /bin/true
  new_script 7
}
bfd_instance b {
  neighbor_ip 192.0.2.7
  new_bfd 7
}
vrrp_instance A {
  interface eth0
  virtual_router_id 5
  new_instance 7
  new_uplink north {
    new_cost 7
  }
  virtual_ipaddress {
    192.0.2.9/24
  }
}
virtual_server 192.0.2.9 80 {
  new_service 7
  real_server 192.0.2.20 80 {
    TCP_CHECK {
      new_check 7
    }
  }
}
"""


class Row(NamedTuple):
    """A keyword, the one file and the class of it that gets a field, and the block of the configuration."""

    keyword: str
    file: str
    block: str
    context: str


ROWS = (
    Row("new_instance", "vrrp/keywords/instance_words.py", "InstanceBlock", "vrrp_instance"),
    Row("new_global", "vrrp/keywords/global_words.py", "VrrpGlobals", "global_defs"),
    Row("new_daemon", "analyzer/daemon_words.py", "DaemonGlobals", "global_defs"),
    Row("new_script", "runner/keywords/script_words.py", "ScriptBlock", "vrrp_script"),
    Row("new_bfd", "tracking/block_words.py", "BfdBlock", "bfd_instance"),
    Row("new_service", "ipvs/keywords/service_words.py", "ServiceWords", "virtual_server"),
    Row("new_check", "checker/keywords/check_words.py", "ConnectionWords", "virtual_server > real_server > TCP_CHECK"),
)


class Copy:
    """A copy of the package that can be altered and run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(PACKAGE, directory / "kad", ignore=shutil.ignore_patterns("__pycache__"))

    def add_field(self, file: str, block: str, line: str) -> None:
        """Put a line at the end of a class."""
        path = self.directory / "kad" / file
        text = path.read_text()
        end = next(each.end_lineno for each in ast.parse(text).body if getattr(each, "name", "") == block)
        lines = text.split("\n")
        lines.insert(end or 0, f"    {line}")
        path.write_text("\n".join(lines))

    def add_before(self, file: str, old: str, new: str) -> None:
        """Put `new` before the text `old`, which stands once in the file."""
        path = self.directory / "kad" / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new + old))

    def run(self, text: str, *arguments: str) -> str:
        """What the altered package prints, as `python ARGUMENTS` with this text in kad.conf."""
        (self.directory / "kad.conf").write_text(text)
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(self.directory)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.stdout + ended.stderr

    def findings(self, text: str) -> list[str]:
        """Those of -t that speak of new keywords, as `LINE:COLUMN: TEXT`."""
        lines = self.run(text, "-m", "kad", "-t", "kad.conf").splitlines()
        return [line.partition("kad.conf:")[2] for line in lines if "kad.conf:" in line and "new_" in line]


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """With all of ROWS, and with a block in one file."""
    made = Copy(tmp_path_factory.mktemp("altered"))
    for row in ROWS:
        made.add_field(row.file, row.block, FIELD.replace("NAME", row.keyword))
    made.add_before("vrrp/keywords/instance_words.py", "class InstanceBlock(", BLOCK.lstrip("\n"))
    made.add_field("vrrp/keywords/instance_words.py", "InstanceBlock", BLOCK_FIELD)
    return made


def test_no_keyword_is_known_before(tmp_path: Path) -> None:
    found = Copy(tmp_path).findings(TEXT)
    assert [row.keyword for row in ROWS if f"unknown keyword {row.keyword} " not in "".join(found)] == []
    assert any("unknown keyword new_uplink in vrrp_instance; the block is ignored" in each for each in found)


def test_every_keyword_is_read(altered: Copy) -> None:
    assert altered.findings(TEXT) == []


def test_every_keyword_has_its_bounds_and_its_default(altered: Copy) -> None:
    found = [each.partition(": ")[2] for each in altered.findings(TEXT.replace(" 7\n", " 70\n"))]
    said = {
        f"warning: {name}: 70 is not in 1..9; using default (5)"
        for name in (*(row.keyword for row in ROWS), "new_cost")
    }
    assert set(found) == said
    assert len(found) == len(said)


def test_every_keyword_is_explained(altered: Copy) -> None:
    of_contexts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in altered.run(TEXT, "-m", "kad", "--explain").splitlines():
        if line.startswith(" "):
            lines.append(line.strip())
        else:
            lines = of_contexts.setdefault(line, [])
    for name, context in (*((row.keyword, row.context) for row in ROWS), ("new_cost", "vrrp_instance > new_uplink")):
        assert f"{name} <INTEGER 1..9>" in of_contexts[context]
    assert "new_uplink <NAME> { ... }" in of_contexts["vrrp_instance"]


def test_a_keyword_is_explained_with_its_help(altered: Copy) -> None:
    assert altered.run(TEXT, "-m", "kad", "--explain", "new_instance") == (
        "new_instance <INTEGER 1..9>\n    help for new_instance\n    default: 5\n    in: vrrp_instance\n"
    )


def test_every_keyword_is_printed_back(altered: Copy) -> None:
    printed = altered.run(TEXT, "-m", "kad", "--print", "-f", "kad.conf")
    words = [" ".join(line.split()) for line in printed.splitlines() if "new_" in line]
    assert sorted(words) == sorted([*(f"{row.keyword} 7" for row in ROWS), "new_uplink north {", "new_cost 7"])


def test_a_process_gets_the_value_by_a_field_of_its_slice(altered: Copy) -> None:
    altered.add_field("model/vrrp.py", "VrrpInstance", "new_instance: int = 5")
    altered.add_before(
        "vrrp/keywords/build_instance.py", "            name=outline.name,\n",
        "            new_instance=first(5, block.new_instance),\n",
    )  # fmt: skip
    program = (
        "from kad.analyzer.process import analyze; from kad.linux.netlink.host import gather\n"
        "import msgspec; slice = analyze('kad.conf', gather()).slices['vrrp']\n"
        "print(msgspec.msgpack.decode(slice)['instances'][0]['new_instance'])"
    )
    assert altered.run(TEXT, "-c", program) == "7\n"
    assert altered.run(TEXT.replace("new_instance 7", ""), "-c", program) == "5\n"
