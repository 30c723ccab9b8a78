"""BFD_CHECK: the server is up while the BFD session with its neighbour is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Followed, FollowedVerdict
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, keyword
from kad.config.values import boolean, text
from kad.shared.messages import Observation

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance


class BfdCheck(Followed, frozen=True, kw_only=True, tag="BFD_CHECK"):
    """A BFD session is up; the server is presumed well until that is known, or, with `alpha`, failed."""

    name: str
    """Of the bfd_instance."""
    alpha: bool = False

    @property
    def is_alpha(self) -> bool:
        return self.alpha

    @property
    def followed(self) -> tuple[str, str] | None:
        return "bfd", self.name

    def judge(self, observed: Observation | None) -> FollowedVerdict:
        if observed is None or observed.value is None:
            return FollowedVerdict(not self.alpha, f"bfd_instance {self.name} says nothing yet", known=False)
        return FollowedVerdict(observed.value == 1, observed.reason)


class BfdCheckBlock(Block, frozen=True, kw_only=True):
    """BFD_CHECK { }: it follows a BFD session."""

    name: Annotated[str | None, keyword(text("NAME"), "a bfd_instance", missing=Complaint.GENERAL)] = None
    alpha: Annotated[bool | None, keyword(boolean(), "failed until it is up", default="that of the real_server")] = None


def resolve(blocks: tuple[BfdCheckBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[BfdCheck]:
    for block in blocks:
        if resolver.is_known(block.name, resolver.sessions, "bfd_instance", resolver.scope.places.of(block, "name")):
            assert block.name is not None
            yield BfdCheck(name=block.name, alpha=above.alpha if block.alpha is None else block.alpha)


_MAIL = ("BFD CHECK {target} succeeded on service", "BFD CHECK {target} failed on service")
CHECKER = Checker(BfdCheck, 100, (CheckBlock("BFD_CHECK", BfdCheckBlock, "a session decides", resolve, _MAIL),))
