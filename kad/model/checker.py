"""What checks are made of: times, connections, credentials; each checker has a struct in kad/checker/checks/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from kad.model.secret import Secret


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the model: equal ones are one, so that equal checks are made once."""


class Timing(Value, frozen=True, kw_only=True):
    """When a check is made, and how many failures it takes; seconds."""

    delay_loop: float = 60.0
    retry: int = 1
    """More attempts before a server that was up is failed."""
    delay_before_retry: float = 1.0
    warmup: float = 60.0
    """The first attempt comes within so long."""
    alpha: bool = False
    """Failed until it succeeds."""
    log_all_failures: bool = False
    from_start: bool = False
    """delay_loop counts from the start of the attempt before, not from its end."""
    urls: int = 0
    """How many are asked for in turn; 0: the check is a single question."""
    fast_recovery: bool = False
    while_local: tuple[str, ...] | None = None
    """As of CheckedServer: what is suspended at other times is another check, and not shared."""


class Connection(Value, frozen=True, kw_only=True):
    """Whom a check asks, and from where."""

    address: str
    port: int = 0
    timeout: float = 5.0
    """Seconds for each step: to connect, to agree on TLS, to answer."""
    bindto: str | None = None
    bind_port: int = 0
    bind_if: str | None = None
    fwmark: int = 0
    proxy_protocol: int = 0
    """Version of the PROXY header that is sent first; 0: none."""

    @property
    def target(self) -> str:
        """For people, in keepalived's manner."""
        return f"[{self.address}]:{self.port}"


class Regex(Value, frozen=True, kw_only=True):
    """What the body must match, or must not."""

    pattern: str
    options: tuple[str, ...] = ()
    """Names of PCRE2's options in lower case."""
    no_match: bool = False
    first: int = 0
    last: int | None = None
    """The match begins at a byte from `first` to `last`."""


class Url(Value, frozen=True, kw_only=True):
    """One request and what must come back."""

    path: str
    host: str
    """The Host header."""
    name: str | None = None
    """The server's name in TLS; None: none is sent."""
    method: str = "GET"
    headers: tuple[tuple[str, Secret], ...] = ()
    status: tuple[tuple[int, int], ...] = ((200, 299),)
    digest: str | None = None
    """MD5 of the body, in lower case."""
    regex: Regex | None = None
    tls_compliant: bool = False
    """The server must close TLS in order."""


class Credentials(Value, frozen=True, kw_only=True):
    """What a server is shown and judged by; texts in PEM."""

    name: str
    """Follows from the content."""
    ca: str = ""
    """Who is trusted; empty: the authorities of this host."""
    verify: bool = False
    """The server's certificate must be of one of them."""
    certificate: str = ""
    key: Secret = Secret("")
    password: Secret = Secret("")


class Tls(Value, frozen=True, kw_only=True):
    """How HTTPS is spoken."""

    credentials: str = ""
    """Name of the Credentials; empty: none, and no certificate is judged."""
    verify_name: bool = False
    """The certificate must be for the name of the url."""


class Check(Value, frozen=True, kw_only=True):
    """One check of a real server, and what other processes do for it; each checker has a struct of its own."""

    @property
    def followed(self) -> tuple[str, str] | None:
        """Kind and name of the Observation that decides; None: the check is made by attempts."""
        return None

    @property
    def run(self) -> tuple[str, float] | None:
        """Id and timeout, in seconds, of the program that the runner runs for it; None: none is run."""
        return None


class ChecksOfServer(Protocol):
    """The checks of one real server."""

    @property
    def checks(self) -> Sequence[Check]: ...


class CheckedServers(Protocol):
    """The checks of all real servers."""

    @property
    def servers(self) -> Sequence[ChecksOfServer]: ...
