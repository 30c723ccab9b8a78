"""The words of the blocks that can be tracked: files, processes and BFD sessions."""

import posixpath
import re
from typing import Annotated, Literal

import msgspec

from kad.config.build import Scope
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Head, keyword
from kad.config.values import (
    Complaints,
    Value,
    Words,
    address,
    boolean,
    flag,
    integer,
    one_of,
    optional,
    seconds,
    text,
    texts,
)
from kad.model.tracking import NAME_BYTES, ProcessWords, TrackedFile, TrackedProcess, Weight
from kad.tracking.codes import TrackCode
from kad.tracking.item_words import weight_up_to


class InitialContent(msgspec.Struct, frozen=True, kw_only=True):
    """init_file [NUMBER] [overwrite]"""

    number: int = 0
    overwrite: bool = False


def initial_content() -> Value:
    """[NUMBER] [overwrite]"""

    def read(words: Words) -> InitialContent:
        number, overwrite = 0, False
        complaints = Complaints()
        for index, word in enumerate(words):
            if word.text == "overwrite":
                overwrite = True
            elif re.fullmatch(r"[+-]?[0-9]{1,10}", word.text):
                number = int(word.text)
            else:
                complaints.add(TrackCode.NEITHER_NUMBER_NOR_OVERWRITE(word=word.text), index)
        return complaints.judged(InitialContent(number=number, overwrite=overwrite))

    return Value(
        arguments="[<INTEGER>] [overwrite]",
        pattern=r"(?:\s+([+-]?[0-9]{1,10}))?(?:\s+(overwrite))?",
        read=read,
        write=lambda value: f"{value.number}{' overwrite' if value.overwrite else ''}",
        least=0,
        most=2,
    )


class FileBlock(Block, frozen=True, kw_only=True):
    """track_file NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    file: Annotated[str | None, keyword(text("PATH"), "holds a number", unique=True, missing=Complaint.GENERAL)] = None
    weight: Annotated[
        Weight | None,
        keyword(
            weight_up_to(254), "multiplies the number", default="1", unique=True, missing=Complaint.GENERAL, exact=True
        ),
    ] = None
    init_file: Annotated[
        InitialContent | None, keyword(initial_content(), "the file is made at the start", exact=True)
    ] = None


def to_file(block: FileBlock, scope: Scope) -> TrackedFile:
    """The file that is watched; the block has one."""
    assert block.file is not None
    path = posixpath.normpath(posixpath.join(scope.host.cwd, block.file))
    place = scope.places.of(block, "file")
    folder, found = scope.host.files.look(posixpath.dirname(path)), scope.host.files.look(path)
    if folder is None or folder.kind != "directory":
        remark = TrackCode.NO_FOLDER_YET(path=posixpath.dirname(path), name=block.name)
        scope.report.warning(place, remark, about_host=True)
    asked = block.init_file
    if asked is not None and asked.overwrite and found is not None and found.kind != "file":
        remark = TrackCode.NOT_A_REGULAR_FILE(path=path)
        scope.report.warning(scope.places.of(block, "init_file"), remark, about_host=True)
    return TrackedFile(
        name=block.name,
        path=path,
        initial=None if asked is None else asked.number,
        overwrite=asked is not None and asked.overwrite,
    )


class ProcessBlock(Block, frozen=True, kw_only=True):
    """vrrp_track_process NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    process: Annotated[
        tuple[str, ...] | None, keyword(texts("PATH or NAME [ARG ...]"), "what is counted", unique=True)
    ] = None
    param_match: Annotated[
        str | None,
        keyword(optional(one_of("initial", "partial"), "exact"), "arguments count too", default="off; bare exact"),
    ] = None
    full_command: Annotated[bool, keyword(flag(), "the path is compared, not the short name")] = False
    weight: Annotated[
        Weight | None,
        keyword(
            weight_up_to(254),
            "0: a failure is a fault",
            default="0",
            unique=True,
            missing=Complaint.GENERAL,
            exact=True,
        ),
    ] = None
    quorum: Annotated[int | None, keyword(integer(1, 65535), "at least so many", default="1")] = None
    quorum_max: Annotated[int | None, keyword(integer(0, 65535), "at most so many", default="no limit")] = None
    delay: Annotated[float | None, keyword(seconds(0.000001, 3600), "before acting", default="0")] = None
    terminate_delay: Annotated[
        float | None, keyword(seconds(0.000001, 3600), "before acting on an end", default="delay")
    ] = None
    fork_delay: Annotated[
        float | None, keyword(seconds(0.000001, 3600), "before acting on a start", default="delay")
    ] = None


