"""What has arrived at a server and waits for its turn."""

from __future__ import annotations

import collections
from typing import Any

from ..errors import RPCError
from ..transport.monitor import Monitor
from ..transport.sockets import FrameSocket
from ..wire.messages import URGENT, Cancel, Reference, Request
from .connection import Connection, Connections

__all__ = ["Inbox"]

_URGENT_SIZE = 48
"""Bytes within which a message that overtakes others fits."""


class Inbox:
    """The messages of all clients, in the order in which they came.

    Withdrawals are noted as soon as they are read, since they concern what is
    in here still, and so are urgent requests. They come over the socket, whichever
    road the rest takes.

    Parameters
    ----------
    socket : FrameSocket
        The server's; the caller sees to it that nobody else uses it meanwhile.
    monitor : Monitor
        Of that socket.
    connections : Connections
        The clients that have said hello.

    Attributes
    ----------
    items : collections.deque
        A client's identity and the frames of its message, as `zmq.Frame` or
        as buffers, according to the road; None for the frames says that the
        client is gone.
    urgent : collections.deque
        Clients, and their requests that overtake those.
    """

    def __init__(self, socket: FrameSocket, monitor: Monitor, connections: Connections) -> None:
        self._socket = socket
        self._monitor = monitor
        self._connections = connections
        self._alive: set[int] = set()  # descriptors of connections, hello or not
        self.items: collections.deque[tuple[bytes, list[Any] | None]] = collections.deque()
        self.urgent: collections.deque[tuple[Connection, Request]] = collections.deque()

    def lost(self, connection: Connection) -> None:
        """A client turned out to be gone."""
        self.items.append((connection.identity, None))

    def clear(self) -> None:
        """Forget everything."""
        self.items.clear()
        self.urgent.clear()

    def fill(self) -> None:
        """Take in all that is there on the socket."""
        self.look_at_monitor()
        self._take_messages()

    def fill_from(self, connection: Connection) -> None:
        """Take in all that is there on a client's direct road."""
        stream = connection.stream
        if stream is not None:
            stream.receive(self.items, connection.identity)
            if stream.ended:
                self.lost(connection)

    def drain(self, connection: Connection) -> bool:
        """Take in the last messages of a client that is gone; whether there are any."""
        stream = connection.stream
        if stream is None:
            return False
        if not stream.ended:
            stream.drain(self.items, connection.identity)
            self.lost(connection)
        return any(identity == connection.identity for identity, _ in self.items)

    def look_at_monitor(self) -> None:
        """Note the clients whose connection has broken."""
        for connected, descriptor in self._monitor.events():
            if connected:
                self._alive.add(descriptor)
                continue
            self._alive.discard(descriptor)
            connection = self._connections.at(descriptor)
            if connection is not None:
                self._take_messages()  # what it sent before it died
                self.lost(connection)

    def welcome(self, connection: Connection) -> None:
        """Note a client that has said hello, and perhaps more than that.

        Its descriptor is used again as soon as it is free. So the end of its
        last connection is noted before its next one begins; and either may
        have ended before its hello was read.
        """
        self.look_at_monitor()
        descriptor = connection.descriptor
        if descriptor is not None:
            previous = self._connections.at(descriptor)
            if previous is not None:
                self.lost(previous)
        self._connections.add(connection)
        if descriptor is not None and descriptor not in self._alive:
            self.lost(connection)

    def _take_messages(self) -> None:
        items = self.items
        while (message := self._socket.take()) is not None:
            identity = message[0].bytes
            connection = self._connections.get(identity)
            arrived = [(identity, message[1:])]
            # An identity and nothing else is no message of ours.
            if len(message) < 2 or (
                connection is not None
                and len(message) == 2
                and self._overtakes(connection, message[1].buffer)
            ):
                arrived.clear()
            items += arrived
            message.clear()  # with no call in between: both happen, or neither

    def _overtakes(self, connection: Connection, frame: Any) -> bool:
        """Whether a message is one that overtakes others; if so, see to it."""
        if len(frame) > _URGENT_SIZE:
            return False
        try:
            message = connection.codec.decode([frame], _no_reference)
        except RPCError:
            return False  # whoever takes it from the inbox will say so
        if isinstance(message, Cancel):
            connection.cancelled.add(message.id)
            return True
        if isinstance(message, Request) and message.action in URGENT:
            self.urgent.append((connection, message))
            return True
        return False


def _no_reference(reference: Reference) -> object:
    return None
