"""From the words about the daemon itself to what the parent is given, and what the packages need of it."""

from __future__ import annotations

import msgspec

from kad.analyzer.daemon_words import to_watchdog
from kad.analyzer.language import File
from kad.config.build import Scope
from kad.config.codes import ConfigCode
from kad.config.programs import Programs
from kad.config.slice_context import DaemonFacts, SliceContext
from kad.model.daemon import WatchdogSlice

_FIELDS_OF_FILES = {
    "reload_check_config": "reload_check_log",
    "reload_time_file": "reload_time_file",
    "reload_file": "reload_file",
    "watchdog_device": "watchdog_device",
}
"""Fields of the WatchdogSlice by the keyword that names a file."""


def programs(file: File, scope: Scope, *, testing: bool) -> Programs:
    """The maker of all programs, with the user and the security that global_defs ask for."""
    words = file.defaults.daemon.scripts
    asked = words.script_user
    if asked is not None:
        place = scope.places.of(words, "script_user")
        if asked.user not in scope.host.users:
            scope.report.warning(place, ConfigCode.NO_SCRIPT_USER(user=asked.user), about_host=True)
        elif asked.group is not None and asked.group not in scope.host.groups:
            scope.report.warning(place, ConfigCode.NO_SCRIPT_GROUP(group=asked.group), about_host=True)
    return Programs(
        scope,
        user=asked.user if asked else None,
        group=asked.group if asked else None,
        secure=words.enable_script_security,
        supplementary_groups=bool(words.set_supplementary_groups),
        testing=testing,
    )


def slice(file: File, context: SliceContext) -> WatchdogSlice:
    """What the parent is given."""
    defaults = file.defaults
    titles = {
        "vrrp": defaults.vrrp.process.process_name,
        "checker": defaults.checker_process.process_name,
        "bfd": defaults.bfd_process.process_name,
    }
    refused = {field for keyword, field in _FIELDS_OF_FILES.items() if (keyword, "") in context.refused_files}
    made = to_watchdog(file.root, defaults.daemon, titles, context.programs, context.scope)
    return msgspec.structs.replace(made, **dict.fromkeys(refused)) if refused else made


def facts(file: File, watchdog: WatchdogSlice, context: SliceContext) -> DaemonFacts:
    """What the packages need of the daemon's words."""
    words = file.defaults.daemon
    return DaemonFacts(
        router_id=watchdog.router_id,
        umask=watchdog.umask if context.umask is None else context.umask,
        default_interface=words.default_interface or "eth0",
        iproute_directories=(
            words.reloading.iproute_etc_dir or "/etc/iproute2",
            words.reloading.iproute_usr_dir or "/usr/share/iproute2",
        ),
        process_events_buffer=words.process_monitor_rcv_bufs or 0,
    )
