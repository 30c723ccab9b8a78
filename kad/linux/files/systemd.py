"""What systemd wants to hear: sd_notify(3) and the watchdog, without its library."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from kad.linux.refused import refusing


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send "READY=1", "STATUS=…", "WATCHDOG=1" … (lines); False where nobody listens. Never blocks."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with refusing("telling systemd"), socket.socket(socket.AF_UNIX, kind) as sock:
        sock.sendto(state.encode(), address)
    return True


def watchdog_interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which this process must say WATCHDOG=1, or None; say it twice as often."""
    interval = environment.get("WATCHDOG_USEC", "")
    process = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not interval.isdecimal() or int(interval) == 0 or process != str(os.getpid()):
        return None
    return int(interval) / 1_000_000
