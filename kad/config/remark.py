"""What a diagnostic says, as values: a code, figures, the object that it speaks of; sentences are printed from them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import msgspec

from kad.model.finding import Figure


class Remark(msgspec.Struct, frozen=True):
    """One finding without its place: two with the same code and subject are the same finding."""

    code: Code
    figures: tuple[tuple[str, Figure], ...] = ()
    owner: str = ""
    """Printed before the sentence: the object that is at fault."""
    consequence: str = ""
    """Printed behind the sentence: what is done about it."""
    more: tuple[Remark, ...] = ()
    """Further findings about the same words."""

    def of(self, owner: str) -> Remark:
        """The same remark about that object; what it already speaks of is a part of it."""
        return msgspec.structs.replace(self, owner=": ".join(filter(None, (owner, self.owner))))

    def then(self, consequence: str) -> Remark:
        """The same remark with what is done about it."""
        return msgspec.structs.replace(self, consequence=consequence)

    @property
    def id(self) -> str:
        """The code, and those of the further remarks: what stays equal when figures change."""
        return "+".join(dict.fromkeys(each.code.id for each in (self, *self.more)))

    @property
    def values(self) -> dict[str, Figure]:
        """The figures by name."""
        return dict(self.figures)

    def __str__(self) -> str:
        own = self.code.sentence(self.figures)
        sentences = [f"{self.owner}: {own}" if self.owner else own, *map(str, self.more)]
        return "; ".join([*sentences, *([self.consequence] if self.consequence else [])])


class Code(enum.Enum):
    """The kinds of findings of one room; the value is the sentence, with its figures in braces."""

    @property
    def id(self) -> str:
        """As it is compared, sent and printed: too-many-addresses."""
        return self.name.lower().replace("_", "-")

    def __call__(self, **figures: Any) -> Remark:
        """The remark with these figures; what is neither text nor number counts as its text."""
        return Remark(self, tuple((name, _figure(value)) for name, value in figures.items()))

    def sentence(self, figures: tuple[tuple[str, Figure], ...]) -> str:
        """The only place where a finding becomes prose."""
        return str(self.value).format(**dict(figures))


def _figure(value: Any) -> Figure:
    return value if isinstance(value, str | int | float) else str(value)


def joined(remarks: Sequence[Remark]) -> Remark:
    """Several remarks about the same words as one; there must be one at least."""
    first, *others = remarks
    return msgspec.structs.replace(first, more=(*first.more, *others))
