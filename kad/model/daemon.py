"""What the watchdog is given; nothing here needs the parser."""

from __future__ import annotations

import msgspec

from kad.model.runner import Program


class WatchdogSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the parent needs of the configuration; times are seconds."""

    child_wait_time: float = 5.0
    """How long children may take to leave before they are killed."""
    instance: str | None = None
    net_namespace: str | None = None
    use_pid_dir: bool = False
    router_id: str = ""
    process_name: str | None = None
    process_names: dict[str, str] = {}
    """Titles by child: vrrp, checker, ipvs, runner; only those configured."""
    scheduling: dict[str, bytes] = {}
    """By child: the fields of its slice that say how the process is scheduled, as msgpack."""
    startup_script: Program | None = None
    startup_script_timeout: float = 10.0
    shutdown_script: Program | None = None
    shutdown_script_timeout: float = 10.0
    reload_check_log: str | None = None
    """Has what was found in the files that were read last at a reload."""
    reload_time_file: str | None = None
    reload_repeat: bool = False
    reload_file: str | None = None
    umask: int = 0o177
    handover: bool = True
    """A MASTER that stops keeps its addresses until another router has taken over; False: keepalived's order."""
    watchdog_device: str | None = None
    """A character device that resets the host unless it is fed."""
    deaf_after: float = 2.0
    """Seconds without a sign of life after which a child is replaced; one that holds addresses sooner."""
