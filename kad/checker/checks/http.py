"""HTTP_GET and SSL_GET: each url must be answered as configured."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Question
from kad.checker.checker_api import Attempt, Attempts, Ended
from kad.checker.keywords.check_words import LARGEST, ConnectionWords, StreamWords, TimingWords
from kad.checker.keywords.codes import CheckCode
from kad.checker.keywords.inherit import Inheritance, first
from kad.config.command import Command, command
from kad.config.diagnostics import Complaint, Place
from kad.config.keyword import Block, Inline, block, keyword
from kad.config.lines import Word
from kad.config.secret_words import TOKEN, to_secret
from kad.config.values import (
    Value,
    Words,
    Wrong,
    boolean,
    each_word,
    flag,
    integer,
    one_of,
    optional,
    quote,
    quote_all,
    text,
    texts,
)
from kad.model.checker import Connection, Credentials, Regex, Timing, Tls, Url
from kad.model.secret import Secret

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver

_OFFSET = re.compile("[0-9]{1,18}")
_ANY_STATUS = ((200, 299),)
_RETRY_DELAY = 3.0


class HttpCheck(Question, frozen=True, kw_only=True, tag="HTTP_GET"):
    """Each url is answered as it should be; with `tls` it is keepalived's SSL_GET."""

    connection: Connection
    timing: Timing
    urls: tuple[Url, ...]
    protocol: str = "1.0"
    """1.0, 1.0C or 1.1."""
    tls: Tls | None = None

    @property
    def kind(self) -> str:
        return "HTTP_GET" if self.tls is None else "SSL_GET"

    @property
    def success(self) -> str:
        return f"Remote Web server {self.target} succeed on service"

    def failure(self, retries: int) -> str:
        return self.failed_as("HTTP_CHECK" if self.tls is None else "SSL_CHECK", retries)

    def remarks(self) -> Iterator[str]:
        """keepalived leaves out a regex that it cannot understand, and says so."""
        for url in self.urls:
            if url.regex is not None and (reason := why_not(url.regex)):
                yield f"the regex {url.regex.pattern} is ignored: {reason}"

    def begin(self, attempts: Attempts, url: int, ended: Ended) -> Attempt:
        # The parser of HTTP and the library of regular expressions are for the process that checks.
        from kad.checker.http_check import HttpConversation

        asked = self.urls[url]
        return attempts.stream(self.connection, ended, HttpConversation(asked, self.protocol), (self.tls, asked))


def why_not(regex: Regex) -> str:
    """Why a regex cannot be used; empty when it can. The library is loaded only where one is configured."""
    from kad.checker import http_check

    return http_check.why_not(regex)


