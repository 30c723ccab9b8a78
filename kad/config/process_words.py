"""The words of global_defs that every child has, each with the name of the child in front."""

from typing import Annotated, TypedDict

from kad.config.build import Scope
from kad.config.codes import ConfigCode
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, keyword
from kad.config.values import boolean, buffer_size, flag, integer, integers, text


class ProcessWords(Block, frozen=True, kw_only=True):
    """How one child is placed on the machine."""

    process_name: Annotated[str | None, keyword(text("NAME", longest=15), "title of the process")] = None
    priority: Annotated[
        int | None, keyword(integer(-20, 19), "nice value", default="inherited", missing=Complaint.GENERAL)
    ] = None
    rt_priority: Annotated[
        int | None,
        keyword(integer(1, 99, lowered=True), "SCHED_RR priority", default="off", missing=Complaint.GENERAL),
    ] = None
    rlimit_rttime: Annotated[
        int | None,
        keyword(
            integer(1, 4294967295),
            "microseconds of real-time work without a pause",
            aliases=("rlimit_rtime",),
            default="10000",
        ),
    ] = None
    no_swap: Annotated[bool, keyword(flag(), "its memory is locked")] = False
    cpu_affinity: Annotated[
        tuple[int, ...] | None,
        keyword(integers("CPU", 0, 8191), "the processors it may use", default="all", missing=Complaint.GENERAL),
    ] = None


class Placement(TypedDict):
    """The fields of a slice that speak of its process, as kad.child.scheduling understands them."""

    priority: int | None
    rt_priority: int | None
    rlimit_rttime: int
    no_swap: bool
    cpu_affinity: tuple[int, ...]


def placement(words: ProcessWords, scope: Scope) -> Placement:
    """What the words of one child mean for its slice."""
    processors = words.cpu_affinity or ()
    count = scope.host.processors
    if count is not None and any(number >= count for number in processors):
        absent = " ".join(str(number) for number in processors if number >= count)
        processors = tuple(number for number in processors if number < count)
        consequence = "the others are used" if processors else "all processors are used"
        remark = ConfigCode.NO_SUCH_PROCESSOR(absent=absent, last=count - 1, consequence=consequence)
        scope.report.warning(scope.places.of(words, "cpu_affinity"), remark, about_host=True)
    return Placement(
        priority=words.priority,
        rt_priority=words.rt_priority,
        rlimit_rttime=max(2, words.rlimit_rttime or 10000),
        no_swap=words.no_swap,
        cpu_affinity=processors,
    )


class NetlinkWords(Block, frozen=True, kw_only=True):
    """The receive buffers of netlink sockets."""

    cmd_rcv_bufs: Annotated[
        int | None, keyword(buffer_size(), "bytes, for commands", default="the kernel's", missing=Complaint.GENERAL)
    ] = None
    cmd_rcv_bufs_force: Annotated[bool | None, keyword(boolean(), "beyond the limit of the kernel")] = None
    monitor_rcv_bufs: Annotated[
        int | None, keyword(buffer_size(), "bytes, for events", default="the kernel's", missing=Complaint.GENERAL)
    ] = None
    monitor_rcv_bufs_force: Annotated[bool | None, keyword(boolean(), "beyond the limit of the kernel")] = None
