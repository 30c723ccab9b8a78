"""The words of the file that speak of the daemon itself, its programs, and its mail."""

import re
from collections.abc import Mapping
from typing import Annotated

from kad.config.build import Scope
from kad.config.codes import ConfigCode
from kad.config.command import Command, command, user_and_group
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, keyword
from kad.config.lines import Word
from kad.config.programs import Programs
from kad.config.values import (
    Value,
    Words,
    Wrong,
    boolean,
    buffer_size,
    each_word,
    flag,
    integer,
    interface_name,
    one_of,
    optional,
    seconds,
    text,
)
from kad.model.daemon import WatchdogSlice
from kad.model.runner import Program


def octal() -> Value:
    """A file mode mask in octal digits, or names joined by |."""
    names = {
        f"I{right}{who}": bit << shift
        for who, shift in (("USR", 6), ("GRP", 3), ("OTH", 0))
        for right, bit in (("R", 4), ("W", 2), ("X", 1))
    }

    def read(words: Words) -> int:
        found = "".join(word.text for word in words)
        bits = {names.get(name, -1) for name in found.split("|")}
        if not found.isdecimal() and -1 in bits:
            raise Wrong(ConfigCode.NOT_A_MASK(found=found))
        if found.isdecimal() and not re.fullmatch("[0-7]+", found):
            raise Wrong(ConfigCode.NOT_OCTAL(found=found))
        mask = int(found, 8) if found.isdecimal() else sum(bits)
        if mask > 0o777:
            raise Wrong(ConfigCode.MASK_TOO_LARGE(found=found))
        return mask

    return Value(
        arguments="<OCTAL or IRUSR|IWUSR ...>",
        pattern=r"\s+([0-7]{1,4})",
        read=read,
        write=lambda mask: f"0{mask:o}",
        most=None,
    )


_SUFFIXES = {"vrrp": "vrrp", "checker": "lvs", "bfd": "bfd"}
"""What process_names puts behind keepalived_, by child."""
_CHECKS = ("read", "match", "wildcard_match", "brace_match")


def include_checks() -> Value:
    """[+|-]CHECK ...; nothing means all of them."""

    def read(word: Word) -> str:
        if word.text.lstrip("+-") not in _CHECKS:
            raise Wrong(ConfigCode.NOT_ONE_OF(text=word.text, choices=", ".join(_CHECKS)))
        return word.text

    return Value(
        arguments="[[+ or -]<read or match or wildcard_match or brace_match> ...]",
        pattern="",
        read=lambda words: each_word(words, read) or _CHECKS,
        write=" ".join,
        least=0,
        most=None,
    )


class RootWords(Block, frozen=True, kw_only=True):
    """Words of the top level that speak of the daemon."""

    net_namespace: Annotated[
        str | None,
        keyword(
            text("NAME"),
            "everything runs in it",
            effect=False,
            refused="addresses and services would be those of another network namespace",
            missing=Complaint.GENERAL,
            unique=True,
        ),
    ] = None
    net_namespace_ipvs: Annotated[
        str | None,
        keyword(
            optional(text("NAME"), ""),
            "where the IPVS table is",
            default="net_namespace",
            effect=False,
            refused="the virtual servers would be in the table of another network namespace",
            unique=True,
        ),
    ] = None
    namespace_with_ipsets: Annotated[bool, keyword(flag(), "ipsets are used in a namespace", effect=False)] = False
    use_pid_dir: Annotated[bool, keyword(flag(), "pid files go into a directory of their own", effect=False)] = False
    instance: Annotated[
        str | None,
        keyword(
            text("NAME"), "name of this daemon beside others", effect=False, missing=Complaint.GENERAL, unique=True
        ),
    ] = None
    child_wait_time: Annotated[
        int | None, keyword(integer(0), "seconds that child processes have to end", default="5")
    ] = None
    linkbeat_use_polling: Annotated[bool, keyword(flag(), "links are polled each second")] = False


class ScriptGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about the programs that are run."""

    script_user: Annotated[
        Command | None,
        keyword(
            user_and_group(),
            "user that runs programs",
            default="keepalived_script, else the daemon's user",
            missing=Complaint.GENERAL,
        ),
    ] = None
    enable_script_security: Annotated[bool, keyword(flag(), "programs that others can change are not run by root")] = (
        False
    )
    use_symlink_paths: Annotated[
        bool | None, keyword(boolean(), "paths of programs keep symbolic links", effect=False)
    ] = None
    set_supplementary_groups: Annotated[
        bool | None, keyword(boolean(), "programs get the other groups of their user")
    ] = None
    startup_script: Annotated[
        Command | None, keyword(command(), "run before the children start", missing=Complaint.GENERAL, unique=True)
    ] = None
    startup_script_timeout: Annotated[
        int | None,
        keyword(integer(1, 1000), "seconds until it is killed", default="10", missing=Complaint.GENERAL),
    ] = None
    shutdown_script: Annotated[
        Command | None, keyword(command(), "run after the children ended", missing=Complaint.GENERAL, unique=True)
    ] = None
    shutdown_script_timeout: Annotated[
        int | None,
        keyword(integer(1, 1000), "seconds until it is killed", default="10", missing=Complaint.GENERAL),
    ] = None


class ReloadGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about reading files again, and about the files that are written."""

    reload_check_config: Annotated[
        str | None,
        keyword(
            optional(text("LOG FILE"), ""), "a reload is tried first, as kad always does; what was found is in LOG FILE"
        ),
    ] = None
    reload_time_file: Annotated[
        str | None,
        keyword(text("PATH"), "says when to reload", missing=Complaint.GENERAL, exact=True),
    ] = None
    reload_repeat: Annotated[bool, keyword(flag(), "that time comes each day")] = False
    reload_file: Annotated[
        str | None,
        keyword(optional(text("PATH"), ""), "exists while files are read", default="keepalived.reload"),
    ] = None
    include_check: Annotated[
        tuple[str, ...] | None,
        keyword(include_checks(), "which failures of a plain include are errors", default="none"),
    ] = None
    config_save_dir: Annotated[str | None, keyword(text("DIR"), "gets a copy of each configuration", effect=False)] = (
        None
    )
    tmp_config_directory: Annotated[
        str | None,
        keyword(
            text("DIR"), "where the copy for the children is", effect=False, missing=Complaint.GENERAL, unique=True
        ),
    ] = None
    umask: Annotated[int | None, keyword(octal(), "mode mask of created files", default="0177")] = None
    data_use_instance: Annotated[
        bool | None, keyword(boolean(), "names of dumps hold instance and namespace", effect=False)
    ] = None
    json_version: Annotated[
        int | None,
        keyword(integer(1, 2), "shape of the JSON dump", default="1", effect=False, missing=Complaint.GENERAL),
    ] = None
    state_dump_file: Annotated[str | None, keyword(text("PATH"), "where USR1 writes", effect=False)] = None
    stats_dump_file: Annotated[str | None, keyword(text("PATH"), "where USR2 writes", effect=False)] = None
    json_dump_file: Annotated[str | None, keyword(text("PATH"), "where JSON is written", effect=False)] = None
    iproute_usr_dir: Annotated[
        str | None,
        keyword(text("DIR"), "the vendor's names of tables and scopes", default="/usr/share/iproute2"),
    ] = None
    iproute_etc_dir: Annotated[
        str | None, keyword(text("DIR"), "this host's names of tables and scopes", default="/etc/iproute2")
    ] = None


class DaemonGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about the daemon as a whole."""

    router_id: Annotated[
        str | None,
        keyword(text("STRING"), "the name of this host in mail", default="the host name", missing=Complaint.GENERAL),
    ] = None
    process_name: Annotated[
        str | None, keyword(optional(text("NAME", longest=15), ""), "title of the parent", default="keepalived")
    ] = None
    process_names: Annotated[bool, keyword(flag(), "each child has a title of its own")] = False
    vrrp_handover: Annotated[
        bool | None,
        keyword(boolean(), "a MASTER that stops keeps its addresses until another has them", default="true"),
    ] = None
    watchdog_device: Annotated[
        str | None, keyword(text("PATH"), "a hardware watchdog, fed while every child answers")
    ] = None
    child_deaf_time: Annotated[
        float | None, keyword(seconds(0.3, 60), "silence after which a child is replaced", default="2")
    ] = None
    default_interface: Annotated[
        str | None,
        keyword(
            interface_name(),
            "for static addresses without dev, and for those of an instance without interface",
            default="eth0",
            missing=Complaint.GENERAL,
        ),
    ] = None
    dynamic_interfaces: Annotated[
        str | None,
        keyword(
            optional(one_of("allow_if_changes"), "", ignores_wrong=True),
            "interfaces may come later; in kad they always may",
        ),
    ] = None
    max_auto_priority: Annotated[
        int | None,
        keyword(optional(integer(-1, 99), 99), "priority rises when timers are late", default="0", effect=False),
    ] = None
    min_auto_priority_delay: Annotated[
        int | None,
        keyword(
            integer(1, 10000000),
            "microseconds of lateness that raise it",
            default="1000000",
            effect=False,
            missing=Complaint.GENERAL,
        ),
    ] = None
    random_seed: Annotated[
        int | None, keyword(integer(0, 4294967295), "of the spread of checks", default="the time", effect=False)
    ] = None
    process_monitor_rcv_bufs: Annotated[
        int | None,
        keyword(
            buffer_size(),
            "bytes of the process connector",
            default="4194304",
            missing=Complaint.GENERAL,
        ),
    ] = None
    process_monitor_rcv_bufs_force: Annotated[
        bool | None, keyword(boolean(), "beyond the limit of the kernel; kad always does, where it may")
    ] = None
    scripts: Annotated[ScriptGlobals, Inline()]
    reloading: Annotated[ReloadGlobals, Inline()]


def to_watchdog(
    words: RootWords, defaults: DaemonGlobals, titles: Mapping[str, str | None], programs: Programs, scope: Scope
) -> WatchdogSlice:
    """What the parent is given."""
    scripts, reloading = defaults.scripts, defaults.reloading

    def program(name: str, command: Command | None) -> Program | None:
        if command is None:
            return None
        klass = Complaint.GENERAL if command.user is not None else Complaint.NONE
        return programs.make(command, f"daemon/{name}", scope.places.of(scripts, name), klass=klass)

    return WatchdogSlice(
        child_wait_time=float(5 if words.child_wait_time is None else words.child_wait_time),
        instance=words.instance,
        net_namespace=words.net_namespace,
        use_pid_dir=words.use_pid_dir,
        router_id=defaults.router_id or scope.host.name,
        process_name=defaults.process_name or None,
        process_names={
            child: title or f"keepalived_{_SUFFIXES[child]}"
            for child, title in titles.items()
            if title is not None or defaults.process_names
        },
        startup_script=program("startup_script", scripts.startup_script),
        startup_script_timeout=float(scripts.startup_script_timeout or 10),
        shutdown_script=program("shutdown_script", scripts.shutdown_script),
        shutdown_script_timeout=float(scripts.shutdown_script_timeout or 10),
        reload_check_log=reloading.reload_check_config or None,
        reload_time_file=reloading.reload_time_file,
        reload_repeat=reloading.reload_repeat,
        reload_file=reloading.reload_file,
        handover=defaults.vrrp_handover is not False,
        watchdog_device=defaults.watchdog_device,
        deaf_after=defaults.child_deaf_time or 2.0,
        umask=0o177 if reloading.umask is None else reloading.umask,
    )
