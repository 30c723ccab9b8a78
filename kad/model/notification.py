"""Facts that notify programs, FIFOs and mail are given; the runner makes arguments, environment and lines of them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from kad.model import escaping

LONGEST_TEXT = 4096
"""Characters of a reason."""
Text = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
"""One line."""
LONGEST_NAME = 1024
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
StateWord = Annotated[str, msgspec.Meta(pattern=r"\A(INIT|BACKUP|MASTER|FAULT|STOP|DELETED)\Z")]
LineWord = Annotated[
    str,
    msgspec.Meta(pattern=r"\A(INIT|BACKUP|MASTER|FAULT|STOP|DELETED|(MASTER|BACKUP)_PRIORITY|MASTER_RX_LOWER_PRI)\Z"),
]
Priority = Annotated[int, msgspec.Meta(ge=0, le=255)]
ProgramTimeout = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
"""Seconds."""


def as_text(value: str) -> str:
    """As a Text: control characters are escaped, and what is too long is cut."""
    return escaping.one_line(value)[:LONGEST_TEXT]


def as_name(value: str) -> str:
    """As a Name, in the same way."""
    return escaping.one_line(value)[:LONGEST_NAME]


class InstanceStateChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A vrrp_instance has entered a state."""

    state: StateWord
    previous_state: StateWord
    priority: Priority
    reason: Text


class GroupStateChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A vrrp_sync_group has entered a state."""

    state: StateWord
    previous_state: StateWord
    reason: Text


class LowerPriorityReceived(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A MASTER received an advert with a lower priority than its own."""

    source: Annotated[str, msgspec.Meta(max_length=64, pattern=r"\A[0-9A-Za-z:.%_-]*\Z")]
    """Address of the sender."""
    priority: Priority
    """That of the advert."""


class RealServerChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A real server went up or down."""

    up: bool
    reason: Text


class QuorumChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A virtual server gained or lost its quorum."""

    up: bool
    reason: Text


class CheckDue(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A MISC_CHECK is to be made."""

    check: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    """Which of the checks with this program: the runs of one check follow one another."""
    timeout: ProgramTimeout


Fact = InstanceStateChanged | GroupStateChanged | LowerPriorityReceived | RealServerChanged | QuorumChanged | CheckDue


class InstanceSubject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The program belongs to a vrrp_instance."""

    name: str


class GroupSubject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The program belongs to a vrrp_sync_group."""

    name: str


class RealServerSubject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The program belongs to a real_server; both are named as keepalived names them."""

    virtual_server: str
    real_server: str


class VirtualServerSubject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The program belongs to a virtual_server, which is named as keepalived names it."""

    virtual_server: str


class CheckSubject(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The program belongs to MISC_CHECKs."""

    timeouts: tuple[float, ...]
    """Seconds; one of each check that runs it."""


Subject = InstanceSubject | GroupSubject | RealServerSubject | VirtualServerSubject | CheckSubject


class InstanceLine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A line of a FIFO: what a vrrp_instance is, or that it received an advert of a lower priority."""

    SOURCE: ClassVar[str] = "vrrp"
    name: Name
    word: LineWord
    priority: Priority

    @property
    def subject(self) -> str:
        return f'INSTANCE "{self.name}"'

    @property
    def text(self) -> str:
        return f"{self.subject} {self.word} {self.priority}"


class GroupLine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A line of a FIFO: what a vrrp_sync_group is."""

    SOURCE: ClassVar[str] = "vrrp"
    name: Name
    word: StateWord

    @property
    def subject(self) -> str:
        return f'GROUP "{self.name}"'

    @property
    def text(self) -> str:
        return f"{self.subject} {self.word} 0"


class RealServerLine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A line of a FIFO: a real server is up or down; both are named as keepalived names them."""

    SOURCE: ClassVar[str] = "lvs"
    virtual_server: Name
    real_server: Name
    up: bool

    @property
    def subject(self) -> str:
        return f"RS {self.real_server} {self.virtual_server}"

    @property
    def text(self) -> str:
        return f"{self.subject} {'UP' if self.up else 'DOWN'}"


class VirtualServerLine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A line of a FIFO: a virtual server, which is named as keepalived names it, has its quorum or not."""

    SOURCE: ClassVar[str] = "lvs"
    virtual_server: Name
    up: bool

    @property
    def subject(self) -> str:
        return f"VS {self.virtual_server}"

    @property
    def text(self) -> str:
        return f"{self.subject} {'UP' if self.up else 'DOWN'}"


Line = InstanceLine | GroupLine | RealServerLine | VirtualServerLine
