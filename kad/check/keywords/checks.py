"""The words of real_server that say how it is checked; each checker is a block of its own."""

from __future__ import annotations

from typing import Annotated

from kad.config.keyword import Block, block


class CheckBlock(Block, frozen=True, kw_only=True):
    """A check whose options are known, and not yet acted on."""


class CheckWords(Block, frozen=True, kw_only=True):
    """The checks of one real server."""

    tcp: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "connects", name="TCP_CHECK", collected=True)] = ()
    http: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "asks by HTTP", name="HTTP_GET", collected=True)] = ()
    ssl: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "asks by HTTPS", name="SSL_GET", collected=True)] = ()
    smtp: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "speaks SMTP", name="SMTP_CHECK", collected=True)] = ()
    dns: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "asks a name", name="DNS_CHECK", collected=True)] = ()
    misc: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "runs a program", name="MISC_CHECK", collected=True)] = ()
    udp: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "sends UDP", name="UDP_CHECK", collected=True)] = ()
    ping: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "sends echo", name="PING_CHECK", collected=True)] = ()
    file: Annotated[tuple[CheckBlock, ...], block(CheckBlock, "reads a file", name="FILE_CHECK", collected=True)] = ()
    bfd: Annotated[
        tuple[CheckBlock, ...], block(CheckBlock, "follows a BFD session", name="BFD_CHECK", collected=True)
    ] = ()

    def names(self) -> tuple[str, ...]:
        """The kinds of checks, in the order of the words above."""
        kinds = {
            "TCP_CHECK": self.tcp,
            "HTTP_GET": self.http,
            "SSL_GET": self.ssl,
            "SMTP_CHECK": self.smtp,
            "DNS_CHECK": self.dns,
            "MISC_CHECK": self.misc,
            "UDP_CHECK": self.udp,
            "PING_CHECK": self.ping,
            "FILE_CHECK": self.file,
            "BFD_CHECK": self.bfd,
        }
        return tuple(name for name, blocks in kinds.items() for _ in blocks)
