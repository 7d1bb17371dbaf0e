"""The socket that a server listens on, and who is connected to it."""

from __future__ import annotations

import os
import threading
from typing import Any

import zmq

from ..late_logging import getLogger
from ..transport.monitor import Monitor
from ..transport.sockets import FrameSocket, bind_router, clean_address, endpoint
from ..transport.waiting import Waker
from ..wire.messages import Goodbye, Message
from .connection import Connection, Connections
from .exchange import refuse
from .inbox import Inbox

__all__ = ["Listener"]

_log = getLogger(__name__)


class Listener:
    """Listens for a server, which need not be there any more when this closes.

    It knows nothing of the server, so that a server that was dropped instead
    of closed can be collected, and its socket closed then.

    Parameters
    ----------
    context : zmq.Context
    address : str or bytes
        Where to listen; ``*`` for the port takes any that is free.

    Attributes
    ----------
    address : str
        Where clients reach it.
    connections : Connections
        The clients that have said hello.
    inbox : Inbox
        What they have sent.

    Raises
    ------
    OSError
        If it cannot listen there.
    """

    def __init__(self, context: zmq.Context[Any], address: str | bytes) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._socket = bind_router(context, clean_address(address))
        self.address = endpoint(self._socket)
        self._fd = int(self._socket.fd)
        self._monitor = Monitor(self._socket)
        self._waker = Waker()
        self._frames = FrameSocket(self._socket)
        self.connections = Connections()
        self.inbox = Inbox(self._frames, self._monitor, self.connections)

    def fds(self) -> list[int]:
        """Descriptors that are readable when there may be something to `fill` in."""
        return [] if self._closed.is_set() else [self._fd, self._monitor.fd, self._waker.fd]

    def wake(self) -> None:
        """Make one of `fds` readable."""
        self._waker.wake()

    def clear(self) -> None:
        """Make it unreadable again."""
        self._waker.clear()

    def fill(self) -> None:
        """Take all that has arrived into the inbox."""
        with self._lock:
            if not self._closed.is_set():
                self.inbox.fill()

    def welcome(self, connection: Connection, welcome: Message) -> None:
        """Take up a client that has said hello."""
        with self._lock:
            # A descriptor is used again as soon as it is free: the end of its
            # last connection has to be noted before its next one begins.
            self.inbox.look_at_monitor()
        self.connections.add(connection)
        if not self.tell(connection, welcome):
            self.inbox.lost(connection)  # its end was noted before its hello

    def tell(self, connection: Connection, message: Message) -> bool:
        """Send a message that refers to no objects; whether the client is still there."""
        return self.send(connection.identity, connection.codec.encode(message, refuse))

    def send(self, identity: bytes, frames: list[Any]) -> bool:
        """Send to one client, from any thread; whether it is still there."""
        with self._lock:
            if self._closed.is_set():
                return False
            try:
                self._frames.send([identity, *frames])
            except zmq.ZMQError as error:
                _log.debug("%s: could not send to a client: %s", self.address, error)
                return False
        return True

    def closed(self) -> bool:
        """Whether it no longer listens."""
        return self._closed.is_set()

    def wait_closed(self, timeout: float | None) -> bool:
        """Wait until it no longer listens, `timeout` seconds at most."""
        return self._closed.wait(timeout)

    def close(self) -> None:
        """Tell all clients, and stop listening."""
        # In the child of a fork the socket is the parent's.
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._closed.is_set() or self._socket.closed:
                return
            for connection in self.connections.all():
                self.tell(connection, Goodbye("server closed"))
            self._monitor.unbind()
            self._monitor.close()
            self._socket.close()
            self._waker.close()
            self._closed.set()
