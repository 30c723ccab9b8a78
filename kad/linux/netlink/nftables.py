"""nftables as netlink takes them: tables of named sets and chains, put in place whole or by the difference, and word
of what others take from them."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kad.linux.netlink.socket import NLM_F_ACK, NLM_F_CREATE, Netlink, Overrun, attribute, attributes, message, messages
from kad.linux.refused import Refused, closed_on_failure, refusing
from kad.linux.sockets.bpf import ALL, EQUAL, LOAD, RETURN

_NETLINK_NETFILTER = 12
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_SUBSYSTEM = 10
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _NEWSET, _NEWSETELEM, _DELSETELEM = 0, 2, 3, 6, 9, 12, 14
_DELCHAIN, _DELRULE, _DELSET = 5, 8, 11
_DELETIONS = {_SUBSYSTEM << 8 | kind for kind in (_DELTABLE, _DELCHAIN, _DELRULE, _DELSET, _DELSETELEM)}
_GROUP = 7
"""NFNLGRP_NFTABLES"""
_PORT_AT = 12
_NFGENMSG = 4
_TABLE = 1
"""The attribute with the name of the table, whatever is deleted."""
_NLMSG_ERROR = 2
_NLM_F_APPEND = 0x800
_NESTED = 0x8000
_SET_CONSTANT, _SET_INTERVAL, _SET_MAP, _SET_CONCATENATED = 0x2, 0x4, 0x8, 0x80
_HOST_ENDIAN = b"\x00\x04" + struct.pack("=I", 1) + b"\x01\x04" + struct.pack("=I", 1)
_MARK_HOST_ENDIAN = b"\x00\x04" + struct.pack("=I", 2) + b"\x01\x04" + struct.pack("=I", 1)
"""What nft keeps with a set to know how keys and values are shown: the byte order of either."""
_ELEMENTS_AT_ONCE = 500
_ANSWER_SECONDS = 5
_RECEIVE_BUFFER = 1024 * 1024

ARP = 0x0806
"""The family of a Table beside 4 and 6."""
_FAMILIES = {4: 2, 6: 10, ARP: 3}
HOOK_INPUT, HOOK_OUTPUT, HOOK_ARP_INPUT = 1, 3, 0
_ACCEPT, _DROP, _GOTO, _RETURN = 1, 0, -4, -5
_VERDICT_REGISTER = 0

# What a user's program shows the bytes as; the kernel does not care.
TYPE_IPV4, TYPE_IPV6, TYPE_ETHERNET, TYPE_ICMPV6, TYPE_IFINDEX, TYPE_IFNAME = 7, 8, 9, 29, 20, 41
TYPE_PORT, TYPE_MARK = 13, 19
_TYPE_BITS = 6

META_MARK, META_IIF, META_OIF, META_IIFNAME, META_OIFNAME, META_L4PROTO = 3, 4, 5, 6, 7, 16
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2

_be32 = struct.Struct(">I").pack


class NamedSet(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, or keys with a value each; a key of several parts has each padded to four bytes."""

    name: str
    types: tuple[int, ...]
    """TYPE_ of each part of the key."""
    length: int
    """Bytes of a key."""
    elements: Mapping[bytes, bytes]
    """An empty value where the set is no map."""
    data_type: int = 0
    """TYPE_ of the values of a map, four bytes each; 0: no map."""
    constant: bool = False
    ranges: tuple[int, ...] = ()
    """Bytes of each part of the key, where keys are ranges: an element's key is the first one and the last one."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Rules in order; without a hook it is only gone to."""

    name: str
    rules: tuple[bytes, ...]
    """Each is what expressions() made."""
    hook: int | None = None
    priority: int = 0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in it is this daemon's."""

    family: int
    """4, 6 or ARP."""
    name: str
    sets: tuple[NamedSet, ...]
    chains: tuple[Chain, ...]


# expressions


def payload(offset: int, length: int, *, transport: bool = False, register: int = 1) -> bytes:
    """Load bytes of the packet, counted from the IP (ARP) header or from the one behind it."""
    base = _TRANSPORT_HEADER if transport else _NETWORK_HEADER
    return _expression("payload", _numbers(register, base, offset, length))


def meta(key: int, *, register: int = 1) -> bytes:
    """Load what the kernel knows beside the packet: META_."""
    return _expression("meta", _numbers(register, key))


def set_meta(key: int, *, register: int = 1) -> bytes:
    """What the kernel knows beside the packet is from now on what the register holds."""
    return _expression("meta", attribute(2, _be32(key)) + attribute(3, _be32(register)))


def equals(value: bytes, *, register: int = 1) -> bytes:
    """Go on only when the register holds this."""
    return _expression("cmp", _numbers(register, 0) + _data(3, value))


def masked(mask: bytes, *, register: int = 1) -> bytes:
    """Keep these bits of the register."""
    numbers = _numbers(register, register, len(mask))
    return _expression("bitwise", numbers + _data(4, mask) + _data(5, bytes(len(mask))))


