"""The findings about BFD sessions."""

from __future__ import annotations

import enum

from kad.config.remark import Code


@enum.unique
class BfdCode(Code):
    """Each with its sentence."""

    SAME_NEIGHBOUR = "bfd_instance {name} and {other} have the same neighbour {neighbor_ip}; {name} is ignored"
    BFD_SOURCE_OF_OTHER_FAMILY = "source_ip {source} is not of the family of {neighbor_ip}; it is ignored"
    BFD_NOT_TRACKED = "bfd_instance {name} is not tracked; its session is not started"
