"""What joins several words of a check: what it cannot do without, and names that must exist."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from kad.check.keywords.checks import CheckWords, ConnectionWords, HttpBlock, SslBlock
from kad.config.build import Scope
from kad.config.programs import Programs
from kad.config.tree import Complaint, Place
from kad.config.values import family_of


@dataclass
class Checks:
    """Judges the checks of one configuration; what cannot be made has been said and is left out."""

    scope: Scope
    programs: Programs
    files: Collection[str]
    sessions: Collection[str]

    def judge(self, words: CheckWords, server: str) -> tuple[str, ...]:
        """The names of the checks that can be made on this server."""
        kept = ["TCP_CHECK" for check in words.tcp if self._connects(check.connection)]
        kept += ["HTTP_GET" for check in words.http if self._has_url(check, "HTTP_GET")]
        kept += ["SSL_GET" for check in words.ssl if self._has_url(check, "SSL_GET")]
        kept += ["SMTP_CHECK" for check in words.smtp if self._connects(check.connection)]
        kept += ["DNS_CHECK" for check in words.dns if self._connects(check.connection)]
        kept += ["UDP_CHECK" for check in words.udp if self._connects(check.connection)]
        kept += ["PING_CHECK" for check in words.ping if self._connects(check.connection)]
        for misc in words.misc:
            place = self.scope.places.of(misc)
            if misc.misc_path is None:
                self._warn(place, "MISC_CHECK has no misc_path; it is ignored", 'add misc_path "COMMAND"')
                continue
            at = self.scope.places.of(misc, "misc_path")
            klass = Complaint.GENERAL if misc.user is not None else Complaint.NONE
            if self.programs.make(misc.misc_path, f"{server}/misc_path", at, misc.user, klass) is not None:
                kept.append("MISC_CHECK")
        if sum(misc.misc_dynamic for misc in words.misc) > 1:
            place = self.scope.places.of(words.misc[-1], "misc_dynamic")
            self.scope.report.note(place, f"{server} has more than one misc_dynamic; the first one sets the weight")
        for file in words.file:
            place = self.scope.places.of(file, "track_file")
            kept += ["FILE_CHECK"] if self._is_known(file.track_file, self.files, "track_file", place) else []
        for bfd in words.bfd:
            place = self.scope.places.of(bfd, "name")
            kept += ["BFD_CHECK"] if self._is_known(bfd.name, self.sessions, "bfd_instance", place) else []
        return tuple(kept)

    def _warn(self, place: Place, text: str, proposal: str = "") -> None:
        self.scope.report.warning(place, text, proposal=proposal)

    def _connects(self, words: ConnectionWords) -> bool:
        """The source can reach the target; a source that cannot is not used."""
        source, target = words.bindto, words.connect_ip
        if source is not None and target is not None and family_of(source) != family_of(target):
            place = self.scope.places.of(words, "bindto")
            self._warn(place, f"bindto {source} is not of the family of connect_ip {target}; it is ignored")
        return True

    def _has_url(self, check: HttpBlock | SslBlock, name: str) -> bool:
        self._connects(check.common.connection)
        paths = 0
        for url in check.url:
            if url.request.path is None:
                self._warn(self.scope.places.of(url), "this url has no path; it is ignored", "add path /")
            else:
                paths += 1
        if not paths:
            self._warn(self.scope.places.of(check), f"{name} has no url; it is ignored", "add url { path / }")
        return bool(paths)

    def _is_known(self, name: str | None, known: Collection[str], what: str, place: Place) -> bool:
        if name in known:
            return True
        near = difflib.get_close_matches(name, known, n=1) if name else []
        text = (
            f"there is no {what} {name}; the check is ignored" if name else f"the check names no {what}; it is ignored"
        )
        self._warn(place, text, f"did you mean {near[0]}?" if near else "")
        return False
