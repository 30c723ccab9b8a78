"""Every checker by the check that it makes; one file a checker, and a line here."""

from __future__ import annotations

import functools

from kad.checker import dns_check, ping_check, udp_check
from kad.checker.background_match import Background
from kad.checker.checker_api import Attempt, Ended
from kad.checker.http_check import HttpConversation
from kad.checker.misc_check import Courier
from kad.checker.smtp_check import SmtpConversation
from kad.checker.tcp_attempt import StreamAttempt
from kad.checker.tls import Contexts
from kad.child.multiplexer import Mux
from kad.linux.sockets.check_socket import Unreachable
from kad.linux.sockets.epoll_set import Sockets
from kad.model.checker import (
    BfdCheck,
    DnsCheck,
    FileCheck,
    Followed,
    HttpCheck,
    MiscCheck,
    PingCheck,
    Question,
    SmtpCheck,
    TcpCheck,
    UdpCheck,
)


class Checkers:
    """What the attempts of one process share."""

    def __init__(self, mux: Mux, courier: Courier) -> None:
        self._mux = mux
        self._courier = courier
        self._sockets = Sockets()
        mux.watch(self._sockets.fileno(), self.serve, "checking servers")
        self._stream = functools.partial(StreamAttempt, mux.now, self._sockets, background=Background(mux))
        self.contexts = Contexts()

    def begin(self, check: Question, url: int, ended: Ended) -> Attempt:
        """Begin an attempt. Raises Unreachable, and Exhausted when nothing can be learned now."""
        match check:
            case TcpCheck():
                return self._stream(check.connection, ended)
            case HttpCheck():
                asked = check.urls[url]
                layer = self.contexts.layer(check.tls, asked) if check.tls is not None else None
                conversation = HttpConversation(asked, check.protocol)
                return self._stream(check.connection, ended, conversation, layer)
            case SmtpCheck():
                return self._stream(check.connection, ended, SmtpConversation(check.helo_name))
            case DnsCheck():
                return dns_check.begin(self._mux, check, ended)
            case UdpCheck():
                return udp_check.begin(self._mux, check, ended)
            case PingCheck():
                return ping_check.begin(self._mux, check, ended)
            case MiscCheck(impossible=""):
                return self._courier.begin(check, ended)
            case MiscCheck():
                raise Unreachable(check.impossible)

    def serve(self) -> None:
        """Go on with some attempts over TCP whose servers have answered; the loop does so too."""
        self._sockets.serve()

    def serve_all(self) -> None:
        """Go on with each of them."""
        self._sockets.serve_all()


def kind(check: Question | Followed) -> str:
    """The operator's word for it."""
    match check:
        case HttpCheck(tls=tls):
            return "HTTP_GET" if tls is None else "SSL_GET"
        case _:
            return str(type(check).__struct_config__.tag)


def target(check: Question | Followed) -> str:
    """Whom or what it asks, in keepalived's manner."""
    match check:
        case TcpCheck() | HttpCheck() | SmtpCheck():
            return f"[{check.connection.address}]:tcp:{check.connection.port}"
        case DnsCheck() | UdpCheck():
            return f"[{check.connection.address}]:udp:{check.connection.port}"
        case PingCheck():
            return f"[{check.connection.address}]"
        case MiscCheck():
            return check.text
        case FileCheck() | BfdCheck():
            return check.name


def phrase(check: Question, healthy: bool, retries: int) -> str:
    """keepalived's words for a verdict; alerts look for them."""
    asked = target(check)
    if healthy:
        match check:
            case HttpCheck():
                return f"Remote Web server {asked} succeed on service"
            case SmtpCheck():
                return f"Remote SMTP server {asked} succeed on service"
            case MiscCheck():
                return f"Misc check by [{asked}] succeeded"
            case DnsCheck():
                return f"DNS_CHECK({check.text}) on service {asked} success"
            case _:
                return f"{_PROTOCOLS[type(check)]} connection to {asked} success"
    if isinstance(check, MiscCheck):
        return f"Misc check by [{asked}] failed"
    name = {"HTTP_GET": "HTTP_CHECK", "SSL_GET": "SSL_CHECK"}.get(kind(check), kind(check))
    after = f" after {retries} {'retry' if retries == 1 else 'retries'}" if retries else ""
    return f"{name} on service {asked} failed{after}"


_PROTOCOLS: dict[type[Question], str] = {TcpCheck: "TCP", UdpCheck: "UDP", PingCheck: "ICMP"}
