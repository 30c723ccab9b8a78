"""The words of the file that speak of the daemon itself, its programs, and its mail."""

from __future__ import annotations

import re
from typing import Annotated

from kad.config.build import Scope
from kad.config.command import Command, command, user_and_group
from kad.config.daemon import WatchdogSlice
from kad.config.keyword import Block, entries, keyword
from kad.config.programs import Programs
from kad.config.tree import Complaint
from kad.config.values import Value, Words, Wrong, boolean, flag, integer, optional, seconds, text, texts
from kad.run.keywords import Program


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
            raise Wrong(f"{found} is neither an octal mask nor names like IRUSR|IWUSR")
        if found.isdecimal() and not re.fullmatch("[0-7]+", found):
            raise Wrong(f"{found} is not octal")
        mask = int(found, 8) if found.isdecimal() else sum(bits)
        if mask > 0o777:
            raise Wrong(f"{found} is above 0777")
        return mask

    return Value(
        arguments="<OCTAL or IRUSR|IWUSR ...>",
        pattern=r"\s+([0-7]{1,4})",
        read=read,
        write=lambda mask: f"0{mask:o}",
        most=None,
    )


class RootWords(Block, frozen=True, kw_only=True):
    """Words of the top level that speak of the daemon."""

    net_namespace: Annotated[str | None, keyword(text("NAME"), "everything runs in it", effect=False)] = None
    use_pid_dir: Annotated[bool, keyword(flag(), "pid files go into a directory of their own", effect=False)] = False
    instance: Annotated[str | None, keyword(text("NAME"), "name of this daemon beside others", effect=False)] = None
    child_wait_time: Annotated[
        int | None, keyword(integer(0), "seconds that children may take to leave", default="5")
    ] = None


class DaemonGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about the daemon, its programs and its mail."""

    router_id: Annotated[
        str | None,
        keyword(text("STRING"), "the name of this host in mail", default="the host name", missing=Complaint.GENERAL),
    ] = None
    process_name: Annotated[str | None, keyword(optional(text("NAME", longest=15), None), "title of the parent")] = None
    process_names: Annotated[bool, keyword(flag(), "each child has a title of its own")] = False
    vrrp_process_name: Annotated[str | None, keyword(text("NAME", longest=15), "title of the vrrp process")] = None
    checker_process_name: Annotated[
        str | None,
        keyword(text("NAME", longest=15), "title of the checker process", deprecated=("lvs_process_name",)),
    ] = None
    notification_email: Annotated[
        tuple[tuple[str, ...], ...], entries(texts("ADDRESS"), "who gets mail", effect=False)
    ] = ()
    notification_email_from: Annotated[
        str | None, keyword(text("ADDRESS"), "who mail is from", default="user@host", effect=False)
    ] = None
    smtp_server: Annotated[tuple[str, ...] | None, keyword(texts("HOST [PORT]"), "takes the mail", effect=False)] = None
    smtp_helo_name: Annotated[str | None, keyword(text("STRING"), "said in HELO", effect=False)] = None
    smtp_connect_timeout: Annotated[
        int | None, keyword(integer(1, 4294, raised=True), "seconds for each step", default="30", effect=False)
    ] = None
    smtp_alert: Annotated[bool | None, keyword(boolean(), "default of every smtp_alert", effect=False)] = None
    smtp_alert_vrrp: Annotated[
        bool | None, keyword(boolean(), "default for instances and groups", default="smtp_alert", effect=False)
    ] = None
    script_user: Annotated[
        Command | None, keyword(user_and_group(), "who runs programs", default="keepalived_script, else the daemon's")
    ] = None
    enable_script_security: Annotated[bool, keyword(flag(), "programs that others can change are not run by root")] = (
        False
    )
    startup_script: Annotated[Command | None, keyword(command(), "run before the children start")] = None
    startup_script_timeout: Annotated[
        int | None, keyword(integer(1, 1000), "seconds until it is killed", default="10")
    ] = None
    shutdown_script: Annotated[Command | None, keyword(command(), "run after the children ended")] = None
    shutdown_script_timeout: Annotated[
        int | None, keyword(integer(1, 1000), "seconds until it is killed", default="10")
    ] = None
    vrrp_handover: Annotated[
        bool | None,
        keyword(boolean(), "a MASTER that stops keeps its addresses until another has them", default="true"),
    ] = None
    child_deaf_time: Annotated[
        float | None, keyword(seconds(0.3, 60), "silence after which a child is replaced", default="2")
    ] = None
    umask: Annotated[int | None, keyword(octal(), "mode mask of created files", default="0177")] = None
    reload_check_config: Annotated[
        str | None, keyword(optional(text("LOG FILE"), ""), "a reload is tried first; kad always does")
    ] = None
    reload_time_file: Annotated[str | None, keyword(text("PATH"), "says when to reload", effect=False)] = None
    reload_repeat: Annotated[bool, keyword(flag(), "that time comes each day", effect=False)] = False
    reload_file: Annotated[
        str | None, keyword(optional(text("PATH"), ""), "exists while files are read", effect=False)
    ] = None


def to_watchdog(words: RootWords, defaults: DaemonGlobals, programs: Programs, scope: Scope) -> WatchdogSlice:
    """What the parent is given."""

    def program(name: str, command: Command | None) -> Program | None:
        return programs.make(command, f"daemon/{name}", scope.places.of(defaults, name)) if command else None

    titles = {"vrrp": defaults.vrrp_process_name, "checker": defaults.checker_process_name}
    if defaults.process_names:
        titles = {"vrrp": titles["vrrp"] or "keepalived_vrrp", "checker": titles["checker"] or "keepalived_lvs"}
    return WatchdogSlice(
        child_wait_time=float(5 if words.child_wait_time is None else words.child_wait_time),
        instance=words.instance,
        net_namespace=words.net_namespace,
        use_pid_dir=words.use_pid_dir,
        router_id=defaults.router_id or scope.host.name,
        process_name=defaults.process_name,
        process_names={child: title for child, title in titles.items() if title is not None},
        startup_script=program("startup_script", defaults.startup_script),
        startup_script_timeout=float(defaults.startup_script_timeout or 10),
        shutdown_script=program("shutdown_script", defaults.shutdown_script),
        shutdown_script_timeout=float(defaults.shutdown_script_timeout or 10),
        reload_check_config=defaults.reload_check_config is not None,
        reload_time_file=defaults.reload_time_file,
        reload_repeat=defaults.reload_repeat,
        reload_file=defaults.reload_file,
        handover=defaults.vrrp_handover is not False,
        deaf_after=defaults.child_deaf_time or 2.0,
        umask=0o177 if defaults.umask is None else defaults.umask,
    )
