"""Reads what a child writes, whatever it is, so that the child never blocks."""

from __future__ import annotations

import codecs
import collections
import os
import threading
from collections.abc import Callable

from pyacq_rpc.transport.waiting import Waker, wait_readable

__all__ = ["CAPTURE_SIZE", "TAIL_SIZE", "Drain"]

TAIL_SIZE = 8192
"""Characters kept of the end of a stream, for error messages."""

CAPTURE_SIZE = 4 * 1024 * 1024
"""Characters kept of the end of a stream that is captured."""

MAX_LINE = 65536
"""Characters after which a line is passed on in parts."""

PIPE_SIZE = 1024 * 1024
"""Bytes that a pipe may hold, at the most that an ordinary user can have."""


class Drain:
    """Reads one pipe to its end, in a thread of its own.

    Bytes that are not UTF-8 are shown as escapes. The pipe is always read, so
    a child can write as much as it likes. When it has ended, `finish` says so:
    whatever it has started may hold the other end for much longer.

    Parameters
    ----------
    fd : int
        The reading end; closed when all is read.
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
        self._lock = threading.RLock()  # a finalizer that runs meanwhile may stop the node
        self._finishing: Waker | None = None
        try:
            self._finishing = Waker()
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        except BaseException:
            self._close()
            raise

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

    def finish(self) -> None:
        """Read what is in the pipe, and stop; does not wait for that."""
        with self._lock:  # else the thread might close it meanwhile
            if self._finishing is not None:
                self._finishing.wake()

    def _run(self) -> None:
        try:
            self._read_all()
        finally:
            self._close()

    def _read_all(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        line = ""
        data = b"-"
        left = PIPE_SIZE
        while data:
            data, finishing = self._read()
            if finishing:
                # What the node has written is no more than the pipe holds; what
                # comes after that is from somebody else, and may never end.
                left -= len(data)
                data = data if left > 0 else b""
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

    def _read(self) -> tuple[bytes, bool]:
        """Return the next bytes, none at the end, and whether to finish."""
        assert self._finishing is not None
        ready = wait_readable([self._fd, self._finishing.fd], None)
        data = os.read(self._fd, 65536) if self._fd in ready else b""
        return data, self._finishing.fd in ready

    def _close(self) -> None:
        os.close(self._fd)
        with self._lock:
            finishing, self._finishing = self._finishing, None
            if finishing is not None:
                finishing.close()

    def _keep(self, text: str) -> None:
        with self._lock:
            self._tail.append(text)
            self._tail_size += len(text)
            while True:
                if len(self._tail) < 2 or self._tail_size - len(self._tail[0]) < self._limit:
                    break
                self._tail_size -= len(self._tail.popleft())

    def _forward(self, data: bytes) -> None:
        try:
            while data and self._forward_to is not None:
                data = data[os.write(self._forward_to, data) :]
        except OSError:  # our own stderr is closed; the child's must be read all the same
            self._forward_to = None
