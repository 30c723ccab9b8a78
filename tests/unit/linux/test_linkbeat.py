"""How an interface is asked for its link: the requests of MII and ethtool, on a kernel that the test plays."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator

import pytest

from kad.linux.netlink.host import _vrf_table
from kad.linux.sockets import ethtool_link
from kad.linux.sockets.ethtool_link import Linkbeat


class Kernel:
    """Answers ioctl; `mii` are the readings of the status register to come, `ethtool` what GLINK says."""

    def __init__(self) -> None:
        self.mii: list[int] | None = None
        self.ethtool: int | None = None
        self.flags = 0x1043
        self.asked: list[int] = []

    def ioctl(self, descriptor: object, number: int, request: bytes) -> bytes:
        self.asked.append(number)
        name = request[:16].rstrip(b"\0")
        assert name == b"eth0"
        if number == 0x8913:
            return request[:16] + struct.pack("@h", self.flags) + bytes(22)
        if number == 0x8946 and self.ethtool is not None:
            (address,) = struct.unpack_from("@P", request, 16)
            value = (ctypes.c_uint32 * 2).from_address(address)
            assert value[0] == 0x0A
            value[1] = self.ethtool
            return request
        if number in (0x8947, 0x8948) and self.mii is not None:
            phy, register, _, _ = struct.unpack_from("@HHHH", request, 16)
            if number == 0x8947:
                return request[:16] + struct.pack("@HHHH", 3, 0, 0, 0) + bytes(16)
            assert (phy, register) == (3, 1)
            return request[:16] + struct.pack("@HHHH", 3, 1, 0, self.mii.pop(0)) + bytes(16)
        raise OSError(errno.EOPNOTSUPP, "not supported")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(ethtool_link.fcntl, "ioctl", made.ioctl)
    return made


@pytest.fixture
def beat() -> Iterator[Linkbeat]:
    made = Linkbeat()
    yield made
    made.close()


def test_the_first_kind_that_answers_is_taken_unless_another_is_preferred(kernel: Kernel, beat: Linkbeat) -> None:
    assert beat.find("eth0", None) == "IOCTL"
    kernel.ethtool = 1
    assert beat.find("eth0", None) == "ETHTOOL"
    assert beat.find("eth0", "MII") == "ETHTOOL"
    assert beat.find("eth0", "IOCTL") == "IOCTL"
    kernel.mii = [4, 4]
    assert beat.find("eth0", None) == "MII"


def test_a_loss_that_the_register_kept_does_not_count_when_the_link_is_back(kernel: Kernel, beat: Linkbeat) -> None:
    # IEEE 802.3 22.2.4.2.13: the link status latches low until it is read.
    kernel.mii = [0x7809, 0x782D]
    assert beat.ask("eth0", "MII") is True
    kernel.mii = [0x7809, 0x7809]
    assert beat.ask("eth0", "MII") is False


def test_ethtool_and_flags(kernel: Kernel, beat: Linkbeat) -> None:
    assert beat.ask("eth0", "ETHTOOL") is None
    kernel.ethtool = 0
    assert beat.ask("eth0", "ETHTOOL") is False
    kernel.ethtool = 1
    assert beat.ask("eth0", "ETHTOOL") is True
    assert beat.ask("eth0", "IOCTL") is True


def test_an_interface_with_a_link_that_does_not_run_is_down(kernel: Kernel, beat: Linkbeat) -> None:
    # Dormant: IFF_UP without IFF_RUNNING.
    kernel.flags, kernel.ethtool = 0x1003, 1
    assert [beat.ask("eth0", kind) for kind in ("ETHTOOL", "IOCTL")] == [False, False]
    kernel.mii = [0x782D, 0x782D]
    assert beat.ask("eth0", "MII") is False


def test_the_table_of_a_vrf() -> None:
    vrf = bytes.fromhex("0800 0100 76726600 0c00 0200 0800 0100 0a000000")
    assert _vrf_table(vrf) == 10
    assert _vrf_table(bytes.fromhex("0900 0100 76657468 00 000000")) is None
