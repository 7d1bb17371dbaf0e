"""What has arrived at a server and waits for its turn."""

from __future__ import annotations

import collections
from typing import Any

import zmq

from ..errors import RPCError
from ..late_logging import getLogger
from ..limits import Limits
from ..transport.backlog import Backlog
from ..transport.monitor import Monitor
from ..transport.sockets import FrameSocket
from ..transport.stamps import secret_of, unstamp
from ..wire.messages import URGENT, Cancel, Reference, Request
from .connection import Connection, Connections
from .sizes import too_much

__all__ = ["Inbox", "OverZmq"]

_log = getLogger(__name__)

_URGENT_SIZE = 80
"""Bytes within which a message that overtakes others fits."""

_MOST_WITHOUT = 1000
"""Clients to keep in mind whose secrets are none."""


class OverZmq(list[memoryview]):
    """The buffers of a message that came over ZeroMQ; none, if it was not whole.

    Attributes
    ----------
    frame : zmq.Frame
        One of its frames, of which libzmq tells what connection it came over.
    excess : str
        What is too large about it, as the end of a sentence; empty if nothing is.
    """

    __slots__ = ("excess", "frame")

    def __init__(self, frames: list[zmq.Frame], secret: bytes | None, limits: Limits) -> None:
        super().__init__([frame.buffer for frame in frames])
        self.frame = frames[0]
        self.excess = ""
        most = 1
        if secret is not None and not unstamp(secret, self, limits.message):
            most = 2  # an interrupt that has lost a frame has joined it with the next one
        size, count = sum(map(len, self)), len(self)
        if count > 1:
            self.excess = too_much(size // most, count // most, limits)
        if most > 1:
            self.clear()  # or somebody's data would be decoded


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
    limits : Limits
        What each of them may have in here.

    Attributes
    ----------
    items : collections.deque
        A client's identity and the buffers of its message, as `OverZmq` or as
        a list, according to the road; None for them says that the client is gone.
    waiting : dict
        How many messages of each client are among the items, by its identity.
        Whoever takes one counts it out.
    refused : set
        Clients that are refused more until none of theirs waits any more.
    urgent : collections.deque
        Clients, and their requests that overtake those.
    excess : collections.deque
        What has come beyond the limits, in the same form; to be refused at once.
    running : dict
        How many requests of each client are tasks by now, which count as if they waited.
    cancels : collections.deque or None
        Clients, and their requests that they have withdrawn, if tasks can be cancelled.
    """

    def __init__(
        self, socket: FrameSocket, monitor: Monitor, connections: Connections, limits: Limits
    ) -> None:
        self._socket = socket
        self._monitor = monitor
        self._connections = connections
        self._alive: set[int] = set()  # descriptors of connections, hello or not
        self._limits = limits
        self._most = limits.requests
        self._without: collections.deque[bytes] = collections.deque(maxlen=_MOST_WITHOUT)
        self.items: collections.deque[tuple[bytes, list[Any] | None]] = collections.deque()
        self.waiting: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.urgent: collections.deque[tuple[Connection, Request]] = collections.deque()
        self.excess: collections.deque[tuple[bytes, list[Any]]] = collections.deque()
        self.running: dict[bytes, int] = {}
        self.cancels: collections.deque[tuple[Connection, int]] | None = None

    def lost(self, connection: Connection) -> None:
        """A client turned out to be gone."""
        self.items.append((connection.identity, None))

    def clear(self) -> None:
        """Forget everything."""
        self.items.clear()
        self.urgent.clear()
        self.excess.clear()
        self.waiting.clear()
        self.refused.clear()

    def drop(self, identity: bytes) -> None:
        """Forget everything of one client."""
        kept = [item for item in self.items if item[0] != identity]
        self.items.clear()
        self.items.extend(kept)
        self.waiting.pop(identity, None)
        self.refused.discard(identity)

    def keep(self, identity: bytes, frames: list[Any]) -> bool:
        """Queue what is no request, and has come beyond the limit; whether that may be."""
        waiting = self.waiting.get(identity, 0) + 1
        if waiting > 2 * self._most:
            return False
        self.waiting[identity] = waiting
        self.items.append((identity, frames))
        return True

    def is_open(self, descriptor: int) -> bool:
        """Whether the connection of this descriptor has not ended."""
        self.look_at_monitor()
        return descriptor in self._alive

    def has(self, backlog: Backlog) -> bool:
        """Whether this very connection has not ended, whoever has its descriptor by now."""
        return self.is_open(backlog.descriptor) and backlog.is_there()

    def fill(self) -> None:
        """Take in all that is there on the socket."""
        self.look_at_monitor()
        self._take_messages()

    def fill_from(self, connection: Connection) -> None:
        """Take in all that is there on a client's direct road."""
        stream = connection.stream
        if stream is None:
            return
        items, identity = self.items, connection.identity
        before = len(items)
        stream.receive(items, identity)
        came = len(items) - before
        if came:
            waiting = self.waiting[identity] = self.waiting.get(identity, 0) + came
            if self.running:
                waiting += self.running.get(identity, 0)
            if waiting > self._most or identity in self.refused:
                self._screen(identity, came)
        # Each look at it finds that again; one that is told once more for each never ends.
        if stream.ended and (identity, None) not in items:
            self.lost(connection)

    def _screen(self, identity: bytes, came: int) -> None:
        """Take what is too much from the end of the items."""
        waited = self.waiting[identity] - came
        taken = waited + self.running.get(identity, 0)
        room = 0 if identity in self.refused else max(0, self._most - taken)
        excess = [self.items.pop() for _ in range(came - room)]
        if waited + room:
            self.waiting[identity] = waited + room
        else:
            del self.waiting[identity]
        for _, frames in reversed(excess):
            assert frames is not None
            self._refuse(identity, frames)

    def _refuse(self, identity: bytes, frames: list[Any]) -> None:
        if identity not in self.refused:
            self.refused.add(identity)
            _log.warning("requests of a client are refused: it has %s already", self._most)
        self.excess.append((identity, frames))

    def drain(self, connection: Connection) -> bool:
        """Take in the last messages of a client that is gone; whether there are any."""
        stream = connection.stream
        if stream is None:
            return False
        if not stream.ended:
            before, identity = len(self.items), connection.identity
            stream.drain(self.items, identity)
            if len(self.items) > before:
                came = len(self.items) - before
                self.waiting[identity] = self.waiting.get(identity, 0) + came
            self.lost(connection)
        return any(identity == connection.identity for identity, _ in self.items)

    def look_at_monitor(self) -> None:
        """Note the clients whose connection has broken."""
        for connected, descriptor in list(self._monitor.events()):
            if connected:
                self._alive.add(descriptor)
                continue
            self._alive.discard(descriptor)
            self._connections.forget_stranger(descriptor)
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
            frames = self._opened(identity, message[1:])
            arrived = []
            if frames is not None and not self._overtakes(identity, frames):
                waiting = self.waiting.get(identity, 0)
                if frames.excess:
                    self.excess.append((identity, frames))
                elif (
                    waiting + self.running.get(identity, 0) >= self._most
                    or identity in self.refused
                ):
                    self._refuse(identity, frames)
                else:
                    arrived = [(identity, frames)]
                    self.waiting[identity] = waiting + 1
            items += arrived
            message.clear()  # with no call in between: both happen, or neither

    def _opened(self, identity: bytes, frames: list[zmq.Frame]) -> OverZmq | None:
        """Return a message; an identity and nothing else is none of ours."""
        if not frames:
            return None
        connection = self._connections.get(identity) or self._connections.stranger(identity)
        if connection is None:
            secret = self.secret_of(identity, frames[0])
        else:
            secret = None if connection.stamps is None else connection.stamps.secret
        return OverZmq(frames, secret, self._limits)

    def secret_of(self, identity: bytes, frame: zmq.Frame) -> bytes | None:
        """Return the secret of somebody who has not said hello, who has sent this frame."""
        if identity in self._without:
            return None
        try:
            return secret_of(frame)
        except ValueError:
            self._without.append(identity)  # it is looked at once, and not with each message
            return None

    def _overtakes(self, identity: bytes, frames: OverZmq) -> bool:
        """Whether a message is one that overtakes others; if so, see to it."""
        connection = self._connections.get(identity)
        if connection is None or len(frames) != 1 or len(frames[0]) > _URGENT_SIZE:
            return False
        if connection.guest is not None:
            return False  # whoever takes it from the inbox looks first whether that one may stay
        try:
            message = connection.codec.decode(frames, _no_reference)
        except RPCError:
            return False  # whoever takes it from the inbox will say so
        most = 2 * self._most  # more cannot wait
        if isinstance(message, Cancel):
            if len(connection.cancelled) < most and message.id not in connection.cancelled:
                connection.cancelled.add(message.id)
                if self.cancels is not None:
                    self.cancels.append((connection, message.id))
            return True
        if isinstance(message, Request) and message.action in URGENT and len(self.urgent) < most:
            self.urgent.append((connection, message))
            return True
        return False


def _no_reference(reference: Reference) -> object:
    return None
