"""Large buffers by shared memory, between two processes of one host.

The sender copies a buffer into a segment, which is memory without a name, and
passes the segment's descriptor along with the message. The receiver maps it,
and says so when nothing of it is in use any more: the sender then takes the
segment for the next buffer, which saves the kernel from clearing new pages.
Whichever side dies, the kernel frees the memory when the other one lets go.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import time
from collections.abc import Callable
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "MAX_OUT",
    "SHARED_FROM",
    "Mapping",
    "Segment",
    "SegmentPool",
    "is_available",
    "map_segment",
]

SHARED_FROM = 128 * 1024
"""Bytes from which copying into a segment is faster than writing to a socket."""

MAX_OUT = 64
"""Segments that a receiver may hold; beyond that, buffers are sent as bytes. Each takes
a descriptor, before Python 3.13 two of them."""

KEEP = 8
KEEP_FOR = 10.0
"""How many segments are kept for the next buffers, and for how many seconds."""

# Otherwise a mapping keeps a descriptor of its own, for resizing.
_UNTRACKED: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}

_STEP = 4 << 20
"""Bytes to copy at once; between two steps other threads may run."""


def is_available() -> bool:
    """Whether this platform has memory without a name that cannot be made shorter."""
    return hasattr(os, "memfd_create") and hasattr(fcntl, "F_ADD_SEALS")


class Segment:
    """Memory that can be shared.

    Attributes
    ----------
    number : int
        What the sender calls it.
    fd : int
    size : int
        In bytes, whole pages.
    """

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self.freed = 0.0
        self.fd = os.memfd_create("pyacq-rpc", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, self.size)
            # Whoever maps it would be killed by touching what is not there any more.
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            self._view = memoryview(mmap.mmap(self.fd, self.size, **_UNTRACKED))
        except BaseException:
            os.close(self.fd)
            raise

    def fill(self, data: memoryview) -> None:
        """Copy `data` to its beginning."""
        view, size = self._view, len(data)
        for at in range(0, size, _STEP):
            stop = min(at + _STEP, size)
            view[at:stop] = data[at:stop]

    def close(self) -> None:
        """Let go of it here."""
        self._view.release()
        os.close(self.fd)


class SegmentPool:
    """The segments that one side of a connection sends.

    Parameters
    ----------
    limit : int
        Bytes that a receiver may hold; beyond that, buffers are sent as bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._out_size = 0
        self._next = 0
        self._out: dict[int, Segment] = {}
        self._free: list[Segment] = []

    def put(self, data: memoryview) -> Segment | None:
        """Return a segment that begins with `data`, or None where that cannot be."""
        if len(self._out) >= MAX_OUT or self._out_size + len(data) > self._limit:
            return None
        self._trim()
        segment = self._take(len(data))
        if segment is not None:
            segment.fill(data)
            self._out[segment.number] = segment
            self._out_size += segment.size
        return segment

    def _take(self, size: int) -> Segment | None:
        fitting = [segment for segment in self._free if size <= segment.size <= 2 * size]
        if fitting:
            best = min(fitting, key=lambda segment: segment.size)
            self._free.remove(best)
            return best
        self._next = (self._next + 1) % (1 << 15)
        while self._next in self._out or any(self._next == s.number for s in self._free):
            self._next = (self._next + 1) % (1 << 15)
        try:
            return Segment(self._next, size)
        except OSError:  # no memory or no descriptor left for it: not by this way, then
            return None

    def free(self, number: int) -> None:
        """The receiver has let go of a segment."""
        segment = self._out.pop(number, None)
        if segment is not None:
            self._out_size -= segment.size
            segment.freed = time.monotonic()
            self._free.append(segment)
            self._trim()

    def _trim(self) -> None:
        while len(self._free) > KEEP or (
            self._free and time.monotonic() - self._free[0].freed > KEEP_FOR
        ):
            self._free.pop(0).close()

    def close(self) -> None:
        """Let go of all segments here; those that are in use live on at the receiver."""
        while self._out:
            self._out.popitem()[1].close()
        while self._free:
            self._free.pop().close()


class Mapping(mmap.mmap):
    """A mapping that tells when nobody uses it any more.

    Attributes
    ----------
    released : callable or None
        Called then, from any thread.
    """

    released: Callable[[], object] | None = None

    def __del__(self) -> None:
        if self.released is not None:
            self.released()


def map_segment(fd: int, size: int) -> Mapping:
    """Map the beginning of a segment that was received.

    Parameters
    ----------
    fd : int
        It may be closed afterwards.
    size : int
        In bytes.

    Raises
    ------
    ValueError
        If the sender could take the memory away again.
    OSError
        If there is no descriptor for it.
    """
    seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    if not seals & fcntl.F_SEAL_SHRINK or not 0 < size <= os.fstat(fd).st_size:
        raise ValueError("a segment was sent that may become shorter than it has to be")
    try:
        return Mapping(fd, size, **_UNTRACKED)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        hint = "this process cannot open any more (see 'ulimit -n')"
        raise OSError(error.errno, f"{error.strerror}; {hint}") from error