def status_codes() -> Value:
    """CODE or CODE-CODE, as many as are written."""

    def read(word: Word) -> str:
        low, dash, high = word.text.partition("-")
        if not re.fullmatch(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", word.text) or (dash and int(low) > int(high)):
            raise Wrong(CheckCode.NOT_A_STATUS(word=word.text))
        return word.text

    return Value(
        arguments="<CODE or CODE-CODE> ...",
        pattern=r"\s+([1-5][0-9]{2})",
        read=lambda words: each_word(words, read),
        write=" ".join,
        least=0,
        most=None,
    )


def md5_digest() -> Value:
    """32 hexadecimal digits."""

    def read(words: Words) -> str:
        if not re.fullmatch(r"[0-9A-Fa-f]{32}", words[0].text):
            raise Wrong(CheckCode.NOT_A_DIGEST(text=words[0].text))
        return words[0].text.lower()

    return Value(arguments="<32 HEX DIGITS>", pattern=r"\s+([0-9A-Fa-f]{32})", read=read)


def header() -> Value:
    """NAME VALUE of a line of the request."""

    def read(words: Words) -> tuple[str, Secret]:
        name = words[0].text.removesuffix(":")
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise Wrong(CheckCode.NOT_A_HEADER_NAME(name=name))
        value = joined_secret(words)
        if not value.reveal().isprintable():
            raise Wrong(CheckCode.HEADER_NOT_PRINTABLE(), 1)
        return name, value

    return Value(
        arguments="<NAME> <VALUE>",
        pattern="",
        read=read,
        write=lambda pair: f"{quote(pair[0])} {TOKEN}",
        write_whole=lambda pair: quote_all((pair[0], pair[1].reveal())),
        least=2,
        most=None,
        secret_from=1,
    )


def joined_secret(words: Words) -> Secret:
    """All words but the first, with a blank between them; raises Withheld."""
    for index, word in enumerate(words[1:2], 1):
        to_secret(word, index)
    return Secret(" ".join(word.text for word in words[1:]))


def credentials() -> Value:
    """USER PASSWORD"""
    return Value(
        arguments="<USER> <PASSWORD>",
        pattern="",
        read=lambda words: (words[0].text, joined_secret(words)),
        write=lambda pair: f"{quote(pair[0])} {TOKEN}",
        write_whole=lambda pair: quote_all((pair[0], pair[1].reveal())),
        least=2,
        most=None,
        secret_from=1,
    )


class RequestWords(Block, frozen=True, kw_only=True):
    """What is said beside the path; kad's own words."""

    method: Annotated[
        str | None, keyword(one_of("GET", "HEAD", "OPTIONS", "POST"), "method of the request", default="GET")
    ] = None
    request_header: Annotated[
        tuple[tuple[str, Secret], ...], keyword(header(), "one more line of the request", collected=True)
    ] = ()
    basic_auth: Annotated[
        tuple[str, Secret] | None,
        keyword(credentials(), "user and password of the request", default="none"),
    ] = None


class UrlWords(Block, frozen=True, kw_only=True):
    """One request and what must come back."""

    path: Annotated[str | None, keyword(text("PATH"), "path of the request")] = None
    digest: Annotated[str | None, keyword(md5_digest(), "MD5 of the body", default="any", unique=True)] = None
    status_code: Annotated[
        tuple[tuple[str, ...], ...],
        keyword(status_codes(), "status codes of success", default="200-299", collected=True),
    ] = ()
    virtualhost: Annotated[
        str | None,
        keyword(text("STRING"), "the Host header", default="that of the checker", missing=Complaint.GENERAL),
    ] = None
    regex: Annotated[Command | None, keyword(optional(command(with_user=False), None), "must match the body")] = None
    regex_no_match: Annotated[bool, keyword(flag(), "it must not match")] = False
    regex_options: Annotated[tuple[str, ...] | None, keyword(texts("OPTION", least=0), "of PCRE2")] = None
    regex_min_offset: Annotated[
        str | None, keyword(optional(text("UNSIGNED"), None), "first byte a match may begin at", default="0")
    ] = None
    regex_max_offset: Annotated[
        str | None, keyword(optional(text("UNSIGNED"), None), "last byte a match may begin at", default="none")
    ] = None
    regex_stack: Annotated[
        tuple[str, ...] | None, keyword(texts("START MAX", least=0), "of PCRE2; kad bounds a search otherwise")
    ] = None


class UrlBlock(Block, frozen=True, kw_only=True):
    """url { }"""

    request: Annotated[UrlWords, Inline()]
    own: Annotated[RequestWords, Inline()]


class SslUrlBlock(Block, frozen=True, kw_only=True):
    """url { } of SSL_GET"""

    request: Annotated[UrlWords, Inline()]
    own: Annotated[RequestWords, Inline()]
    tls_compliant: Annotated[
        bool | None, keyword(boolean(), "TLS must be closed in order", default="that of the checker")
    ] = None


class HttpWords(Block, frozen=True, kw_only=True):
    """What HTTP_GET and SSL_GET have in common."""

    connection: Annotated[ConnectionWords, Inline()]
    stream: Annotated[StreamWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    own: Annotated[RequestWords, Inline()]
    nb_get_retry: Annotated[int | None, keyword(integer(0, LARGEST), "old spelling of retry", instead="retry")] = None
    virtualhost: Annotated[
        str | None,
        keyword(text("STRING"), "the Host header", default="that of the real_server", missing=Complaint.GENERAL),
    ] = None
    http_protocol: Annotated[
        str | None,
        keyword(one_of("1.0", "1.0C", "1.0c", "1.1"), "version of HTTP", default="1.0", missing=Complaint.GENERAL),
    ] = None
    enable_sni: Annotated[bool | None, keyword(boolean(), "the name is sent in TLS", default="off")] = None
    sni_name: Annotated[
        str | None, keyword(optional(text("STRING"), ""), "the name that is sent", default="virtualhost")
    ] = None
    fast_recovery: Annotated[bool | None, keyword(boolean(), "one good pass is enough to come back", default="off")] = (
        None
    )


class HttpBlock(Block, frozen=True, kw_only=True):
    """HTTP_GET { }: it asks by HTTP."""

    common: Annotated[HttpWords, Inline()]
    url: Annotated[tuple[UrlBlock, ...], block(UrlBlock, "a request", collected=True)] = ()


class SslBlock(Block, frozen=True, kw_only=True):
    """SSL_GET { }: it asks by HTTPS."""

    common: Annotated[HttpWords, Inline()]
    tls_compliant: Annotated[bool | None, keyword(boolean(), "TLS must be closed in order", default="off")] = None
    verify: Annotated[
        str | None,
        keyword(
            optional(text("CA FILE"), ""), "the certificate must be of one of these; bare: the host's", default="off"
        ),
    ] = None
    verify_name: Annotated[
        str | None, keyword(text("NAME"), "the certificate must be for it", default="the name sent, else any")
    ] = None
    url: Annotated[tuple[SslUrlBlock, ...], block(SslUrlBlock, "a request", collected=True)] = ()


def resolve(
    blocks: tuple[HttpBlock | SslBlock, ...], resolver: "CheckResolver", above: Inheritance
) -> Iterator[HttpCheck]:
    for one in blocks:
        yield from _check(resolver, one, above)


def _check(resolver: "CheckResolver", block: HttpBlock | SslBlock, above: Inheritance) -> Iterator[HttpCheck]:
    common = block.common
    ssl = block if isinstance(block, SslBlock) else None
    name = "SSL_GET" if ssl else "HTTP_GET"
    connection = resolver.connection(block, above, common.connection, common.stream)
    urls = [made for url in block.url if (made := _url(resolver, url, common, ssl, connection, above)) is not None]
    if not urls:
        resolver.warn(resolver.scope.places.of(block), CheckCode.NO_URL(name=name), "add url { path / }")
        return
    retries = TimingWords(retry=common.nb_get_retry)
    yield HttpCheck(
        connection=connection,
        timing=above.timing(
            common.timing,
            retries,
            delay_before_retry=_RETRY_DELAY,
            urls=len(urls),
            fast_recovery=bool(common.fast_recovery),
        ),
        urls=tuple(urls),
        protocol=(common.http_protocol or "1.0").upper(),
        tls=None if ssl is None else _tls(resolver, ssl),
    )


def _url(
    resolver: "CheckResolver",
    url: UrlBlock | SslUrlBlock,
    common: HttpWords,
    ssl: SslBlock | None,
    connection: Connection,
    above: Inheritance,
) -> Url | None:
    request = url.request
    if request.path is None:
        resolver.warn(resolver.scope.places.of(url), CheckCode.NO_PATH(), "add path /")
        return None
    virtualhost = first(request.virtualhost, common.virtualhost, above.virtualhost)
    target = f"[{connection.address}]" if ":" in connection.address else connection.address
    name = None
    if ssl is not None and (common.enable_sni or common.sni_name is not None or ssl.verify is not None):
        name = first(ssl.verify_name if ssl.verify is not None else None, common.sni_name or None, virtualhost)
    if name is not None and not _can_be_asked_for(name):
        consequence = "it is not sent" if ssl is None or ssl.verify is None else "the url is ignored"
        resolver.warn(
            resolver.scope.places.of(url).about(name), CheckCode.NOT_A_TLS_NAME(name=name, consequence=consequence)
        )
        if ssl is not None and ssl.verify is not None:
            return None
        name = None
    compliant = url.tls_compliant if isinstance(url, SslUrlBlock) else None
    return Url(
        path=request.path,
        host=virtualhost or f"{target}:{connection.port}",
        name=name,
        method=url.own.method or common.own.method or "GET",
        headers=_headers(url.own, common.own),
        status=_statuses(request) or _ANY_STATUS,
        digest=request.digest,
        regex=_regex(resolver, request),
        tls_compliant=bool(first(compliant, ssl.tls_compliant if ssl else None)),
    )


def _regex(resolver: "CheckResolver", words: UrlWords) -> Regex | None:
    if words.regex is None:
        return None
    bounds = []
    for name in ("regex_min_offset", "regex_max_offset"):
        written = getattr(words, name)
        if written is not None and not _OFFSET.fullmatch(written):
            resolver.warn(
                resolver.scope.places.of(words, name), CheckCode.NOT_WHOLE_IGNORED(name=name, written=written)
            )
            written = None
        bounds.append(None if written is None else int(written))
    regex = Regex(
        pattern=words.regex.text,
        options=tuple(words.regex_options or ()),
        no_match=words.regex_no_match,
        first=bounds[0] or 0,
        last=bounds[1],
    )
    if reason := why_not(regex):
        # A note, since keepalived's -t finds nothing wrong with it.
        place = resolver.scope.places.of(words, "regex")
        resolver.scope.report.note(place, CheckCode.REGEX_IGNORED(pattern=regex.pattern, reason=reason))
    return regex


def _tls(resolver: "CheckResolver", block: SslBlock) -> Tls:
    client = resolver.client
    authority = first(block.verify or None, client.ca if client else None)
    read = {}
    for field_name, path, owner in (
        ("ca", authority, block if block.verify else client),
        ("certificate", client.certificate if client else None, client),
        ("key", client.key if client else None, client),
    ):
        read[field_name] = _content(resolver, path, resolver.scope.places.of(owner)) if path and owner else ""
    if block.verify is None and not any(read.values()):
        return Tls()
    verify = block.verify is not None or bool(read["ca"])
    password = client.password.reveal() if client and client.password else ""
    content = (*read.values(), str(verify), password)
    made = Credentials(
        name=hashlib.sha256("\0".join(content).encode()).hexdigest()[:16],
        verify=verify,
        ca=read["ca"],
        certificate=read["certificate"],
        key=Secret(read["key"]),
        password=Secret(password),
    )
    resolver.credentials[made.name] = made
    return Tls(credentials=made.name, verify_name=block.verify is not None)


def _content(resolver: "CheckResolver", path: str, place: Place) -> str:
    try:
        return resolver.scope.host.files.read(path).decode("ascii")
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "not PEM"
        resolver.scope.report.warning(place, CheckCode.PEM_UNREADABLE(path=path, said=said), about_host=True)
        return ""


def _headers(*words: RequestWords) -> tuple[tuple[str, Secret], ...]:
    """Those of the url before those of the check; each name once."""
    found: dict[str, tuple[str, Secret]] = {}
    for one in words:
        pairs = list(one.request_header)
        if one.basic_auth is not None:
            user, password = one.basic_auth
            encoded = b64encode(f"{user}:{password.reveal()}".encode()).decode()
            pairs.append(("Authorization", Secret(f"Basic {encoded}")))
        for name, value in pairs:
            found.setdefault(name.lower(), (name, value))
    return tuple(found.values())


def _can_be_asked_for(name: str) -> bool:
    """It can stand in the ClientHello (RFC 6066 3): labels of 1 to 63 bytes, 255 together."""
    try:
        return not name.startswith(".") and 0 < len(name.encode("idna")) <= 255
    except UnicodeError:
        return False


def _statuses(words: UrlWords) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(low), int(high or low))
        for written in words.status_code
        for low, _, high in (word.partition("-") for word in written)
    )


_MAIL = ("CHECK succeed on service", "CHECK failed on service : HTTP/SSL request failed")
CHECKER = Checker(
    HttpCheck,
    20,
    (
        CheckBlock("HTTP_GET", HttpBlock, "it must answer", resolve, _MAIL),
        CheckBlock("SSL_GET", SslBlock, "it must answer", resolve, _MAIL),
    ),
)
