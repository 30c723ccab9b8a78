"""HTTP_GET and SSL_GET: one request, and what the answer must be."""

from __future__ import annotations

import functools
import hashlib
import time

import httptools

from kad.checker.checker_api import Computation, Outcome
from kad.linux.process.pcre2 import BadPattern, OutOfTime, Pattern, SearchFailed
from kad.model.checker import Regex, Url

AGENT = "KeepAliveClient"
LARGEST_HEAD = 65536
LARGEST_BODY = 64 << 20
"""Bytes of a body that digest or regex look at."""
ENOUGH = 256 << 10
"""Bytes of a body that nobody looks at: then the status alone decides."""
LONGEST_SEARCH = 0.2
"""Seconds of a processor that a regex gets for a body, outside of the loop."""
_SHORT_SEARCH = 0.005
"""Seconds that it gets in the loop."""
_WINDOW = 1 << 20
_SHOWN = 40
"""Bytes of an answer that a failure shows."""


@functools.lru_cache(maxsize=16384)
def request(url: Url, protocol: str) -> bytes:
    """The request as keepalived writes it, with what was asked for besides."""
    version = "1.1" if protocol == "1.1" else "1.0"
    lines = [f"{url.method} {url.path} HTTP/{version}"]
    given = {name.lower() for name, _ in url.headers}
    if "user-agent" not in given:
        lines.append(f"User-Agent: {AGENT}")
    if protocol != "1.0" and "connection" not in given:
        lines.append("Connection: close")
    if "host" not in given:
        lines.append(f"Host: {url.host}")
    if url.method == "POST" and "content-length" not in given:
        lines.append("Content-Length: 0")
    lines += [f"{name}: {value.reveal()}" for name, value in url.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@functools.lru_cache(maxsize=1024)
def _pattern(pattern: str, options: tuple[str, ...]) -> Pattern:
    return Pattern(pattern.encode(), options)


def why_not(regex: Regex) -> str:
    """Why the regex cannot be used; empty when it can."""
    try:
        _pattern(regex.pattern, regex.options)
    except BadPattern as error:
        return str(error)
    return ""


def _text(data: bytes) -> str:
    """What came, so that it fits into a line."""
    return repr(data.decode(errors="replace"))


class Search:
    """Looks for a regex in a body that comes in pieces, and keeps no more of it than a window."""

    def __init__(self, regex: Regex) -> None:
        """Raises BadPattern."""
        self._regex = regex
        self._pattern = _pattern(regex.pattern, regex.options)
        self._window = bytearray()
        self._passed = 0
        """Bytes in front of the window."""
        self._position = 0
        """Where the search of the window goes on."""
        self._spent = 0.0
        """Seconds of a processor, outside of the loop."""
        self._found: int | None = None
        self._begin = b""

    @property
    def is_due(self) -> bool:
        """The window is full: look() before more comes."""
        return self._found is None and len(self._window) >= _WINDOW

    def feed(self, data: bytes) -> None:
        if len(self._begin) < _SHOWN:
            self._begin += data[: _SHOWN - len(self._begin)]
        if self._found is not None:
            return
        self._window += data

    def look(self, *, is_short: bool) -> None:
        """Search the window, and keep its second half, in which something may have begun.

        Raises SearchFailed and OutOfTime; the next call goes on where that one stopped.
        """
        self._search(is_end=False, is_short=is_short)
        half = _WINDOW // 2
        del self._window[:half]
        self._passed += half
        self._position = 0

    def judge(self, *, is_short: bool) -> tuple[bool, str]:
        """The body has ended: whether it is as wanted, and what was found. Raises SearchFailed, OutOfTime."""
        if self._found is None:
            self._search(is_end=True, is_short=is_short)
        regex, found = self._regex, self._found
        is_there = found is not None and (regex.last is None or found <= regex.last)
        if is_there is not regex.no_match:
            return True, "regex matches" if is_there else "regex does not match"
        if is_there:
            return False, f'regex "{regex.pattern}" matches at byte {found}, wanted: no match'
        place = "" if found is None else f" only at byte {found}, wanted: {regex.first} to {regex.last}"
        said = f'regex "{regex.pattern}" ' + (f"matches{place}" if place else "does not match")
        return False, f"{said}; the body begins {_text(self._begin)}"

    def _search(self, *, is_end: bool, is_short: bool) -> None:
        start = max(self._position, self._regex.first - self._passed)
        if start > len(self._window):
            return
        begun = time.thread_time()
        try:
            found = self._pattern.search(
                bytes(self._window),
                start,
                is_begin=self._passed == 0,
                is_end=is_end,
                seconds=_SHORT_SEARCH if is_short else LONGEST_SEARCH - self._spent,
                is_short=is_short,
            )
        except OutOfTime as stopped:
            self._position = stopped.position
            raise
        finally:
            if not is_short:
                self._spent += time.thread_time() - begun
        self._found = None if found is None else found + self._passed


class HttpConversation:
    """One request and its answer; what follows the answer on the connection is not read."""

    def __init__(self, url: Url, protocol: str) -> None:
        self._url = url
        self._protocol = protocol
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_data_after_close=True,
            lenient_keep_alive=True,
        )
        self._head = 0
        self._begin = b""
        self._length = 0
        self._announced: int | None = None
        self._digest = hashlib.md5(usedforsecurity=False) if url.digest else None
        try:
            self._search = Search(url.regex) if url.regex else None
        except BadPattern:
            # keepalived does the same; that the pattern is bad has been said when it was configured.
            self._search = None
        self._status = 0
        self._in_body = False
        self._is_done = False
        self._failure = ""

    @property
    def awaited(self) -> str:
        return "the end of the HTTP response" if self._in_body else "HTTP response"

    @property
    def digest(self) -> str | None:
        """Of the body so far, where a digest is wanted; None: there is no answer."""
        return self._digest.hexdigest() if self._digest is not None and self._in_body else None

    def begin(self) -> bytes:
        return request(self._url, self._protocol)

    def hear(self, data: bytes) -> bytes | Outcome | Computation:
        return self._concluded(self._take(data))

    def _concluded(self, said: bytes | Outcome | Computation) -> bytes | Outcome | Computation:
        if isinstance(said, Outcome):
            self._part()
            return self._with_request(said)
        return said

    def _take(self, data: bytes) -> bytes | Outcome | Computation:
        if not self._in_body:
            self._head += len(data)
        if len(self._begin) < _SHOWN:
            self._begin += data[: _SHOWN - len(self._begin)]
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_done = True
        except httptools.HttpParserError as error:
            # What comes after a whole answer is not looked at.
            if not self._is_done and not self._failure:
                return Outcome(False, f"not an HTTP response, it begins {_text(self._begin)}: {error}")
        if self._failure:
            return Outcome(False, self._failure)
        if self._is_done or (self._search is not None and self._search.is_due):
            return self._search_on(is_short=True)
        if not self._in_body and self._head > LARGEST_HEAD:
            return Outcome(False, f"the head of the HTTP response is longer than {LARGEST_HEAD} bytes")
        if not self._looks and self._length > ENOUGH:
            return self._judge(is_short=True)
        return b""

    def end(self) -> Outcome | Computation:
        if not self._in_body:
            place = "in the middle of its head" if self._head else "without an HTTP response"
            self._part()
            return self._with_request(Outcome(False, f"the connection was closed {place}"))
        self._is_done = True
        said = self._concluded(self._search_on(is_short=True))
        assert not isinstance(said, bytes)
        return said

    def _search_on(self, *, is_short: bool) -> bytes | Outcome | Computation:
        """Search what has come; where that takes more than some milliseconds, the rest of it is a computation."""
        try:
            while self._search is not None and self._search.is_due:
                self._search.look(is_short=is_short)
            return self._judge(is_short=is_short) if self._is_done else b""
        except SearchFailed as error:
            return Outcome(False, f"HTTP status {self._status}, regex: {error}")
        except OutOfTime:
            return Computation(self._search_long)

    def _search_long(self) -> bytes | Outcome:
        """Runs in another thread, while nothing else of this conversation does."""
        said = self._concluded(self._search_on(is_short=False))
        if not isinstance(said, Computation):
            return said
        assert self._url.regex is not None
        text = f'HTTP status {self._status}, regex "{self._url.regex.pattern}" costs too much on this body: given up'
        return self._with_request(Outcome(False, f"{text} after {LONGEST_SEARCH:g} s of a processor"))

    def _with_request(self, outcome: Outcome) -> Outcome:
        """A failure says what was asked for: path and Host decide what a server answers."""
        if outcome.ok:
            return outcome
        asked = f"{self._url.method} {self._url.path}, Host {self._url.host}"
        return outcome._replace(reason=f"{outcome.reason} ({asked})")

    def _part(self) -> None:
        """The parser knows whom it tells: two that know one another would stay until the collector comes."""
        vars(self).pop("_parser", None)

    @property
    def _looks(self) -> bool:
        return self._digest is not None or self._search is not None

    def _judge(self, *, is_short: bool) -> Outcome:
        """Raises SearchFailed, OutOfTime."""
        reason = f"HTTP status {self._status}"
        if self._announced is not None and self._length < self._announced and self._url.method != "HEAD":
            reason += f", {self._length} of {self._announced} bytes"
        if self._digest is not None:
            found = self._digest.hexdigest()
            if found != self._url.digest:
                return Outcome(False, f"{reason}, digest {found}, wanted: {self._url.digest}")
            reason += ", digest matches"
        if self._search is not None:
            ok, said = self._search.judge(is_short=is_short)
            return Outcome(ok, f"{reason}, {said}")
        return Outcome(True, reason)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 14 and name.lower() == b"content-length" and value.isdigit() and len(value) < 20:
            self._announced = int(value)

    def on_headers_complete(self) -> None:
        if self._is_done:
            return
        self._status = self._parser.get_status_code()
        is_good = any(low <= self._status <= high for low, high in self._url.status)
        if 100 <= self._status < 200 and self._status != 101 and not is_good:
            self._head = 0
            return
        self._in_body = True
        if not is_good:
            wanted = ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in self._url.status)
            self._failure = f"HTTP status {self._status}, wanted: {wanted}"
        elif self._url.method == "HEAD":
            self._is_done = True

    def on_body(self, data: bytes) -> None:
        if self._is_done or self._failure:
            return
        self._length += len(data)
        if self._digest is not None:
            self._digest.update(data)
        if self._search is not None:
            self._search.feed(data)
        if self._looks and self._length > LARGEST_BODY:
            self._failure = f"HTTP status {self._status}, the body is longer than {LARGEST_BODY >> 20} MB"

    def on_message_complete(self) -> None:
        if self._in_body:
            self._is_done = True
