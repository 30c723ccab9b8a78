"""Keywords that name the configuration or a file of the daemon: all of them stay whole, from start to end."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
FOLDER = "/etc/keepalived"


def tracking(name: str, path: str) -> str:
    return f"track_file {name} {{\n    file {path}\n    init_file 7 overwrite\n}}\n"


def configuration(*lines: str, priority: int) -> str:
    more = "track_file {\n f1 weight 1\n f2 weight 1\n f3 weight 1\n}"
    text = global_defs(*lines) + f"include {FOLDER}/included.conf\n"
    text += tracking("f1", f"{FOLDER}/keepalived.conf") + tracking("f2", "/run/kad/kad.pid")
    return text + tracking("f3", f"{FOLDER}/included.conf") + instance(priority=priority, more=more)


def test_no_keyword_harms_a_configuration_or_a_file_of_the_daemon(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    words = (
        f"reload_file {FOLDER}/keepalived.conf",
        f"reload_time_file {FOLDER}/included.conf",
        "reload_check_config /run/kad/vrrp.left",
        "notify_fifo /run/kad/vrrp.left",
        f"watchdog_device {FOLDER}/included.conf",
    )
    included = "! no word, but a file that a reload needs\n"
    path = a.write("included.conf", included)
    text = configuration(*words, priority=110)
    daemon = lab.start_kad(a, text)
    daemon.wait_log("Startup complete")
    lab.wait_holder(VIP, a, seconds=8)
    for name in ("reload_file", "reload_time_file", "reload_check_config", "notify_fifo", "watchdog_device"):
        assert daemon.logged(f"warning: {name} names .* it is ignored"), name
    for name in ("f1", "f2", "f3"):
        assert daemon.logged(f"warning: track_file {name}: init_file names .* it is ignored"), name
    assert (daemon.configuration.read_text(), path.read_text()) == (text, included)
    run = a.files / "run" / "kad"
    assert (run / "kad.pid").read_text().strip().isdecimal()
    # The first reload goes by what runs, the second one by what the first has brought.
    for priority in (120, 130):
        text = configuration(*words, priority=priority)
        moment = daemon.reload(text)
        daemon.wait_log("Reload complete", since=moment)
        assert (daemon.configuration.read_text(), path.read_text()) == (text, included)
        assert (run / "vrrp.left").stat().st_mode & 0o777 == 0o600
    [running] = daemon.dump("vrrp")["instances"]
    assert running["configuration"]["priority"] == 130
    assert daemon.stop() == 0
    assert (daemon.configuration.read_text(), path.read_text()) == (text, included)


def test_a_file_with_another_content_is_left_alone(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    marker, when, tracked = (a.files / "run" / name for name in ("marker", "when", "f1"))
    words = ("reload_file /run/marker", "reload_time_file /run/when")
    text = global_defs(*words) + tracking("f1", "/run/f1") + instance(more="track_file {\n f1 weight 1\n}")
    # A configuration, though not the one that runs.
    tracked.write_text(text)
    daemon = lab.start_kad(a, text)
    daemon.wait_log("track_file f1: /run/f1 is a configuration: not written")
    daemon.wait_log("Startup complete")
    marker.write_text(text)
    moment = daemon.reload()
    daemon.wait_log("Reload complete", since=moment)
    assert (marker.read_text(), tracked.read_text()) == (text, text)
    marker.write_text("")
    moment = daemon.reload()
    daemon.wait_log("Reload complete", since=moment)
    assert not marker.exists()
    # What is a time is an order, and removed when it is carried out.
    when.write_text(time.strftime("%H:%M:%S", time.localtime(time.time() + 2)))
    daemon.wait_log("ordered a reload for now", 15)
    lab.hub.until(lambda: not when.exists(), 5, "the order is removed")
