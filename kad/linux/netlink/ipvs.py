"""The kernel's IPVS table by generic netlink: messages laid out by hand, many in one request."""

from __future__ import annotations

import errno
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache

from kad.linux.netlink.socket import NLM_F_ACK, NLM_F_DUMP, Netlink, attribute, attributes, message
from kad.linux.refused import Refused
from kad.model.ipvs_table import (
    Connections,
    DestinationKey,
    DestinationSettings,
    ServiceKey,
    ServiceSettings,
    SyncDaemonSettings,
    TimeoutSettings,
)

ALREADY_THERE = errno.EEXIST
NO_SERVICE = errno.ESRCH
NO_DESTINATION = errno.ENOENT

_GENERIC = 16  # NETLINK_GENERIC
_CONTROL = 16  # GENL_ID_CTRL
_GETFAMILY = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_VERSION = 1

# enum of linux/ip_vs.h
_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, _GET_SERVICE = 1, 2, 3, 4
_NEW_DEST, _SET_DEST, _DEL_DEST, _GET_DEST = 5, 6, 7, 8
_NEW_DAEMON, _DEL_DAEMON, _GET_DAEMON = 9, 10, 11
_SET_CONFIG, _GET_CONFIG = 12, 13
_FLUSH = 17
_ATTR_SERVICE, _ATTR_DEST, _ATTR_DAEMON = 1, 2, 3
_ATTR_TIMEOUTS = {"tcp": 4, "tcpfin": 5, "udp": 6}

_SVC_AF, _SVC_PROTOCOL, _SVC_ADDR, _SVC_PORT, _SVC_FWMARK = 1, 2, 3, 4, 5
_SVC_SCHED, _SVC_FLAGS, _SVC_TIMEOUT, _SVC_NETMASK, _SVC_PE = 6, 7, 8, 9, 11
_DEST_ADDR, _DEST_PORT, _DEST_METHOD, _DEST_WEIGHT, _DEST_UPPER, _DEST_LOWER = 1, 2, 3, 4, 5, 6
_DEST_ACTIVE, _DEST_INACTIVE, _DEST_PERSISTENT = 7, 8, 9
_DEST_AF, _DEST_TUN_TYPE, _DEST_TUN_PORT, _DEST_TUN_FLAGS = 11, 13, 14, 15
_DAEMON_STATE, _DAEMON_IFN, _DAEMON_ID, _DAEMON_MAXLEN = 1, 2, 3, 4
_DAEMON_GROUP, _DAEMON_GROUP6, _DAEMON_PORT, _DAEMON_TTL = 5, 6, 7, 8

_PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}
_METHODS = {"NAT": 0, "LOCAL": 1, "TUN": 2, "DR": 3, "BYPASS": 4}
_METHOD_NAMES = {number: name for name, number in _METHODS.items()}
_TUNNELS = {"ipip": 0, "gue": 1, "gre": 2}
_TUNNEL_NAMES = {number: name for name, number in _TUNNELS.items()}
_CHECKSUMS = {"": 0, "csum": 1, "remcsum": 2}
_CHECKSUM_NAMES = {number: name for name, number in _CHECKSUMS.items()}
_DAEMONS = {"master": 1, "backup": 2}
_DAEMON_NAMES = {number: name for name, number in _DAEMONS.items()}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_HASHED = 0x2  # the kernel's own mark in the flags of a service

_U16, _U32, _BE16, _BE32 = struct.Struct("=H"), struct.Struct("=I"), struct.Struct("!H"), struct.Struct("!I")
_FLAGS = struct.Struct("=II")  # flags, mask
_GENL = struct.Struct("=BBH")  # command, version, reserved
_NESTED = 0x8000

# Attribute headers and padding within one destination; each line is one attribute.
_KEY = struct.Struct("=HH16s HH2s2x")
_DEST = struct.Struct("=HH HH16s HH2s2x HHI HHI HHI HHI HHH2x")
_KEY_HEAD = (20, _DEST_ADDR)
_TUNNEL = struct.Struct("=HHB3x HH2s2x HHH2x")


