"""Reads what a child writes, whatever it is, so that the child never blocks."""

from __future__ import annotations

import codecs
import collections
import os
import threading
from collections.abc import Callable

__all__ = ["CAPTURE_SIZE", "TAIL_SIZE", "Drain"]

TAIL_SIZE = 8192
"""Characters kept of the end of a stream, for error messages."""

CAPTURE_SIZE = 4 * 1024 * 1024
"""Characters kept of the end of a stream that is captured."""

MAX_LINE = 65536
"""Characters after which a line is passed on in parts."""


class Drain:
    """Reads one pipe to its end, in a thread of its own.

    Bytes that are not UTF-8 are shown as escapes. The pipe is always read, so
    a child can write as much as it likes.

    Parameters
    ----------
    fd : int
        The reading end; closed when the other end is.
    name : str
        Of the thread.
    on_line : callable, optional
        Gets each line, without its end, in that thread.
    forward_to : int, optional
        Descriptor that gets all bytes as they come, unchanged.
    keep : int
        How many characters of the end `tail` can return.
    """

    def __init__(
        self,
        fd: int,
        name: str,
        on_line: Callable[[str], object] | None = None,
        forward_to: int | None = None,
        keep: int = TAIL_SIZE,
    ) -> None:
        self._fd = fd
        self._limit = keep
        self._on_line = on_line
        self._forward_to = forward_to
        self._tail: collections.deque[str] = collections.deque()
        self._tail_size = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def tail(self) -> str:
        """Return the end of what was written so far."""
        with self._lock:
            return "".join(self._tail)[-self._limit :]

    def join(self, timeout: float) -> bool:
        """Wait for the end of the stream.

        Returns
        -------
        bool
            False if some process still holds the other end.
        """
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        line = ""
        while True:
            data = os.read(self._fd, 65536)
            if data and self._forward_to is not None:
                self._forward(data)
            text = decoder.decode(data, final=not data)
            self._keep(text)
            if self._on_line is not None:
                *complete, line = (line + text).split("\n")
                if len(line) > MAX_LINE or (not data and line):
                    complete.append(line)
                    line = ""
                for text_line in complete:
                    self._on_line(text_line.rstrip("\r"))
            if not data:
                break
        os.close(self._fd)

    def _keep(self, text: str) -> None:
        with self._lock:
            self._tail.append(text)
            self._tail_size += len(text)
            while len(self._tail) > 1 and self._tail_size - len(self._tail[0]) >= self._limit:
                self._tail_size -= len(self._tail.popleft())

    def _forward(self, data: bytes) -> None:
        try:
            while data and self._forward_to is not None:
                data = data[os.write(self._forward_to, data) :]
        except OSError:  # our own stderr is closed; the child's must be read all the same
            self._forward_to = None
