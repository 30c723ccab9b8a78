"""The whole language: the words of every room put together into the blocks of one file."""

import functools
from typing import Annotated

from kad.analyzer.daemon_words import DaemonGlobals, RootWords
from kad.checker.keywords.default_words import CheckerGlobals, ClientBlock, ServerDefaults, ServiceDefaults
from kad.checker.keywords.registered_blocks import CheckWords
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Head, Inline, Layout, block, layout_of
from kad.config.notification_words import FifoWords, MailGlobals, ManagementGlobals
from kad.config.process_words import NetlinkWords, ProcessWords
from kad.ipvs.keywords.line_values import ServerName, ServiceName, server_name, service_name
from kad.ipvs.keywords.service_words import DestinationWords, IpvsGlobals, ServiceGroupBlock, ServiceWords
from kad.runner.keywords.script_words import ScriptBlock
from kad.tracking.block_words import BfdBlock, FileBlock, ProcessBlock
from kad.vrrp.keywords.global_words import VrrpGlobals
from kad.vrrp.keywords.group_words import GroupBlock
from kad.vrrp.keywords.instance_words import InstanceBlock
from kad.vrrp.keywords.static_words import StaticWords


class GlobalsBlock(Block, frozen=True, kw_only=True):
    """global_defs { }: each room has its part."""

    daemon: Annotated[DaemonGlobals, Inline()]
    mail: Annotated[MailGlobals, Inline()]
    fifo: Annotated[FifoWords, Inline()]
    management: Annotated[ManagementGlobals, Inline()]
    vrrp: Annotated[VrrpGlobals, Inline()]
    checker: Annotated[CheckerGlobals, Inline()]
    checker_process: Annotated[ProcessWords, Inline("checker_", also=(("lvs_process_name", "process_name"),))]
    ipvs: Annotated[IpvsGlobals, Inline()]
    ipvs_netlink: Annotated[NetlinkWords, Inline("lvs_netlink_", effect=False)]
    ipvs_fifo: Annotated[FifoWords, Inline("lvs_")]
    bfd_process: Annotated[ProcessWords, Inline("bfd_")]


class RealServerBlock(Block, frozen=True, kw_only=True):
    """real_server IP [PORT] { }"""

    name: Annotated[ServerName, Head(server_name())]
    destination: Annotated[DestinationWords, Inline()]
    defaults: Annotated[ServerDefaults, Inline()]
    checks: Annotated[CheckWords, Inline()]


class VirtualServerBlock(Block, frozen=True, kw_only=True):
    """virtual_server IP [PORT] { }"""

    name: Annotated[ServiceName, Head(service_name())]
    service: Annotated[ServiceWords, Inline()]
    defaults: Annotated[ServiceDefaults, Inline()]
    real_server: Annotated[
        tuple[RealServerBlock, ...], block(RealServerBlock, "a destination of the service", collected=True)
    ] = ()


class File(Block, frozen=True, kw_only=True):
    """All files together."""

    root: Annotated[RootWords, Inline()]
    statics: Annotated[StaticWords, Inline()]
    global_defs: Annotated[GlobalsBlock | None, block(GlobalsBlock, "settings of the whole daemon", merged=True)] = None
    vrrp_script: Annotated[
        tuple[ScriptBlock, ...], block(ScriptBlock, "a program whose result counts", collected=True)
    ] = ()
    vrrp_track_process: Annotated[
        tuple[ProcessBlock, ...], block(ProcessBlock, "processes that are counted", collected=True)
    ] = ()
    track_file: Annotated[
        tuple[FileBlock, ...],
        block(FileBlock, "a file with a number", collected=True, aliases=("vrrp_track_file",)),
    ] = ()
    bfd_instance: Annotated[tuple[BfdBlock, ...], block(BfdBlock, "a BFD session", collected=True, unique=True)] = ()
    vrrp_instance: Annotated[
        tuple[InstanceBlock, ...],
        block(InstanceBlock, "a virtual router", collected=True, unique=True, missing=Complaint.GENERAL),
    ] = ()
    vrrp_sync_group: Annotated[
        tuple[GroupBlock, ...],
        block(GroupBlock, "instances that change together", collected=True, unique=True, missing=Complaint.GENERAL),
    ] = ()
    SSL: Annotated[ClientBlock | None, block(ClientBlock, "client certificate of every SSL_GET")] = None
    virtual_server_group: Annotated[
        tuple[ServiceGroupBlock, ...],
        block(ServiceGroupBlock, "addresses of one virtual_server", collected=True),
    ] = ()
    virtual_server: Annotated[
        tuple[VirtualServerBlock, ...], block(VirtualServerBlock, "an IPVS service", collected=True)
    ] = ()

    @property
    def defaults(self) -> GlobalsBlock:
        """global_defs, where it has been written or filled in."""
        assert self.global_defs is not None
        return self.global_defs


@functools.cache
def language() -> Layout:
    """The vocabulary of a whole file."""
    return layout_of(File)
