"""What a script prints reaches a terminal, the log and a FIFO without a command for a terminal or a line of its own."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

FORGED = "(VI_1) Entering MASTER STATE: forged"
SCRIPT = f"#!/bin/sh\nprintf 'no disk\\033[2J\\n{FORGED}\\n\\033]0;owned\\007\\033[31m'\nexit 3\n"


def test_nothing_that_a_script_prints_commands_a_terminal_or_forges_a_line(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    a.write("hostile.sh", SCRIPT, 0o755)
    service = """virtual_server 192.0.2.9 80 {
        delay_loop 0.2
        warmup 0
        protocol TCP
        real_server 192.0.2.20 80 {
            MISC_CHECK {
                misc_path "/etc/keepalived/hostile.sh"
            }
        }
    }
    """
    more = 'track_script {\n chk\n }\n notify_fault "/etc/keepalived/hostile.sh"'
    text = global_defs() + 'vrrp_script chk {\n script "/etc/keepalived/hostile.sh"\n}\n'
    daemon = lab.start_kad(a, text + instance(more=more) + service)
    daemon.wait_log(r"VRRP_Script\(chk\) printed: no disk\\x1b\[2J \| ")
    daemon.wait_log(r"VI_1/notify_fault failed \(exited with status 3\): no disk\\x1b\[2J \| ")
    daemon.wait_log(r"Misc check by .* failed: exited with status 3: \\x1b\]0;owned\\x07\\x1b\[31m")
    shown = [daemon.ask(*words).stdout for words in (("--dump",), ("--status",), ("--why", "VI_1"))]
    assert all(shown)
    for printed in (daemon.log, *shown):
        assert "\x1b" not in printed
        assert "\x07" not in printed
        assert not any(line.endswith(f": {FORGED}") or line.startswith(FORGED) for line in printed.splitlines())
