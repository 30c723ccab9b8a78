"""Perl's regular expressions by the C library that keepalived uses too, with an end to what one search may cost."""

from __future__ import annotations

import ctypes
import functools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MATCH_LIMIT = 1_000_000
"""Steps after which a search from one byte on is given up: some tens of milliseconds."""
STEPS_OF_A_CALL = 4_000_000
"""Steps that one call of the library may take, a tenth of a second or two: PCRE2's own limit counts for each byte at
which a match might begin, so that it bounds nothing where a body has thousands of them."""
_WIDTH = 4096
"""Bytes at which a match might begin that one call looks at, at most."""
SHORT_STEPS = 200_000
HEAP_LIMIT = 16 * 1024
"""kB."""
SHORT_HEAP = 512
_NAMES = """allow_empty_class alt_bsux auto_callout caseless dollar_endonly dotall dupnames extended firstline
    match_unset_backref multiline never_ucp never_utf no_auto_capture no_auto_possess no_dotstar_anchor
    no_start_optimize ucp ungreedy utf never_backslash_c alt_circumflex alt_verbnames use_offset_limit"""
OPTIONS = {name: 1 << bit for bit, name in enumerate(_NAMES.split())}
"""keepalived's names of PCRE2's compile options."""

_UTF, _MATCH_INVALID_UTF = OPTIONS["utf"], 0x04000000
_NOTBOL, _NOTEOL, _PARTIAL_HARD = 0x1, 0x2, 0x20
_NOMATCH, _PARTIAL = -1, -2
_MATCHLIMIT, _HEAPLIMIT = -47, -63
_INFO_ALLOPTIONS, _ANCHORED = 0, 0x80000000
_LIBRARY = "libpcre2-8.so.0"


class BadPattern(ValueError):
    """The pattern or an option cannot be understood, or the library is not there."""


class SearchFailed(Exception):
    """The search was given up; the text says why."""


class OutOfTime(Exception):
    """The search may go on from that byte."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


@functools.cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise BadPattern(f"{_LIBRARY} is not on this host") from None
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("compile", pointer, (pointer, size, ctypes.c_uint32, pointer, pointer, pointer)),
        ("code_free", None, (pointer,)),
        ("match_data_create_from_pattern", pointer, (pointer, pointer)),
        ("match_data_free", None, (pointer,)),
        ("match_context_create", pointer, (pointer,)),
        ("set_match_limit", ctypes.c_int, (pointer, ctypes.c_uint32)),
        ("set_heap_limit", ctypes.c_int, (pointer, ctypes.c_uint32)),
        ("set_offset_limit", ctypes.c_int, (pointer, size)),
        ("match_context_free", None, (pointer,)),
        ("pattern_info", ctypes.c_int, (pointer, ctypes.c_uint32, pointer)),
        ("match", ctypes.c_int, (pointer, pointer, size, size, ctypes.c_uint32, pointer, pointer)),
        ("get_ovector_pointer", ctypes.POINTER(size), (pointer,)),
        ("get_error_message", ctypes.c_int, (ctypes.c_int, pointer, size)),
    ):
        function = getattr(library, f"pcre2_{name}_8")
        function.restype, function.argtypes = result, arguments
    return library


class Pattern:
    """A compiled pattern; several threads may search with it."""

    def __init__(self, pattern: bytes, options: tuple[str, ...] = ()) -> None:
        """Raises BadPattern."""
        unknown = [name for name in options if name not in OPTIONS]
        if unknown:
            raise BadPattern(f"{unknown[0]} is no option of PCRE2")
        bits = sum(OPTIONS[name] for name in set(options)) | OPTIONS["use_offset_limit"]
        self._is_first_line = "firstline" in options
        if bits & _UTF:
            # The body may be anything, and a character may be cut in two where a piece ends.
            bits |= _MATCH_INVALID_UTF
        self._pcre = _library()
        error, offset = ctypes.c_int(), ctypes.c_size_t()
        self._code = self._pcre.pcre2_compile_8(
            pattern, len(pattern), bits, ctypes.byref(error), ctypes.byref(offset), None
        )
        if not self._code:
            raise BadPattern(f"{_message(error.value)} at character {offset.value}")
        every = ctypes.c_uint32()
        self._pcre.pcre2_pattern_info_8(self._code, _INFO_ALLOPTIONS, ctypes.byref(every))
        self._is_anchored = bool(every.value & _ANCHORED)

    def __del__(self) -> None:
        if getattr(self, "_code", None):
            self._pcre.pcre2_code_free_8(self._code)

    def search(
        self,
        subject: bytes,
        start: int = 0,
        *,
        is_begin: bool = True,
        is_end: bool = True,
        seconds: float = math.inf,
        is_short: bool = False,
    ) -> int | None:
        """Where the first match at or behind `start` begins; None: nowhere.

        What is not the end has more behind it: a match that this could change is none yet. Raises SearchFailed, and
        OutOfTime after so many seconds of a processor and one call more: a tenth of a second or two, or, where it
        `is_short`, some milliseconds.
        """
        options = (0 if is_begin else _NOTBOL) | (0 if is_end else _NOTEOL | _PARTIAL_HARD)
        last = self._last_begin(subject, start)
        until = time.thread_time() + seconds
        steps = SHORT_STEPS if is_short else STEPS_OF_A_CALL
        width = min(_WIDTH, last - start + 1)
        with self._prepared(SHORT_HEAP if is_short else HEAP_LIMIT) as (data, context):
            while start <= last:
                limit = min(MATCH_LIMIT, max(1, steps // width))
                self._pcre.pcre2_set_match_limit_8(context, limit)
                self._pcre.pcre2_set_offset_limit_8(context, min(start + width - 1, last))
                found = self._pcre.pcre2_match_8(self._code, subject, len(subject), start, options, data, context)
                if found >= 0:
                    return int(self._pcre.pcre2_get_ovector_pointer_8(data)[0])
                if found == _PARTIAL:
                    return None
                if found == _NOMATCH:
                    start += width
                    width = min(_WIDTH, 4 * width)
                elif found == _HEAPLIMIT and is_short:
                    raise OutOfTime(start)
                elif found != _MATCHLIMIT or limit == MATCH_LIMIT:
                    raise SearchFailed(_message(found))
                elif width == 1:
                    raise OutOfTime(start)
                else:
                    # Fewer bytes at which it might begin, so that each of them may cost more.
                    width = max(1, width // 16)
                if start <= last and time.thread_time() > until:
                    raise OutOfTime(start)
        return None

    def _last_begin(self, subject: bytes, start: int) -> int:
        """The last byte at which a match may begin."""
        if self._is_anchored:
            return start
        newline = subject.find(b"\n", start) if self._is_first_line else -1
        return len(subject) if newline < 0 else newline

    @contextmanager
    def _prepared(self, heap: int) -> Iterator[tuple[int, int]]:
        """What one search needs for itself: room for its result, and its limits."""
        data = self._pcre.pcre2_match_data_create_from_pattern_8(self._code, None)
        context = self._pcre.pcre2_match_context_create_8(None)
        try:
            self._pcre.pcre2_set_heap_limit_8(context, heap)
            yield data, context
        finally:
            self._pcre.pcre2_match_context_free_8(context)
            self._pcre.pcre2_match_data_free_8(data)


def _message(number: int) -> str:
    buffer = ctypes.create_string_buffer(256)
    _library().pcre2_get_error_message_8(number, buffer, 256)
    return buffer.value.decode(errors="replace")