class Ipvs:
    """The table of the network namespace in which this was opened."""

    def __init__(self, netlink: Netlink, family: int) -> None:
        self._netlink = netlink
        self._family = family

    @classmethod
    def open(cls) -> Ipvs:
        """Raises Refused; with ENOENT where the kernel has no IPVS (asking for it loads the module where it can be)."""
        netlink = Netlink.open(protocol=_GENERIC)
        try:
            return cls(netlink, _find_family(netlink))
        except Refused:
            netlink.close()
            raise

    def close(self) -> None:
        self._netlink.close()

    def request(self, batch: Sequence[bytes]) -> list[int]:
        """Do commands in their order; the errno of each, 0 where it is done. Raises Refused."""
        head = _U16.pack(self._family)
        return self._netlink.request([one[:4] + head + one[6:] for one in batch])

    def services(self) -> Iterator[tuple[ServiceKey, ServiceSettings]]:
        """Everything that the table serves. Raises Refused."""
        for body in self._dump(_command(_GET_SERVICE, b"", NLM_F_DUMP), _ATTR_SERVICE):
            found = decode_service(body)
            if found is not None:
                yield found

    def service(self, key: ServiceKey) -> ServiceSettings | None:
        """None where the table does not have it. Raises Refused."""
        request = _command(_GET_SERVICE, attribute(_ATTR_SERVICE | _NESTED, encode_key(key)))
        try:
            answers = self._netlink.ask(self._addressed(request))
        except Refused as refused:
            if refused.errno == NO_SERVICE:
                return None
            raise
        for answer in answers:
            found = decode_service(attributes(answer.body[_GENL.size :])[_ATTR_SERVICE])
            if found is not None:
                return found[1]
        return None

    def destinations(self, key: ServiceKey) -> Iterator[tuple[DestinationKey, DestinationSettings, Connections]]:
        """Those of one service; none where the table does not have it. Raises Refused."""
        request = _command(_GET_DEST, attribute(_ATTR_SERVICE | _NESTED, encode_key(key)), NLM_F_DUMP)
        for body in self._dump(request, _ATTR_DEST):
            yield decode_destination(body, key.family)

    def daemons(self) -> Iterator[SyncDaemonSettings]:
        """The sync daemons that run. Raises Refused."""
        for body in self._dump(_command(_GET_DAEMON, b"", NLM_F_DUMP), _ATTR_DAEMON):
            yield decode_daemon(body)

    def timeouts(self) -> TimeoutSettings:
        """Raises Refused."""
        found: dict[int, bytes] = {}
        for answer in self._netlink.ask(self._addressed(_command(_GET_CONFIG, b""))):
            found = attributes(answer.body[_GENL.size :])
        return TimeoutSettings(*(_u32(found, kind) for kind in _ATTR_TIMEOUTS.values()))

    def _addressed(self, request: bytes) -> bytes:
        return request[:4] + _U16.pack(self._family) + request[6:]

    def _dump(self, request: bytes, kind: int) -> Iterator[bytes]:
        for answer in self._netlink.stream(self._addressed(request)):
            body = attributes(answer.body[_GENL.size :]).get(kind)
            if body is not None:
                yield body


def _find_family(netlink: Netlink) -> int:
    body = _GENL.pack(_GETFAMILY, _VERSION, 0) + attribute(_FAMILY_NAME, b"IPVS\0")
    for answer in netlink.ask(message(_CONTROL, NLM_F_ACK, body)):
        found = attributes(answer.body[_GENL.size :]).get(_FAMILY_ID)
        if found is not None:
            return int(_U16.unpack_from(found)[0])
    raise Refused("IPVS", errno.ENOENT)


def load_module() -> None:
    """Have ip_vs in the kernel, if it can be had; call it while privileged. It is no error when it cannot."""
    try:
        Ipvs.open().close()
        return
    except Refused:
        modprobe = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if modprobe is not None:
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([modprobe, "-q", "ip_vs"], check=False, timeout=10, capture_output=True)


# requests: netlink's header with an empty type, which request() fills in


def _command(command: int, body: bytes, flags: int = NLM_F_ACK) -> bytes:
    return message(0, flags, _GENL.pack(command, _VERSION, 0) + body)


