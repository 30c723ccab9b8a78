"""The process that runs the BFD sessions."""

from __future__ import annotations

from kad.child.process_spec import PidOption, ProcessSpec
from kad.shared import messages

SPEC = ProcessSpec(
    name="bfd",
    ident="Keepalived_bfd",
    title="kad: bfd",
    worker="kad.bfd.process.worker:Room",
    configuration="kad.model.bfd:BfdSlice",
    pid_file="bfd.pid",
    pid_option=PidOption("-b", "--bfd_pid"),
    capabilities=(),
    stop_order=2,
    sends=frozenset({messages.BfdKept, messages.Observation}),
    wants=frozenset({messages.BfdKept, messages.Observation}),
    observes=frozenset({"bfd"}),
)