def among(name: str, *, register: int = 1, value_register: int | None = None) -> bytes:
    """Go on only when the set has the register as a key; load the value of a map."""
    found = attribute(3, _be32(value_register)) if value_register is not None else b""
    return _expression("lookup", _text(1, name) + attribute(2, _be32(register)) + found)


def duplicate(*, address_register: int, device_register: int) -> bytes:
    """Send a copy to this address by that interface."""
    return _expression("dup", _numbers(address_register, device_register))


def count() -> bytes:
    return _expression("counter", b"")


def drop() -> bytes:
    return _verdict(_DROP)


def accept() -> bytes:
    return _verdict(_ACCEPT)


def return_() -> bytes:
    """Done with this chain."""
    return _verdict(_RETURN)


def go_to(chain: str) -> bytes:
    return _verdict(_GOTO, chain)


def rule(*expressions: bytes, counted: bool = False) -> bytes:
    """One rule; with `counted` its verdict counts packets and bytes."""
    *conditions, verdict = expressions
    return b"".join([*conditions, *([count()] if counted else []), verdict])


def _verdict(code: int, chain: str = "") -> bytes:
    verdict = attribute(1, struct.pack(">i", code)) + (_text(2, chain) if chain else b"")
    return _expression("immediate", _numbers(_VERDICT_REGISTER) + _nest(2, _nest(2, verdict)))


def _expression(name: str, data: bytes) -> bytes:
    return _nest(1, _text(1, name) + _nest(2, data))


def _numbers(*numbers: int) -> bytes:
    """Attributes 1, 2, 3 … that are numbers."""
    return b"".join(attribute(kind, _be32(number)) for kind, number in enumerate(numbers, 1))


def _data(kind: int, value: bytes) -> bytes:
    return _nest(kind, attribute(1, value))


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _nest(kind: int, content: bytes) -> bytes:
    return attribute(kind | _NESTED, content)


# requests


def encode_table(table: Table) -> list[bytes]:
    """Requests that put this table in the place of whatever has its name, in one step."""
    made = [
        *encode_removal(table.family, table.name),
        _request(_NEWTABLE, NLM_F_CREATE, table.family, _text(1, table.name)),
    ]
    for number, each in enumerate(table.sets, 1):
        made.append(_encode_set(table, each, number))
        made += _encode_elements(_NEWSETELEM, table, each, each.elements)
    made += [_encode_chain(table, chain) for chain in table.chains]
    made += [_encode_rule(table, chain.name, each) for chain in table.chains for each in chain.rules]
    return made


def encode_change(old: Table, new: Table) -> list[bytes] | None:
    """Requests that make the old table the new one by changing elements; None when more is different."""
    if _frame(old) != _frame(new):
        return None
    made: list[bytes] = []
    for before, after in zip(old.sets, new.sets, strict=True):
        gone = {key: value for key, value in before.elements.items() if after.elements.get(key) != value}
        come = {key: value for key, value in after.elements.items() if before.elements.get(key) != value}
        made += _encode_elements(_DELSETELEM, new, after, gone)
        made += _encode_elements(_NEWSETELEM, new, after, come)
    return made


def encode_removal(family: int, name: str) -> list[bytes]:
    """Requests after which there is no such table, whether there was one or not."""
    named = _text(1, name)
    return [_request(_NEWTABLE, NLM_F_CREATE, family, named), _request(_DELTABLE, 0, family, named)]


def _frame(table: Table) -> Table:
    sets = tuple(msgspec.structs.replace(each, elements={}) for each in table.sets)
    return msgspec.structs.replace(table, sets=sets)


def _encode_set(table: Table, made: NamedSet, number: int) -> bytes:
    key_type = 0
    for one in made.types:
        key_type = key_type << _TYPE_BITS | one
    flags = (_SET_CONSTANT if made.constant else 0) | (_SET_MAP if made.data_type else 0)
    flags |= _SET_INTERVAL | _SET_CONCATENATED if made.ranges else 0
    numbers = {3: flags, 4: key_type, 5: made.length, 10: number}
    if made.data_type:
        numbers |= {6: made.data_type, 7: 4}
    body = b"".join(attribute(kind, _be32(value)) for kind, value in numbers.items())
    if made.ranges:
        lengths = b"".join(_nest(1, attribute(1, _be32(length))) for length in made.ranges)
        body += _nest(9, _nest(2, lengths))
    if made.types == (TYPE_IFINDEX,):
        body += attribute(13, _HOST_ENDIAN)
    elif made.data_type == TYPE_MARK:
        body += attribute(13, _MARK_HOST_ENDIAN)
    return _request(_NEWSET, NLM_F_CREATE, table.family, _text(1, table.name) + _text(2, made.name) + body)