@lru_cache(maxsize=1 << 12)
def _pack(address: str) -> bytes:
    """As union nf_inet_addr has it."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return socket.inet_pton(socket.AF_INET, address) + bytes(12)


def encode_key(key: ServiceKey) -> bytes:
    """The attributes by which the kernel finds a service."""
    family = attribute(_SVC_AF, _U16.pack(_FAMILIES[key.family]))
    if key.fwmark:
        return family + attribute(_SVC_FWMARK, _U32.pack(key.fwmark))
    return b"".join(
        (
            family,
            attribute(_SVC_PROTOCOL, _U16.pack(_PROTOCOLS[key.protocol])),
            attribute(_SVC_ADDR, _pack(key.address)),
            attribute(_SVC_PORT, _BE16.pack(key.port)),
        )
    )


def _service(key: ServiceKey, settings: ServiceSettings) -> bytes:
    netmask = _BE32.pack(settings.netmask) if key.family == 4 else _U32.pack(settings.netmask)
    parts = [
        encode_key(key),
        attribute(_SVC_SCHED, settings.scheduler.encode() + b"\0"),
        attribute(_SVC_FLAGS, _FLAGS.pack(settings.flags, 0xFFFFFFFF)),
        attribute(_SVC_TIMEOUT, _U32.pack(settings.timeout)),
        attribute(_SVC_NETMASK, netmask),
    ]
    if settings.engine:
        parts.append(attribute(_SVC_PE, settings.engine.encode() + b"\0"))
    return attribute(_ATTR_SERVICE | _NESTED, b"".join(parts))


def add_service(key: ServiceKey, settings: ServiceSettings) -> bytes:
    """ALREADY_THERE is the answer when it is."""
    return _command(_NEW_SERVICE, _service(key, settings))


def set_service(key: ServiceKey, settings: ServiceSettings) -> bytes:
    """NO_SERVICE is the answer when it is not there."""
    return _command(_SET_SERVICE, _service(key, settings))


def delete_service(key: ServiceKey) -> bytes:
    """Its destinations go with it; NO_SERVICE is the answer when it is not there."""
    return _command(_DEL_SERVICE, attribute(_ATTR_SERVICE | _NESTED, encode_key(key)))


@lru_cache(maxsize=1 << 8)
def _service_prefix(key: ServiceKey) -> bytes:
    return attribute(_ATTR_SERVICE | _NESTED, encode_key(key))


def _destination(key: DestinationKey, settings: DestinationSettings) -> bytes:
    tunnel = b""
    if settings.tunnel != "ipip":
        port, checksum = _BE16.pack(settings.tunnel_port), _CHECKSUMS[settings.checksum]
        kind = _TUNNELS[settings.tunnel]
        tunnel = _TUNNEL.pack(5, _DEST_TUN_TYPE, kind, 6, _DEST_TUN_PORT, port, 6, _DEST_TUN_FLAGS, checksum)
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    return (
        _DEST.pack(
            *(_DEST.size + len(tunnel), _ATTR_DEST | _NESTED),
            *(20, _DEST_ADDR, _pack(key.address)),
            *(6, _DEST_PORT, _BE16.pack(key.port)),
            *(8, _DEST_METHOD, _METHODS[settings.method]),
            *(8, _DEST_WEIGHT, settings.weight),
            *(8, _DEST_UPPER, settings.upper),
            *(8, _DEST_LOWER, settings.lower),
            *(6, _DEST_AF, family),
        )
        + tunnel
    )


def add_destination(service: ServiceKey, key: DestinationKey, settings: DestinationSettings) -> bytes:
    """ALREADY_THERE is the answer when it is, NO_SERVICE when its service is not."""
    return _command(_NEW_DEST, _service_prefix(service) + _destination(key, settings))


def set_destination(service: ServiceKey, key: DestinationKey, settings: DestinationSettings) -> bytes:
    """NO_DESTINATION is the answer when it is not there."""
    return _command(_SET_DEST, _service_prefix(service) + _destination(key, settings))


def delete_destination(service: ServiceKey, key: DestinationKey) -> bytes:
    """NO_DESTINATION is the answer when it is not there."""
    body = (
        attribute(_DEST_ADDR, _pack(key.address))
        + attribute(_DEST_PORT, _BE16.pack(key.port))
        + attribute(_DEST_AF, _U16.pack(socket.AF_INET6 if ":" in key.address else socket.AF_INET))
    )
    return _command(_DEL_DEST, _service_prefix(service) + attribute(_ATTR_DEST | _NESTED, body))


def start_daemon(daemon: SyncDaemonSettings) -> bytes:
    """ALREADY_THERE is the answer when one of this state runs."""
    parts = [
        attribute(_DAEMON_STATE, _U32.pack(_DAEMONS[daemon.state])),
        attribute(_DAEMON_IFN, daemon.interface.encode() + b"\0"),
        attribute(_DAEMON_ID, _U32.pack(daemon.id)),
    ]
    if daemon.maxlen is not None:
        parts.append(attribute(_DAEMON_MAXLEN, _U16.pack(daemon.maxlen)))
    if daemon.group is not None:
        is_ipv6 = ":" in daemon.group
        packed = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, daemon.group)
        parts.append(attribute(_DAEMON_GROUP6 if is_ipv6 else _DAEMON_GROUP, packed))
    if daemon.port is not None:
        parts.append(attribute(_DAEMON_PORT, _U16.pack(daemon.port)))
    if daemon.ttl is not None:
        parts.append(attribute(_DAEMON_TTL, bytes([daemon.ttl])))
    return _command(_NEW_DAEMON, attribute(_ATTR_DAEMON | _NESTED, b"".join(parts)))


def stop_daemon(state: str) -> bytes:
    """NO_SERVICE is the answer when none of this state runs."""
    body = attribute(_DAEMON_STATE, _U32.pack(_DAEMONS[state]))
    return _command(_DEL_DAEMON, attribute(_ATTR_DAEMON | _NESTED, body))


def set_timeouts(timeouts: TimeoutSettings) -> bytes:
    """What is 0 stays as it is."""
    body = b"".join(attribute(kind, _U32.pack(getattr(timeouts, name))) for name, kind in _ATTR_TIMEOUTS.items())
    return _command(_SET_CONFIG, body)


def flush() -> bytes:
    """Empty the whole table, whoever filled it."""
    return _command(_FLUSH, b"")


# answers


def _u32(found: dict[int, bytes], kind: int) -> int:
    data = found.get(kind)
    return _U32.unpack_from(data)[0] if data is not None and len(data) >= _U32.size else 0


def _u16(found: dict[int, bytes], kind: int, layout: struct.Struct = _U16) -> int:
    data = found.get(kind)
    return layout.unpack_from(data)[0] if data is not None and len(data) >= _U16.size else 0


def _text(found: dict[int, bytes], kind: int) -> str:
    return found.get(kind, b"").rstrip(b"\0").decode(errors="replace")


@lru_cache(maxsize=1 << 12)
def _unpack(packed: bytes, family: int) -> str:
    """Canonical text, also of an IPv4 address that IPv6 wraps."""
    if family == 4:
        return socket.inet_ntop(socket.AF_INET, packed[:4])
    return str(ipaddress.IPv6Address(packed[:16]))


def decode_service(body: bytes) -> tuple[ServiceKey, ServiceSettings] | None:
    """None for a service of a protocol that is not known here."""
    found = attributes(body)
    family = 6 if _u16(found, _SVC_AF) == socket.AF_INET6 else 4
    if _SVC_FWMARK in found:
        key = ServiceKey(family, fwmark=_u32(found, _SVC_FWMARK))
    else:
        protocol = _PROTOCOL_NAMES.get(_u16(found, _SVC_PROTOCOL))
        if protocol is None:
            return None
        key = ServiceKey(family, protocol, _unpack(found[_SVC_ADDR], family), _u16(found, _SVC_PORT, _BE16))
    netmask = found.get(_SVC_NETMASK, bytes(4))
    return key, ServiceSettings(
        scheduler=_text(found, _SVC_SCHED),
        flags=_u32(found, _SVC_FLAGS) & ~_HASHED,
        timeout=_u32(found, _SVC_TIMEOUT),
        netmask=(_BE32 if family == 4 else _U32).unpack_from(netmask)[0],
        engine=_text(found, _SVC_PE),
    )


def decode_destination(body: bytes, family: int) -> tuple[DestinationKey, DestinationSettings, Connections]:
    """`family` is that of its service, where the kernel does not say another one."""
    found = attributes(body)
    if _DEST_AF in found:
        family = 6 if _u16(found, _DEST_AF) == socket.AF_INET6 else 4
    tunnel = _TUNNEL_NAMES.get(found.get(_DEST_TUN_TYPE, b"\0")[0], "ipip")
    is_tunnel = tunnel != "ipip"
    checksum = _u16(found, _DEST_TUN_FLAGS) if is_tunnel else 0
    return (
        DestinationKey(_unpack(found[_DEST_ADDR], family), _u16(found, _DEST_PORT, _BE16)),
        DestinationSettings(
            weight=_u32(found, _DEST_WEIGHT),
            method=_METHOD_NAMES.get(_u32(found, _DEST_METHOD), "BYPASS"),
            upper=_u32(found, _DEST_UPPER),
            lower=_u32(found, _DEST_LOWER),
            tunnel=tunnel,
            tunnel_port=_u16(found, _DEST_TUN_PORT, _BE16) if is_tunnel else 0,
            checksum=_CHECKSUM_NAMES.get(checksum, ""),
        ),
        Connections(_u32(found, _DEST_ACTIVE), _u32(found, _DEST_INACTIVE), _u32(found, _DEST_PERSISTENT)),
    )


def decode_daemon(body: bytes) -> SyncDaemonSettings:
    """Every setting as the kernel has it; an absent group is None."""
    found = attributes(body)
    group = None
    if _DAEMON_GROUP in found:
        group = _unpack(found[_DAEMON_GROUP], 4)
    elif _DAEMON_GROUP6 in found:
        group = _unpack(found[_DAEMON_GROUP6], 6)
    return SyncDaemonSettings(
        state=_DAEMON_NAMES.get(_u32(found, _DAEMON_STATE), ""),
        interface=_text(found, _DAEMON_IFN),
        id=_u32(found, _DAEMON_ID),
        maxlen=_u16(found, _DAEMON_MAXLEN) or None,
        group=group,
        port=_u16(found, _DAEMON_PORT) or None,
        ttl=(found.get(_DAEMON_TTL) or b"\0")[0] or None,
    )