def to_process(block: ProcessBlock, scope: Scope) -> TrackedProcess:
    """The processes that are counted; the block says which."""
    assert block.process is not None
    quorum, quorum_max = _quorum(block, scope)
    general = block.delay or 0.0
    return TrackedProcess(
        name=block.name,
        pattern=_pattern(block, scope),
        quorum=quorum,
        quorum_max=quorum_max,
        fork_delay=general if block.fork_delay is None else block.fork_delay,
        terminate_delay=general if block.terminate_delay is None else block.terminate_delay,
    )


def _pattern(block: ProcessBlock, scope: Scope) -> ProcessWords:
    assert block.process is not None
    name, *arguments = block.process
    place = scope.places.of(block, "process")
    match: Literal["none", "exact", "initial", "partial"] = "none"
    match block.param_match:
        case "initial":
            match = "initial"
        case "partial":
            match = "partial"
        case "exact":
            match = "exact"
        case _ if arguments:
            match = "exact"
    whole = block.full_command or match != "none"
    if "/" in name and not whole:
        remark = TrackCode.NAME_IS_A_PATH(name=name)
        scope.report.note(place, remark, proposal="add full_command, or write the short name")
        whole = True
    if not whole and len(name.encode(errors="surrogateescape")) > NAME_BYTES:
        remark = TrackCode.PROCESS_NAME_TOO_LONG(name_bytes=NAME_BYTES, shortened=name[:NAME_BYTES])
        scope.report.note(place, remark, proposal="add full_command to compare argv[0]")
    return ProcessWords(name=name, full_command=whole, arguments=tuple(arguments), param_match=match)


def _quorum(block: ProcessBlock, scope: Scope) -> tuple[int, int | None]:
    """quorum and quorum_max; of two that contradict each other the first one counts."""
    least, most = block.quorum, block.quorum_max
    if least is not None and most is not None and most < least and (most, least) != (0, 1):
        words = sorted(("quorum", "quorum_max"), key=lambda word: scope.places.of(block, word))
        remark = TrackCode.QUORUM_MAX_BELOW_QUORUM(name=block.name, most=most, least=least, ignored=words[1])
        scope.report.warning(scope.places.of(block, words[1]), remark)
        least, most = (least, None) if words[1] == "quorum_max" else (None, most)
    if most == 0:
        return 0, 0
    return 1 if least is None else least, most


class BfdBlock(Block, frozen=True, kw_only=True):
    """bfd_instance NAME { }"""

    name: Annotated[str, Head(text("NAME", longest=31))]
    neighbor_ip: Annotated[str | None, keyword(address(), "the peer", aliases=("neighbour_ip",))] = None
    source_ip: Annotated[str | None, keyword(address(), "the local address", default="any")] = None
    min_rx: Annotated[
        int | None, keyword(integer(1, 4294967), "milliseconds between packets, received", default="10")
    ] = None
    min_tx: Annotated[int | None, keyword(integer(1, 4294967), "milliseconds between packets, sent", default="10")] = (
        None
    )
    idle_tx: Annotated[
        int | None, keyword(integer(1000, 4294967), "the same while the session is not up", default="1000")
    ] = None
    multiplier: Annotated[int | None, keyword(integer(1, 255), "lost packets that mean down", default="5")] = None
    passive: Annotated[bool, keyword(flag(), "wait for the packets of the peer")] = False
    ttl: Annotated[
        int | None, keyword(integer(1, 255), "of packets", aliases=("hoplimit",), default="255; 64 for IPv6")
    ] = None
    max_hops: Annotated[
        int | None,
        keyword(integer(-1, 255), "hops that received packets may have made; -1 disables the check", default="0"),
    ] = None
    multihop: Annotated[bool | None, keyword(boolean(), "port 4784", default="false")] = None
    weight: Annotated[Weight | None, keyword(weight_up_to(253), "for track_bfd", default="0", exact=True)] = None
    vrrp: Annotated[bool, keyword(flag(), "for track_bfd")] = False
    checker: Annotated[bool, keyword(flag(), "for BFD_CHECK")] = False
