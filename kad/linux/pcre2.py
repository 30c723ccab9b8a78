"""Perl's regular expressions by the C library that keepalived uses too, with an end to what one search may cost."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

MATCH_LIMIT = 1_000_000
"""Steps after which a search is given up: some tens of milliseconds."""
HEAP_LIMIT = 16 * 1024
"""kB."""
_NAMES = """allow_empty_class alt_bsux auto_callout caseless dollar_endonly dotall dupnames extended firstline
    match_unset_backref multiline never_ucp never_utf no_auto_capture no_auto_possess no_dotstar_anchor
    no_start_optimize ucp ungreedy utf never_backslash_c alt_circumflex alt_verbnames use_offset_limit"""
OPTIONS = {name: 1 << bit for bit, name in enumerate(_NAMES.split())}
"""keepalived's names of PCRE2's compile options."""

_UTF, _MATCH_INVALID_UTF = OPTIONS["utf"], 0x04000000
_NOTBOL, _NOTEOL, _PARTIAL_HARD = 0x1, 0x2, 0x20
_NOMATCH, _PARTIAL = -1, -2
_LIBRARY = "libpcre2-8.so.0"


class BadPattern(ValueError):
    """The pattern or an option cannot be understood, or the library is not there."""


class SearchFailed(Exception):
    """The search was given up; the text says why."""


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
        ("match", ctypes.c_int, (pointer, pointer, size, size, ctypes.c_uint32, pointer, pointer)),
        ("get_ovector_pointer", ctypes.POINTER(size), (pointer,)),
        ("get_error_message", ctypes.c_int, (ctypes.c_int, pointer, size)),
    ):
        function = getattr(library, f"pcre2_{name}_8")
        function.restype, function.argtypes = result, arguments
    return library


@functools.cache
def _context() -> int:
    library = _library()
    context = library.pcre2_match_context_create_8(None)
    library.pcre2_set_match_limit_8(context, MATCH_LIMIT)
    library.pcre2_set_heap_limit_8(context, HEAP_LIMIT)
    return int(context)


class Pattern:
    """A compiled pattern."""

    def __init__(self, pattern: bytes, options: tuple[str, ...] = ()) -> None:
        """Raises BadPattern."""
        unknown = [name for name in options if name not in OPTIONS]
        if unknown:
            raise BadPattern(f"{unknown[0]} is no option of PCRE2")
        bits = sum(OPTIONS[name] for name in set(options))
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
        self._data = self._pcre.pcre2_match_data_create_from_pattern_8(self._code, None)

    def __del__(self) -> None:
        if getattr(self, "_code", None):
            if getattr(self, "_data", None):
                self._pcre.pcre2_match_data_free_8(self._data)
            self._pcre.pcre2_code_free_8(self._code)

    def search(self, subject: bytes, start: int = 0, *, is_begin: bool = True, is_end: bool = True) -> int | None:
        """Where the first match at or behind `start` begins; None: nowhere.

        What is not the end has more behind it: a match that this could change is none yet. Raises SearchFailed.
        """
        options = (0 if is_begin else _NOTBOL) | (0 if is_end else _NOTEOL | _PARTIAL_HARD)
        found = self._pcre.pcre2_match_8(self._code, subject, len(subject), start, options, self._data, _context())
        if found in (_NOMATCH, _PARTIAL):
            return None
        if found < 0:
            raise SearchFailed(_message(found))
        return int(self._pcre.pcre2_get_ovector_pointer_8(self._data)[0])


def _message(number: int) -> str:
    buffer = ctypes.create_string_buffer(256)
    _library().pcre2_get_error_message_8(number, buffer, 256)
    return buffer.value.decode(errors="replace")
