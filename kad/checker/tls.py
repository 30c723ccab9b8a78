"""TLS between the bytes of a connection and what is said on it, with one context for equal credentials."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable

from kad.model.checker import Credentials, Tls, Url

_CHUNK = 65536
NONE = Credentials(name="")


class BadCredentials(ValueError):
    """A certificate, a key or an authority cannot be used; the text says which."""


class TlsFailed(Exception):
    """The server does not speak TLS as it should; the text says how."""


class Contexts:
    """One context for each of the credentials; a context is dear, a connection of it is not."""

    def __init__(self, credentials: Iterable[Credentials] = ()) -> None:
        """Raises BadCredentials."""
        self._contexts = {
            (one.name, by_name): _context(one, by_name) for one in (NONE, *credentials) for by_name in (False, True)
        }

    def layer(self, tls: Tls, url: Url) -> Layer:
        """A new connection."""
        by_name = tls.verify_name and url.name is not None
        return Layer(self._contexts[tls.credentials, by_name], url.name, url.tls_compliant)


class Layer:
    """One connection: bytes from the server in, bytes for it out."""

    def __init__(self, context: ssl.SSLContext, name: str | None, compliant: bool) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._compliant = compliant
        self.expires: float | None = None
        """UNIX time at which the certificate ends; known where it is verified."""
        self.is_ready = False
        self.has_ended = False
        """The server has said that nothing follows, or let the connection fall."""

    def begin(self) -> None:
        """Say hello."""
        self._shake()

    def take(self, data: bytes) -> bytes:
        """What the server said, in the clear. Raises TlsFailed."""
        self._in.write(data)
        if not self.is_ready:
            self._shake()
        return self._read() if self.is_ready else b""

    def end(self) -> None:
        """The connection has ended. Raises TlsFailed where TLS had to be ended in order."""
        self._in.write_eof()
        if not self.is_ready:
            raise TlsFailed("the connection ended within the TLS handshake")
        if not self.has_ended:
            self._read()

    def say(self, data: bytes) -> None:
        """Only when ready."""
        self._tls.write(data)

    def close(self) -> None:
        """Say that nothing follows."""
        if self.is_ready:
            try:
                self._tls.unwrap()
            except (ssl.SSLError, ValueError):
                return

    def outgoing(self) -> bytes:
        """What has to be sent now."""
        return self._out.read()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise TlsFailed(_said(error)) from error
        self.is_ready = True
        certificate = self._tls.getpeercert()
        if certificate:
            self.expires = float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))

    def _read(self) -> bytes:
        pieces = []
        try:
            while piece := self._tls.read(_CHUNK):
                pieces.append(piece)
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_ended = True
        except ssl.SSLError as error:
            # Pythons before 3.11.4 do not make an SSLEOFError of OpenSSL 3's word for it.
            if not isinstance(error, ssl.SSLEOFError) and error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise TlsFailed(_said(error)) from error
            self.has_ended = True
            if self._compliant:
                raise TlsFailed("the server let the connection fall without ending TLS") from None
        return b"".join(pieces)


def _context(credentials: Credentials, by_name: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Some Pythons set it by themselves; whether a connection may fall without an end of TLS is decided here.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.check_hostname = by_name
    context.verify_mode = ssl.CERT_REQUIRED if credentials.verify or by_name else ssl.CERT_NONE
    try:
        if credentials.ca:
            context.load_verify_locations(cadata=credentials.ca)
        elif credentials.verify:
            context.set_default_verify_paths()
        if credentials.certificate:
            _show(context, credentials)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise BadCredentials(f"the credentials of SSL_GET cannot be used: {_said(error)}") from error
    return context


def _show(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Python reads a certificate from a file only: one in memory that nobody else sees."""
    descriptor = os.memfd_create("credentials")
    try:
        os.write(descriptor, f"{credentials.key.reveal()}\n{credentials.certificate}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=credentials.password.reveal())
    finally:
        os.close(descriptor)


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    reason = getattr(error, "reason", None)
    return f"TLS: {str(reason).lower().replace('_', ' ')}" if reason else str(error)
