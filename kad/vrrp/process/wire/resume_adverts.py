"""What a MASTER said last outlives its process: the next life says it again before it looks at anything else.

With a thousand routers another life needs a tenth of a second until it knows them all, and their peers do not wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from kad.linux.netlink.link import ETHERNET, Link
from kad.linux.netlink.network_table import Network
from kad.linux.sockets.ethernet_sender import FrameSender, on_interface
from kad.linux.sockets.sendmmsg import Datagram
from kad.model.vrrp import VrrpInstance
from kad.shared.messages import Earlier
from kad.shared.shared_page import LARGEST_FRAME, Page
from kad.vrrp.advert import GIVING_UP
from kad.vrrp.process.instance import Instance

_MAC = slice(6, 12)
_TYPE = slice(12, 14)
_PRIORITY = {b"\x08\x00": slice(36, 37), b"\x86\xdd": slice(56, 57)}
_HEADER = {4: (b"\x01\x00\x5e", b"\x08\x00"), 6: (b"\x33\x33", b"\x86\xdd")}
"""How the MAC address of a multicast group begins (RFC 1112 6.4, RFC 2464 7), and the type of the frame."""


def keep(page: Page, instance: Instance, priority: int, link: Link, packets: Sequence[Datagram]) -> None:
    """This is what the instance says from now on.

    Nothing is kept of a farewell, of what has to be numbered anew each time, and of what has to ask for a peer's MAC.
    """
    configuration = instance.configuration
    instance.kept_priority = priority
    frame = b""
    is_plain = instance.seal is None and not configuration.unicast_peers and link.hardware == ETHERNET
    if is_plain and priority != GIVING_UP:
        frame = _group_mac(configuration) + link.mac + _HEADER[configuration.family][1] + packets[0].payload
    page.keep_frame(instance.slot, link.index, frame if len(frame) <= LARGEST_FRAME else b"")


def _group_mac(configuration: VrrpInstance) -> bytes:
    group = ip_address(configuration.multicast_group).packed
    prefix = _HEADER[configuration.family][0]
    if configuration.family == 6:
        return prefix + group[-4:]
    return prefix + bytes((group[1] & 0x7F,)) + group[2:]


def say_again(
    page: Page, frames: FrameSender, network: Network, earlier: Sequence[Earlier], now: float
) -> list[Earlier]:
    """Every MASTER whose peers still wait for it is heard of again; the earlier lives as that makes them."""
    speaking: list[int] = []
    datagrams: list[Datagram] = []
    for place, before in enumerate(earlier):
        if before.state.state != "MASTER":
            continue
        ifindex, frame = page.frame(before.state.slot)
        link = network.link_at(ifindex) if frame else None
        in_time = now - before.spoke_at < before.state.down_timer_adverts * before.state.advertisement_interval
        if in_time and link is not None and link.up and link.mac == frame[_MAC] and _says(frame, before.state.priority):
            speaking.append(place)
            datagrams.append(on_interface(ifindex, frame))
    unsent = {each.place for each in frames.send(datagrams)}
    lives = list(earlier)
    for number, place in enumerate(speaking):
        if number not in unsent:
            before = earlier[place]
            slot = before.state.slot
            page.spoke_at[slot] = now
            page.sent[slot] = before.sent + 1
            lives[place] = msgspec.structs.replace(before, spoke_at=now, sent=before.sent + 1)
    return lives


def _says(frame: bytes, priority: int) -> bool:
    """One whose priority changed just before it died had not said so yet."""
    return frame[_PRIORITY[frame[_TYPE]]] == bytes((priority,))
