"""What the checker process is given: which servers to ask, what to ask them, and how often."""

from __future__ import annotations

from typing import TypeAlias

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


class TcpCheck(Value, frozen=True, kw_only=True, tag="TCP_CHECK"):
    """A connection is accepted."""

    connection: Connection
    timing: Timing


class HttpCheck(Value, frozen=True, kw_only=True, tag="HTTP_GET"):
    """Each url is answered as it should be; with `tls` it is keepalived's SSL_GET."""

    connection: Connection
    timing: Timing
    urls: tuple[Url, ...]
    protocol: str = "1.0"
    """1.0, 1.0C or 1.1."""
    tls: Tls | None = None


class SmtpCheck(Value, frozen=True, kw_only=True, tag="SMTP_CHECK"):
    """The server greets, answers HELO, and says goodbye."""

    connection: Connection
    timing: Timing
    helo_name: str = "smtpchecker.keepalived.org"


class DnsCheck(Value, frozen=True, kw_only=True, tag="DNS_CHECK"):
    """A question is answered without error."""

    connection: Connection
    timing: Timing
    question: bytes
    """Name, type and class as they stand in a query (RFC 1035 4.1.2)."""
    text: str
    """The question for people."""


class UdpCheck(Value, frozen=True, kw_only=True, tag="UDP_CHECK"):
    """A datagram is not refused, or is answered."""

    connection: Connection
    timing: Timing
    payload: bytes = b""
    require_reply: bool = False
    reply: bytes = b""
    mask: bytes = b""
    """Bits of the reply that are compared, from its first byte on."""
    min_reply_length: int = 0
    max_reply_length: int = 255


class PingCheck(Value, frozen=True, kw_only=True, tag="PING_CHECK"):
    """An echo comes back."""

    connection: Connection
    timing: Timing


class MiscCheck(Value, frozen=True, kw_only=True, tag="MISC_CHECK"):
    """A program decides."""

    timing: Timing
    program: str
    """Id of the program that the runner knows."""
    text: str
    timeout: float
    dynamic: bool = False
    """The exit status sets the weight."""
    impossible: str = ""
    """Why it must never be run: it has failed then."""


class FileCheck(Value, frozen=True, kw_only=True, tag="FILE_CHECK"):
    """The number in a file, times `weight`, is added to the weight of the server."""

    name: str
    """Of the track_file."""
    weight: int = 1
    """0: any number but 0 means down."""
    reverse: bool = False


class BfdCheck(Value, frozen=True, kw_only=True, tag="BFD_CHECK"):
    """A BFD session is up; the server is presumed well until that is known, or, with `alpha`, failed."""

    name: str
    """Of the bfd_instance."""
    alpha: bool = False


Question: TypeAlias = TcpCheck | HttpCheck | SmtpCheck | DnsCheck | UdpCheck | PingCheck | MiscCheck
"""What is asked again and again."""
Followed: TypeAlias = FileCheck | BfdCheck
"""What others observe."""
Check: TypeAlias = Question | Followed


class CheckedServer(Value, frozen=True, kw_only=True):
    """A real server and the checks that it is put to."""

    service: str
    """The name of its virtual server."""
    address: str
    port: int = 0
    alpha: bool = False
    """It is down until every check has succeeded."""
    checks: tuple[Check, ...] = ()
    while_local: tuple[str, ...] | None = None
    """ha_suspend: checks are made while this host has one of these addresses, FIRST-LAST is a range; None: always."""
    mailed_as: str = ""
    """What a mail calls it; empty: nobody is told by mail."""

    @property
    def name(self) -> str:
        """For people, in keepalived's manner."""
        return f"[{self.address}]:{self.port}"


class CheckerSlice(Value, frozen=True, kw_only=True):
    """All that the checker process needs of the configuration."""

    servers: tuple[CheckedServer, ...] = ()
    credentials: tuple[Credentials, ...] = ()
    mails_each_check: bool = True
    """False: a check that leaves its server as it was is not told by mail."""
    priority: int | None = None
    rt_priority: int | None = None
    rlimit_rttime: int = 10000
    no_swap: bool = False
    cpu_affinity: tuple[int, ...] = ()
    """As kad.child.scheduling understands them."""
