"""What routers want done: each action becomes packets, addresses, log lines and messages, in the order given."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address

from kad.linux import placement
from kad.linux.address import (
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_MCAUTOJOIN,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    Address,
)
from kad.linux.arp import gratuitous_arp
from kad.linux.batch import Datagram
from kad.linux.frame import FrameSender, on_interface
from kad.linux.network import Network
from kad.linux.placement import Placed
from kad.log import Logger
from kad.messages import Message
from kad.mux import Mux
from kad.vrrp.advert import GIVING_UP
from kad.vrrp.events import (
    Action,
    Announce,
    ChangeGroupState,
    ChangePriority,
    ChangeState,
    Complain,
    HoldAddresses,
    ReleaseAddresses,
    SendAdvert,
    State,
    TellLowerPriority,
)
from kad.vrrp.instance import Instance
from kad.vrrp.keywords import VirtualAddress, VrrpInstance
from kad.vrrp.process.conversations import Conversations
from kad.vrrp.process.telling import Telling

_LOWER_PRIORITY_COMPLAINT = 60.0
"""Seconds between two log lines about adverts of a lower priority."""


class Deeds:
    """Does what is decided; the only writer of addresses, announcements and notifications."""

    def __init__(
        self,
        mux: Mux,
        say: Callable[[Message], None],
        log: Logger,
        network: Network,
        frames: FrameSender,
        conversations: Conversations,
    ) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._network = network
        self._frames = frames
        self._conversations = conversations
        self._paced: dict[float, deque[Datagram]] = {}
        self.telling = Telling(say)

    def flush(self) -> None:
        self._conversations.flush()

    def do(self, instance: Instance, action: Action) -> None:
        """One action of one router."""
        match action:
            case SendAdvert(priority):
                self._send_advert(instance, priority)
            case HoldAddresses():
                self.flush()
                self._hold(instance)
            case ReleaseAddresses():
                self.flush()
                self._release(instance, (*_addresses(instance.configuration),))
            case Announce(repeat):
                self._announce(instance, repeat)
            case ChangeState():
                self._change_state(instance, action)
            case ChangeGroupState():
                self._change_group_state(action)
            case ChangePriority():
                self._change_priority(instance, action)
            case TellLowerPriority(advert):
                self._tell_lower_priority(instance, advert.source, advert.priority)
            case Complain(level, text):
                getattr(self._log, level)(f"({instance.name}) {text}")

    def _send_advert(self, instance: Instance, priority: int) -> None:
        if self._conversations.post(instance, priority):
            counters = instance.counters
            counters["advert_sent"] += 1
            self._mux.page.speak(instance.slot, self._mux.now(), counters["advert_sent"], counters["advert_rcvd"])
            if priority == GIVING_UP:
                instance.counters["pri_zero_sent"] += 1

    # addresses

    def reconfigure(self, instance: Instance, old: VrrpInstance) -> None:
        """Addresses that are no longer configured go; those that stay are not touched."""
        self._conversations.forget(instance)
        if instance.router.holds_addresses:
            kept = set(_addresses(instance.configuration))
            self._release(instance, tuple(each for each in _addresses(old) if each not in kept), old)

    def readdress(self, instance: Instance) -> None:
        """Adverts leave with another source address."""
        self._conversations.forget(instance)

    def forget(self, instance: Instance) -> None:
        """The instance no longer exists."""
        self._conversations.forget(instance)

    def _placed(self, configuration: VrrpInstance, addresses: Iterable[VirtualAddress]) -> list[Placed]:
        placed = []
        for each in addresses:
            link = self._network.link(each.device or configuration.interface)
            if link is not None:
                placed.append(_place(link.index, each))
        return placed

    def _hold(self, instance: Instance) -> None:
        configuration = instance.configuration
        addresses = _addresses(configuration)
        for each in addresses:
            device = each.device or configuration.interface
            if self._network.link(device) is None:
                self._log.error(f"({instance.name}) cannot add {each.address}: interface {device} does not exist")
        self._log.debug(f"({instance.name}) setting VIPs.")
        for complaint in placement.hold(self._network, self._placed(configuration, addresses)):
            self._log.error(f"({instance.name}) {complaint}")

    def _release(
        self, instance: Instance, addresses: tuple[VirtualAddress, ...], configuration: VrrpInstance | None = None
    ) -> None:
        self._log.debug(f"({instance.name}) removing VIPs.")
        for complaint in placement.release(
            self._network, self._placed(configuration or instance.configuration, addresses)
        ):
            self._log.error(f"({instance.name}) {complaint}")

    def notice(self, gone: Iterable[Address], instances: Iterable[Instance]) -> list[Instance]:
        """Addresses that went while we are MASTER were taken by somebody else; the instances that cannot have them."""
        lost = {(each.address, each.prefix) for each in gone}
        hopeless = []
        for instance in instances:
            mine = {(each.address, each.prefix) for each in _addresses(instance.configuration) if not each.no_track}
            if not instance.router.holds_addresses or not lost & mine:
                continue
            names = ", ".join(f"{address}/{prefix}" for address, prefix in sorted(lost & mine))
            now = self._mux.now()
            again_at = instance.guard.lost(now)
            if again_at is None:
                self._log.error(f"({instance.name}) somebody removes {names} again and again: giving up")
                hopeless.append(instance)
            elif again_at <= now:
                self._log.warning(f"({instance.name}) somebody removed {names}: putting it back")
                self._put_back(instance)
            else:
                self._log.warning(f"({instance.name}) somebody removed {names}: back in {again_at - now:.1f} s")
                self._mux.at(again_at, partial(self._put_back, instance))
        return hopeless

    def _put_back(self, instance: Instance) -> None:
        """Hold and announce again: the neighbours may have asked for it meanwhile."""
        if instance.router.holds_addresses:
            self._hold(instance)
            self._announce(instance, 1)

    # announcing

    def _announce(self, instance: Instance, repeat: int) -> None:
        """One message for every address, then the remaining rounds, as keepalived orders them."""
        configuration = instance.configuration
        frames = []
        for each in _addresses(configuration):
            link = self._network.link(each.device or configuration.interface)
            if link is None or not link.arp or link.loopback or ip_address(each.address).version != 4:
                continue
            self._log.debug(f"({instance.name}) Sending/queueing gratuitous ARPs on {link.name} for {each.address}")
            frames.append(on_interface(link.index, gratuitous_arp(link.mac, each.address)))
        interval = configuration.announcing.garp_interval
        if not interval:
            self._frames.send(frames * repeat)
            return
        queue = self._paced.setdefault(interval, deque())
        idle = not queue
        queue.extend(frames * repeat)
        if idle:
            self._send_paced(interval)

    def _send_paced(self, interval: float) -> None:
        queue = self._paced[interval]
        if queue:
            self._frames.send([queue.popleft()])
            self._mux.at(self._mux.now() + interval, lambda: self._send_paced(interval))

    # telling

    def _change_state(self, instance: Instance, change: ChangeState) -> None:
        if change.old is State.MASTER:
            instance.counters["release_master"] += 1
        instance.enter(change.new, change.reason, time.time())
        because = f" ({change.reason})" if change.reason == "init" else f": {change.reason}"
        self._log.info(f"({instance.name}) Entering {change.new.value} STATE{because}")
        self._say(instance.state_message())
        self.telling.state(instance, change)

    def _change_group_state(self, change: ChangeGroupState) -> None:
        self._log.info(f"VRRP_Group({change.group}) Syncing instances to {change.new.value} state: {change.reason}")
        self.telling.group_state(change)

    def _change_priority(self, instance: Instance, change: ChangePriority) -> None:
        because = f": {change.reason}" if change.reason else ""
        self._log.info(f"({instance.name}) Changing effective priority from {change.old} to {change.new}{because}")
        self.telling.priority(instance)

    def _tell_lower_priority(self, instance: Instance, source: str, priority: int) -> None:
        now = self._mux.now()
        cause = f"lower priority {source}"
        if now - instance.complained.get(cause, -_LOWER_PRIORITY_COMPLAINT) >= _LOWER_PRIORITY_COMPLAINT:
            instance.complained[cause] = now
            self._log.info(
                f"({instance.name}) Received advert from {source} with lower priority {priority}, "
                f"ours {instance.router.priority}, forcing new election"
            )
        self.telling.lower_priority(instance, source, priority)


def _addresses(configuration: VrrpInstance) -> tuple[VirtualAddress, ...]:
    return (*configuration.virtual_addresses, *configuration.excluded_addresses)


def _place(index: int, address: VirtualAddress) -> Placed:
    ipv6 = ":" in address.address
    bits = (
        (address.nodad and ipv6, IFA_F_NODAD),
        (address.home, IFA_F_HOMEADDRESS),
        (address.mngtmpaddr, IFA_F_MANAGETEMPADDR),
        (address.noprefixroute, IFA_F_NOPREFIXROUTE),
        (address.autojoin, IFA_F_MCAUTOJOIN),
    )
    return Placed(
        index,
        address.address,
        address.prefix,
        broadcast=address.broadcast,
        label=address.label,
        scope=address.scope,
        peer=address.peer.partition("/")[0] if address.peer else None,
        flags=sum(bit for wanted, bit in bits if wanted),
        preferred_lft=address.preferred_lft,
    )
