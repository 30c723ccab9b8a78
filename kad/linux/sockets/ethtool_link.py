"""Asks an interface whether it has a link: by its MII registers, by ethtool, or by its flags."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

from kad.linux.refused import Refused, closed_on_failure, refusing

KINDS = ("MII", "ETHTOOL", "IOCTL")
"""In the order in which they are tried."""

_SIOCGIFFLAGS = 0x8913
_SIOCETHTOOL = 0x8946
_SIOCGMIIPHY = 0x8947
_SIOCGMIIREG = 0x8948
_ETHTOOL_GLINK = 0x0A
_MII_BMSR = 1
_BMSR_LSTATUS = 0x0004
_IFF_RUNNING = 0x40

_NAME = struct.Struct("@16s16x")  # struct ifreq with nothing in it
_FLAGS = struct.Struct("@16sh")
_MII = struct.Struct("@16sHHHH")  # phy, register, in, out
_POINTER = struct.Struct("@16sP")
_VALUE = struct.Struct("@II")  # struct ethtool_value: command, data


class Linkbeat:
    """One socket for all interfaces of the namespace."""

    def __init__(self) -> None:
        """Raises Refused."""
        with refusing("linkbeat socket"), closed_on_failure(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            self._socket = sock

    def close(self) -> None:
        self._socket.close()

    def find(self, name: str, preferred: str | None) -> str | None:
        """The preferred kind if the interface answers it, else the first that it does; None when there is none."""
        order = [preferred, *KINDS] if preferred else KINDS
        return next((kind for kind in order if kind and self.ask(name, kind) is not None), None)

    def ask(self, name: str, kind: str) -> bool | None:
        """Whether it has a link and its flags say that it runs; None when it does not answer in that way."""
        try:
            with refusing(name):
                match kind:
                    case "MII":
                        linked = self._mii(name)
                    case "ETHTOOL":
                        linked = self._ethtool(name)
                    case _:
                        linked = True
                # With a link it may still be dormant: to a port that is not let in by 802.1X nobody answers.
                return linked and self._flags(name)
        except Refused:
            return None

    def _ioctl(self, number: int, request: bytes) -> bytes:
        return fcntl.ioctl(self._socket, number, request.ljust(40, b"\0"))

    def _mii(self, name: str) -> bool:
        answer = self._ioctl(_SIOCGMIIPHY, _NAME.pack(name.encode()))
        phy = _MII.unpack_from(answer)[1]
        request = _MII.pack(name.encode(), phy, _MII_BMSR, 0, 0)
        # The register keeps a loss until it is read: what counts is the second reading.
        self._ioctl(_SIOCGMIIREG, request)
        status = _MII.unpack_from(self._ioctl(_SIOCGMIIREG, request))[4]
        return bool(status & _BMSR_LSTATUS)

    def _ethtool(self, name: str) -> bool:
        value = bytearray(_VALUE.pack(_ETHTOOL_GLINK, 0))
        address = _address_of(value)
        self._ioctl(_SIOCETHTOOL, _POINTER.pack(name.encode(), address))
        return bool(_VALUE.unpack(value)[1])

    def _flags(self, name: str) -> bool:
        return bool(_FLAGS.unpack_from(self._ioctl(_SIOCGIFFLAGS, _NAME.pack(name.encode())))[1] & _IFF_RUNNING)


def _address_of(memory: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
