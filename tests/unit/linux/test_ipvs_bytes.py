"""Requests and answers of the IPVS family, byte for byte as linux/ip_vs.h lays them out."""

from __future__ import annotations

import sys
import time

import pytest

from kad.linux.netlink import ipvs
from kad.linux.netlink.socket import attributes
from kad.model.ipvs_table import (
    ONE_PACKET,
    Connections,
    DestinationKey,
    DestinationSettings,
    ServiceKey,
    ServiceSettings,
    SyncDaemonSettings,
    TimeoutSettings,
)

pytestmark = pytest.mark.skipif(sys.byteorder == "big", reason="the expected bytes are those of little-endian machines")

WEB = ServiceKey(4, "TCP", "192.0.2.9", 80)
MARK = ServiceKey(6, fwmark=7)
SERVER = DestinationKey("192.0.2.20", 80)

WEB_KEY = "0600 0100 0200 0000  0600 0200 0600 0000  1400 0300 c0000209 000000000000000000000000  0600 0400 0050 0000"
WEB_SERVICE = f"3000 0180  {WEB_KEY}"
"""Attribute SERVICE, nested, 48 bytes."""


def after_headers(request: bytes) -> tuple[int, bytes]:
    """The command, and its attributes."""
    length = int.from_bytes(request[:4], "little")
    assert length == len(request)
    assert request[4:6] == b"\0\0"  # filled in when the family's number is known
    assert request[6:8] == b"\x05\0"  # REQUEST, ACK
    assert request[17:20] == b"\1\0\0"
    return request[16], request[20:]


@pytest.mark.parametrize(
    ("request_bytes", "command", "expected"),
    [
        (
            ipvs.add_service(WEB, ServiceSettings("rr", ONE_PACKET, 50, 0xFFFFFF00)),
            1,
            f"5400 0180 {WEB_KEY} 0700 0600 72720000 0c00 0700 04000000 ffffffff 0800 0800 32000000 0800 0900 ffffff00",
        ),
        (
            ipvs.set_service(MARK, ServiceSettings("dh", 0, 0, 128, "sip")),
            2,
            "4000 0180 0600 0100 0a00 0000 0800 0500 07000000 0700 0600 64680000 0c00 0700 00000000 ffffffff"
            "0800 0800 00000000 0800 0900 80000000 0800 0b00 73697000",
        ),
        (ipvs.delete_service(WEB), 3, WEB_SERVICE),
        (ipvs.delete_service(MARK), 3, "1400 0180 0600 0100 0a00 0000 0800 0500 07000000"),
        (
            ipvs.add_destination(WEB, SERVER, DestinationSettings(3, "DR", 100, 10)),
            5,
            f"{WEB_SERVICE} 4800 0280 1400 0100 c0000214 000000000000000000000000 0600 0200 0050 0000"
            "0800 0300 03000000 0800 0400 03000000 0800 0500 64000000 0800 0600 0a000000 0600 0b00 0200 0000",
        ),
        (
            ipvs.set_destination(
                WEB,
                DestinationKey("2001:db8::5", 0),
                DestinationSettings(1, "TUN", tunnel="gue", tunnel_port=6080, checksum="remcsum"),
            ),
            6,
            f"{WEB_SERVICE} 6000 0280 1400 0100 20010db8000000000000000000000005 0600 0200 0000 0000"
            "0800 0300 02000000 0800 0400 01000000 0800 0500 00000000 0800 0600 00000000 0600 0b00 0a00 0000"
            "0500 0d00 01000000 0600 0e00 17c0 0000 0600 0f00 0200 0000",
        ),
        (
            ipvs.delete_destination(WEB, SERVER),
            7,
            f"{WEB_SERVICE} 2800 0280 1400 0100 c0000214 000000000000000000000000 0600 0200 0050 0000"
            "0600 0b00 0200 0000",
        ),
        (
            ipvs.start_daemon(SyncDaemonSettings("backup", "eth0", 51, 1400, "224.0.0.82", 8849, 3)),
            9,
            "4000 0380 0800 0100 02000000 0900 0200 657468300000 0000 0800 0300 33000000 0600 0400 7805 0000"
            "0800 0500 e0000052 0600 0700 9122 0000 0500 0800 03000000",
        ),
        (ipvs.stop_daemon("master"), 10, "0c00 0380 0800 0100 01000000"),
        (
            ipvs.set_timeouts(TimeoutSettings(900, 120, 300)),
            12,
            "0800 0400 84030000 0800 0500 78000000 0800 0600 2c010000",
        ),
        (ipvs.flush(), 17, ""),
    ],
)
def test_a_request_is_laid_out_as_the_kernel_reads_it(request_bytes: bytes, command: int, expected: str) -> None:
    assert after_headers(request_bytes) == (command, bytes.fromhex(expected))


def inside(request: bytes, kind: int) -> bytes:
    return attributes(request[20:])[kind]


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        (WEB, ServiceSettings("mh", 0x1C, 0, 0xFFFFFFFF)),
        (MARK, ServiceSettings("wlc", 1, 360, 64, "sip")),
        (ServiceKey(6, "SCTP", "2001:db8::9", 0), ServiceSettings("sh", 0, 0, 128)),
        (ServiceKey(6, "UDP", "::ffff:c000:209", 53), ServiceSettings()),
    ],
)
def test_a_service_is_read_as_it_was_written(key: ServiceKey, settings: ServiceSettings) -> None:
    assert ipvs.decode_service(inside(ipvs.add_service(key, settings), 1)) == (key, settings)


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        (SERVER, DestinationSettings(2147483647, "NAT", 4294967295, 1)),
        (DestinationKey("2001:db8::5"), DestinationSettings(0, "TUN", tunnel="gre", checksum="csum")),
        (SERVER, DestinationSettings(5, "TUN", tunnel="gue", tunnel_port=6080)),
    ],
)
def test_a_destination_is_read_as_it_was_written(key: DestinationKey, settings: DestinationSettings) -> None:
    found = ipvs.decode_destination(inside(ipvs.add_destination(WEB, key, settings), 2), 4)
    assert found == (key, settings, Connections())


def test_the_mark_that_the_kernel_puts_on_each_service_is_left_out() -> None:
    marked = ipvs.add_service(WEB, ServiceSettings(flags=0x2 | ONE_PACKET))
    assert ipvs.decode_service(inside(marked, 1)) == (WEB, ServiceSettings(flags=ONE_PACKET))


def test_a_service_of_an_unknown_protocol_is_left_out() -> None:
    foreign = inside(ipvs.delete_service(WEB), 1).replace(b"\6\0\2\0\6\0", b"\6\0\2\0\x32\0")
    assert ipvs.decode_service(foreign) is None


def test_a_sync_daemon_is_read_as_it_was_written() -> None:
    daemon = SyncDaemonSettings("master", "eth0", 51, 1400, "ff05::82", 8849, 3)
    assert ipvs.decode_daemon(inside(ipvs.start_daemon(daemon), 3)) == daemon


def test_a_destination_costs_less_than_20_microseconds() -> None:
    keys = [DestinationKey(f"10.0.{number >> 8}.{number & 255}", 80) for number in range(1000)]
    settings = DestinationSettings(1, "DR")
    seconds = []
    for _ in range(5):
        began = time.process_time()
        for key in keys:
            ipvs.add_destination(WEB, key, settings)
        seconds.append(time.process_time() - began)
    assert min(seconds) / len(keys) < 20e-6
