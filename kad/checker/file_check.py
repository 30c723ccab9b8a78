"""FILE_CHECK: the number in a tracked file moves the weight of the server, or takes it down."""

from __future__ import annotations

from typing import NamedTuple

from kad.model.checker import FileCheck

DOWN = -2147483648
"""A product at or below it means down."""


class FileVerdict(NamedTuple):
    """What the file says."""

    healthy: bool
    weight_change: int
    reason: str


def judge(check: FileCheck, number: int | None) -> FileVerdict:
    """`number` None: the file was not read yet, or holds no number."""
    if number is None:
        return FileVerdict(True, 0, f"track_file {check.name} says nothing yet")
    said = f"track_file {check.name} holds {number}"
    if check.weight == 0:
        return FileVerdict((number == 0) is not check.reverse, 0, said)
    product = number * (-check.weight if check.reverse else check.weight)
    if product <= DOWN:
        return FileVerdict(False, 0, f"{said}, times {check.weight} is {product}")
    return FileVerdict(True, product, said)
