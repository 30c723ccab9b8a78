"""The findings about what is tracked, and its weight."""

from __future__ import annotations

import enum

from kad.config.remark import Code


@enum.unique
class TrackCode(Code):
    """Each with its sentence."""

    NO_FOLDER_YET = "there is no directory {path} yet; track_file {name} counts as 0 until it is"
    NOT_A_REGULAR_FILE = "{path} is not a regular file; init_file does not write it"
    NAME_IS_A_PATH = "{name} is a path, which is never the short name of a process; the whole command is compared"
    PROCESS_NAME_TOO_LONG = "the kernel keeps {name_bytes} bytes of a process name; it is compared with {shortened}"
    QUORUM_MAX_BELOW_QUORUM = (
        "vrrp_track_process {name}: quorum_max {most} is less than quorum {least}; {ignored} is ignored"
    )
    NEITHER_NUMBER_NOR_OVERWRITE = "{word} is neither a number nor overwrite"
    WEIGHT_NOT_A_NUMBER = "the weight {word} is not a whole number"
    WEIGHT_OUT_OF_BOUNDS = "the weight {number} is not in -{most}..{most}"
    NOT_REVERSE = "{text} is not reverse"
    WEIGHT_OF_ITEM_OUT_OF_BOUNDS = "the weight of {name} is not in -{most}..{most}; {number} is used"
    WEIGHT_TWICE = "weight is given a second time"
    WEIGHT_WITHOUT_NUMBER = "weight needs a number"
    WEIGHT_MUST_PRECEDE = "{word} must follow weight and its number"
    NOT_A_TRACK_OPTION = "{other} is not one of weight, reverse, noreverse"
    TRACKED_WITHOUT_WORD = "{name} has no {word}; it is ignored"
    TRACKED_DEFINED_TWICE = "{name} is already defined; it is ignored"
