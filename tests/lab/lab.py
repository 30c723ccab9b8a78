"""A LAN of nodes on one switch, the daemons on them, and the observers outside; all of it vanishes with the `with`."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

from tests.lab.addresses import AddressEvent, AddressWatch
from tests.lab.daemons import Daemon, Kad, Keepalived
from tests.lab.hub import Hub
from tests.lab.namespaces import Namespaces, environment
from tests.lab.wire import Wire

D = TypeVar("D", bound=Daemon)


class Port(NamedTuple):
    """Where an interface of a node is plugged in."""

    name: str
    lan: str


class Node(Namespaces):
    """One host: its files under /etc/keepalived and /run are its own, as are its processes and its host name."""

    def __init__(self, name: str, files: Path, hub: Hub) -> None:
        super().__init__(name, files)
        self.watch = AddressWatch(hub, self)
        self.ports: dict[str, Port] = {}

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file in the node's /etc/keepalived."""
        path = self.files / "etc" / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def kad(self, *words: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
        """Run kad to its end, whatever its exit status."""
        return self.ask(sys.executable, "-m", "kad", *words, seconds=seconds)

    def read_run(self, name: str) -> str:
        """A file in the node's /run; raises OSError."""
        return (self.files / "run" / name).read_text()


class Lab:
    """Context manager; nodes, cuts, daemons, `wire`. Not observed, the wire tells nothing and costs nothing."""

    def __init__(self, *, observed: bool = True) -> None:
        self._observed = observed
        self._lans: set[str] = set()
        self._closing = contextlib.ExitStack()
        self._files = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="kad-lab-")))
        self._files.chmod(0o755)
        self._numbers = itertools.count()
        self.nodes: dict[str, Node] = {}
        self.daemons: list[Daemon] = []

    def __enter__(self) -> Lab:
        with contextlib.ExitStack() as failing:
            failing.push(self._closing)
            self.hub = Hub()
            self._closing.callback(self.hub.close)
            self._switch = Namespaces("switch", self._files / "switch")
            self._closing.callback(self._switch.close)
            # A switch has no firewall; where the host's kernel has one for bridges, it is on in every new namespace.
            for kind in ("ip", "ip6", "arp"):
                with contextlib.suppress(FileNotFoundError):
                    self._switch.set_sysctl(f"net.bridge.bridge-nf-call-{kind}tables", "0")
            self.wire = Wire(self.hub, self._switch)
            self._closing.callback(self.wire.close)
            failing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # pytest shows it when the test failed.
        for daemon in self.daemons:
            print(f"--- {daemon.program} on {daemon.node.name}\n{daemon.log}")
        self._closing.close()

    def node(self, name: str, interfaces: Mapping[str, str]) -> Node:
        """A new node on the LAN; interfaces maps a name to its address with prefix ("" for none)."""
        node = Node(name, self._files / name, self.hub)
        self._closing.callback(node.close)
        self._closing.callback(node.watch.close)
        self.nodes[name] = node
        node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "1")
        for interface, address in interfaces.items():
            self.add_interface(node, interface, address)
        return node

    def add_interface(
        self, node: Node, interface: str, address: str, *, lan: str = "lan", observed: bool = True
    ) -> None:
        """One more interface, up, on that LAN; not observed, what it sends is not read from the wire."""
        if lan not in self._lans:
            self._lans.add(lan)
            self._switch.run("ip", "link", "add", lan, "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
            self._switch.run("ip", "link", "set", lan, "up")
        port = node.ports[interface] = Port(f"{node.name}.{next(self._numbers)}", lan)
        ends = (port.name, "netns", str(self._switch.first_process), interface, "netns", str(node.first_process))
        words = ["ip", "link", "add", *ends[:3], "type", "veth", "peer", "name", *ends[3:]]
        subprocess.run(words, check=True, env=environment())
        if self._observed and observed:
            self.wire.listen(port.name, node.name)
        self.heal(node, interface)
        if address:
            node.run("ip", "addr", "add", address, "brd", "+", "dev", interface)
        node.run("ip", "link", "set", interface, "up")

    def cable(self, interface: str, first: tuple[Node, str], second: tuple[Node, str]) -> None:
        """Two nodes, each with its address, by a cable: nobody can listen, and no switch costs its sender time."""
        ends = [(interface, "netns", str(node.first_process)) for node, _ in (first, second)]
        words = ["ip", "link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1]]
        subprocess.run(words, check=True, env=environment())
        for node, address in (first, second):
            node.run("ip", "addr", "add", address, "brd", "+", "dev", interface)
            node.run("ip", "link", "set", interface, "up")

    def remove_interface(self, node: Node, interface: str) -> None:
        """The interface is gone, as when a card is pulled."""
        del node.ports[interface]
        node.run("ip", "link", "del", interface)

    def cut(self, node: Node, interface: str = "") -> None:
        """Silent death: packets of the node (of that interface) no longer pass the switch; it keeps its carrier."""
        for port in self._ports(node, interface):
            self._switch.run("ip", "link", "set", port.name, "nomaster")

    def link_down(self, node: Node, interface: str = "") -> None:
        """The cable is pulled: the node loses its carrier."""
        for port in self._ports(node, interface):
            self._switch.run("ip", "link", "set", port.name, "down")

    def heal(self, node: Node, interface: str = "") -> None:
        """Undo cut and link_down."""
        for port in self._ports(node, interface):
            self._switch.run("ip", "link", "set", port.name, "master", port.lan, "up")

    def start_keepalived(self, node: Node, text: str, *words: str, name: str = "keepalived.conf") -> Keepalived:
        return self.began(Keepalived(self.hub, node, node.write(name, text), *words))

    def start_kad(
        self, node: Node, text: str, *words: str, name: str = "keepalived.conf", runtime_dir: str = "/run/kad"
    ) -> Kad:
        return self.began(Kad(self.hub, node, node.write(name, text), *words, runtime_dir=runtime_dir))

    def start(self, program: str, node: Node, text: str) -> Daemon:
        """`program` is "keepalived" or "kad"."""
        return self.start_kad(node, text) if program == "kad" else self.start_keepalived(node, text)

    def holders(self, address: str) -> set[str]:
        """Names of the nodes whose kernel holds the address now."""
        return {name for name, node in self.nodes.items() if address in node.watch.held()}

    def wait_holder(self, address: str, *nodes: Node, seconds: float) -> float:
        """Await that these nodes, and no others, hold the address; how long that took."""
        begin = time.monotonic()
        wanted = {node.name for node in nodes}

        def said() -> str:
            return f"{address} on {wanted or 'nobody'}, but on {self.holders(address) or 'nobody'}"

        # The events of this change are read too, so that a later question for events is not answered with them.
        self.hub.until(lambda: self.holders(address) == wanted and self._caught_up(), seconds, said)
        return time.monotonic() - begin

    def moves(self, address: str, since: float) -> list[AddressEvent]:
        """Every coming and going of an address, on any node, in order of time."""
        events = [event for node in self.nodes.values() for event in node.watch.events]
        return sorted(event for event in events if event.address == address and event.time >= since)

    def stays(self, address: str, node: Node, seconds: float) -> None:
        """The node alone holds the address for so long, and nobody else speaks for it on the wire."""
        self.hub.until(self._caught_up, 2, "all address events are read")
        begin = time.time()
        assert self.holders(address) == {node.name}, f"{address} is on {self.holders(address)}"

        def disturbed() -> object:
            others = [advert for advert in self.wire.adverts(since=begin) if address in advert.addresses]
            return self.moves(address, begin) or [advert for advert in others if advert.node != node.name]

        self.hub.never(disturbed, seconds, f"{address} was to stay on {node.name}")
        assert self.holders(address) == {node.name}

    def began(self, daemon: D) -> D:
        """It runs: its log is shown when the test fails, and what it still holds is let go of at the end."""
        self.daemons.append(daemon)
        self._closing.callback(daemon.close)
        return daemon

    def _caught_up(self) -> bool:
        return all(node.watch.caught_up() for node in self.nodes.values())

    def _ports(self, node: Node, interface: str) -> list[Port]:
        return [node.ports[interface]] if interface else list(node.ports.values())
