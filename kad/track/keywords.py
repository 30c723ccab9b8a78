"""The words of the blocks that can be tracked: files, processes and BFD sessions."""

import re
from typing import Annotated

import msgspec

from kad.config.keyword import Block, Head, keyword
from kad.config.tree import Complaint
from kad.config.values import (
    Value,
    Words,
    Wrong,
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
from kad.track.items import Weight, weight_up_to


class InitialContent(msgspec.Struct, frozen=True, kw_only=True):
    """init_file [NUMBER] [overwrite]"""

    number: int = 0
    overwrite: bool = False


def initial_content() -> Value:
    """[NUMBER] [overwrite]"""

    def read(words: Words) -> InitialContent:
        number, overwrite = 0, False
        for index, word in enumerate(words):
            if word.text == "overwrite":
                overwrite = True
            elif re.fullmatch(r"[+-]?[0-9]{1,10}", word.text):
                number = int(word.text)
            else:
                raise Wrong(f"{word.text} is neither a number nor overwrite", index)
        return InitialContent(number=number, overwrite=overwrite)

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
        keyword(weight_up_to(254), "0: a failure is a fault", default="0", missing=Complaint.GENERAL, exact=True),
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
    passive: Annotated[bool, keyword(flag(), "the peer speaks first")] = False
    ttl: Annotated[
        int | None, keyword(integer(1, 255), "of packets", aliases=("hoplimit",), default="255; 64 for IPv6")
    ] = None
    max_hops: Annotated[int | None, keyword(integer(-1, 255), "of received packets; -1 does not look", default="0")] = (
        None
    )
    multihop: Annotated[bool | None, keyword(boolean(), "port 4784", default="false")] = None
    weight: Annotated[Weight | None, keyword(weight_up_to(253), "for track_bfd", default="0", exact=True)] = None
    vrrp: Annotated[bool, keyword(flag(), "the vrrp process is told")] = False
    checker: Annotated[bool, keyword(flag(), "the checker process is told")] = False
