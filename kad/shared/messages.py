"""Every message between processes, and the codec: whole present truths of named objects, length-framed.

A frame is a header (length of key and body, kind, length of the key), the key that names the object, and a msgpack
body. The parent routes by kind and key and never decodes what it only passes on.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from kad.model.cause import Cause, Contribution, describe
from kad.model.finding import Figure, Identity, Subject
from kad.model.ipvs_table import LARGEST_WEIGHT
from kad.model.notification import CheckDue, Fact, Line, Name, ProgramTimeout, Text
from kad.model.program_end import ProgramEnd
from kad.shared.framing import BadFrame, Frame
from kad.shared.shared_page import SLOTS

SCHEMA = 1
"""Number of the shapes below as `kad --dump` prints them; it grows when a field changes its meaning."""

Moment = Annotated[float, msgspec.Meta(ge=0.0, le=1e11)]
"""UNIX time."""
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What one process says to another; `KIND` stands in the frame header."""

    KIND: ClassVar[int] = 0
    IS_STATE: ClassVar[bool] = False
    """A later message with the same key replaces an earlier one that was not yet sent."""

    @property
    def key(self) -> str:
        """The object that the message speaks of; empty when it speaks of the process."""
        return ""


class Prepare(Message, frozen=True, kw_only=True):
    """Parent to child: the configuration of this generation is in the memory file that comes along."""

    KIND: ClassVar[int] = 1
    generation: int


class Ready(Message, frozen=True, kw_only=True):
    """Child to parent: that generation is understood and can be committed."""

    KIND: ClassVar[int] = 2
    generation: int


class Refused(Message, frozen=True, kw_only=True):
    """Child to parent: that generation cannot be run, and why."""

    KIND: ClassVar[int] = 3
    generation: int
    text: str


class Commit(Message, frozen=True, kw_only=True):
    """Parent to child: run the prepared generation from now on."""

    KIND: ClassVar[int] = 4
    generation: int


class Abandon(Message, frozen=True, kw_only=True):
    """Parent to child: forget the prepared generation."""

    KIND: ClassVar[int] = 5
    generation: int


class Ping(Message, frozen=True, kw_only=True):
    """Parent to child: say that you are alive."""

    KIND: ClassVar[int] = 6
    number: int


class Pong(Message, frozen=True, kw_only=True):
    """Child to parent: alive."""

    KIND: ClassVar[int] = 7
    number: int


class Stop(Message, frozen=True, kw_only=True):
    """Parent to child: leave in order; keep the addresses where asked."""

    KIND: ClassVar[int] = 9
    release: bool = True
    handover: float = 0.0
    """Seconds for which a MASTER may keep its addresses until another router has taken over."""


class SnapshotWanted(Message, frozen=True, kw_only=True):
    """Parent to child: tell everything about yourself, as JSON."""

    KIND: ClassVar[int] = 10
    number: int
    clear_statistics: bool = False
    problems_only: bool = False
    """Without what is known of each object: only what is wrong."""


class SnapshotTaken(Message, frozen=True, kw_only=True):
    """Child to parent: the answer to SnapshotWanted with that number."""

    KIND: ClassVar[int] = 11
    number: int
    json: bytes | None = None
    """None: it is in the memory file that comes with this, so that the parent need not take it up piece by piece."""


class Configured(Message, frozen=True, kw_only=True):
    """Child to parent: the committed generation is in force."""

    KIND: ClassVar[int] = 12
    generation: int


RELEASE = "release"


