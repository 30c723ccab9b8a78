"""From the words of the checks of a real server to its checks; what every checker needs for that."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

import msgspec

from kad.checker.check import Followed, Question
from kad.checker.keywords.check_words import ConnectionWords, StreamWords
from kad.checker.keywords.codes import CheckCode
from kad.checker.keywords.default_words import ClientBlock
from kad.checker.keywords.inherit import Inheritance
from kad.checker.keywords.registered_blocks import BLOCKS, CheckWords
from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.keyword import Block
from kad.config.programs import Programs
from kad.config.remark import Remark
from kad.config.values import family_of
from kad.model.checker import Connection, Credentials
from kad.model.tracking import Weight


@dataclass
class CheckResolver:
    """Resolves the checks of one configuration; those that cannot be made are reported, and left out."""

    scope: Scope
    programs: Programs
    files: Mapping[str, Weight]
    """The track_files, with the weight that each has by itself."""
    sessions: Collection[str]
    client: ClientBlock | None = None
    """SSL { }"""
    credentials: dict[str, Credentials] = field(default_factory=dict)
    """All that were needed, by name."""

    def resolve(self, words: CheckWords, above: Inheritance) -> tuple[Question | Followed, ...]:
        """The checks that can be made on this server."""
        written = ((each, blocks) for each in BLOCKS if (blocks := getattr(words, each.keyword)))
        return tuple(check for each, blocks in written for check in each.resolve(blocks, self, above))

    def warn(self, place: Place, remark: Remark, proposal: str = "") -> None:
        self.scope.report.warning(place, remark, proposal=proposal)

    def connection(
        self,
        block: Block,
        above: Inheritance,
        words: ConnectionWords,
        stream: StreamWords | None = None,
        *more: ConnectionWords,
    ) -> Connection:
        """The target and the source of the check in `block`; a source that cannot reach the target is not used."""
        made = above.connection(words, *more, stream=stream)
        if made.bindto is not None and family_of(made.bindto) != family_of(made.address):
            place = self.scope.places.find("bindto", words, *more)
            self.warn(place, CheckCode.BINDTO_OF_OTHER_FAMILY(bindto=made.bindto, address=made.address))
            made = msgspec.structs.replace(made, bindto=None)
        if made.bind_if is None and family_of(made.address) == 6 and ip_address(made.address).is_link_local:
            remark = CheckCode.LINK_LOCAL_NEEDS_INTERFACE(address=made.address)
            self.warn(self.scope.places.of(block), remark, "add bind_if IFNAME")
        return made

    def is_known(self, name: str | None, known: Collection[str], what: str, place: Place) -> bool:
        if name in known:
            return True
        near = difflib.get_close_matches(name, known, n=1) if name else []
        remark = CheckCode.NO_SUCH_TRACKED(what=what, name=name) if name else CheckCode.CHECK_NAMES_NOTHING(what=what)
        self.warn(place, remark, f"did you mean {near[0]}?" if near else "")
        return False
