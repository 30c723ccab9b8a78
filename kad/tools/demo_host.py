"""One host of the demo: a process that enters a network namespace of its own, and there becomes what it is told."""

from __future__ import annotations

import os
import signal
import sys

from kad.linux.refused import Refused
from kad.tools.demo_lan import Lan, die_with_parent, enter_own_network

INTERFACE = "eth0"
READY = "ready"


def main(arguments: list[str]) -> int:
    """ADDRESS/PREFIX COMMAND…: says that it is ready, waits for its cable (a line of input), runs the command."""
    address, _, prefix = arguments[0].partition("/")
    die_with_parent(signal.SIGTERM)
    try:
        enter_own_network()
        print(READY, flush=True)
        if not sys.stdin.readline():
            return 1
        with Lan() as lan:
            lan.set_up("lo")
            lan.set_up(INTERFACE)
            lan.add_address(INTERFACE, address, int(prefix))
        os.execv(arguments[1], arguments[1:])
    except (Refused, OSError) as error:
        print(f"this host cannot be made: {error}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
