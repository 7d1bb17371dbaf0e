"""Sockets of clients that are to be closed, once what they were given is out.

libzmq can do that by itself. But while it does, it takes in nothing more: if then the other side
breaks the connection off, the next heartbeat ends the process; see `closing`.
"""

from __future__ import annotations

import threading
import time

import zmq

from ..transport.sockets import LINGER

__all__ = ["PAUSE", "Lingering"]

PAUSE = 0.01
"""Seconds between two looks."""


class Lingering:
    """Sockets that still have something to send; the I/O thread closes them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collection within may come back here
        self._sockets: list[tuple[zmq.Socket[bytes], zmq.MessageTracker, float]] = []

    def add(self, socket: zmq.Socket[bytes], tracker: zmq.MessageTracker) -> bool:
        """Take up a socket.

        Parameters
        ----------
        socket : zmq.Socket
            To which nothing is sent any more.
        tracker : zmq.MessageTracker
            Of its last message.

        Returns
        -------
        bool
            Whether it is the only one, so that somebody has to begin to look.
        """
        with self._lock:
            self._sockets.append((socket, tracker, time.monotonic() + LINGER / 1000))
            return len(self._sockets) == 1

    def look(self) -> bool:
        """Close those of which all is out, or `LINGER` over; whether others are left."""
        with self._lock:
            left = []
            for socket, tracker, deadline in self._sockets:
                if tracker.done:
                    socket.close()
                elif time.monotonic() >= deadline:
                    socket.close(linger=0)
                else:
                    left.append((socket, tracker, deadline))
            self._sockets = left
            return bool(left)

    def finish(self) -> None:
        """Return when all are closed."""
        while self.look():
            time.sleep(PAUSE)
