"""FILE_CHECK: the number in a tracked file moves the weight of the server, or takes it down."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from kad.checker.check import CheckBlock, Checker, Followed, FollowedVerdict
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, keyword
from kad.config.values import text
from kad.model.tracking import Weight
from kad.shared.messages import Observation
from kad.tracking.item_words import weight_up_to

if TYPE_CHECKING:
    from kad.checker.keywords.check_resolver import CheckResolver
    from kad.checker.keywords.inherit import Inheritance

DOWN = -2147483648
"""A product at or below it means down."""


class FileCheck(Followed, frozen=True, kw_only=True, tag="FILE_CHECK"):
    """The number in a file, times `weight`, is added to the weight of the server."""

    name: str
    """Of the track_file."""
    weight: int = 1
    """0: any number but 0 means down."""
    reverse: bool = False

    @property
    def followed(self) -> tuple[str, str] | None:
        return "file", self.name

    def judge(self, observed: Observation | None) -> FollowedVerdict:
        return judge(self, None if observed is None or observed.deleted else observed.value)


def judge(check: FileCheck, number: int | None) -> FollowedVerdict:
    """`number` None: the file was not read yet, or holds no number."""
    if number is None:
        return FollowedVerdict(True, f"track_file {check.name} says nothing yet")
    said = f"track_file {check.name} holds {number}"
    if check.weight == 0:
        return FollowedVerdict((number == 0) is not check.reverse, said)
    product = number * (-check.weight if check.reverse else check.weight)
    if product <= DOWN:
        return FollowedVerdict(False, f"{said}, times {check.weight} is {product}")
    return FollowedVerdict(True, said, weight_change=product)


class FileCheckBlock(Block, frozen=True, kw_only=True):
    """FILE_CHECK { }: it reads a tracked file."""

    track_file: Annotated[str | None, keyword(text("NAME"), "a track_file block")] = None
    weight: Annotated[
        Weight | None,
        keyword(
            weight_up_to(2147483647),
            "multiplies the number",
            default="that of the file",
            missing=Complaint.GENERAL,
            exact=True,
        ),
    ] = None


def resolve(blocks: tuple[FileCheckBlock, ...], resolver: "CheckResolver", above: "Inheritance") -> Iterator[FileCheck]:
    for block in blocks:
        place = resolver.scope.places.of(block, "track_file")
        if resolver.is_known(block.track_file, resolver.files, "track_file", place):
            assert block.track_file is not None
            weight = block.weight or resolver.files[block.track_file]
            yield FileCheck(name=block.track_file, weight=weight.number, reverse=weight.reverse)


CHECKER = Checker(FileCheck, 90, (CheckBlock("FILE_CHECK", FileCheckBlock, "a file decides", resolve),))
