"""enable_script_security: root runs nothing that others can change, whatever way leads there and whenever they do."""

from __future__ import annotations

import os

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
DAEMON = 1
RECORD = '#!/bin/sh\necho "$(id -u)" >> /run/ran-$1\n'


def secured(*scripts: tuple[str, str]) -> str:
    """Scripts that move no priority by more than 1, so that all of them run."""
    text = global_defs("enable_script_security")
    for name, script in scripts:
        text += f'vrrp_script {name} {{\n script "{script}"\n interval 1\n weight 1\n}}\n'
    return text + instance(more="track_script {\n" + "".join(f" {name}\n" for name, _ in scripts) + "}")


def ran(node: Node) -> set[str]:
    return {path.name.removeprefix("ran-") for path in (node.files / "run").glob("ran-*")}


def test_no_way_round_leads_root_to_what_another_user_can_change(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    etc = a.files / "etc"
    for name, mode in (("hers", 0o755), ("sticky", 0o1777)):
        (etc / name).mkdir()
        (etc / name).chmod(mode)
        os.chown(etc / name, DAEMON, DAEMON)
    a.write("hers/own.sh", RECORD, 0o755)
    os.chown(etc / "hers" / "own.sh", DAEMON, DAEMON)
    a.write("sticky/roots.sh", RECORD, 0o755)
    (etc / "hers" / "link").symlink_to("/etc/keepalived/record.sh")
    (etc / "to-hers").symlink_to("hers/own.sh")
    a.write("interpreted.sh", "#!/etc/keepalived/hers/link\n", 0o755)
    path = "/etc/keepalived"
    scripts = (
        ("link", f"{path}/hers/link link"),
        ("target", f"{path}/to-hers target"),
        ("sticky", f"{path}/sticky/roots.sh sticky"),
        ("line", f"true && {path}/hers/own.sh line"),
        ("joined", f"true | true;{path}/hers/own.sh joined"),
        ("inner", f"true || $({path}/hers/own.sh inner)"),
        ("argument", f"/bin/sh {path}/hers/own.sh argument"),
        ("interpreter", f"{path}/interpreted.sh"),
        ("good", f"{path}/record.sh good"),
    )
    daemon = lab.start_kad(a, secured(*scripts))
    lab.hub.until(lambda: "good" in ran(a), 8, "the one that only root can change runs")
    found = {script["name"]: script["reason"] for script in daemon.dump("runner")["scripts"]}
    assert ran(a) == {"good"}
    assert found.pop("good") == "exited with status 0"
    assert set(found.values()) == {"could not be started: enable_script_security forbids to run it"}


def test_what_another_user_can_change_from_some_moment_on_is_not_run_any_more(pair: Pair) -> None:
    """It was good when the configuration was read, or was not there."""
    lab, a, _ = pair
    etc = a.files / "etc"
    (etc / "later").mkdir()
    a.write("later/record.sh", RECORD, 0o755)
    path = "/etc/keepalived/later"
    text = secured(
        ("path", f"{path}/record.sh path"), ("line", f"true && {path}/record.sh line"), ("absent", f"{path}/new")
    )
    daemon = lab.start_kad(a, text)
    lab.hub.until(lambda: ran(a) == {"path", "line"}, 8, "both run")

    def reasons() -> dict[str, str]:
        return {script["name"]: script["reason"] for script in daemon.dump("runner")["scripts"]}

    os.chown(etc / "later", DAEMON, DAEMON)
    a.write("later/new", RECORD, 0o755)
    said = f"could not be started: enable_script_security: users other than root can change {path}; starting {path}"
    wanted = {
        name: f"{said}/{file} as root: Operation not permitted"
        for name, file in (("path", "record.sh"), ("line", "record.sh"), ("absent", "new"))
    }
    lab.hub.until(lambda: reasons() == wanted or None, 8, lambda: f"{reasons()}")
    runs = a.read_run("ran-path")
    assert not (a.files / "run" / "ran-").exists()
    os.chown(etc / "later", 0, 0)
    lab.hub.until(lambda: a.read_run("ran-path") != runs, 8, "it runs again")
