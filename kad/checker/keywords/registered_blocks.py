"""The blocks of real_server that say how it is checked: those of every checker."""

from typing import TYPE_CHECKING, Annotated

import msgspec

from kad.checker.registry import CHECKERS
from kad.config.keyword import Block, block

BLOCKS = tuple(each for checker in CHECKERS for each in checker.blocks)

if TYPE_CHECKING:

    class CheckWords(Block, frozen=True, kw_only=True):
        """The checks of one real server: a tuple of blocks by keyword."""

else:
    CheckWords = msgspec.defstruct(
        "CheckWords",
        [
            (each.keyword, Annotated[tuple[each.block, ...], block(each.block, each.help, collected=True)], ())
            for each in BLOCKS
        ],
        bases=(Block,),
        module=__name__,
        frozen=True,
        kw_only=True,
    )
