"""How much waits within libzmq for one peer to read it, and ending that peer's connection.

A ROUTER socket has neither: a high-water mark counts messages of any size, and
one for what arrives would stop the heartbeats as well, so that libzmq took a
client for dead that has merely sent much. But libzmq says when it has let go of
a frame that was given to it without a copy. Frames go in order: with one that
is out, so are all before it. So a frame is marked every so often.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
from typing import Any

import zmq

__all__ = ["Backlog"]

_STEP = 1 << 20
"""Bytes from one marked frame to the next, at most."""


class Backlog:
    """What one peer of a ROUTER socket has been sent and may not have read.

    Parameters
    ----------
    descriptor : int
        Of the peer's connection, which is open.
    limit : int
        Bytes; it is told within an eighth of that, and a message.

    Attributes
    ----------
    unmarked : int
        Bytes since the last marked frame; add to it what is sent.
    step : int
        When there are more of them than this, `mark` the next message.
    """

    __slots__ = ("_descriptor", "_inode", "_marks", "_waiting", "limit", "step", "unmarked")

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._inode = _inode(descriptor)
        self._marks: collections.deque[tuple[int, zmq.MessageTracker]] = collections.deque()
        self._waiting = 0
        self.limit = limit
        self.step = min(limit // 8, _STEP)
        self.unmarked = 0

    def is_full(self) -> bool:
        """Whether more waits than may."""
        marks = self._marks
        while marks and marks[0][1].done:
            self._waiting -= marks.popleft()[0]
        return self._waiting > self.limit

    def mark(self, frames: list[Any]) -> list[Any]:
        """Return the frames of a message with a marked one in the place of the last."""
        frame = zmq.Frame(frames[-1], copy=False, track=True)
        assert frame.tracker is not None
        self._marks.append((self.unmarked, frame.tracker))
        self._waiting += self.unmarked
        self.unmarked = 0
        return [*frames[:-1], frame]

    def cut(self) -> None:
        """End the peer's connection, and have libzmq drop what waits."""
        # libzmq has no call for it. It may close the descriptor, which then becomes
        # something else's, at any time: so this looks at a copy first.
        with contextlib.suppress(OSError):
            copy = os.dup(self._descriptor)
            if _inode(copy) != self._inode:
                os.close(copy)
                return
            with socket.socket(fileno=copy) as connection:
                connection.shutdown(socket.SHUT_RDWR)


def _inode(descriptor: int) -> int:
    """Return what tells this open socket from all others, or -1 if it is none any more."""
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1
