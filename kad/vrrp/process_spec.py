"""The process that runs the VRRP instances and holds their addresses."""

from __future__ import annotations

import re

from kad.child.process_spec import PidOption, ProcessSpec
from kad.linux.process.capabilities import Capability
from kad.model.notification import GroupStateChanged, InstanceStateChanged, LowerPriorityReceived
from kad.shared import messages

SPEC = ProcessSpec(
    name="vrrp",
    ident="Keepalived_vrrp",
    title="kad: vrrp",
    worker="kad.vrrp.process.worker:Room",
    configuration="kad.model.vrrp:VrrpSlice",
    pid_file="vrrp.pid",
    pid_option=PidOption("-r", "--vrrp_pid"),
    capabilities=(Capability.NET_ADMIN, Capability.NET_RAW),
    stop_order=1,
    is_imported_early=True,
    setup="kad.linux.process.scheduling:shorten_slice",
    sockets="kad.linux.sockets.packet_sockets:PacketSockets.open",
    sends=frozenset(
        {
            messages.Event,
            messages.FifoLine,
            messages.HostBefore,
            messages.Mail,
            messages.Notify,
            messages.RouterState,
        }
    ),
    wants=frozenset({messages.HostBefore, messages.IpvsState, messages.Notified, messages.Observation}),
    fifo_source="vrrp",
    programs=re.compile(r".*/notify(_[a-z_]+)?", re.DOTALL),
    facts=(InstanceStateChanged, GroupStateChanged, LowerPriorityReceived),
)
