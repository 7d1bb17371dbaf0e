"""How a server ends its connections: those first for which something waits, and then the socket.

Why libzmq cannot be left to it is told in `lingering`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..transport.sockets import LINGER

if TYPE_CHECKING:
    from ..transport.stream import Stream
    from .connection import Connection
    from .listener import Listener

__all__ = ["ServerEnd"]

_HANGING_UP = 0.5
"""Seconds to wait for libzmq's thread to notice that a connection has ended."""


class ServerEnd:
    """The end of a server's socket, which nobody else uses any more.

    Parameters
    ----------
    listener : Listener
    connections : list of Connection
        All that it knows of, hello or not. They have been told goodbye.
    """

    def __init__(self, listener: Listener, connections: list[Connection]) -> None:
        self._listener = listener
        self._streams = [one.stream for one in connections if one.stream is not None]
        # What is less goes out before libzmq ends that connection.
        self._waited_for = [
            one
            for one in connections
            if one.backlog is not None and (one.cut or one.backlog.may_wait())
        ]
        self._steps = self._take_steps()

    def is_needed(self) -> bool:
        """Whether anything may wait for a client; else the socket can be closed at once."""
        return bool(self._waited_for) or not all(stream.closed for stream in self._streams)

    def look(self) -> bool:
        """Go on with it as far as can be; whether it has come to its end."""
        return next(self._steps, True)

    def _take_steps(self) -> Iterator[bool]:
        """End the connections when what there is for them is out, or `LINGER` is over."""
        listener = self._listener
        deadline = time.monotonic() + LINGER / 1000
        backlogs = [one.backlog for one in self._waited_for if one.backlog is not None]

        def is_out() -> bool:
            # Of a client that has gone, libzmq may keep what waits until the socket is used.
            return self._streams_are_out() and all(
                one.is_empty() or not listener.inbox.has(one) for one in backlogs
            )

        def is_over() -> bool:
            return not any(map(listener.inbox.has, backlogs))

        try:
            for connection in self._waited_for:
                listener.send_mark(connection)
            yield from _until(is_out, deadline)
            with listener.lock:
                for stream in self._streams:
                    stream.close()
            for backlog in backlogs:
                backlog.cut(socket.SHUT_WR)
            # This side goes on listening: whatever a client sends to one that does not, if only
            # libzmq's answer to a heartbeat, has the system drop what it has not sent yet.
            yield from _until(is_over, deadline)
            for backlog in backlogs:
                backlog.cut()
            yield from _until(is_over, time.monotonic() + _HANGING_UP)
        finally:
            listener.close_socket()

    def _streams_are_out(self) -> bool:
        with self._listener.lock:
            ended = [
                _end_if_out(stream) for stream in self._streams
            ]  # each, whatever the first says
        return all(ended)


def _end_if_out(stream: Stream) -> bool:
    """Send what is left, and end the stream if that is all out; whether it has ended."""
    if not stream.closed and stream.flush():
        stream.close()
    return stream.closed


def _until(done: Callable[[], bool], deadline: float) -> Iterator[bool]:
    """Give way until that is so, or it is too late."""
    while not done() and time.monotonic() < deadline:
        yield False
