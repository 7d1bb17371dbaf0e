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

__all__ = ["AT_ONCE", "Backlog", "mark"]

_STEP = 1 << 20
"""Bytes from one marked frame to the next, at most."""

AT_ONCE = 8192
"""Bytes that the system takes at once, of a connection that has carried no more.

Also those that libzmq has in a buffer between itself and the system. When it has let go of what
comes this far behind something, that has been taken by the system.
"""


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
    descriptor : int
    marked : int
        Bytes before the last marked frame, out or not.
    unmarked : int
        Bytes since then; add to it what is sent.
    step : int
        When there are more of them than this, `mark` the next message.
    """

    __slots__ = (
        "_inode",
        "_marks",
        "_waiting",
        "descriptor",
        "limit",
        "marked",
        "step",
        "unmarked",
    )

    def __init__(self, descriptor: int, limit: int) -> None:
        self.descriptor = descriptor
        self._inode = _inode(descriptor)
        self._marks: collections.deque[tuple[int, zmq.MessageTracker]] = collections.deque()
        self._waiting = 0
        self.limit = limit
        self.step = min(limit // 8, _STEP)
        self.marked = 0
        self.unmarked = 0

    def is_full(self) -> bool:
        """Whether more waits than may."""
        marks = self._marks
        while marks and marks[0][1].done:
            self._waiting -= marks.popleft()[0]
        return self._waiting > self.limit

    def is_empty(self) -> bool:
        """Whether all is out that was marked."""
        self.is_full()
        return not self._marks

    def is_there(self) -> bool:
        """Whether the descriptor is still that of this connection."""
        return _inode(self.descriptor) == self._inode

    def may_wait(self) -> bool:
        """Whether anything may wait that was sent so far."""
        return self.marked + self.unmarked > AT_ONCE

    def mark(self, frames: list[Any]) -> list[Any]:
        """Return the frames of a message with a marked one in the place of the last."""
        frames, tracker = mark(frames)
        if tracker is not None:
            self._marks.append((self.unmarked, tracker))
            self._waiting += self.unmarked
            self.marked += self.unmarked
            self.unmarked = 0
        return frames

    def cut(self, how: int = socket.SHUT_RDWR) -> None:
        """End the peer's connection, and have libzmq drop what waits.

        With ``how=socket.SHUT_WR`` the peer can still send: that the connection has ended it
        learns, and then ends it itself, when it has read everything.
        """
        # libzmq has no call for it. It may close the descriptor, which then becomes
        # something else's, at any time: so this looks at a copy first.
        with contextlib.suppress(OSError):
            copy = os.dup(self.descriptor)
            if _inode(copy) != self._inode:
                os.close(copy)
                return
            with socket.socket(fileno=copy) as connection:
                connection.shutdown(how)


def mark(frames: list[Any]) -> tuple[list[Any], zmq.MessageTracker | None]:
    """Return the frames of a message, the last one so that one sees when libzmq lets go of it.

    Where pyzmq cannot start the thread that it needs for that, since Python ends, they are as
    they were, and there is nothing to look at.
    """
    try:
        frame = zmq.Frame(frames[-1], copy=False, track=True)
    except RuntimeError:
        return frames, None
    return [*frames[:-1], frame], frame.tracker


def _inode(descriptor: int) -> int:
    """Return what tells this open socket from all others, or -1 if it is none any more."""
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1
