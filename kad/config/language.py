"""The whole language: the words of every room put together into the blocks of one file."""

from __future__ import annotations

import functools
import importlib.resources
from typing import Annotated

from kad.check.keywords.checks import CheckWords
from kad.config.keyword import Block, Entry, Head, Inline, Keyword, Layout, block, layout_of
from kad.config.root import DaemonGlobals, RootWords
from kad.ipvs.keywords.service import DestinationWords, ServerName, ServiceName, ServiceWords, server_name, service_name
from kad.run.keywords.script import ScriptBlock
from kad.vrrp.keywords.globals import VrrpGlobals
from kad.vrrp.keywords.group import GroupBlock
from kad.vrrp.keywords.instance import InstanceBlock


class GlobalsBlock(Block, frozen=True, kw_only=True):
    """global_defs { }: each room has its part."""

    daemon: Annotated[DaemonGlobals, Inline()]
    vrrp: Annotated[VrrpGlobals, Inline()]


class RealServerBlock(Block, frozen=True, kw_only=True):
    """real_server IP [PORT] { }"""

    name: Annotated[ServerName, Head(server_name())]
    destination: Annotated[DestinationWords, Inline()]
    checks: Annotated[CheckWords, Inline()]


class VirtualServerBlock(Block, frozen=True, kw_only=True):
    """virtual_server IP [PORT] { }"""

    name: Annotated[ServiceName, Head(service_name())]
    service: Annotated[ServiceWords, Inline()]
    real_server: Annotated[
        tuple[RealServerBlock, ...], block(RealServerBlock, "a destination of the service", collected=True)
    ] = ()


class File(Block, frozen=True, kw_only=True):
    """All files together."""

    root: Annotated[RootWords, Inline()]
    global_defs: Annotated[GlobalsBlock | None, block(GlobalsBlock, "defaults for all", merged=True)] = None
    vrrp_script: Annotated[
        tuple[ScriptBlock, ...], block(ScriptBlock, "a program whose result counts", collected=True)
    ] = ()
    vrrp_instance: Annotated[
        tuple[InstanceBlock, ...], block(InstanceBlock, "a virtual router", collected=True, unique=True)
    ] = ()
    vrrp_sync_group: Annotated[
        tuple[GroupBlock, ...], block(GroupBlock, "instances that change together", collected=True, unique=True)
    ] = ()
    virtual_server: Annotated[
        tuple[VirtualServerBlock, ...], block(VirtualServerBlock, "an IPVS service", collected=True, effect=False)
    ] = ()


@functools.cache
def language() -> Layout:
    """The vocabulary of a whole file, with what only keepalived acts on."""
    top = layout_of(File)
    layouts = {layout.context: layout for layout in top.layouts()}
    table = importlib.resources.files(__package__).joinpath("keepalived_keywords.tsv").read_text()
    rows = [line.split("\t") for line in table.splitlines()[1:]]
    for context, word, kind in sorted(rows, key=lambda row: (row[2] != "block", row[0].count("/"))):
        layout = layouts[context]
        if word in layout.words:
            continue
        inner = None
        if kind == "block":
            inner = layouts.setdefault(f"{context}/{word}".lstrip("/"), Layout(Block, f"{context}/{word}".lstrip("/")))
        known = Keyword(help="known to keepalived", block=Block if inner else None, is_entries=kind == "list")
        is_silent = context.startswith("virtual_server")
        layout.words[word] = Entry(word, known, layout=inner, is_opaque=True, is_silent=is_silent)
    return top
