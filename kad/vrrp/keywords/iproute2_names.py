"""What the files of iproute2 call the tables, scopes, realms, protocols, fields and groups of this host."""

from __future__ import annotations

import re
from functools import cached_property

from kad.config.values import Wrong
from kad.model.host import Files
from kad.vrrp.keywords.codes import VrrpCode

_FILES = {
    "table": ("rt_tables", 0xFFFFFFFF),
    "scope": ("rt_scopes", 255),
    "realm": ("rt_realms", 0xFFFF),
    "protocol": ("rt_protos", 255),
    "tos": ("rt_dsfield", 255),
    "group": ("group", 0xFFFFFFFF),
}
"""By what is asked for: the file, and the largest number."""
_BUILT_IN = {
    "table": {"default": 253, "main": 254, "local": 255},
    "scope": {"global": 0, "nowhere": 255, "host": 254, "link": 253, "site": 200},
    "protocol": {
        "none": 0,
        "redirect": 1,
        "kernel": 2,
        "boot": 3,
        "static": 4,
        "gated": 8,
        "ra": 9,
        "mrt": 10,
        "zebra": 11,
        "bird": 12,
        "dnrouted": 13,
        "xorp": 14,
        "ntk": 15,
        "dhcp": 16,
        "keepalived": 18,
        "babel": 42,
    },
}
_IP_PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "vrrp": 112,
    "sctp": 132,
}


class Names:
    """Numbers of this host; a file is read when the first name is asked for that is no number."""

    def __init__(self, files: Files, administrator: str = "/etc/iproute2", vendor: str = "/usr/share/iproute2") -> None:
        """The vendor's file counts where the administrator has none."""
        self._files = files
        self._folders = (administrator, vendor)
        self._tables: dict[str, dict[str, int]] = {}

    def number(self, kind: str, text: str) -> int:
        """What `text`, a name or a number, stands for; raises Wrong."""
        limit = _FILES[kind][1]
        found = to_number(text)
        if found is None:
            found = self._table(kind).get(text)
        if found is None:
            raise Wrong(VrrpCode.NAME_NOT_IN_TABLE(kind=kind, text=text))
        if found > limit:
            raise Wrong(VrrpCode.NUMBER_ABOVE(kind=kind, text=text, limit=limit))
        return found

    def ip_protocol(self, text: str) -> int:
        """A name of /etc/protocols, or a number; raises Wrong."""
        found = to_number(text)
        if found is None:
            found = self._protocols.get(text.lower())
        if found is None or found > 255:
            raise Wrong(VrrpCode.NO_IP_PROTOCOL(text=text))
        return found

    def _table(self, kind: str) -> dict[str, int]:
        known = self._tables.get(kind)
        if known is None:
            known = self._tables[kind] = dict(_BUILT_IN.get(kind, {}))
            name = _FILES[kind][0]
            for folder in self._folders:
                paths = [f"{folder}/{name}", *self._files.glob(f"{folder}/{name}.d/*.conf")]
                texts = [text for path in paths if (text := self._read(path)) is not None]
                for text in texts:
                    known.update(_pairs(text))
                if texts:
                    break
        return known

    @cached_property
    def _protocols(self) -> dict[str, int]:
        text = self._read("/etc/protocols") or ""
        rows = (line.partition("#")[0].split() for line in text.splitlines())
        return _IP_PROTOCOLS | {row[0].lower(): int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}

    def _read(self, path: str) -> str | None:
        try:
            return self._files.read(path).decode(errors="replace")
        except OSError:
            return None


def to_number(text: str) -> int | None:
    """A number in any base of C; None for anything else."""
    if re.fullmatch("0[0-7]+", text):
        return int(text, 8)
    return int(text, 0) if re.fullmatch("0[xX][0-9A-Fa-f]+|0|[1-9][0-9]{0,99}", text) else None


def _pairs(text: str) -> dict[str, int]:
    """Lines of NUMBER NAME; # begins a comment."""
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and (number := to_number(words[0])) is not None:
            found[words[1]] = number
    return found
