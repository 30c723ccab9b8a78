"""Prints the digest that HTTP_GET compares: asks as the check asks, and hashes what the check hashes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from kad.checker.checker_api import Computation, Outcome
from kad.checker.http_check import HttpConversation
from kad.checker.tcp_attempt import StreamAttempt
from kad.checker.tls import Contexts, Layer
from kad.child.multiplexer import Mux
from kad.cli.options import Error, Parser, seconds
from kad.linux.sockets.check_socket import Exhausted, Unreachable
from kad.linux.sockets.epoll_set import Sockets
from kad.model.checker import Connection, Tls, Url
from kad.shared.output import to_error, to_output

EXIT_OK = 0
EXIT_FAILED = 1
_ANY_STATUS = ((100, 599),)
_ANY_DIGEST = "0" * 32
_TIMEOUT = 5.0
_ROW = 16


def parser() -> Parser:
    """keepalived's options."""
    p = Parser(
        prog="kad genhash",
        description="Print the digest of a page, as HTTP_GET and SSL_GET compare it.",
        add_help=False,
    )
    p.add_argument("-s", "--server", required=True, metavar="ADDRESS", help="whom to ask")
    p.add_argument("-p", "--port", required=True, type=_port, metavar="PORT", help="which port")
    p.add_argument("-u", "--url", required=True, metavar="PATH", help="what to ask for")
    p.add_argument("-S", "--use-ssl", action="store_true", help="ask by HTTPS")
    p.add_argument("-I", "--use-sni", action="store_true", help="send the virtual host's name in TLS")
    p.add_argument("-V", "--use-virtualhost", metavar="NAME", help="the Host header (default: ADDRESS:PORT)")
    p.add_argument("-P", "--protocol", type=_protocol, default="1.0", metavar="1.0|1.0c|1.1", help="version of HTTP")
    p.add_argument("-m", "--fwmark", type=_mark, default=0, metavar="MARK", help="mark of the packets")
    p.add_argument(
        "-t", "--timeout", type=_timeout, default=_TIMEOUT, metavar="SECONDS", help="for each step (default: 5)"
    )
    p.add_argument("-v", "--verbose", action="store_true", help="show the answer and the time too")
    p.add_argument("-h", "--help", action="help", help="show this")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when there was an answer whose digest was printed, whatever its status."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    host = options.use_virtualhost or _host(options.server, options.port)
    name = options.use_virtualhost if options.use_sni else None
    url = Url(path=options.url, host=host, name=name, status=_ANY_STATUS, digest=_ANY_DIGEST)
    connection = Connection(address=options.server, port=options.port, timeout=options.timeout, fwmark=options.fwmark)
    conversation = _Recorder(url, options.protocol, keep=options.verbose)
    outcome, seconds = _ask(connection, conversation, Contexts().layer(Tls(), url) if options.use_ssl else None)
    digest = conversation.digest
    if digest is None:
        to_error(f"kad genhash: {connection.target}: {outcome.reason}\n")
        return EXIT_FAILED
    if options.verbose:
        _show(conversation, seconds)
    to_output(f"{digest}\n")
    return EXIT_OK


class _Recorder(HttpConversation):
    """Keeps what was heard."""

    def __init__(self, url: Url, protocol: str, *, keep: bool) -> None:
        super().__init__(url, protocol)
        self._keep = keep
        self.heard = bytearray()

    def hear(self, data: bytes) -> bytes | Outcome | Computation:
        if self._keep:
            self.heard += data
        return super().hear(data)


def _ask(connection: Connection, conversation: HttpConversation, layer: Layer | None) -> tuple[Outcome, float]:
    mux, sockets = Mux(), Sockets()
    outcomes: list[Outcome] = []

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        mux.stop()

    began = mux.now()
    try:
        attempt = StreamAttempt(mux.now, sockets, connection, ended, conversation, layer)
    except (Unreachable, Exhausted) as error:
        return Outcome(False, str(error)), 0.0

    def look() -> None:
        if attempt.deadline is None:
            return
        if mux.now() >= attempt.deadline:
            attempt.expire()
        else:
            mux.at(attempt.deadline, look)

    mux.watch(sockets.fileno(), sockets.serve)
    look()
    mux.run()
    mux.unwatch(sockets.fileno())
    return outcomes[0], mux.now() - began


def _show(conversation: _Recorder, seconds: float) -> None:
    head, _, body = bytes(conversation.heard).partition(b"\r\n\r\n")
    shown = [head.decode(errors="replace"), "", *_rows(body), ""]
    shown.append(f"{len(body)} bytes behind the head, {seconds * 1000:.1f} ms")
    to_output("\n".join(shown) + "\n")


def _rows(data: bytes) -> Iterator[str]:
    for at in range(0, len(data), _ROW):
        row = data[at : at + _ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{at:06x}  {row.hex(' '):<{3 * _ROW - 1}}  {text}"


def _host(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _port(text: str) -> int:
    return _whole(text, 1, 65535, "port")


def _mark(text: str) -> int:
    return _whole(text, 0, (1 << 32) - 1, "mark")


def _whole(text: str, low: int, high: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or not low <= int(text) <= high:
        raise Error(f"{text} is not a {what} of {low}..{high}")
    return int(text)


def _timeout(text: str) -> float:
    number = seconds(text)
    if not number:
        raise Error(f"{text} is not a number of seconds above 0")
    return number


def _protocol(text: str) -> str:
    if text.upper() not in ("1.0", "1.0C", "1.1"):
        raise Error(f"{text} is not one of 1.0, 1.0c, 1.1")
    return text.upper()


if __name__ == "__main__":
    sys.exit(main())
