"""What could not be sent at once, since the other side is slow to read."""

from __future__ import annotations

import threading
import time

from ..transport.stream import Stream
from ..transport.waiting import wait_ready

__all__ = ["GATHERING", "SOON", "Unsent"]

GATHERING = 0.0002
"""Seconds for which messages that follow upon each other wait for more."""

SOON = 0.001
"""Seconds that something may wait for more to be sent with, or be read with."""


class Unsent:
    """Streams with something left to send; the I/O thread sends it.

    A thread that has sent a message goes on to other things, which may take
    any time, while the message waits for the other side to read.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collection within may come back here
        self._streams: dict[Stream, threading.RLock] = {}
        self._ending: set[Stream] = set()
        self._soon: dict[Stream, threading.RLock] = {}
        self._ticking = False
        self._flushed = 0.0

    def add(self, stream: Stream, lock: threading.RLock, ends: bool = False) -> None:
        """Take up a stream.

        Parameters
        ----------
        stream : Stream
        lock : threading.RLock
            Held by whoever uses the stream.
        ends : bool
            Whether to close the stream when all is out.
        """
        with self._lock:
            self._streams[stream] = lock
            if ends:
                self._ending.add(stream)

    def add_soon(self, stream: Stream, lock: threading.RLock) -> bool:
        """Take up a stream that is to be flushed soon, if nobody does it before.

        Returns
        -------
        bool
            Whether the I/O thread has to be told.
        """
        with self._lock:
            self._soon[stream] = lock
            told, self._ticking = self._ticking, True
        return not told

    def due_in(self) -> float | None:
        """Seconds until `flush_soon` is due; None if there is nothing to flush."""
        if not self._ticking:
            return None
        return max(0.0, self._flushed + SOON - time.monotonic())

    def flush_soon(self) -> None:
        """Flush what `add_soon` has taken up."""
        with self._lock:
            self._flushed = time.monotonic()
            # More may follow: only after a pause the I/O thread has to be told again.
            self._ticking = bool(self._soon)
            soon, self._soon = self._soon, {}
        for stream, lock in soon.items():
            with lock:
                stream.flush()

    def fds(self) -> list[int]:
        """Descriptors that are writable when `flush` can do something."""
        with self._lock:
            return [stream.fd for stream in self._streams]

    def flush(self) -> None:
        """Send what can be sent."""
        with self._lock:
            streams = list(self._streams.items())
        for stream, lock in streams:
            with lock:
                if stream.flush():
                    self._remove(stream)

    def _remove(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream, None)
            if stream in self._ending:
                self._ending.discard(stream)
                stream.close()

    def finish(self, timeout: float) -> None:
        """Send all that can be sent in `timeout` seconds, then close what is ending."""
        deadline = time.monotonic() + timeout
        while self._streams:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if wait_ready([], self.fds(), left):
                self.flush()
        for stream, lock in list(self._streams.items()):
            with lock:
                self._remove(stream)
