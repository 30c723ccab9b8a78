"""The process that observes the host, runs programs, writes FIFOs and sends mail."""

from __future__ import annotations

from kad.child.process_spec import ProcessSpec
from kad.shared import messages

SPEC = ProcessSpec(
    name="runner",
    ident="Keepalived_runner",
    title="kad: runner",
    worker="kad.runner.process.worker:Room",
    configuration="kad.model.runner:RunnerSlice",
    pid_file="runner.pid",
    # Programs are run as the users that the configuration names.
    capabilities=None,
    # The last one: it runs what the others send it while they stop.
    stop_order=3,
    is_imported_early=True,
    sends=frozenset(
        {
            messages.Event,
            messages.FifoKept,
            messages.FifoOpened,
            messages.MailKept,
            messages.Notified,
            messages.NotifyKept,
            messages.Observation,
        }
    ),
    wants=frozenset(
        {
            messages.FifoKept,
            messages.FifoLine,
            messages.FifoOpened,
            messages.Mail,
            messages.MailKept,
            messages.Notify,
            messages.NotifyKept,
            messages.Observation,
        }
    ),
    observes=frozenset({"script", "process", "file"}),
)
