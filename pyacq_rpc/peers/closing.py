"""How a server ends its connections: nothing that it has sent is lost, and nothing breaks.

libzmq cannot do that. When a socket ceases to listen, what waits for slow readers is dropped.
And while libzmq ends a connection, it reads no more from it: if then the other side breaks it
off, the next heartbeat ends the process, by an assertion about ``_io_error`` (libzmq 4.3.5,
``stream_engine_base.cpp``). So the connections are ended first, and then the socket.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ..transport.sockets import LINGER

if TYPE_CHECKING:
    from .connection import Connection
    from .inbox import Inbox

__all__ = ["end_connections"]

_HANGING_UP = 0.5
"""Seconds to wait for libzmq's thread to notice that a connection has ended."""

_PAUSE = 0.0005
"""Seconds between two looks."""


def end_connections(
    connections: Collection[Connection], inbox: Inbox, lock: threading.RLock
) -> None:
    """End those connections for which something may wait, when that is out or `LINGER` is over.

    Parameters
    ----------
    connections : collection of Connection
        All that a server knows of, hello or not, and uses no more.
    inbox : Inbox
        Of that server.
    lock : threading.RLock
        Held by whoever uses its direct roads: the I/O thread does as well.
    """
    streams = [one.stream for one in connections if one.stream is not None]
    # What has never been marked goes out before libzmq ends that connection.
    backlogs = [one.backlog for one in connections if one.backlog is not None]
    backlogs = [backlog for backlog in backlogs if backlog.marked]

    def is_out() -> bool:
        with lock:
            for stream in streams:
                if not stream.closed and stream.flush():
                    stream.close()
        return all(stream.closed for stream in streams) and all(
            backlog.is_empty() for backlog in backlogs
        )

    def is_over() -> bool:
        return not any(inbox.is_open(backlog.descriptor) for backlog in backlogs)

    deadline = time.monotonic() + LINGER / 1000
    _wait(is_out, deadline)
    with lock:
        for stream in streams:
            stream.close()
    for backlog in backlogs:
        backlog.cut(socket.SHUT_WR)
    _wait(is_over, deadline)  # or an answer to a heartbeat would meet nobody: others were lost then
    for backlog in backlogs:
        backlog.cut()
    _wait(is_over, time.monotonic() + _HANGING_UP)


def _wait(done: Callable[[], bool], end: float) -> None:
    while not done() and time.monotonic() < end:
        time.sleep(_PAUSE)
