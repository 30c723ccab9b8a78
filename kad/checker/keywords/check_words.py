"""The words of real_server that say how it is checked; each checker is a block of its own."""

import re
from typing import Annotated

from kad.checker.keywords.codes import CheckCode
from kad.config.command import Command, command, user_and_group
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, block, keyword
from kad.config.lines import Word
from kad.config.secret_words import TOKEN, to_secret
from kad.config.values import (
    Value,
    Words,
    Wrong,
    address,
    boolean,
    each_word,
    flag,
    integer,
    interface_name,
    one_of,
    optional,
    quote,
    quote_all,
    seconds,
    text,
    texts,
)
from kad.model.secret import Secret
from kad.model.tracking import Weight
from kad.tracking.item_words import weight_up_to

LARGEST = (1 << 32) - 1
_LONG = 18446744073709.0
_DNS_TYPES = ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY")


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


def hexadecimal(*, with_wildcards: bool = False) -> Value:
    """Bytes in hexadecimal; blanks may stand between them, x stands for any digit."""
    digits = "[0-9A-Fa-fxX]" if with_wildcards else "[0-9A-Fa-f]"

    def read(words: Words) -> str:
        for index, word in enumerate(words):
            if not re.fullmatch(f"{digits}+", word.text):
                raise Wrong(CheckCode.NOT_HEXADECIMAL(word=word.text), index)
        return "".join(word.text if len(word.text) % 2 == 0 else f"0{word.text}" for word in words).lower()

    return Value(
        arguments="<HEX DIGITS> ...",
        pattern=rf"\s+({digits}+)",
        read=read,
        most=None,
    )


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


class TcpBlock(Block, frozen=True, kw_only=True):
    """TCP_CHECK { }: it connects."""

    connection: Annotated[ConnectionWords, Inline()]
    stream: Annotated[StreamWords, Inline()]
    timing: Annotated[TimingWords, Inline()]


class PingBlock(Block, frozen=True, kw_only=True):
    """PING_CHECK { }: it sends an echo request."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]


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


class SmtpHostBlock(Block, frozen=True, kw_only=True):
    """host { } of SMTP_CHECK, an old way to say whom to ask."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]


class SmtpBlock(Block, frozen=True, kw_only=True):
    """SMTP_CHECK { }: it speaks SMTP."""

    connection: Annotated[ConnectionWords, Inline()]
    stream: Annotated[StreamWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    helo_name: Annotated[
        str | None,
        keyword(text("STRING"), "name sent in HELO", default="smtpchecker.keepalived.org", missing=Complaint.GENERAL),
    ] = None
    host: Annotated[
        tuple[SmtpHostBlock, ...], block(SmtpHostBlock, "old spelling of the words around it", collected=True)
    ] = ()


class DnsBlock(Block, frozen=True, kw_only=True):
    """DNS_CHECK { }: it asks for a name."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    type: Annotated[str | None, keyword(one_of(*_DNS_TYPES), "of the question", default="SOA")] = None
    name: Annotated[str | None, keyword(text("DOMAIN"), "of the question", default=". (the root)", unique=True)] = None


class MiscBlock(Block, frozen=True, kw_only=True):
    """MISC_CHECK { }: it runs a program."""

    timing: Annotated[TimingWords, Inline()]
    misc_path: Annotated[
        Command | None,
        keyword(command(with_user=False), "the program; exit status 0 is good", missing=Complaint.GENERAL),
    ] = None
    misc_timeout: Annotated[
        int | None, keyword(integer(0, 4294), "seconds until it is signalled", default="delay_loop")
    ] = None
    misc_dynamic: Annotated[bool, keyword(flag(), "the exit status sets the weight")] = False
    native: Annotated[
        bool | None,
        keyword(
            boolean(),
            "a command that only asks whether something runs or exists is checked without running it",
            default="true",
        ),
    ] = None
    user: Annotated[
        Command | None,
        keyword(user_and_group(), "user that runs it", default="script_user", missing=Complaint.GENERAL),
    ] = None


class UdpBlock(Block, frozen=True, kw_only=True):
    """UDP_CHECK { }: it sends a datagram."""

    connection: Annotated[ConnectionWords, Inline()]
    timing: Annotated[TimingWords, Inline()]
    payload: Annotated[
        str | None, keyword(hexadecimal(), "what is sent", default="nothing", missing=Complaint.GENERAL)
    ] = None
    require_reply: Annotated[
        str | None,
        keyword(optional(hexadecimal(with_wildcards=True), ""), "no answer is a failure", default="off"),
    ] = None
    min_reply_length: Annotated[int | None, keyword(integer(0, 65535), "shortest answer", default="0")] = None
    max_reply_length: Annotated[int | None, keyword(integer(0, 65535), "longest answer", default="255")] = None


class FileCheckBlock(Block, frozen=True, kw_only=True):
    """FILE_CHECK { }: it reads a tracked file."""

    track_file: Annotated[str | None, keyword(text("NAME"), "a track_file block")] = None
    weight: Annotated[
        Weight | None,
        keyword(
            weight_up_to(2147483647),
            "multiplies the number",
            default="that of the file",
            missing=Complaint.GENERAL,
            exact=True,
        ),
    ] = None


class BfdCheckBlock(Block, frozen=True, kw_only=True):
    """BFD_CHECK { }: it follows a BFD session."""

    name: Annotated[str | None, keyword(text("NAME"), "a bfd_instance", missing=Complaint.GENERAL)] = None
    alpha: Annotated[bool | None, keyword(boolean(), "failed until it is up", default="that of the real_server")] = None


class CheckWords(Block, frozen=True, kw_only=True):
    """The checks of one real server."""

    tcp: Annotated[
        tuple[TcpBlock, ...], block(TcpBlock, "the server must accept a connection", name="TCP_CHECK", collected=True)
    ] = ()
    http: Annotated[tuple[HttpBlock, ...], block(HttpBlock, "it must answer", name="HTTP_GET", collected=True)] = ()
    ssl: Annotated[tuple[SslBlock, ...], block(SslBlock, "it must answer", name="SSL_GET", collected=True)] = ()
    smtp: Annotated[
        tuple[SmtpBlock, ...],
        block(SmtpBlock, "the server must answer as an SMTP server", name="SMTP_CHECK", collected=True),
    ] = ()
    dns: Annotated[
        tuple[DnsBlock, ...], block(DnsBlock, "the server must answer a DNS query", name="DNS_CHECK", collected=True)
    ] = ()
    misc: Annotated[
        tuple[MiscBlock, ...], block(MiscBlock, "a program decides", name="MISC_CHECK", collected=True)
    ] = ()
    udp: Annotated[
        tuple[UdpBlock, ...], block(UdpBlock, "the server must not refuse a datagram", name="UDP_CHECK", collected=True)
    ] = ()
    ping: Annotated[
        tuple[PingBlock, ...], block(PingBlock, "the server must answer a ping", name="PING_CHECK", collected=True)
    ] = ()
    file: Annotated[
        tuple[FileCheckBlock, ...], block(FileCheckBlock, "a file decides", name="FILE_CHECK", collected=True)
    ] = ()
    bfd: Annotated[
        tuple[BfdCheckBlock, ...],
        block(BfdCheckBlock, "a session decides", name="BFD_CHECK", collected=True),
    ] = ()
