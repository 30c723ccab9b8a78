"""nftables_ipvs: a table for each family in which packets to addresses of a group get the mark of their service."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from contextlib import suppress

from kad.child.multiplexer import Moment, Mux
from kad.ipvs.fwmarks import Marked
from kad.linux.netlink.nftables import (
    HOOK_INPUT,
    META_L4PROTO,
    META_MARK,
    TYPE_IPV4,
    TYPE_IPV6,
    TYPE_MARK,
    TYPE_PORT,
    Chain,
    NamedSet,
    Nftables,
    NftablesMonitor,
    Table,
    among,
    because,
    encode_change,
    encode_removal,
    encode_table,
    equals,
    meta,
    payload,
    return_,
    rule,
    set_meta,
)
from kad.linux.refused import Refused
from kad.model.ipvs import Marking
from kad.shared.log import Logger

_FAMILIES = {4: "ip", 6: "ip6"}
_PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
_LAST_PORT = 65535
_BACK = 1.0
"""Seconds until what somebody else took away is put back."""


class PacketMarks:
    """The only writer of these tables; each is there while it has something to mark."""

    def __init__(self, mux: Mux, log: Logger, note: Callable[[str, str], None]) -> None:
        """`note(object, text)` writes into the journal."""
        self._mux = mux
        self._log = log
        self._note = note
        self._nftables: Nftables | None = None
        self._monitor: NftablesMonitor | None = None
        self._next: Moment | None = None
        self._wanted: dict[int, Table] = {}
        self._placed: dict[tuple[int, str], Table] = {}
        """As they were last put in place, by family and name."""
        self._left: set[tuple[int, str]] = set()
        """What an earlier configuration or life may have put in place."""
        self.failure = ""
        """Why packets are not marked, as a sentence."""
        self.refusal = ""
        """What the kernel refuses, and why; empty where nothing is refused."""

    def inherit(self, table: str) -> None:
        """An earlier life had tables of that name."""
        if table:
            self._left |= {(family, table) for family in _FAMILIES}

    def arrange(self, marking: Marking, packets: Iterable[Marked]) -> bool:
        """Put in place what this needs; what it does not need is there until release(). False: it cannot be."""
        self._wanted = tables(marking, packets)
        try:
            self._put()
        except Refused as refused:
            self.failure = f"packets cannot be marked, nftables refuse: {because(refused)}"
            self.refusal = _detail(refused)
            self._log.error(f"{self.failure}; each address of a group is a service of its own")
            self._note("nftables", self.failure)
            self._left |= self._placed.keys()
            self._wanted = {}
            return False
        self.failure = self.refusal = ""
        return True

    def retire(self) -> None:
        """Nothing is to be marked any more; what is there stays until release()."""
        self._left |= self._placed.keys()
        self._wanted, self.failure, self.refusal = {}, "", ""

    def release(self) -> None:
        """Remove what is not wanted."""
        gone = sorted(self._left - {(family, table.name) for family, table in self._wanted.items()})
        # A kernel that refuses has none; whoever waits for marks was told so.
        with suppress(Refused):
            self._commit([request for each in gone for request in encode_removal(*each)])
        for each in gone:
            self._placed.pop(each, None)
        self._left = set()
        self._look_after()

    def check(self) -> None:
        """Put back what somebody else took away."""
        try:
            self._put()
        except Refused as refused:
            failure = f"packets are not marked, nftables refuse: {because(refused)}"
            if failure != self.failure:
                self._log.error(failure)
            self.failure, self.refusal = failure, _detail(refused)
        else:
            if self._wanted:
                self.failure = self.refusal = ""

    def _put(self) -> None:
        for family, table in self._wanted.items():
            place = family, table.name
            known = self._placed.get(place)
            if known == table:
                continue
            change = encode_change(known, table) if known is not None else None
            self._placed.pop(place, None)
            self._left.add(place)
            if change is not None:
                with suppress(Refused):
                    self._commit(change)
                    self._placed[place] = table
                    continue
            # Somebody else changed it, or more is different: it is replaced whole, in one step.
            self._commit(encode_table(table))
            self._placed[place] = table

    def _commit(self, requests: list[bytes]) -> None:
        if requests:
            self._nftables = self._nftables or Nftables()
            self._nftables.commit(requests)

    # the guard

    def _look_after(self) -> None:
        """Follow what others delete while something is marked."""
        if self._placed and self._monitor is None and self._nftables is not None:
            with suppress(Refused):
                self._monitor = NftablesMonitor(self._nftables.port)
                self._mux.watch(self._monitor.fileno(), self._read, "reading what the kernel says of nftables")
        elif not self._placed and self._monitor is not None:
            self._mux.unwatch(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None

    def _read(self) -> None:
        """What is lost comes back, but not at once: two that undo one another shall not keep the kernel busy."""
        told = self._monitor.read() if self._monitor is not None else set()
        lost = [place for place in self._placed if told is None or place in told]
        self._left |= set(lost)
        for family, name in lost:
            del self._placed[family, name]
            if told is not None:
                text = f"somebody emptied or deleted what nftables have in table {_FAMILIES[family]} {name}"
                self._log.warning(f"{text}: back in {_BACK:g} s")
                self._note("nftables", text)
        if lost and self._next is None:
            self._next = self._mux.at(self._mux.now() + _BACK, self._put_back)

    def _put_back(self) -> None:
        self._next = None
        self.check()

    def snapshot(self) -> dict[str, object]:
        return {"tables": [f"{_FAMILIES[family]} {name}" for family, name in self._placed], "failure": self.failure}


def tables(marking: Marking, packets: Iterable[Marked]) -> dict[int, Table]:
    """By family; keepalived's names."""
    elements: dict[int, dict[tuple[str, bool], dict[bytes, bytes]]] = {}
    for one in packets:
        maps = elements.setdefault(one.family, {})
        low, high = (one.port, one.port) if one.port else (0, _LAST_PORT)
        key = _key(one.family, one.first, low) + _key(one.family, one.last, high)
        maps.setdefault((one.protocol, not one.port), {})[key] = struct.pack("=I", one.mark)
    return {family: _table(marking, family, maps) for family, maps in elements.items()}


