"""Scripts without `#!`: /bin/sh runs them, whatever they are for and whoever runs them, as under keepalived 2.4.3."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_scripts import recorded
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
SCRIPT = "/etc/keepalived/bare.sh"
BARE = 'echo "$0 $1 $2 $(id -u)" >> /run/told/$1\n'
FIFO = 'echo "$0 $1 $2 $(id -u)" >> /run/told/$1\nwhile read -r line; do :; done < "$2"\n'
SERVICE = f"""
virtual_server 192.0.2.9 80 {{
    delay_loop 0.2
    warmup 0
    lb_algo rr
    lb_kind NAT
    protocol TCP
    alpha
    quorum_up "{SCRIPT} quorum_up"
    real_server 192.0.2.20 80 {{
        notify_up "{SCRIPT} notify_up"
        MISC_CHECK {{
            misc_timeout 5
            misc_path "{SCRIPT} misc_path 'two words'"
        }}
    }}
}}
"""
NOTE = f"{SCRIPT} has no #! line, so that /bin/sh runs it: add one"


@pytest.mark.parametrize(("user", "uid"), [("root", 0), ("daemon", 1)])
def test_every_kind_of_program_is_run_by_the_shell_and_it_is_noted(pair: Pair, user: str, uid: int) -> None:
    lab, a, _ = pair
    a.write("bare.sh", BARE, 0o755)
    a.write("fifo.sh", FIFO, 0o755)
    told = a.files / "run" / "told"
    told.mkdir()
    told.chmod(0o777)
    words = (
        f'startup_script "{SCRIPT} startup"',
        f'shutdown_script "{SCRIPT} shutdown"',
        f"vrrp_notify_fifo /run/fifo {user}",
        'vrrp_notify_fifo_script "/etc/keepalived/fifo.sh fifo"',
    )
    text = global_defs(*words).replace("script_user root", f"script_user {user}")
    text += f'vrrp_script tracked {{\n script "{SCRIPT} tracked"\n}}\n' + SERVICE
    more = "track_script {\n tracked\n }\n"
    more += f'notify_master "{SCRIPT} notify_master"\n notify_stop "{SCRIPT} notify_stop"'
    text += instance(priority=150, more=more)
    a.write("kad.conf", text)
    tested = a.kad("-t", "-f", "/etc/keepalived/kad.conf")
    assert f"note: {NOTE}" in tested.stdout + tested.stderr
    daemon = lab.start_kad(a, text)
    wanted = {
        "startup": f"{SCRIPT} startup  {uid}",
        "tracked": f"{SCRIPT} tracked  {uid}",
        "notify_master": f"{SCRIPT} notify_master  {uid}",
        "misc_path": f"{SCRIPT} misc_path two words {uid}",
        "notify_up": f"{SCRIPT} notify_up  {uid}",
        "quorum_up": f"{SCRIPT} quorum_up  {uid}",
        "fifo": f"/etc/keepalived/fifo.sh fifo /run/fifo {uid}",
    }

    def found() -> dict[str, str]:
        return {name: lines[0] for name in wanted if (lines := recorded(a, f"told/{name}"))}

    lab.hub.until(lambda: found() == wanted or None, 8, lambda: f"{found()}")
    assert daemon.stop() == 0
    wanted |= {name: f"{SCRIPT} {name}  {uid}" for name in ("notify_stop", "shutdown")}
    assert found() == wanted
    # Once from the runner, however often it is run, and once from the parent for each of its two.
    assert len(daemon.logged(rf"\]: {NOTE}")) == 3
    assert len(daemon.logged(r"\]: /etc/keepalived/fifo.sh has no #! line")) == 1


def test_a_program_that_its_user_cannot_execute_has_not_run(pair: Pair) -> None:
    """Its status would be a weight: setpriv, which could not execute it, ends with 126 or 127."""
    lab, a, _ = pair
    (a.files / "etc" / "closed").mkdir(mode=0o700)
    a.write("closed/check.sh", "#!/bin/sh\nexit 0\n", 0o755)
    text = global_defs() + SERVICE.replace(
        f"misc_path \"{SCRIPT} misc_path 'two words'\"",
        'misc_path "/etc/keepalived/closed/check.sh"\n            misc_dynamic\n            user daemon',
    )
    daemon = lab.start_kad(a, text)
    failed = daemon.wait_log("Misc check by .* failed: the program could not be run: ")
    assert "/etc/keepalived/closed/check.sh: Permission denied" in failed.text
    server = daemon.dump("checker")["servers"][0]
    assert (server["healthy"], server["weight"]) == (False, None)
