"""Orders to drain real servers, and which client is given the answer of the ipvs process."""

from __future__ import annotations

import msgspec

from kad.shared.messages import DrainAnswered, DrainWanted
from kad.watchdog.children import Children
from kad.watchdog.control_clients import Client


class DrainArguments(msgspec.Struct, frozen=True):
    """Of the verbs drain and undrain; names are for the ipvs process to resolve."""

    service: str = ""
    server: str = ""
    timeout: float | None = None


class DrainOrders:
    """Each client is answered once: by the ipvs process, or when that dies."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._number = 0
        self._clients: dict[int, Client] = {}
        """By the number of the order."""

    def send(self, client: Client, arguments: DrainArguments, *, undo: bool) -> None:
        """Have it done."""
        ipvs = self._children.members["ipvs"]
        if ipvs.configured_generation is None:
            client.refuse("no virtual server is served")
            return
        self._number += 1
        number = self._number
        self._clients[number] = client
        client.on_end(lambda: self._forget(number))
        order = DrainWanted(
            number=number,
            service=arguments.service,
            server=arguments.server,
            timeout=arguments.timeout,
            undo=undo,
        )
        self._children.send(ipvs, order)

    def _forget(self, number: int) -> None:
        self._clients.pop(number, None)

    def answered(self, answered: DrainAnswered) -> None:
        """The ipvs process did what was asked, or says why not."""
        client = self._clients.pop(answered.number, None)
        if client is None:
            return
        if answered.error:
            client.refuse(answered.error)
        else:
            client.reply({"ok": True, "text": answered.text})

    def ipvs_died(self) -> None:
        """No order that was sent is answered any more."""
        for number in list(self._clients):
            self.answered(DrainAnswered(number=number, error="the ipvs process died meanwhile: ask again"))
