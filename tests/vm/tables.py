"""What ipvsadm shows of a node's table, by service, without the counters."""

from __future__ import annotations

from typing import NamedTuple

from tests.lab.namespaces import Namespaces

MODULES = "rr wrr lc wlc lblc lblcr sh mh dh fo ovf sed nq"


class Shown(NamedTuple):
    """The lines of `ipvsadm -Ln`, and those of `ipvsadm -S -n`, of one service."""

    listed: tuple[str, ...]
    saved: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((*self.listed, *self.saved))


Table = dict[str, Shown]
"""By the service as ipvsadm writes it: "TCP 192.0.2.1:80", "FWM 5", "FWM 6 IPv6"."""


def read(node: Namespaces) -> Table:
    listed = _listed(node.run("ipvsadm", "-L", "-n").stdout.splitlines()[3:])
    saved = _saved(node.run("ipvsadm", "-S", "-n").stdout.splitlines())
    return {name: Shown(tuple(listed.get(name, ())), tuple(saved.get(name, ()))) for name in listed | saved}


def _listed(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        words = line.split()
        if words[0] == "->":
            # The last two are ActiveConn and InActConn.
            found[name].append(" ".join(words[:-2]))
        else:
            name = " ".join(words[: 3 if words[2:3] == ["IPv6"] else 2])
            found[name] = [" ".join(words)]
    return found


_PROTOCOLS = {"-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP", "-f": "FWM"}


def _saved(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        words = line.split()
        name = f"{_PROTOCOLS[words[1]]} {words[2]}{' IPv6' if '-6' in words else ''}"
        found.setdefault(name, []).append(" ".join(words))
    return found
