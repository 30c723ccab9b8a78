"""By what a finding of the configuration is compared, wherever it is: its code and its subject, never its words."""

from __future__ import annotations

from typing import NamedTuple

Figure = str | int | float
"""What stands in a sentence beside the words of its code."""


class Subject(NamedTuple):
    """The object that a finding speaks of."""

    block: str = ""
    """The block with those around it, each by its keyword and name: `vrrp_instance A/authentication`."""
    keyword: str = ""
    """The line of the block; empty for the block as a whole."""
    item: str = ""
    """Which of several values of that keyword."""


class Identity(NamedTuple):
    """Which finding it is."""

    code: str
    subject: Subject = Subject()
