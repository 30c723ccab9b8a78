"""What a person sees of the demo: a live picture where there is a terminal and rich, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType

LOST = ""
"""Name of the host that answered when none did."""
_PINGS_A_CELL = 5
_EVENTS = 14
_COLOURS = ("green", "cyan", "magenta")


@dataclass
class HostView:
    """One host, as the picture shows it."""

    name: str
    address: str
    state: str = "starting"
    plugged: bool = True


@dataclass
class View:
    """All that is shown."""

    address: str
    hosts: list[HostView]
    answers: list[str] = field(default_factory=list)
    """Who answered each ping, LOST for nobody."""


class Screen(Protocol):
    """Where the demo tells its story."""

    def event(self, text: str) -> None:
        """Something happened."""

    def close(self) -> None:
        """The story is over."""


class PlainScreen:
    """One line an event, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def event(self, text: str) -> None:
        print(f"{time.monotonic() - self._started:6.2f} s  {text}", flush=True)

    def close(self) -> None:
        """The lines stay."""


class RichScreen:
    """Hosts, the pings of the whole story on one line, and the latest events."""

    def __init__(self, view: View) -> None:
        from rich.live import Live

        self._view = view
        self._started = time.monotonic()
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._colours = dict(zip((host.name for host in view.hosts), _COLOURS, strict=False))
        self._live: Any = Live(get_renderable=self._picture, refresh_per_second=10)
        self._live.start()

    def event(self, text: str) -> None:
        self._events.append(f"{time.monotonic() - self._started:6.2f} s  {text}")
        self._live.refresh()

    def close(self) -> None:
        """The last picture stays."""
        self._live.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        events = Panel(Text("\n".join(self._events)), title="what happened", title_align="left", height=_EVENTS + 2)
        return Group(self._hosts(), self._pings(), events)

    def _hosts(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"kad: two hosts, one address ({self._view.address})", title_justify="left", expand=True)
        for heading in ("host", "its own address", "state", "cable", "answers the client"):
            table.add_column(heading)
        now = self._view.answers[-1] if self._view.answers else LOST
        for host in self._view.hosts:
            colour = self._colours[host.name]
            state = Text(host.state, style="bold " + ("red" if host.state == "FAULT" else "default"))
            cable = Text("plugged in") if host.plugged else Text("cut", style="bold red")
            table.add_row(Text(host.name, style=colour), host.address, state, cable, "yes" if now == host.name else "")
        return table

    def _pings(self) -> RenderableType:
        from rich.panel import Panel
        from rich.text import Text

        strip = Text()
        answers = self._view.answers
        for start in range(0, len(answers), _PINGS_A_CELL):
            cell = answers[start : start + _PINGS_A_CELL]
            if LOST in cell:
                strip.append("·", style="bold red")
            else:
                strip.append("█", style=self._colours[cell[-1]])
        return Panel(strip, title="pings, a quarter of a second each; red: no answer", title_align="left")


def open_screen(view: View) -> Screen:
    """Whoever opened it closes it."""
    if sys.stdout.isatty():
        try:
            return RichScreen(view)
        except ImportError:
            pass
    return PlainScreen()
