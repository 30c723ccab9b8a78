"""From a command line of the file to a program that can be run: shell, path, user, and how safe it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kad.config.build import Scope
from kad.config.codes import ConfigCode
from kad.config.command import Command, is_for_shell, split
from kad.config.diagnostics import Complaint, Place
from kad.config.native_commands import recognise
from kad.config.remark import Remark
from kad.config.script_security import first_unsafe, search
from kad.model.host import FileLook
from kad.model.runner import Program
from kad.model.tracking import Probe

_GROUP_WRITES, _OTHERS_WRITE = 0o020, 0o002
_SHELLS = ("/bin/bash", "/bin/sh")
_DEFAULT_USER = "keepalived_script"
_REDIRECTION = re.compile(r"[0-9]*[<>]|&>")
_SHELL_OWN = re.compile(r"(?:\[\[?|!|\(|\{|if|while|for|until|case|test|exit|true|false|cd|set|export|:|\.|\w+=.*)\Z")


@dataclass
class Programs:
    """Makes the programs of one configuration, with the user and the security that global_defs ask for."""

    scope: Scope
    user: str | None = None
    group: str | None = None
    secure: bool = False
    """enable_script_security."""
    supplementary_groups: bool = False
    testing: bool = False
    """-t: a tracked check that cannot run is an error."""
    first: Place | None = None
    """Where the first script stands, if there is any."""
    made: list[Program] = field(default_factory=list)
    """Every program so far, in the order of the file."""
    _klass: Complaint = Complaint.NONE
    """Of a user that is missing."""
    _missing: Complaint = Complaint.NONE
    """Of a program that is missing."""
    _need: str = ""
    """What becomes of a check whose program cannot run."""
    _tracked: bool = False

    def make(
        self,
        command: Command,
        identity: str,
        place: Place,
        user: Command | None = None,
        klass: Complaint = Complaint.NONE,
    ) -> Program | None:
        """The program, or None when it cannot run, which has then been said; `klass` is that of a missing one."""
        self._klass, self._missing, self._need, self._tracked = klass, klass, "the program is not run", False
        name, group = self._names(command, user)
        proposal = _quoted(command)
        if self._lacks_user(name, place, self._need) or not self._exists(name, group, place, proposal=proposal):
            return None
        words = split(command.text)
        shell = is_for_shell(command.text)
        argv = self._shell(command.text, place) if shell else self._found(words, place, name)
        if argv is None or not self._is_safe(argv, argv[-1] if shell else "", name, place):
            return None
        return self._made(command, identity, place, (name, group), argv)

    def make_check(
        self,
        command: Command,
        identity: str,
        place: Place,
        user: Command | None,
        *,
        native: bool,
        tracked: bool,
        missing: Complaint = Complaint.GENERAL,
    ) -> tuple[Program, str] | None:
        """The program of a vrrp_script or MISC_CHECK, whatever stands in its way, and why it must never be run, if so.

        A program that is missing now, a complaint of the class `missing`, is tried again and again: until it is there,
        its check has failed. None: there is no user to run it, and there is no check.
        With `native` a command that only asks whether something lives is answered without running anything.
        """
        self._klass, self._missing = Complaint.GENERAL, missing
        self._need, self._tracked = "its check fails until it can be run", tracked
        name, group = self._names(command, user)
        probe = recognise(command.text) if native else None
        if probe is not None:
            return self._asking(probe, command, identity, place, (name, group)), ""
        if self._lacks_user(name, place, "the check is ignored"):
            return None
        first, words = self.first, split(command.text)
        argv: tuple[str, ...] | None = None
        shell = is_for_shell(command.text)
        if self._exists(name, group, place):
            argv = self._shell(command.text, place) if shell else self._found(words, place, name)
        safe = argv is None or self._is_safe(argv, argv[-1] if shell else "", name, place)
        made = self._made(command, identity, place, (name, group), argv or _unfound(command.text))
        if argv is None and self._search(words[0]) is None:
            self.first = first  # nothing that could be run without security
        return made, "" if safe else "enable_script_security forbids to run it"

    def _made(
        self,
        command: Command,
        identity: str,
        place: Place,
        names: tuple[str | None, str | None],
        argv: tuple[str, ...],
        probe: Probe | None = None,
    ) -> Program:
        user, group = names
        made = Program(
            id=identity,
            text=command.text,
            argv=argv,
            shell=is_for_shell(command.text),
            user=user,
            group=group,
            supplementary_groups=self.supplementary_groups,
            probe=probe,
            is_secured=self.secure,
        )
        self.made.append(made)
        self.first = self.first or place
        return made

    def _asking(
        self, probe: Probe, command: Command, identity: str, place: Place, names: tuple[str | None, str | None]
    ) -> Program:
        """Whether the tool is there, and whether the user may use it, does not matter."""
        words = split(command.text)
        if is_for_shell(command.text):
            words = (_SHELLS[0], "-c", command.text.replace('\\"', '"'))
        self.scope.report.note(place, ConfigCode.CHECKED_NATIVELY(command=command.text, probe=probe))
        return self._made(command, identity, place, names, words, probe)

    def _names(self, command: Command, user: Command | None) -> tuple[str | None, str | None]:
        for source in (command, user):
            if source is not None and source.user is not None:
                return source.user, source.group
        if self.user is not None:
            return self.user, self.group
        return (_DEFAULT_USER, None) if _DEFAULT_USER in self.scope.host.users else (None, None)

    def owner(self, names: Sequence[str], place: Place) -> Command | None:
        """Whom a file of ours belongs to: USER [GROUP], or who runs programs; None: unknown, which has been said."""
        written = Command(text="", user=names[0], group="".join(names[1:2]) or None) if names else None
        user, group = self._names(Command(text=""), written)
        self._klass, self._tracked = Complaint.NONE, False
        self._lacks_user(user, place, "the file belongs to root")
        if not self._exists(user, group, place, "it is ignored"):
            return None
        return Command(text="", user=user, group=group)

    def _exists(
        self, user: str | None, group: str | None, place: Place, consequence: str = "", proposal: str = ""
    ) -> bool:
        host = self.scope.host
        for name, known, what in ((user, host.users, "user"), (group, host.groups, "group")):
            if name is not None and name not in known:
                remark = ConfigCode.NO_SUCH_USER(what=what, name=name, consequence=consequence or self._need)
                self._absent(place, remark, self._klass, proposal)
                return False
        return True

    def _lacks_user(self, user: str | None, place: Place, consequence: str) -> bool:
        """With enable_script_security, root runs only programs that name root as user. True: refused, reported."""
        if user is not None or not self.secure or self.scope.host.uid != 0:
            return False
        remark = ConfigCode.NEEDS_DEFAULT_USER(default_user=_DEFAULT_USER, consequence=consequence)
        proposal = f"add script_user USER to global_defs, or create the user {_DEFAULT_USER}"
        self.scope.report.warning(place, remark, proposal=proposal, about_host=True)
        return True

    def _absent(self, place: Place, remark: Remark, klass: Complaint, proposal: str = "") -> None:
        if self._tracked and self.testing and klass is not Complaint.NONE:
            self.scope.report.error(place, remark, proposal=proposal, klass=klass)
        else:
            self.scope.report.warning(place, remark, proposal=proposal, klass=klass, about_host=True)

    def _shell(self, text: str, place: Place) -> tuple[str, ...] | None:
        for shell in _SHELLS:
            if self.scope.host.files.look(shell) is not None:
                unescaped = text.replace('\\"', '"')
                self.scope.report.note(place, ConfigCode.NEEDS_SHELL(text=text, shell=shell))
                self._look_inside(text, place)
                return (shell, "-c", unescaped)
        self._absent(place, ConfigCode.NO_SHELL(text=text, shells=" nor ".join(_SHELLS)), self._missing)
        return None

    def _look_inside(self, text: str, place: Place) -> None:
        """Say when the first program that the shell would start is not there."""
        name = _first_word(text)
        if _SHELL_OWN.match(name) or _REDIRECTION.match(name) or "$" in name or "`" in name:
            return
        if self._search(name) is None:
            self.scope.report.note(place, ConfigCode.INNER_PROGRAM_NOT_FOUND(name=name), about_host=True)

    def _found(self, words: tuple[str, ...], place: Place, user: str | None) -> tuple[str, ...] | None:
        path = self._search(words[0])
        if path is None:
            self._absent(place, ConfigCode.PROGRAM_NOT_FOUND(word=words[0], need=self._need), self._missing)
            return None
        look = self.scope.host.files.look(path)
        if look is None or look.kind != "file" or not self._executable(look, user):
            remark = ConfigCode.NOT_EXECUTABLE(path=path, user=user or "this user", need=self._need)
            self._absent(place, remark, self._missing)
            return None
        begin = self.scope.host.files.begins(path)
        if begin is not None and not begin.startswith(b"#!") and b"\0" not in begin:
            self.scope.report.note(place, ConfigCode.WITHOUT_INTERPRETER(path=path), about_host=True)
        return (path, *words[1:])

    def _search(self, name: str) -> str | None:
        host = self.scope.host
        return search(name, host.files, host.environment, host.cwd)

    def _uid(self, user: str | None) -> int:
        if user is None:
            return self.scope.host.uid
        return self.scope.host.users[user][0]

    def _executable(self, look: FileLook, user: str | None) -> bool:
        uid = self._uid(user)
        if uid == 0:
            return bool(look.mode & 0o111)
        if look.uid == uid:
            return bool(look.mode & 0o100)
        gid = self.scope.host.users[user][1] if user in self.scope.host.users else None
        return bool(look.mode & (0o010 if look.gid == gid else 0o001))

    def _is_safe(self, argv: Sequence[str], line: str, user: str | None, place: Place) -> bool:
        """What root runs may be changed by root alone."""
        host, is_root = self.scope.host, self._uid(user) == 0
        unsafe = first_unsafe(argv, line, is_root=is_root, files=host.files, environment=host.environment, cwd=host.cwd)
        if line and is_root and self.secure:
            remark = ConfigCode.SHELL_LINE_NOT_JUDGED()
            self.scope.report.note(place, remark, proposal="write a script, and its path alone")
        if unsafe is None:
            return True
        consequence = "enable_script_security forbids to run it" if self.secure else "it is run anyway"
        path, part = unsafe
        remark = ConfigCode.UNSAFE_PROGRAM(part=part, path=path, consequence=consequence)
        remedy = self._remedy(part)
        if self.secure and self._tracked and self.testing:
            self.scope.report.error(place, remark, proposal=remedy, klass=Complaint.SECURITY)
        else:
            self.scope.report.warning(place, remark, proposal=remedy, klass=Complaint.SECURITY, about_host=True)
        return not self.secure

    def _remedy(self, path: str) -> str:
        """Who can change it, and what takes that away."""
        look = self.scope.host.files.look_at_link(path)
        if look is None:
            return f"anybody can put something there: let root make {path}"
        said = []
        if look.uid != 0:
            users = {name: numbers[0] for name, numbers in self.scope.host.users.items()}
            said.append(
                f"it belongs to {_name_of(look.uid, users)}: chown {'-h ' if look.kind == 'link' else ''}root {path}"
            )
        if look.mode & _GROUP_WRITES and look.gid != 0 and look.kind != "link":
            said.append(f"the group {_name_of(look.gid, self.scope.host.groups)} may write: chmod g-w {path}")
        if look.mode & _OTHERS_WRITE and look.kind != "link":
            said.append(f"everybody may write: chmod o-w {path}")
        return "; ".join(said)

    def conclude(self) -> None:
        """Say once that scripts run without enable_script_security."""
        if self.first is not None and not self.secure:
            self.scope.report.warning(
                self.first,
                ConfigCode.NO_SCRIPT_SECURITY(),
                proposal="put enable_script_security and script_user into global_defs",
                klass=Complaint.SECURITY,
                about_host=True,
            )


def _quoted(command: Command) -> str:
    """What is read as a user is an argument, where the command is not quoted."""
    if command.user is None:
        return ""
    return f'quote the whole command: "{" ".join(filter(None, (command.text, command.user, command.group)))}"'


def _unfound(text: str) -> tuple[str, ...]:
    """What is tried again and again until it can be run."""
    return (_SHELLS[-1], "-c", text) if is_for_shell(text) else split(text)


def _name_of(number: int, names: Mapping[str, int]) -> str:
    return next((name for name, own in names.items() if own == number), str(number))


def _first_word(text: str) -> str:
    words = split(text)
    return words[0] if words else ""
