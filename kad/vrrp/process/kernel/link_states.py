"""Whether an interface counts as up: at once by what netlink says, or later, or by what it answers itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from kad.child.multiplexer import Mux
from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.linux.refused import Refused
from kad.linux.sockets.ethtool_link import Linkbeat
from kad.model import link_monitoring
from kad.shared.log import Logger

_EACH = 1.0
"""Seconds between two questions."""
_BY_NETLINK_ALONE = ("macvlan", "ipvlan")
"""Kinds of interfaces that have no link of their own."""


class _Steady:
    """What counts for an interface with delays, and since when it has been the other."""

    def __init__(self, up: bool) -> None:
        self.up = up
        self.other_since: float | None = None
        """Since when the interface is what does not count yet; None: it is what counts."""


class LinkStates:
    """Knows the interfaces of interface_up_down_delays and linkbeat_interfaces; all others are what netlink says."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        network: Network,
        at: Callable[[float, Callable[[], object]], None],
        changed: Callable[[set[str]], object],
    ) -> None:
        """`changed` is told the names whose state counts as another one now, when netlink did not say so just then."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._changed = changed
        self._delays: dict[str, link_monitoring.InterfaceDelay] = {}
        self._polled: dict[str, str | None] = {}
        self._kinds: dict[str, str] = {}
        self._beats: dict[str, bool] = {}
        self._steady: dict[str, _Steady] = {}
        self._linkbeat: Linkbeat | None = None
        self._polls = False
        self._complained = ""

    def follow(
        self, delays: Iterable[link_monitoring.InterfaceDelay], polled: Iterable[link_monitoring.Linkbeat]
    ) -> None:
        """From now on these."""
        self._delays = {each.name: each for each in delays}
        self._polled = {each.name: each.kind for each in polled}
        self._kinds = {}
        self._beats = {}
        for name in self._polled:
            self._ask(name)
        self._steady = {name: steady for name, steady in self._steady.items() if name in self._delays}
        for name, delay in self._delays.items():
            self.told(name)
            if name in self._steady:
                self._wait(name, self._steady[name], delay)
        if self._polled and not self._polls:
            self._polls = True
            self._at(self._mux.now() + _EACH, self._poll)

    def is_up(self, link: Link) -> bool:
        """Whether it counts as up."""
        steady = self._steady.get(link.name)
        return self._raw(link) if steady is None else steady.up

    def told(self, name: str) -> None:
        """Netlink said something of this interface."""
        if name in self._polled:
            self._ask(name)
        self._weigh(name)

    def _raw(self, link: Link) -> bool:
        beat = self._beats.get(link.name)
        return link.up if beat is None else link.enabled and beat

    def _weigh(self, name: str) -> None:
        """Begin or end the time for which a change must last."""
        delay, link = self._delays.get(name), self._network.link(name)
        if delay is None:
            return
        if link is None:
            self._steady.pop(name, None)
            return
        raw = self._raw(link)
        steady = self._steady.setdefault(name, _Steady(raw))
        if raw == steady.up:
            steady.other_since = None
        elif steady.other_since is None:
            if not _of(delay, steady):
                steady.up = raw
                return
            steady.other_since = self._mux.now()
            self._log.info(f"{name} is {_word(raw)}, which counts in {_of(delay, steady):g} s")
            self._wait(name, steady, delay)

    def _wait(self, name: str, steady: _Steady, delay: link_monitoring.InterfaceDelay) -> None:
        if steady.other_since is not None:
            self._at(steady.other_since + _of(delay, steady), partial(self._settle, name))

    def _settle(self, name: str) -> None:
        steady, delay = self._steady.get(name), self._delays.get(name)
        if steady is None or delay is None or steady.other_since is None:
            return
        if steady.other_since + _of(delay, steady) > self._mux.now():
            # A reload, or a change back and forth, has moved that moment.
            return
        steady.up, steady.other_since = not steady.up, None
        self._log.info(f"{name} counts as {_word(steady.up)} now")
        self._changed({name})

    # linkbeat

    def _ask(self, name: str) -> bool:
        """Whether its answer is another one."""
        link, known = self._network.link(name), self._beats.pop(name, None)
        if link is None or link.kind in _BY_NETLINK_ALONE:
            self._kinds.pop(name, None)
            return known is not None
        if self._linkbeat is None and not self._open():
            return known is not None
        assert self._linkbeat is not None
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._linkbeat.find(name, self._polled[name])
            if kind is None:
                return known is not None
            self._kinds[name] = kind
            preferred = self._polled[name]
            instead = f", for it does not answer {preferred}" if preferred not in (None, kind) else ""
            self._log.info(f"{name} is asked each second by {kind}{instead}")
        beat = self._linkbeat.ask(name, kind)
        if beat is not None:
            self._beats[name] = beat
        return known != beat

    def _open(self) -> bool:
        """Whether there is a socket to ask by; without one netlink counts, and a second later it is tried again."""
        try:
            self._linkbeat = Linkbeat()
        except Refused as refused:
            if str(refused) != self._complained:
                self._complained = str(refused)
                self._log.warning(f"interfaces cannot be asked for their links: {refused}")
            return False
        return True

    def _poll(self) -> None:
        if not self._polled:
            self._polls = False
            return
        self._at(self._mux.now() + _EACH, self._poll)
        changed = {name for name in self._polled if self._ask(name)}
        for name in changed:
            self._log.info(f"Linkbeat reports {name} {_word(self._beats.get(name, False))}")
            self._weigh(name)
        if changed:
            self._changed(changed)


def _of(delay: link_monitoring.InterfaceDelay, steady: _Steady) -> float:
    """Seconds for which the other state must last."""
    return delay.down if steady.up else delay.up


def _word(up: bool) -> str:
    return "up" if up else "down"