class Slice(Message, frozen=True, kw_only=True):
    """Analyzer to parent: what one child is given is in the memory file that comes along.

    The parent passes the file on and does not read it: it may hold secrets that are for that child alone.
    """

    KIND: ClassVar[int] = 13
    name: str
    """Of the child; RELEASE: what must be released if the vrrp process is dead, without a secret."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the files, or worth a note."""

    severity: str
    """error, warning or note."""
    place: str
    """FILE:LINE:COLUMN, or the file alone."""
    text: str
    """The sentence, without a place."""
    code: str = ""
    subjects: tuple[Subject, ...] = (Subject(),)
    """With the code: by these a finding is the same one in two files."""
    figures: dict[str, Figure] = {}
    proposal: str = ""
    quote: tuple[str, ...] = ()
    """The line of the file, and a caret below it."""
    refuses: bool = False
    """It refuses a reload unless the running file has it too."""

    @property
    def identities(self) -> frozenset[Identity]:
        """What it is, once for each object."""
        return frozenset(Identity(self.code, subject) for subject in self.subjects)

    @property
    def summary(self) -> str:
        """On one line."""
        return f"{self.place}: {self.severity}: {self.text}" + (f" ({self.proposal})" if self.proposal else "")

    @property
    def whole(self) -> str:
        """On a line, with the quoted source and the proposal indented below it."""
        more = (*self.quote, self.proposal) if self.proposal else self.quote
        return "".join(f"{line}\n" for line in (f"{self.place}: {self.severity}: {self.text}", *map(_indented, more)))


def _indented(line: str) -> str:
    return f"    {line}"


class Analyzed(Message, frozen=True, kw_only=True):
    """Analyzer to parent, after all slices: what the file says and what is wrong with it."""

    KIND: ClassVar[int] = 14
    exit_code: int
    """What `-t` would exit with."""
    fatal: int
    """Not 0: a first start ends with this status."""
    watchdog: bytes
    """msgpack of kad.model.daemon.WatchdogSlice."""
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> frozenset[Identity]:
        """What refuses a reload unless the running file has it too."""
        return frozenset(each for finding in self.findings if finding.refuses for each in finding.identities)


class RouterState(Message, frozen=True, kw_only=True):
    """vrrp to everyone: what one vrrp_instance is now."""

    KIND: ClassVar[int] = 20
    IS_STATE: ClassVar[bool] = True
    name: str
    state: str
    since: Moment
    """Seconds of the wall clock (UNIX time) at which the state was entered."""
    cause: Cause | None = None
    """Of the state; None: it has entered none."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=255)]
    """Effective priority."""
    holds_addresses: bool
    deleted: bool = False
    slot: Annotated[int, msgspec.Meta(ge=0, lt=SLOTS)] = 0
    """Where kad.shared.shared_page tells when it last spoke."""
    advertisement_interval: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 1.0
    down_timer_adverts: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3
    """So many intervals of silence make its peers take over."""
    contributions: tuple[Contribution, ...] = ()
    """Each tracked thing that moves the priority, and by how much."""
    transitions: int = 0
    counters: dict[str, int] = {}
    """Of the sending process, as they were when this was said."""

    @property
    def key(self) -> str:
        return self.name

    @property
    def reason(self) -> str:
        """The cause in words."""
        return describe(self.cause)


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What a router was when the process that ran it died."""

    state: RouterState
    spoke_at: float
    """Monotonic moment of its last advert; 0.0: never."""
    sent: int
    received: int
    sequence: int = 0
    """The last number of what authenticates its adverts."""
    marks: tuple[tuple[bytes, int], ...] = ()
    """Senders that it has believed, and the last number of each: nothing older counts."""
    master_advertisement_interval: float = 0.0
    """Seconds between the adverts of the MASTER that it last heard; 0.0: it heard none."""
    entered_at: float = 0.0
    """Monotonic moment at which it entered its state."""


class Resume(Message, frozen=True, kw_only=True):
    """Parent to vrrp, after a crash and before the configuration: what each instance was when last heard of."""

    KIND: ClassVar[int] = 21
    routers: tuple[Earlier, ...]


