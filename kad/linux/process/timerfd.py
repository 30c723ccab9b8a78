"""One timerfd: a deadline of the monotonic clock as a file descriptor, exact to the kernel's timers."""

from __future__ import annotations

import ctypes
import os
import struct

from kad.linux.libc import LIBC, call

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_ITIMERSPEC = struct.Struct("@llll")  # interval, then value: seconds and nanoseconds
_DISARMED = _ITIMERSPEC.pack(0, 0, 0, 0)
_NANOSECONDS = 1_000_000_000

_settime = LIBC.timerfd_settime
_settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Timer:
    """Readable from its moment on, until clear() or the next arm()."""

    def __init__(self) -> None:
        flags = _TFD_NONBLOCK | _TFD_CLOEXEC
        self._fd = call("timer", LIBC.timerfd_create, _CLOCK_MONOTONIC, flags)

    def fileno(self) -> int:
        return self._fd

    def arm(self, at: float | None) -> None:
        """Seconds of time.monotonic(); a moment that has passed fires at once, None never."""
        if at is None:
            value = _DISARMED
        else:
            # A value of zero would disarm.
            seconds, nanoseconds = divmod(max(1, round(at * _NANOSECONDS)), _NANOSECONDS)
            value = _ITIMERSPEC.pack(0, 0, seconds, nanoseconds)
        call("arming a timer", _settime, self._fd, _TFD_TIMER_ABSTIME, value, None)

    def clear(self) -> bool:
        """Whether the moment has come; the descriptor is not readable afterwards."""
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._fd)
