"""The words of global_defs, virtual_server and real_server that hold for every check below them."""

from typing import Annotated

from kad.checker.keywords.check_words import LARGEST
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, keyword
from kad.config.secret_words import secret_text
from kad.config.values import boolean, flag, integer, seconds, text
from kad.model.secret import Secret

_LONG = 18446744073709.0


class ClientBlock(Block, frozen=True, kw_only=True):
    """SSL { }: what every SSL_GET shows to servers."""

    password: Annotated[
        Secret | None, keyword(secret_text(), "of the private key", missing=Complaint.GENERAL, replaced=True)
    ] = None
    ca: Annotated[
        str | None, keyword(text("FILE"), "file of trusted certificates", missing=Complaint.GENERAL, replaced=True)
    ] = None
    certificate: Annotated[
        str | None, keyword(text("FILE"), "of the client", missing=Complaint.GENERAL, replaced=True)
    ] = None
    key: Annotated[str | None, keyword(text("FILE"), "of the client", missing=Complaint.GENERAL, replaced=True)] = None


class SharedDefaults(Block, frozen=True, kw_only=True):
    """What both a service and a server can say about their checks."""

    retry: Annotated[
        int | None, keyword(integer(1, LARGEST), "more attempts before a check fails", default="that of each checker")
    ] = None
    delay_before_retry: Annotated[
        float | None, keyword(seconds(0, _LONG), "between attempts", default="that of each checker")
    ] = None
    warmup: Annotated[float | None, keyword(seconds(0, _LONG), "spread of the first checks", default="delay_loop")] = (
        None
    )
    delay_loop: Annotated[float | None, keyword(seconds(0.000001, _LONG), "between checks", default="60")] = None
    connect_timeout: Annotated[float | None, keyword(seconds(0.000001, 4294.967295), "for each step", default="5")] = (
        None
    )
    virtualhost: Annotated[
        str | None, keyword(text("STRING"), "the Host header and the name in TLS", missing=Complaint.GENERAL)
    ] = None


class ServiceDefaults(Block, frozen=True, kw_only=True):
    """What virtual_server says about its checks."""

    shared: Annotated[SharedDefaults, Inline()]
    alpha: Annotated[bool, keyword(flag(), "servers are down until a check succeeds")] = False
    inhibit_on_failure: Annotated[bool, keyword(flag(), "failed servers get weight 0 rather than leave")] = False
    ha_suspend: Annotated[bool, keyword(flag(), "no checks while the address is not here")] = False
    smtp_alert: Annotated[
        bool | None,
        keyword(boolean(), "mail when the quorum is gained or lost", default="smtp_alert_checker"),
    ] = None


class ServerDefaults(Block, frozen=True, kw_only=True):
    """What real_server says about its checks."""

    shared: Annotated[SharedDefaults, Inline()]
    alpha: Annotated[bool | None, keyword(boolean(), "down until a check succeeds", default="that of the service")] = (
        None
    )
    inhibit_on_failure: Annotated[
        bool | None,
        keyword(boolean(), "it gets weight 0 rather than leave", default="that of the service"),
    ] = None
    smtp_alert: Annotated[
        bool | None, keyword(boolean(), "mail when a check changes", default="smtp_alert_checker, else true")
    ] = None


class CheckerGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about every check."""

    checker_log_all_failures: Annotated[
        bool | None, keyword(boolean(), "each failed attempt is logged", default="false")
    ] = None