class VrrpProcess(Message, frozen=True, kw_only=True):
    """Parent to runner: the vrrp process that lives, and in the memory file that comes along what it may hold.

    The runner releases that when the process dies and the parent does not say soon that it sees to it.
    """

    KIND: ClassVar[int] = 48
    pid: int = 0
    """0: none lives, the parent sees to what it held, and no memory file comes along."""
    pid_file: str
    """Of the daemon: another one that runs has locked it."""


class HostBefore(Message, frozen=True, kw_only=True):
    """vrrp to its next life: what it changed of the host, as it was before."""

    KIND: ClassVar[int] = 25
    IS_STATE: ClassVar[bool] = True
    igmp_link_local_reports: str | None = None
    """None: as it was."""
    without_promotion: frozenset[str] = frozenset()
    """Interfaces on which promote_secondaries was 0."""


class Observation(Message, frozen=True, kw_only=True):
    """runner to everyone: the present value of one watched thing, not the event of one run."""

    KIND: ClassVar[int] = 22
    IS_STATE: ClassVar[bool] = True
    kind: str
    """script, process, file …: the tracker's word."""
    name: str
    value: int | None
    """Scripts and processes: 1 good, 0 failed; files: the number in it; None: not known yet."""
    since: Moment
    """UNIX time at which the value last changed."""
    reason: str
    """Why the value is what it is, in one sentence."""
    output: str = ""
    """The last 2 kB that a failing program printed."""
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"


class Notify(Message, frozen=True, kw_only=True):
    """Any child to runner: run the configured program `program` (an id, never a command) for this fact."""

    KIND: ClassVar[int] = 23
    program: str
    fact: Fact
    """The runner makes arguments and environment of it."""
    generation: int
    sequence: int
    """Grows with each message about an object; a repeat after a crash is recognised by it."""
    awaited_until: ProgramTimeout | None = None
    """Seconds that the asker waits for the end of the program (notify_stop); None: it does not wait."""

    @property
    def object(self) -> str:
        """Programs of one object run in the order in which they were asked for."""
        match self.fact:
            case CheckDue(check=check):
                return f"{self.program} {check:08x}"
            case _:
                return self.program.rpartition("/")[0]

    @property
    def timeout(self) -> float | None:
        """Seconds after which the program is ended; the asker judges how it ended and says so, not the runner."""
        return self.fact.timeout if isinstance(self.fact, CheckDue) else None

    @property
    def key(self) -> str:
        return f"{self.object}/{self.program}"


class Notified(Message, frozen=True, kw_only=True):
    """runner to the asker: the program ended."""

    KIND: ClassVar[int] = 24
    program: str
    object: str
    sequence: int
    ending: ProgramEnd
    output: str
    duration: float

    @property
    def key(self) -> str:
        return f"{self.object}/{self.program}"


class NotifyKept(Message, frozen=True, kw_only=True):
    """runner to its next life: this program waits for its turn."""

    KIND: ClassVar[int] = 46
    IS_STATE: ClassVar[bool] = True
    notify: Notify
    deleted: bool = False
    """It has been started, or is no longer to be run."""

    @property
    def key(self) -> str:
        return f"{self.notify.object}/{self.notify.sequence}"


class CheckState(msgspec.Struct, frozen=True, kw_only=True):
    """What one check of a real server says."""

    kind: str
    """TCP_CHECK, HTTP_GET …"""
    target: str
    healthy: bool
    known: bool
    """It has had a result."""
    reason: str
    since: Moment
    """UNIX time at which `healthy` last changed."""
    latency: float | None = None
    """Seconds that the last good attempt took."""


