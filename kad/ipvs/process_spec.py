"""The process that programs the IPVS table of the kernel."""

from __future__ import annotations

import re

from kad.child.process_spec import ProcessSpec
from kad.linux.process.capabilities import Capability
from kad.model.notification import QuorumChanged, RealServerChanged
from kad.shared import messages

SPEC = ProcessSpec(
    name="ipvs",
    ident="Keepalived_ipvs",
    title="kad: ipvs",
    worker="kad.ipvs.process.worker:Room",
    configuration="kad.model.ipvs:IpvsSlice",
    pid_file="ipvs.pid",
    capabilities=(Capability.NET_ADMIN,),
    stop_order=2,
    setup="kad.linux.netlink.ipvs:load_module",
    sends=frozenset(
        {
            messages.DrainAnswered,
            messages.Draining,
            messages.Event,
            messages.FifoLine,
            messages.IpvsMemory,
            messages.IpvsState,
            messages.Mail,
            messages.Notify,
            messages.QuorumState,
        }
    ),
    wants=frozenset(
        {
            messages.Draining,
            messages.IpvsMemory,
            messages.QuorumState,
            messages.RouterState,
            messages.ServerHealth,
        }
    ),
    fifo_source="lvs",
    programs=re.compile(r"service:.*/(quorum_up|quorum_down|notify_up|notify_down)", re.DOTALL),
    facts=(RealServerChanged, QuorumChanged),
)
