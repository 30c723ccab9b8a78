"""What number a tracked file says, and what is to be written into it at the start; pure."""

from __future__ import annotations

import re

READ_BYTES = 127
"""More of a file is not looked at."""
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9A-Fa-f]+|[0-9]+)")
_LOWEST, _HIGHEST = -(2**31), 2**31


def number_of(content: bytes) -> int | None:
    """The number at the beginning, also 0x… and 0…; 0 where none is, None where it is beyond 32 bits."""
    found = _NUMBER.match(content[:READ_BYTES])
    if found is None:
        return 0
    sign, digits = found.groups()
    if digits[:2].lower() == b"0x":
        number = int(digits, 16)
    elif digits.startswith(b"0"):
        octal = re.match(rb"[0-7]+", digits)
        number = int(octal[0], 8) if octal else 0
    else:
        number = int(digits)
    number = -number if sign == b"-" else number
    return number if _LOWEST <= number <= _HIGHEST else None