def _encode_elements(kind: int, table: Table, named: NamedSet, elements: Mapping[bytes, bytes]) -> list[bytes]:
    pairs = list(elements.items())
    return [
        _request(
            kind,
            NLM_F_CREATE if kind == _NEWSETELEM else 0,
            table.family,
            _text(1, table.name)
            + _text(2, named.name)
            + _nest(3, b"".join(_element(named, *pair) for pair in pairs[start : start + _ELEMENTS_AT_ONCE])),
        )
        for start in range(0, len(pairs), _ELEMENTS_AT_ONCE)
    ]


def _element(named: NamedSet, key: bytes, value: bytes) -> bytes:
    last = _data(10, key[named.length :]) if named.ranges else b""
    return _nest(1, _data(1, key[: named.length]) + (_data(2, value) if value else b"") + last)


def _encode_chain(table: Table, chain: Chain) -> bytes:
    body = _text(1, table.name) + _text(3, chain.name)
    if chain.hook is not None:
        hook = attribute(1, _be32(chain.hook)) + attribute(2, struct.pack(">i", chain.priority))
        body += _nest(4, hook) + attribute(5, _be32(_ACCEPT)) + _text(7, "filter")
    return _request(_NEWCHAIN, NLM_F_CREATE, table.family, body)


def _encode_rule(table: Table, chain: str, expressions: bytes) -> bytes:
    body = _text(1, table.name) + _text(2, chain) + _nest(4, expressions)
    return _request(_NEWRULE, NLM_F_CREATE | _NLM_F_APPEND, table.family, body)


def _request(kind: int, flags: int, family: int, body: bytes) -> bytes:
    head = struct.pack(">BBH", _FAMILIES[family], 0, 0)
    return message(_SUBSYSTEM << 8 | kind, NLM_F_ACK | flags, head + body)


# the kernel


class Nftables:
    """The nf_tables of the namespace in which it was opened."""

    def __init__(self) -> None:
        """Raises Refused."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        with (
            refusing("nftables"),
            closed_on_failure(socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)) as opened,
        ):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _ANSWER_SECONDS, 0))
            opened.bind((0, 0))
        self._socket = opened
        self._sequence = 0

    @property
    def port(self) -> int:
        """By which the kernel names this socket where it tells of changes."""
        return int(self._socket.getsockname()[0])

    def commit(self, requests: Sequence[bytes]) -> None:
        """Do all of it or nothing. Raises Refused."""
        if not requests:
            return
        first = self._sequence
        data = b"".join(self._numbered([_boundary(_BATCH_BEGIN), *requests, _boundary(_BATCH_END)]))
        with refusing("nftables"):
            self._socket.send(data)
        waiting = set(range(first + 2, first + 2 + len(requests)))
        while waiting:
            with refusing("nftables"):
                answers = self._socket.recv(1 << 17)
            for answer in messages(answers):
                # An answer to an earlier batch that failed as a whole.
                if answer.kind != _NLMSG_ERROR or answer.sequence <= first:
                    continue
                refusal = -struct.unpack_from("=i", answer.body)[0]
                if refusal:
                    raise Refused("nftables", refusal)
                waiting.discard(answer.sequence)

    def close(self) -> None:
        self._socket.close()

    def _numbered(self, requests: Iterable[bytes]) -> Iterable[bytes]:
        for each in requests:
            self._sequence += 1
            yield each[:8] + struct.pack("=I", self._sequence) + each[12:]


class NftablesMonitor:
    """Hears of deletions by anybody but one."""

    def __init__(self, own_port: int) -> None:
        """Raises Refused."""
        self._netlink = Netlink.open((_GROUP,), protocol=_NETLINK_NETFILTER)
        port = int.from_bytes(struct.pack("=I", own_port))
        self._netlink.attach(((LOAD, 0, 0, _PORT_AT), (EQUAL, 0, 1, port), (RETURN, 0, 0, 0), (RETURN, 0, 0, ALL)))

    def fileno(self) -> int:
        return self._netlink.fileno()

    def close(self) -> None:
        self._netlink.close()

    def read(self) -> set[tuple[int, str]] | None:
        """Family (4, 6 or ARP) and name of each table that lost something; None when that is not known."""
        try:
            told = self._netlink.receive()
        except Overrun:
            return None
        return {
            (family, attributes(each.body[_NFGENMSG:]).get(_TABLE, b"").rstrip(b"\0").decode(errors="replace"))
            for each in told
            if each.kind in _DELETIONS
            for family, number in _FAMILIES.items()
            if each.body[:1] == bytes([number])
        }


def _boundary(kind: int) -> bytes:
    return message(kind, 0, struct.pack(">BBH", 0, 0, _SUBSYSTEM))


def is_missing(refused: Refused) -> bool:
    """The kernel has no nf_tables, or not what was asked of them."""
    return refused.errno in (errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT)


def because(refused: Refused) -> str:
    """Why, in words."""
    return "this kernel does not have them" if is_missing(refused) else os.strerror(refused.errno)
