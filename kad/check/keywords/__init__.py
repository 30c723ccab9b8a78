"""What the checker process is given: which servers to ask."""

from __future__ import annotations

import msgspec


class CheckedServer(msgspec.Struct, frozen=True, kw_only=True):
    """A real server and the kinds of checks it is put to."""

    service: str
    """The name of its virtual server."""
    address: str
    port: int = 0
    checks: tuple[str, ...] = ()
    """TCP_CHECK, HTTP_GET …, each once a block."""


class CheckerSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the checker process needs of the configuration."""

    servers: tuple[CheckedServer, ...] = ()
