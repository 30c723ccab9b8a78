"""The words that several checkers have in their blocks."""

from typing import Annotated

from kad.config.keyword import Block, keyword
from kad.config.values import (
    address,
    boolean,
    integer,
    interface_name,
    one_of,
    optional,
    seconds,
)

LARGEST = (1 << 32) - 1
_LONG = 18446744073709.0
_DNS_TYPES = ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY")


class TimingWords(Block, frozen=True, kw_only=True):
    """When and how often a check is made."""

    retry: Annotated[
        int | None, keyword(integer(0, LARGEST), "more attempts before it fails", default="that of the real_server")
    ] = None
    delay_before_retry: Annotated[
        float | None, keyword(seconds(0, _LONG), "between attempts", default="that of the real_server")
    ] = None
    warmup: Annotated[
        float | None, keyword(seconds(0, _LONG), "spread of the first check", default="that of the real_server")
    ] = None
    delay_loop: Annotated[
        float | None, keyword(seconds(0.000001, _LONG), "between checks", default="that of the real_server")
    ] = None
    alpha: Annotated[bool | None, keyword(boolean(), "failed until it succeeds", default="that of the real_server")] = (
        None
    )
    log_all_failures: Annotated[
        bool | None, keyword(boolean(), "each failed attempt is logged", default="checker_log_all_failures")
    ] = None


class ConnectionWords(Block, frozen=True, kw_only=True):
    """Where a check connects to, and from where."""

    connect_ip: Annotated[
        str | None, keyword(address(), "address to connect to", default="the address of the real_server")
    ] = None
    connect_port: Annotated[
        int | None, keyword(integer(1, 65535), "port to connect to", default="the port of the real_server")
    ] = None
    bindto: Annotated[str | None, keyword(address(), "source address", default="any")] = None
    bind_port: Annotated[int | None, keyword(integer(1, 65535), "source port", default="any")] = None
    bind_if: Annotated[str | None, keyword(interface_name(), "interface", default="any")] = None
    connect_timeout: Annotated[
        float | None,
        keyword(seconds(0.000001, 4294.967295), "for each step", default="that of the real_server, else 5"),
    ] = None
    fwmark: Annotated[int | None, keyword(integer(0, LARGEST), "mark of its packets", default="0")] = None


class StreamWords(Block, frozen=True, kw_only=True):
    """What is said first on a connection; kad's own word."""

    proxy_protocol: Annotated[
        str | None, keyword(optional(one_of("1", "2"), "1"), "version of the PROXY header sent first", default="none")
    ] = None
