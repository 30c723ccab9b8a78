"""How long an analyzer may take: as long as it gets on."""

from __future__ import annotations

import subprocess
import sys
import time
from unittest.mock import Mock

from kad.linux.process.fork import Birth
from kad.linux.process.process import processor_time
from kad.linux.sockets.channel import Channel
from kad.watchdog.analyzer_process import Analysis


def analysis(process: subprocess.Popen[bytes], until: float) -> Analysis:
    return Analysis(Mock(spec=Birth, pid=process.pid), Mock(spec=Channel), None, {}, until)


def test_one_that_computes_goes_on_up_to_a_limit_and_one_that_waits_does_not() -> None:
    commands = "while True: pass", "import sys; sys.stdin.read()"
    busy, idle = (subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE) for text in commands)
    with busy, idle:
        now = time.monotonic()
        works, waits = analysis(busy, now + 600), analysis(idle, now + 600)
        waits.works(now)
        while (processor_time(busy.pid) or 0.0) < 0.2:
            time.sleep(0.01)
        assert works.works(now)
        assert not works.works(now), "no time has passed"
        assert not waits.works(now)
        while (processor_time(busy.pid) or 0.0) < 0.5:
            time.sleep(0.01)
        assert not works.works(now + 601)
        busy.kill()
        idle.kill()
