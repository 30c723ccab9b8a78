"""The process that checks the real servers."""

from __future__ import annotations

import re

from kad.child.process_spec import PidOption, ProcessSpec
from kad.linux.process.capabilities import Capability
from kad.model.notification import CheckDue
from kad.shared import messages

SPEC = ProcessSpec(
    name="checker",
    ident="Keepalived_healthcheckers",
    title="kad: checker",
    worker="kad.checker.process.worker:Room",
    configuration="kad.checker.checker_slice:CheckerSlice",
    pid_file="checkers.pid",
    pid_option=PidOption("-c", "--checkers_pid"),
    capabilities=(Capability.NET_ADMIN, Capability.NET_RAW, Capability.NET_BIND_SERVICE),
    stop_order=1,
    sends=frozenset({messages.Mail, messages.Notify, messages.ServerHealth}),
    wants=frozenset({messages.Notified, messages.Observation, messages.ServerHealth}),
    programs=re.compile(r"check:.*/misc_path", re.DOTALL),
    facts=(CheckDue,),
)
