"""Virtual addresses that another host says it has: from what the listeners hear to the routers that hold them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable
from functools import partial

from kad.child.multiplexer import Mux
from kad.linux.netlink.network_table import Network
from kad.linux.refused import Refused
from kad.linux.sockets.arp_listener import ArpListener, Claim, NeighbourListener
from kad.shared.log import Logger
from kad.vrrp.events import AddressClaimed
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.retries import Retries

_Listener = ArpListener | NeighbourListener


class Claims:
    """Has a listener for each family in which there are virtual addresses."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        network: Network,
        arp: socket.socket,
        turn: Callable[[Callable[[], object]], None],
        tell: Callable[[Instance, AddressClaimed], None],
        retries: Retries,
    ) -> None:
        self._retries = retries
        self._mux = mux
        self._log = log
        self._network = network
        self._arp = arp
        self._turn = turn
        self._tell = tell
        self._listeners: dict[int, _Listener] = {}
        self._by_address: dict[str, list[Instance]] = {}

    def listen_for(self, instances: Iterable[Instance]) -> None:
        """Their addresses from now on, and no others."""
        self._by_address = {}
        for instance in instances:
            for each in instance.addresses:
                self._by_address.setdefault(each.address, []).append(instance)
        for family in (4, 6):
            self._arrange(family, [each for each in self._by_address if (":" in each) == (family == 6)])

    def _arrange(self, family: int, addresses: Collection[str]) -> None:
        listener = self._listeners.get(family)
        if listener is None and not addresses:
            return
        try:
            if listener is None:
                listener = ArpListener(self._arp) if family == 4 else NeighbourListener()
                self._listeners[family] = listener
                self._mux.watch(listener.fileno(), partial(self._read, family), "hearing who claims an address")
            listener.listen_for(addresses)
        except Refused as refused:
            again = partial(self._arrange, family, addresses)
            if self._retries.refused(KernelCall.NOTICE_CLAIMS, _object(family), refused.what, refused.errno, again):
                self._log.warning(f"claims of virtual addresses by other hosts go unnoticed: {refused}")
        else:
            self._retries.accepted(KernelCall.NOTICE_CLAIMS, _object(family))

    def _read(self, family: int) -> None:
        claims = self._listeners[family].receive()
        if claims:
            self._turn(partial(self._take, claims))

    def _take(self, claims: Iterable[Claim]) -> None:
        own = {link.mac for link in self._network.links()}
        for claim in dict.fromkeys(claims):
            if claim.mac in own:
                continue
            for instance in self._by_address.get(claim.address, ()):
                if instance.router.holds_addresses and self._is_there(instance, claim):
                    self._tell(instance, AddressClaimed(claim.address, claim.mac.hex(":")))

    @staticmethod
    def _is_there(instance: Instance, claim: Claim) -> bool:
        """Whether the address is held on the interface on which the claim was heard."""
        return any((each.address, each.index) == (claim.address, claim.interface) for each in instance.placed)


def _object(family: int) -> str:
    return f"IPv{family}"