class ServerHealth(Message, frozen=True, kw_only=True):
    """checker to everyone: what the checks of one real server say of it now."""

    KIND: ClassVar[int] = 30
    IS_STATE: ClassVar[bool] = True
    service: str
    """The name of its virtual server, as configured."""
    address: str
    port: Port
    healthy: bool
    """Every check is."""
    known: bool
    """Every check has had a result; until then `healthy` is what the configuration presumes."""
    since: Moment
    """UNIX time at which `healthy` last changed."""
    reason: str
    """Why it is what it is, in one sentence."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_WEIGHT)] | None = None
    """What a program has set (misc_dynamic); None: as configured."""
    weight_change: int = 0
    """What files add to the weight."""
    checks: tuple[CheckState, ...] = ()
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.service}/{self.address} {self.port}"


class QuorumState(Message, frozen=True, kw_only=True):
    """ipvs to everyone: whether a virtual server has its quorum; of one that always had it nothing is said."""

    KIND: ClassVar[int] = 31
    IS_STATE: ClassVar[bool] = True
    service: str
    """The name of the virtual server."""
    up: bool
    since: Moment
    """UNIX time."""
    reason: str
    deleted: bool = False

    @property
    def key(self) -> str:
        return self.service


class IpvsMemory(Message, frozen=True, kw_only=True):
    """ipvs to its next life: what was done to the kernel that is to be done once, or undone."""

    KIND: ClassVar[int] = 32
    IS_STATE: ClassVar[bool] = True
    flushed: bool = False
    """The moment for lvs_flush has passed."""
    timeouts: tuple[int, int, int] | None = None
    """Of TCP, TCP after FIN, UDP in seconds, as they were before kad changed them."""
    marks: dict[str, int] = {}
    """By virtual server that nftables mark packets for."""
    marking: str = ""
    """The nftables table that does."""


class DrainWanted(Message, frozen=True, kw_only=True):
    """Parent to ipvs: an operator wants a server to be emptied, or to serve again (`undo`)."""

    KIND: ClassVar[int] = 33
    number: int
    service: str
    """As the operator names it."""
    server: str
    timeout: float | None = None
    """Seconds after which it leaves whatever connections it has; None: never."""
    undo: bool = False


class DrainAnswered(Message, frozen=True, kw_only=True):
    """ipvs to parent: the answer to DrainWanted with that number."""

    KIND: ClassVar[int] = 34
    number: int
    text: str = ""
    error: str = ""
    """Why it cannot be; empty: it is done."""


class Draining(Message, frozen=True, kw_only=True):
    """ipvs to its next life: an operator wanted this server emptied."""

    KIND: ClassVar[int] = 35
    IS_STATE: ClassVar[bool] = True
    service: str
    address: str
    port: Port
    since: Moment
    """UNIX time."""
    until: float | None
    """Monotonic moment, the same for every process of the host, at which it leaves whatever connections it has."""
    out: bool = False
    """It has left the table."""
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.service}/{self.address} {self.port}"


class IpvsLeft(Message, frozen=True, kw_only=True):
    """Parent to ipvs: what a daemon that did not end in order had put into the table."""

    KIND: ClassVar[int] = 36
    slice: bytes
    """msgpack of kad.model.ipvs.IpvsSlice."""
    memory: bytes = b""
    """msgpack of its IpvsMemory; empty where that is not known."""


class IpvsState(Message, frozen=True, kw_only=True):
    """ipvs to vrrp: whether the kernel's IPVS can be used; until the first one nothing is known against it."""

    KIND: ClassVar[int] = 37
    IS_STATE: ClassVar[bool] = True
    usable: bool
    reason: str = ""
    """Why not."""


class BfdKept(Message, frozen=True, kw_only=True):
    """bfd to its next life: with this a session goes on, and the neighbour notices nothing."""

    KIND: ClassVar[int] = 47
    IS_STATE: ClassVar[bool] = True
    name: str
    neighbor: str
    port: int
    discriminator: int
    remote_discriminator: int
    """0: the session was not up."""
    min_rx: float
    min_tx: float
    """Seconds; what the neighbour wants and promises."""
    multiplier: int
    deleted: bool = False

    @property
    def key(self) -> str:
        return self.name


