"""What has closed, and still has something to send.

libzmq can go on by itself with sending what a socket was given. But while it ends a connection, it
reads no more from that: if then the other side breaks it off, the next heartbeat ends the process,
by an assertion about ``_io_error`` (libzmq 4.3.5, ``stream_engine_base.cpp``). And when a socket
ceases to listen, what waits for slow readers is dropped. So sockets are closed here, when what they
were given is out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import zmq

from ..late_logging import getLogger
from ..transport.sockets import LINGER

__all__ = ["ClientEnd", "Ending", "Lingering"]

_log = getLogger(__name__)

PAUSE = 0.002
"""Seconds between two looks."""


class Ending(Protocol):
    """Something that comes to its end in a while."""

    def look(self) -> bool:
        """Go on with it as far as can be; whether it has come to its end."""


class Lingering:
    """What comes to its end in a while; the I/O thread, where no interrupt comes, sees to it."""

    def __init__(self) -> None:
        self._endings: dict[Ending, None] = {}

    def add(self, ending: Ending) -> None:
        """Take up something; from any thread."""
        self._endings[ending] = None

    def due_in(self) -> float | None:
        """Seconds until it is time to `look`; None if there is nothing."""
        return PAUSE if self._endings else None

    def look(self) -> bool:
        """Go on with all; whether something is left."""
        for ending in list(self._endings):
            try:
                ended = ending.look()
            except Exception:  # noqa: BLE001  # the others have to end as well
                _log.exception("a socket could not be closed as it should be")
                ended = True
            if ended:
                self._endings.pop(ending, None)
        return bool(self._endings)

    def finish(self) -> None:
        """Return when all have come to their ends."""
        while self.look():
            time.sleep(PAUSE)


class ClientEnd:
    """The end of a client's socket, to which nobody else sends any more.

    Parameters
    ----------
    socket : zmq.Socket
    send_mark : callable
        Sends what tells, when it is out, that all before it is; returns that, or None if there
        is nothing to wait for.
    """

    def __init__(
        self, socket: zmq.Socket[bytes], send_mark: Callable[[], zmq.MessageTracker | None]
    ) -> None:
        self._socket = socket
        self._send_mark: Callable[[], zmq.MessageTracker | None] | None = send_mark
        self._tracker: zmq.MessageTracker | None = None
        self._deadline = time.monotonic() + LINGER / 1000

    def look(self) -> bool:
        """Close the socket if all is out, or `LINGER` over; whether that is so."""
        if self._send_mark is not None:
            self._tracker, self._send_mark = self._send_mark(), None
        if self._tracker is None or self._tracker.done:
            self._socket.close()
        elif time.monotonic() >= self._deadline:
            self._socket.close(linger=0)
        return self._socket.closed
