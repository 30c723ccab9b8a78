"""The client of the demo: asks an address again and again, and says which hardware address answered, if any."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress

from kad.shared.checksum import internet_checksum
from kad.tools.demo_lan import BRIDGE, die_with_parent

_ETH_P_IP = 0x0800
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_ICMP = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence

NOBODY = "-"


def echo_request(identifier: int, sequence: int) -> bytes:
    """RFC 792, with 16 bytes of data."""
    data = bytes(16)
    plain = _ICMP.pack(_ECHO_REQUEST, 0, 0, identifier, sequence) + data
    return _ICMP.pack(_ECHO_REQUEST, 0, internet_checksum(plain), identifier, sequence) + data


def reply_sequence(packet: bytes, address: str, identifier: int) -> int | None:
    """The sequence number, when this IPv4 packet is the address's answer to us."""
    if len(packet) < 20 or packet[9] != socket.IPPROTO_ICMP or socket.inet_ntoa(packet[12:16]) != address:
        return None
    icmp = packet[(packet[0] & 0xF) * 4 :]
    if len(icmp) < _ICMP.size:
        return None
    kind, _, _, who, sequence = _ICMP.unpack_from(icmp)
    return int(sequence) if (kind, who) == (_ECHO_REPLY, identifier) else None


def main(arguments: list[str]) -> int:
    """ADDRESS SECONDS: one line for each request: the moment it was sent (monotonic), and who answered."""
    address, interval = arguments[0], float(arguments[1])
    die_with_parent(signal.SIGKILL)
    asking = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    # A packet socket also tells from which hardware address the answer came: that is the host.
    hearing = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    hearing.bind((BRIDGE, _ETH_P_IP))
    identifier = os.getpid() & 0xFFFF
    sequence, moment = 0, time.monotonic()
    while True:
        sequence = (sequence + 1) & 0xFFFF
        sent = time.monotonic()
        with suppress(OSError):  # nobody answers ARP: the same as no answer
            asking.sendto(echo_request(identifier, sequence), (address, 0))
        moment += interval
        who = NOBODY
        while (left := moment - time.monotonic()) > 0:
            if not select.select([hearing], [], [], left)[0]:
                break
            packet, source = hearing.recvfrom(2048)
            if reply_sequence(packet, address, identifier) == sequence:
                who = source[4].hex(":")
        moment = max(moment, time.monotonic() - interval)
        print(f"{sent:.6f} {who}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)
