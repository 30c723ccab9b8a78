"""One tracked thing as an instance or a group names it, and the words that say so."""

from __future__ import annotations

import re

import msgspec

from kad.config.lines import Word
from kad.config.values import WORD, Complaints, Value, Words, Wrong, quote
from kad.model.tracking import Weight
from kad.tracking.codes import TrackCode


class TrackLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a track_ block: a name and, where written, its weight."""

    name: str
    weight: int | None = None
    """None: the weight of what is tracked."""
    reverse: bool | None = None


def _to_weight(word: Word, most: int, index: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", word.text):
        raise Wrong(TrackCode.WEIGHT_NOT_A_NUMBER(word=word.text), index)
    number = int(word.text)
    if abs(number) > most:
        raise Wrong(TrackCode.WEIGHT_OUT_OF_BOUNDS(number=number, most=most), index)
    return number


def weight_up_to(most: int) -> Value:
    """N [reverse]; one more than `most` is taken for `most`."""

    def read(words: Words) -> Weight:
        number = _to_weight(words[0], max(most, 254), 0)
        complaints = Complaints()
        found = Weight(number=max(-most, min(most, number)), reverse=len(words) > 1 and words[1].text == "reverse")
        if len(words) > 1 and words[1].text not in ("reverse", "noreverse"):
            complaints.add(TrackCode.NOT_REVERSE(text=words[1].text), 1)
        if abs(number) > most:
            complaints.add(TrackCode.WEIGHT_OUT_OF_BOUNDS(number=number, most=most))
        return complaints.judged(found, f"{found.number} is used")

    return Value(
        arguments=f"<-{most}..{most}> [reverse]",
        pattern=r"\s+([+-]?[0-9]{1,9})(?:\s+(reverse))?",
        read=read,
        write=lambda value: f"{value.number}{' reverse' if value.reverse else ''}",
        most=2,
    )


def track_line(most: int) -> Value:
    """NAME [weight N [reverse or noreverse]]"""

    def read(words: Words) -> TrackLine:
        name = words[0].text
        complaints = Complaints()
        number, reverse, at = None, None, 1
        while at < len(words):
            match words[at].text:
                case "weight" if at + 1 < len(words) and number is None:
                    at += 1
                    try:
                        number = _to_weight(words[at], max(most, 254), at)
                    except Wrong as wrong:
                        complaints.add(wrong.remark, at)
                case "weight" if number is not None:
                    complaints.add(TrackCode.WEIGHT_TWICE(), at)
                    at += 1
                case "weight":
                    complaints.add(TrackCode.WEIGHT_WITHOUT_NUMBER(), at)
                case "reverse" | "noreverse" if number is not None:
                    reverse = words[at].text == "reverse"
                case "reverse" | "noreverse":
                    complaints.add(TrackCode.WEIGHT_MUST_PRECEDE(word=words[at].text), at)
                case other:
                    complaints.add(TrackCode.NOT_A_TRACK_OPTION(other=other), at)
            at += 1
        if number is not None and abs(number) > most:
            number = max(-most, min(most, number))
            complaints.add(TrackCode.WEIGHT_OF_ITEM_OUT_OF_BOUNDS(name=name, most=most, number=number))
        return complaints.judged(TrackLine(name=name, weight=number, reverse=reverse), f"{name} is tracked")

    return Value(
        arguments=f"<NAME> [weight <-{most}..{most}> [reverse or noreverse]]",
        pattern=rf"\s+({WORD})(?:\s+(weight)\s+([+-]?[0-9]{{1,9}})(?:\s+(reverse|noreverse))?)?",
        read=read,
        write=_write,
        most=None,
    )


def _write(line: TrackLine) -> str:
    words = [quote(line.name)]
    if line.weight is not None:
        words += ["weight", str(line.weight)]
    if line.reverse is not None:
        words.append("reverse" if line.reverse else "noreverse")
    return " ".join(words)