class FifoLine(Message, frozen=True, kw_only=True):
    """Any child to runner: one line for every FIFO that gets the events of its source."""

    KIND: ClassVar[int] = 40
    line: Line
    sequence: int
    """Grows with each line about a subject; a repeat after a crash is recognised by it."""

    @property
    def source(self) -> str:
        """vrrp or lvs: the prefix of the FIFO's keyword."""
        return self.line.SOURCE

    @property
    def subject(self) -> str:
        """What the line is about, as it begins; of each subject the latest line is not dropped."""
        return self.line.subject

    @property
    def text(self) -> str:
        """Without the newline."""
        return self.line.text

    @property
    def key(self) -> str:
        return self.subject


class FifoOpened(Message, frozen=True, kw_only=True):
    """runner to parent and to its next life: this FIFO is written to, and stays open when the runner dies."""

    KIND: ClassVar[int] = 41
    IS_STATE: ClassVar[bool] = True
    path: str
    made: bool = False
    """It is ours, and goes when kad goes."""
    deleted: bool = False

    @property
    def key(self) -> str:
        return self.path


class FifoKept(Message, frozen=True, kw_only=True):
    """runner to its next life: this line waits for room in the FIFO."""

    KIND: ClassVar[int] = 45
    IS_STATE: ClassVar[bool] = True
    path: str
    line: FifoLine
    deleted: bool = False
    """It was written, or dropped because a later one of its subject waits."""

    @property
    def key(self) -> str:
        return f"{self.path} {self.line.subject} {self.line.sequence}"


class Mail(Message, frozen=True, kw_only=True):
    """Any child to runner: tell by mail, whom and how the configuration says."""

    KIND: ClassVar[int] = 42
    object: Name
    state: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{1,16}\Z")]
    """What it entered: MASTER, FAULT …"""
    subject: Text
    """Without the name of this host."""
    body: Text
    reason: Text
    when: Moment
    """UNIX time."""
    sequence: int
    """As in Notify."""

    @property
    def key(self) -> str:
        return self.object


class MailKept(Message, frozen=True, kw_only=True):
    """runner to its next life: this alert is not sent yet."""

    KIND: ClassVar[int] = 43
    IS_STATE: ClassVar[bool] = True
    mail: Mail
    deleted: bool = False
    """It is sent, or given up."""

    @property
    def key(self) -> str:
        return f"{self.mail.object}/{self.mail.sequence}"


class Event(Message, frozen=True, kw_only=True):
    """Any child to parent: something happened that no state tells, for the journal."""

    KIND: ClassVar[int] = 44
    when: Moment
    """UNIX time."""
    kind: str
    """group, link, address, pause, notify, fifo, mail …"""
    object: str
    """An instance by its name, others as KIND/NAME."""
    text: str
    """One sentence."""
    details: dict[str, Any] = {}
    """What of it programs look at."""

    @property
    def key(self) -> str:
        return self.object


KINDS: dict[int, type[Message]] = {kind.KIND: kind for kind in Message.__subclasses__()}
_DECODERS = {number: msgspec.msgpack.Decoder(kind) for number, kind in KINDS.items()}
_ENCODER = msgspec.msgpack.Encoder()


def to_frame(message: Message) -> Frame:
    return Frame(message.KIND, message.key, _ENCODER.encode(message))


def from_frame(frame: Frame) -> Message:
    """Decode; raises BadFrame."""
    try:
        return _DECODERS[frame.kind].decode(frame.body)
    except KeyError as error:
        raise BadFrame(f"kind {frame.kind}: it is none of ours") from error
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise BadFrame(f"kind {frame.kind}: {error}") from error


def from_child(frame: Frame) -> Message:
    """Decode a frame that may be wrong: its key must be that of the message. Raises BadFrame."""
    message = from_frame(frame)
    if message.key != frame.key:
        raise BadFrame(f"{type(message).__name__} with the key {frame.key[:100]!r}")
    return message


def to_plain(value: Any) -> Any:
    """A message or model as what json can print."""
    return msgspec.to_builtins(value)
