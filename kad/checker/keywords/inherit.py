"""What a check takes from its real_server, its virtual_server and global_defs where it says nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from kad.checker.keywords.check_words import ConnectionWords, StreamWords, TimingWords
from kad.checker.keywords.default_words import ServerDefaults, ServiceDefaults, SharedDefaults
from kad.model.checker import Connection, Timing

T = TypeVar("T")

DELAY_LOOP = 60.0
CONNECT_TIMEOUT = 5.0


def first(*values: T | None) -> T | None:
    """The first one that was written."""
    return next((value for value in values if value is not None), None)


@dataclass(frozen=True)
class Inheritance:
    """All that stands above the checks of one real server."""

    address: str
    port: int
    server: ServerDefaults
    service: ServiceDefaults
    log_all_failures: bool = False

    @property
    def alpha(self) -> bool:
        return self.service.alpha if self.server.alpha is None else self.server.alpha

    @property
    def virtualhost(self) -> str | None:
        return first(self.server.shared.virtualhost, self.service.shared.virtualhost)

    def timing(
        self,
        *words: TimingWords,
        retry: int = 1,
        delay_before_retry: float | None = 1.0,
        from_start: bool = False,
        urls: int = 0,
        fast_recovery: bool = False,
    ) -> Timing:
        """Earlier words count before later ones; a `delay_before_retry` of None is the delay_loop."""
        said: list[TimingWords | SharedDefaults] = [*words, self.server.shared, self.service.shared]
        delay_loop = first(*(one.delay_loop for one in said), DELAY_LOOP) or DELAY_LOOP
        before = first(*(one.delay_before_retry for one in said), delay_before_retry, delay_loop)
        tries = first(*(one.retry for one in said), retry)
        warmup = first(*(one.warmup for one in said), delay_loop)
        alpha = first(*(one.alpha for one in words), self.alpha)
        log = first(*(one.log_all_failures for one in words), self.log_all_failures)
        return Timing(
            delay_loop=delay_loop,
            retry=retry if tries is None else tries,
            delay_before_retry=delay_loop if before is None else before,
            warmup=delay_loop if warmup is None else warmup,
            alpha=bool(alpha),
            log_all_failures=bool(log),
            from_start=from_start,
            urls=urls,
            fast_recovery=fast_recovery,
        )

    def connection(self, *words: ConnectionWords, stream: StreamWords | None = None) -> Connection:
        """Earlier words count before later ones."""
        said: list[ConnectionWords | SharedDefaults] = [*words, self.server.shared, self.service.shared]
        return Connection(
            address=first(*(one.connect_ip for one in words)) or self.address,
            port=first(*(one.connect_port for one in words)) or self.port,
            timeout=first(*(one.connect_timeout for one in said)) or CONNECT_TIMEOUT,
            bindto=first(*(one.bindto for one in words)),
            bind_port=first(*(one.bind_port for one in words)) or 0,
            bind_if=first(*(one.bind_if for one in words)),
            fwmark=first(*(one.fwmark for one in words)) or 0,
            proxy_protocol=int(stream.proxy_protocol or 0) if stream else 0,
        )
