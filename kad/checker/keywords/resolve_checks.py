"""From the words of a check to the check: what it cannot do without, and names that must exist."""

from __future__ import annotations

import difflib
import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

import msgspec

from kad.checker.keywords.check_words import (
    CheckWords,
    ConnectionWords,
    DnsBlock,
    FileCheckBlock,
    HttpBlock,
    HttpWords,
    MiscBlock,
    RequestWords,
    SmtpBlock,
    SslBlock,
    SslUrlBlock,
    StreamWords,
    TimingWords,
    UdpBlock,
    UrlBlock,
    UrlWords,
)
from kad.checker.keywords.codes import CheckCode
from kad.checker.keywords.default_words import ClientBlock
from kad.checker.keywords.inherit import Inheritance, first
from kad.config.build import Scope
from kad.config.diagnostics import Complaint, Place
from kad.config.keyword import Block
from kad.config.native_commands import recognise
from kad.config.programs import Programs
from kad.config.remark import Remark
from kad.config.values import family_of
from kad.model.checker import (
    BfdCheck,
    Check,
    Connection,
    Credentials,
    DnsCheck,
    FileCheck,
    HttpCheck,
    MiscCheck,
    PingCheck,
    Regex,
    SmtpCheck,
    TcpCheck,
    Tls,
    UdpCheck,
    Url,
)
from kad.model.secret import Secret
from kad.model.tracking import Weight

_OFFSET = re.compile("[0-9]{1,18}")
_ANY_STATUS = ((200, 299),)
_HTTP_RETRY_DELAY = 3.0
_DNS_RETRY = 3


