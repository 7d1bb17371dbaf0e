"""What has arrived at a server and waits for its turn."""

from __future__ import annotations

import collections
from typing import NamedTuple

import zmq

from ..errors import RPCError
from ..transport.monitor import Monitor
from ..transport.sockets import FrameSocket
from ..wire.messages import Cancel, Reference
from .connection import Connection, Connections

__all__ = ["Inbox", "Item"]

_CANCEL_SIZE = 32
"""Bytes within which a message that withdraws a request fits."""


class Item(NamedTuple):
    """One thing to see to: a message, or (frames None) that a client is gone."""

    identity: bytes
    frames: list[zmq.Frame] | None


class Inbox:
    """The messages of all clients, in the order in which they came.

    Withdrawals are noted as soon as they are read, since they concern what is
    in here still.

    Parameters
    ----------
    socket : FrameSocket
        The server's; the caller sees to it that nobody else uses it meanwhile.
    monitor : Monitor
        Of that socket.
    connections : Connections
        The clients that have said hello.
    """

    def __init__(self, socket: FrameSocket, monitor: Monitor, connections: Connections) -> None:
        self._socket = socket
        self._monitor = monitor
        self._connections = connections
        self._items: collections.deque[Item] = collections.deque()

    def __bool__(self) -> bool:
        return bool(self._items)

    def pop(self) -> Item:
        """Return what has waited for longest."""
        return self._items.popleft()

    def lost(self, connection: Connection) -> None:
        """A client turned out to be gone."""
        self._items.append(Item(connection.identity, None))

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()

    def fill(self) -> None:
        """Take in all that is there."""
        self.look_at_monitor()
        self._take_messages()

    def look_at_monitor(self) -> None:
        """Note the clients whose connection has broken."""
        for connected, descriptor in self._monitor.events():
            connection = None if connected else self._connections.at(descriptor)
            if connection is not None:
                self._take_messages()  # what it sent before it died
                self.lost(connection)

    def _take_messages(self) -> None:
        while (message := self._socket.take()) is not None:
            if len(message) < 2:
                continue  # an identity and nothing else: no message of ours
            identity, *frames = message
            if not self._cancels(identity.bytes, frames):
                self._items.append(Item(identity.bytes, frames))

    def _cancels(self, identity: bytes, frames: list[zmq.Frame]) -> bool:
        connection = self._connections.get(identity)
        if connection is None or len(frames) != 1 or len(frames[0]) > _CANCEL_SIZE:
            return False
        try:
            message = connection.codec.decode([frames[0].buffer], _no_reference)
        except RPCError:
            return False  # whoever takes it from here will say so
        if isinstance(message, Cancel):
            connection.cancelled.add(message.id)
            return True
        return False


def _no_reference(reference: Reference) -> object:
    return None
