"""The words of virtual_server and real_server that the kernel's table is made of."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kad.config.keyword import Block, keyword
from kad.config.values import Value, Words, Wrong, integer, one_of, to_address


class ServiceName(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind virtual_server: an address and port, a firewall mark, or a group."""

    text: str
    address: str | None = None
    port: int = 0
    fwmark: int | None = None
    group: str | None = None


class ServerName(msgspec.Struct, frozen=True, kw_only=True):
    """IP [PORT]"""

    address: str
    port: int = 0


def _port(words: Words, index: int) -> int:
    if len(words) <= index:
        return 0
    text = words[index].text
    if not text.isdecimal() or int(text) > 65535:
        raise Wrong(f"{text} is not a port of 1..65535", index)
    return int(text)


def service_name() -> Value:
    """IP [PORT], fwmark N, or group NAME."""

    def read(words: Words) -> ServiceName:
        written = " ".join(word.text for word in words[:2])
        kind = words[0].text
        if kind in ("fwmark", "group"):
            if len(words) < 2:
                raise Wrong(f"{kind} needs a {'number' if kind == 'fwmark' else 'name'}")
            if kind == "group":
                return ServiceName(text=written, group=words[1].text)
            if not words[1].text.isdecimal() or not 0 < int(words[1].text) < 1 << 32:
                raise Wrong(f"{words[1].text} is not a firewall mark of 1..4294967295", 1)
            return ServiceName(text=written, fwmark=int(words[1].text))
        return ServiceName(text=written, address=to_address(kind), port=_port(words, 1))

    return Value(
        arguments="<IP> [<PORT>] or fwmark <N> or group <NAME>",
        pattern=r"\s+([0-9A-Fa-f.:]+)(?:\s+([0-9]{1,5}))?",
        read=read,
        write=lambda name: name.text,
        most=2,
    )


def server_name() -> Value:
    """IP [PORT]"""
    return Value(
        arguments="<IP> [<PORT>]",
        pattern=r"\s+([0-9A-Fa-f.:]+)(?:\s+([0-9]{1,5}))?",
        read=lambda words: ServerName(address=to_address(words[0].text), port=_port(words, 1)),
        write=lambda name: f"{name.address} {name.port}" if name.port else name.address,
        most=2,
    )


class ServiceWords(Block, frozen=True, kw_only=True):
    """The service as a whole."""

    protocol: Annotated[
        str | None, keyword(one_of("TCP", "UDP", "SCTP", ignore_case=True), "of the service", default="UDP")
    ] = None


class DestinationWords(Block, frozen=True, kw_only=True):
    """One real server of the service."""

    weight: Annotated[
        int | None, keyword(integer(0, 2147483647), "its share", default="the weight of the virtual_server")
    ] = None
