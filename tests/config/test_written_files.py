"""A file that a keyword has kad write, create or remove is never a configuration or a file of the daemon."""

from __future__ import annotations

import msgspec
import pytest

from kad.analyzer.process import Analysis, Options, analyze
from kad.model.runner import RunnerSlice
from tests.config.hosts import FILE, a_host, said

INCLUDED = "/etc/keepalived/more.conf"
OWN = {
    "/run/kad/control": "the control socket",
    "/run/kad/kad.pid": "the pid file",
    "/run/kad/vrrp.left": "what a later start releases",
}
KEYWORDS = {
    "reload_check_config": ("global_defs {{\n    reload_check_config {}\n}}", "reload_check_config"),
    "reload_time_file": ("global_defs {{\n    reload_time_file {}\n}}", "reload_time_file"),
    "reload_file": ("global_defs {{\n    reload_file {}\n}}", "reload_file"),
    "watchdog_device": ("global_defs {{\n    watchdog_device {}\n}}", "watchdog_device"),
    "notify_fifo": ("global_defs {{\n    notify_fifo {}\n}}", "notify_fifo"),
    "vrrp_notify_fifo": ("global_defs {{\n    vrrp_notify_fifo {}\n}}", "vrrp_notify_fifo"),
    "lvs_notify_fifo": ("global_defs {{\n    lvs_notify_fifo {}\n}}", "lvs_notify_fifo"),
    "init_file": ("track_file f {{\n    file {}\n    init_file 1 overwrite\n}}", "track_file f: init_file"),
}
"""Each keyword that names such a file, and how findings name it."""
INSTANCE = """
vrrp_instance A {
    interface eth0
    virtual_router_id 5
    track_file {
        f weight 1
    }
    virtual_ipaddress { 192.0.2.9/24 }
}
"""
TAKEN = [
    pytest.param(FILE, "a file of this configuration", id="the configuration"),
    pytest.param(INCLUDED, "a file of this configuration", id="an included file"),
    pytest.param("/etc/keepalived/../keepalived/more.conf", "a file of this configuration", id="another spelling"),
    pytest.param("/etc/link", "a file of this configuration", id="a symbolic link"),
    *(pytest.param(path, f"{what} of kad itself", id=what) for path, what in OWN.items()),
]


def judged(text: str) -> Analysis:
    host = a_host(text, more={INCLUDED: "! nothing\n"}, links={"/etc/link": INCLUDED})
    return analyze(FILE, host, Options(own_files=OWN))


def written(analysis: Analysis) -> dict[str, object]:
    """What the processes are told to write, by keyword."""
    runner = msgspec.msgpack.decode(analysis.slices["runner"], type=RunnerSlice)
    words = analysis.watchdog
    return {
        "reload_check_config": words.reload_check_log,
        "reload_time_file": words.reload_time_file,
        "reload_file": words.reload_file,
        "watchdog_device": words.watchdog_device,
        "notify_fifo": next((each.path for each in runner.fifos if len(each.sources) == 2), None),
        "vrrp_notify_fifo": next((each.path for each in runner.fifos if each.sources == ("vrrp",)), None),
        "init_file": next((each.path for each in runner.files if each.initial is not None), None),
    }


@pytest.mark.parametrize(("path", "what"), TAKEN)
@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_file_that_serves_something_else_is_left_alone(keyword: str, path: str, what: str) -> None:
    block, name = KEYWORDS[keyword]
    analysis = judged(f"include {INCLUDED}\n{block.format(path)}\n{INSTANCE}")
    text = f"{name} names {path}, which is {what}; it is ignored"
    assert [found.text for found in analysis.diagnostics if found.severity == "warning"].count(text) == 1, said(
        analysis
    )
    assert [found.place.line for found in analysis.diagnostics if found.text == text] == [4 if "track" in name else 3]
    # keepalived says nothing of it.
    assert [found.klass.exit_code for found in analysis.diagnostics if found.text == text] == [0]
    assert written(analysis).get(keyword) is None
    assert not analysis.fatal


@pytest.mark.parametrize("keyword", [name for name in KEYWORDS if name != "lvs_notify_fifo"])
def test_any_other_file_is_written(keyword: str) -> None:
    block, _ = KEYWORDS[keyword]
    analysis = judged(f"include {INCLUDED}\n{block.format('/var/lib/kad/other')}\n{INSTANCE}")
    assert written(analysis)[keyword] == "/var/lib/kad/other"
    assert not [each for each in said(analysis) if "ignored" in each and "names" in each]


def test_no_file_serves_two_keywords() -> None:
    text = "global_defs {\n    reload_time_file /var/x\n    reload_file /var/x\n    notify_fifo /var/x\n}\n"
    text += "track_file f {\n    file /var/x\n    init_file 0\n}\n" + INSTANCE
    analysis = judged(text)
    assert [each for each in said(analysis) if "already" in each] == [
        f"warning {line} {name} names /var/x, which is the file of reload_time_file already; it is ignored"
        " -> name a file that serves nothing else"
        for line, name in ((3, "reload_file"), (4, "notify_fifo"), (8, "track_file f: init_file"))
    ]
    assert written(analysis) == {
        "reload_check_config": None,
        "reload_time_file": "/var/x",
        "reload_file": None,
        "watchdog_device": None,
        "notify_fifo": None,
        "vrrp_notify_fifo": None,
        "init_file": None,
    }


def test_a_configuration_that_the_daemon_would_replace_is_an_error() -> None:
    analysis = analyze(FILE, a_host(INSTANCE), Options(own_files={FILE: "a dump"}))
    assert analysis.fatal
    assert said(analysis)[0] == "error 0 the daemon replaces this file: it is a dump of kad itself"