@dataclass
class CheckResolver:
    """Resolves the checks of one configuration; what cannot be made has been said and is left out."""

    scope: Scope
    programs: Programs
    files: Mapping[str, Weight]
    """The track_files, with the weight that each has by itself."""
    sessions: Collection[str]
    why_not: Callable[[Regex], str]
    """Why a regex cannot be used; empty when it can."""
    client: ClientBlock | None = None
    """SSL { }"""
    credentials: dict[str, Credentials] = field(default_factory=dict)
    """All that were needed, by name."""

    def resolve(self, words: CheckWords, above: Inheritance) -> tuple[Check, ...]:
        """The checks that can be made on this server."""
        kept: list[Check] = []
        for tcp in words.tcp:
            kept.append(
                TcpCheck(
                    connection=self._connection(tcp, above, tcp.connection, tcp.stream), timing=above.timing(tcp.timing)
                )
            )
        for http in words.http:
            kept += self._http(http, above)
        for ssl in words.ssl:
            kept += self._http(ssl, above)
        for smtp in words.smtp:
            kept += self._smtp(smtp, above)
        for dns in words.dns:
            kept += self._dns(dns, above)
        kept += self._misc(words.misc, above)
        for udp in words.udp:
            kept.append(self._udp(udp, above))
        for ping in words.ping:
            target = msgspec.structs.replace(self._connection(ping, above, ping.connection), port=0)
            kept.append(PingCheck(connection=target, timing=above.timing(ping.timing)))
        for file in words.file:
            kept += self._file(file)
        for bfd in words.bfd:
            if self._is_known(bfd.name, self.sessions, "bfd_instance", self.scope.places.of(bfd, "name")):
                assert bfd.name is not None
                kept.append(BfdCheck(name=bfd.name, alpha=above.alpha if bfd.alpha is None else bfd.alpha))
        return tuple(kept)

    def _warn(self, place: Place, remark: Remark, proposal: str = "") -> None:
        self.scope.report.warning(place, remark, proposal=proposal)

    def _connection(
        self,
        block: Block,
        above: Inheritance,
        words: ConnectionWords,
        stream: StreamWords | None = None,
        *more: ConnectionWords,
    ) -> Connection:
        """The target and the source of the check in `block`; a source that cannot reach the target is not used."""
        made = above.connection(words, *more, stream=stream)
        if made.bindto is not None and family_of(made.bindto) != family_of(made.address):
            place = self.scope.places.find("bindto", words, *more)
            self._warn(place, CheckCode.BINDTO_OF_OTHER_FAMILY(bindto=made.bindto, address=made.address))
            made = msgspec.structs.replace(made, bindto=None)
        if made.bind_if is None and family_of(made.address) == 6 and ip_address(made.address).is_link_local:
            remark = CheckCode.LINK_LOCAL_NEEDS_INTERFACE(address=made.address)
            self._warn(self.scope.places.of(block), remark, "add bind_if IFNAME")
        return made

    def _http(self, block: HttpBlock | SslBlock, above: Inheritance) -> Iterator[HttpCheck]:
        common = block.common
        ssl = block if isinstance(block, SslBlock) else None
        name = "SSL_GET" if ssl else "HTTP_GET"
        connection = self._connection(block, above, common.connection, common.stream)
        urls = [made for url in block.url if (made := self._url(url, common, ssl, connection, above)) is not None]
        if not urls:
            self._warn(self.scope.places.of(block), CheckCode.NO_URL(name=name), "add url { path / }")
            return
        retries = TimingWords(retry=common.nb_get_retry)
        yield HttpCheck(
            connection=connection,
            timing=above.timing(
                common.timing,
                retries,
                delay_before_retry=_HTTP_RETRY_DELAY,
                urls=len(urls),
                fast_recovery=bool(common.fast_recovery),
            ),
            urls=tuple(urls),
            protocol=(common.http_protocol or "1.0").upper(),
            tls=None if ssl is None else self._tls(ssl),
        )

    def _url(
        self,
        url: UrlBlock | SslUrlBlock,
        common: HttpWords,
        ssl: SslBlock | None,
        connection: Connection,
        above: Inheritance,
    ) -> Url | None:
        request = url.request
        if request.path is None:
            self._warn(self.scope.places.of(url), CheckCode.NO_PATH(), "add path /")
            return None
        virtualhost = first(request.virtualhost, common.virtualhost, above.virtualhost)
        target = f"[{connection.address}]" if ":" in connection.address else connection.address
        name = None
        if ssl is not None and (common.enable_sni or common.sni_name is not None or ssl.verify is not None):
            name = first(ssl.verify_name if ssl.verify is not None else None, common.sni_name or None, virtualhost)
        if name is not None and not _can_be_asked_for(name):
            consequence = "it is not sent" if ssl is None or ssl.verify is None else "the url is ignored"
            self._warn(
                self.scope.places.of(url).about(name), CheckCode.NOT_A_TLS_NAME(name=name, consequence=consequence)
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
            regex=self._regex(request),
            tls_compliant=bool(first(compliant, ssl.tls_compliant if ssl else None)),
        )

    def _regex(self, words: UrlWords) -> Regex | None:
        if words.regex is None:
            return None
        bounds = []
        for name in ("regex_min_offset", "regex_max_offset"):
            written = getattr(words, name)
            if written is not None and not _OFFSET.fullmatch(written):
                self._warn(self.scope.places.of(words, name), CheckCode.NOT_WHOLE_IGNORED(name=name, written=written))
                written = None
            bounds.append(None if written is None else int(written))
        regex = Regex(
            pattern=words.regex.text,
            options=tuple(words.regex_options or ()),
            no_match=words.regex_no_match,
            first=bounds[0] or 0,
            last=bounds[1],
        )
        if reason := self.why_not(regex):
            # A note, since keepalived's -t finds nothing wrong with it.
            place = self.scope.places.of(words, "regex")
            self.scope.report.note(place, CheckCode.REGEX_IGNORED(pattern=regex.pattern, reason=reason))
        return regex

    def _tls(self, block: SslBlock) -> Tls:
        client = self.client
        authority = first(block.verify or None, client.ca if client else None)
        read = {}
        for field_name, path, owner in (
            ("ca", authority, block if block.verify else client),
            ("certificate", client.certificate if client else None, client),
            ("key", client.key if client else None, client),
        ):
            read[field_name] = self._content(path, self.scope.places.of(owner)) if path and owner else ""
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
        self.credentials[made.name] = made
        return Tls(credentials=made.name, verify_name=block.verify is not None)

    def _content(self, path: str, place: Place) -> str:
        try:
            return self.scope.host.files.read(path).decode("ascii")
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or "not PEM"
            self.scope.report.warning(place, CheckCode.PEM_UNREADABLE(path=path, said=said), about_host=True)
            return ""

    def _smtp(self, block: SmtpBlock, above: Inheritance) -> Iterator[SmtpCheck]:
        for connection, timing in [(host.connection, host.timing) for host in block.host] or [
            (block.connection, block.timing)
        ]:
            yield SmtpCheck(
                connection=self._connection(block, above, connection, block.stream, block.connection),
                timing=above.timing(timing, block.timing),
                helo_name=block.helo_name or "smtpchecker.keepalived.org",
            )

    def _dns(self, block: DnsBlock, above: Inheritance) -> Iterator[DnsCheck]:
        # Only here, and only when it is needed: the check itself sends the bytes that are made here.
        from dns import exception, name, rdataclass, rdatatype

        kind, asked = block.type or "SOA", block.name or "."
        try:
            labels = name.from_text(asked)
        except exception.DNSException as error:
            self._warn(self.scope.places.of(block, "name"), CheckCode.NOT_A_DOMAIN_NAME(asked=asked, error=error))
            return
        number = rdatatype.from_text(kind)
        yield DnsCheck(
            connection=self._connection(block, above, block.connection),
            timing=above.timing(block.timing, retry=_DNS_RETRY, delay_before_retry=None),
            question=(labels.to_wire() or b"") + number.to_bytes(2) + rdataclass.IN.to_bytes(2),
            text=f"{asked} {kind}",
        )

    def _misc(self, blocks: tuple[MiscBlock, ...], above: Inheritance) -> Iterator[MiscCheck]:
        has_dynamic = False
        for block in blocks:
            if block.misc_path is None:
                place = self.scope.places.of(block)
                self._warn(place, CheckCode.NO_MISC_PATH(), 'add misc_path "COMMAND"')
                continue
            dynamic = block.misc_dynamic
            if dynamic and has_dynamic:
                remark = CheckCode.SECOND_MISC_DYNAMIC(address=above.address)
                self.scope.report.note(self.scope.places.of(block, "misc_dynamic"), remark)
                dynamic = False
            owner = " ".join(name for name in (block.user.user, block.user.group) if name) if block.user else ""
            native = block.native is not False and not dynamic
            # One command can be a probe in one check and a program in another.
            itself = "" if native or recognise(block.misc_path.text) is None else " itself"
            how = f"{f' as {owner}' if owner else ''}{itself}"
            identity = f"check:{block.misc_path.text}{how}/misc_path"
            at = self.scope.places.of(block, "misc_path")
            made = self.programs.make_check(
                block.misc_path, identity, at, block.user, native=native, tracked=True, missing=Complaint.NONE
            )
            if made is None:
                continue
            has_dynamic = has_dynamic or dynamic
            timing = above.timing(block.timing, retry=0, from_start=True)
            yield MiscCheck(
                timing=timing,
                program=identity,
                text=block.misc_path.text,
                timeout=float(block.misc_timeout or timing.delay_loop),
                dynamic=dynamic,
                impossible=made[1],
            )

    def _udp(self, block: UdpBlock, above: Inheritance) -> UdpCheck:
        pattern = block.require_reply or ""
        return UdpCheck(
            connection=self._connection(block, above, block.connection),
            timing=above.timing(block.timing),
            payload=bytes.fromhex(block.payload or ""),
            require_reply=block.require_reply is not None,
            reply=bytes.fromhex(pattern.replace("x", "0")),
            mask=bytes.fromhex("".join("0" if digit == "x" else "f" for digit in pattern)),
            min_reply_length=block.min_reply_length or 0,
            max_reply_length=255 if block.max_reply_length is None else block.max_reply_length,
        )

    def _file(self, block: FileCheckBlock) -> Iterator[FileCheck]:
        if self._is_known(block.track_file, self.files, "track_file", self.scope.places.of(block, "track_file")):
            assert block.track_file is not None
            weight = block.weight or self.files[block.track_file]
            yield FileCheck(name=block.track_file, weight=weight.number, reverse=weight.reverse)

    def _is_known(self, name: str | None, known: Collection[str], what: str, place: Place) -> bool:
        if name in known:
            return True
        near = difflib.get_close_matches(name, known, n=1) if name else []
        remark = CheckCode.NO_SUCH_TRACKED(what=what, name=name) if name else CheckCode.CHECK_NAMES_NOTHING(what=what)
        self._warn(place, remark, f"did you mean {near[0]}?" if near else "")
        return False


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
