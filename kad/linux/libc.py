"""The C library, for the system calls that Python itself does not offer."""

from __future__ import annotations

import ctypes
from typing import Any

from kad.linux.refused import Refused

LIBC = ctypes.CDLL(None, use_errno=True)


def call(what: str, function: Any, *arguments: object) -> int:
    """What the function of LIBC returns; Refused(what, errno) when that is -1."""
    result = int(function(*arguments))
    if result == -1:
        raise Refused(what, ctypes.get_errno())
    return result