def _table(marking: Marking, family: int, maps: dict[tuple[str, bool], dict[bytes, bytes]]) -> Table:
    """Of one port first: who has that is asked before who has every one, as IPVS itself does."""
    kinds = [(protocol, is_any) for is_any in (False, True) for protocol in _PROTOCOLS if (protocol, is_any) in maps]
    length, type_ = (4, TYPE_IPV4) if family == 4 else (16, TYPE_IPV6)
    sets = tuple(
        NamedSet(
            name=_name(*kind),
            types=(type_, TYPE_PORT),
            length=length + 4,
            elements=maps[kind],
            data_type=TYPE_MARK,
            ranges=(length, 2),
        )
        for kind in kinds
    )
    rules = tuple(_rule(family, protocol, _name(protocol, is_any), marking.counters) for protocol, is_any in kinds)
    chain = Chain(name="in", hook=HOOK_INPUT, priority=marking.priority, rules=rules)
    return Table(family=family, name=marking.table, sets=sets, chains=(chain,))


def _name(protocol: str, is_any: bool) -> str:
    return f"{protocol.lower()}_{'any_port_' if is_any else ''}map"


def _rule(family: int, protocol: str, name: str, counted: bool) -> bytes:
    """Address and port of the destination are looked up together: registers that follow one another."""
    offset, length, behind = (16, 4, 9) if family == 4 else (24, 16, 2)
    return rule(
        meta(META_L4PROTO),
        equals(bytes([_PROTOCOLS[protocol]])),
        payload(offset, length),
        payload(2, 2, transport=True, register=behind),
        among(name, value_register=1),
        set_meta(META_MARK),
        return_(),
        counted=counted,
    )


def _key(family: int, address: int, port: int) -> bytes:
    """Each part padded to four bytes."""
    return address.to_bytes(4 if family == 4 else 16, "big") + struct.pack(">Hxx", port)


def _detail(refused: Refused) -> str:
    return f"to mark packets by nftables: {because(refused)}"
