"""Where a server listens, and who is connected to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import zmq

from ..errors import ProtocolError
from ..late_logging import getLogger
from ..limits import Limits
from ..transport.backlog import AT_ONCE, Backlog
from ..transport.direct import DirectListener, is_available
from ..transport.keys import KeyOrPath
from ..transport.listed import Listing
from ..transport.looking import Looking
from ..transport.monitor import Monitor
from ..transport.sockets import (
    ENVELOPE,
    FrameSocket,
    clean_address,
    endpoint,
    listen,
    new_router,
)
from ..transport.stamps import Stamps
from ..transport.stream import Stream
from ..transport.waiting import Poller, Waker
from ..wire.messages import Goodbye, Message, Move
from .closing import ServerEnd
from .connection import Connection, Connections
from .exchange import refuse
from .inbox import Inbox
from .runtime import Runtime
from .unsent import GATHERING

__all__ = ["Listener"]

_log = getLogger(__name__)

LOOK_INTERVAL = 0.0005
"""Seconds for which a server may go on with what has arrived before it looks for more."""


class Listener:
    """Listens for a server, which need not be there any more when this closes.

    It knows nothing of the server, so that a server that was dropped instead
    of closed can be collected, and its sockets closed then.

    Parameters
    ----------
    runtime : Runtime
    address : str or bytes
        Where to listen; ``*`` for the port takes any that is free.
    key : Key or str or path, optional
        The server's key, or the file with it; by default the user's.
    limits : Limits, optional
        What it takes of each client.

    Attributes
    ----------
    address : str
        Where clients reach it.
    key : Key or None
        What they need for that.
    connections : Connections
        The clients that have said hello.
    inbox : Inbox
        What they have sent.
    looked : float
        When it was last looked for messages, by `time.monotonic`.
    urgent_fd : int
        Readable when something may have come over the socket, which urgent
        messages do.
    unread : bool
        Whether something may be there that the socket does not signal.
    lock : threading.RLock
        Held by whoever uses the sockets, or changes what is known of the clients.
    closed : bool
        Whether it no longer listens.

    Raises
    ------
    OSError
        If it cannot listen there.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: str | bytes,
        key: KeyOrPath | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._unsent = limits.unsent
        self._runtime = runtime
        self.lock = threading.RLock()
        self.closed = False
        self._ended = threading.Event()
        self._unbound = False
        self._over = False  # the same as that event, which an interrupt may leave locked
        asked = clean_address(address)
        self.key = runtime.keys.for_server(asked, key)
        with runtime.opening(to_serve=True) as context:
            self._socket = new_router(context, self.key, limits.message)
        self._monitor = Monitor(self._socket)
        try:
            listen(self._socket, asked)
        except BaseException:
            self._monitor.close()
            self._socket.close(linger=0)
            raise
        self.address = endpoint(self._socket)
        if self.key is not None:
            runtime.keys.give(self.address, self.key)
        self._direct = _listen_direct(limits) if runtime.direct else None
        self._listing: Listing | None = None
        self._waker = Waker()
        self._frames = FrameSocket(self._socket)
        self.unread = True  # the socket signals only what comes after a look
        self.connections = Connections()
        self.inbox = Inbox(self._frames, self._monitor, self.connections, limits)
        self._ready: Sequence[tuple[int, int]] = ()
        self.looked = 0.0
        self._gathering: set[Stream] = set()
        self._moved: dict[int, Connection] = {}  # by the descriptors of their streams
        self._poller = Poller()
        self._look = Looking(self._poller.ready)
        self.urgent_fd = int(self._socket.fd)
        for fd in (self.urgent_fd, self._monitor.fd, self._waker.fd):
            self._poller.add(fd)

    def be_listed(self, name: str, server_id: str) -> None:
        """Have other programs of this user find the server while it listens."""
        path = "" if self._direct is None else self._direct.path
        self._listing = Listing(name, self.address, server_id, path)

    def fds(self) -> list[int]:
        """Descriptors that are readable when there may be something to `fill` in."""
        return [] if self.closed else self._poller.fds()

    def wait(self, timeout: float | None) -> None:
        """Wait until there may be something to `fill` in, `timeout` seconds at most."""
        is_settled = not (self._gathering or self.unread or self.inbox.items)  # spares a call
        if is_settled or not self.settle():
            self._ready = self._look(timeout)

    def settle(self) -> bool:
        """Send what was gathered, before a wait; whether there is something to do instead."""
        if self._gathering:
            with self.lock:
                self._flush()
        return bool(self.unread or self.inbox.items)

    def wake(self) -> None:
        """End the wait."""
        self._waker.wake()

    def fill(self) -> None:
        """Take all that has arrived into the inbox.

        While there is enough in it, this looks only now and then.
        """
        if self._waker.woken:
            self._waker.clear()
        now = time.monotonic()
        if self.inbox.items and now < self.looked + LOOK_INTERVAL:
            return
        self.looked = now
        with self.lock:
            if self.closed:
                return
            if self._gathering and not self.inbox.items:
                self._flush()
            ready, self._ready = self._ready, ()
            for fd, _ in ready or self._poller.ready(0):
                connection = self._moved.get(fd)
                if connection is None:
                    self.unread = True
                    continue
                self.inbox.fill_from(connection)
                if connection.stream is None or connection.stream.unsent <= self._unsent:
                    continue
                self._cut_slow(connection)  # of what it sends, too, it is told something
            if self.unread:
                self.inbox.fill()
                self.unread = False  # not before, or an interrupt would leave something there

    def look_for_urgent(self) -> None:
        """Take in all that has come over the socket, for what is urgent among it."""
        with self.lock:
            if not self.closed:
                self.inbox.fill()
                self.unread = False

    def wake_for_rest(self) -> None:
        """End the wait if `look_for_urgent` has taken in something for the server's thread."""
        if self.inbox.items or self.inbox.excess or self.inbox.cancels:
            self._waker.wake()  # or it would wait for what is here already

    def _flush(self) -> None:
        while self._gathering:
            stream = self._gathering.pop()
            if stream.fd in self._moved:
                stream.flush()

    # -- clients ---------------------------------------------------------------

    def direct_road(self, connection: Connection) -> dict[str, str]:
        """Return what a client has to know to come over the direct road."""
        if self._direct is None:
            return {}
        try:
            connection.token = self._direct.expect()
        except OSError:  # it has one for the other road, and no more
            return {}
        return {"path": self._direct.path, "token": connection.token}

    def welcome(self, connection: Connection, welcome: Message) -> None:
        """Take up a client that has said hello."""
        with self.lock:
            if self.closed:
                return
            self.inbox.welcome(connection)
            if not self.tell(connection, welcome):
                self.inbox.lost(connection)

    def meet(self, connection: Connection, frame: zmq.Frame) -> None:
        """Begin to know somebody who has not said hello, by what has come."""
        descriptor = connection.descriptor
        with self.lock:
            secret = self.inbox.secret_of(connection.identity, frame)
            connection.stamps = None if secret is None else Stamps(secret)
            # Of one that has ended nobody would tell once more.
            if not self.closed and descriptor is not None and self.inbox.is_open(descriptor):
                connection.backlog = Backlog(descriptor, self._unsent)
                self.connections.note_stranger(connection)

    def move(self, connection: Connection, token: str) -> None:
        """Take up the direct road of a client, which has just said its last word here.

        Raises
        ------
        ProtocolError
            If it has not come that way.
        OSError
            If there is no descriptor for it now; it may be tried again.
        """
        with self.lock:
            if self._direct is None or connection.stream is not None or token != connection.token:
                raise ProtocolError("there is no direct road to be taken")
            stream = self._direct.accept(token)
            if stream is None:
                raise ProtocolError("the direct road could not be taken up")
            self.tell(connection, Move(token))
            self._runtime.attend(stream, self.lock)
            connection.stream = stream
            self._moved[stream.fd] = connection
            self._poller.add(stream.fd)

    def drain(self, connection: Connection) -> bool:
        """Take in the last messages of a client that is gone; whether there are any."""
        with self.lock:
            return self.inbox.drain(connection)

    def hang_up(self, connection: Connection) -> None:
        """End the direct road of a client that is gone, or has said goodbye."""
        with self.lock:
            backlog = connection.backlog
            if not self.closed and backlog is not None and self.inbox.has(backlog):
                # If it says hello again, what waits for it still counts.
                self.connections.note_stranger(connection.anew("", connection.codec))
            stream = connection.stream
            if stream is not None and self._leave(connection, stream):
                stream.flush()
                stream.close()  # whoever is gone reads nothing any more
            if self._direct is not None:
                self._direct.forget(connection.token)

    def _leave(self, connection: Connection, stream: Stream) -> bool:
        """Look no more at a direct road; whether it was looked at."""
        if self._moved.get(stream.fd) is not connection:
            return False
        del self._moved[stream.fd]
        self._poller.remove(stream.fd)
        self._gathering.discard(stream)
        return True

    def cut(self, connection: Connection, why: str, slow: bool = False) -> None:
        """End the connection of a client that has gone beyond a limit.

        What it has sent and what was not begun is dropped, and what waits for
        it to be read, too.

        Parameters
        ----------
        connection : Connection
        why : str
            What it is told, and the log.
        slow : bool
            Whether it does not read the socket, so that it cannot be told.
        """
        with self.lock:
            if connection.cut:
                return
            connection.cut = True
            _log.warning("%s: cut off a client: %s", self.address, why)
            goodbye = connection.codec.encode(Goodbye(f"this connection: {why}"), refuse)
            stream = connection.stream
            if stream is not None and self._leave(connection, stream):
                if not stream.unsent:
                    stream.send(goodbye)
                stream.close()
            # There it gets through even if it reads the other road slowly.
            self._send_over_socket(connection, goodbye)
            # Only who is there can be slow. Of others the descriptor may be somebody else's by now;
            # if they go on, they are not listened to.
            if slow and connection.backlog is not None:
                connection.backlog.cut()
            self.inbox.items.appendleft((connection.identity, None))

    def _cut_slow(self, connection: Connection) -> None:
        why = (
            f"more than {self._unsent} bytes waited for this client to read them"
            " (to raise the limit, start the server with limits=Limits(unsent=...))"
        )
        self.cut(connection, why, slow=connection.stream is None)

    def tell(self, connection: Connection, message: Message) -> bool:
        """Send a message that refers to no objects; whether the client is still there."""
        return self.send(connection, connection.codec.encode(message, refuse))

    def send(self, connection: Connection, frames: list[Any]) -> bool:
        """Send to one client, from any thread; whether it is still there."""
        with self.lock:
            stream = connection.stream
            if stream is None:
                return not connection.cut and self._send_over_socket(connection, frames)
            if self._moved.get(stream.fd) is not connection:
                return False
            if stream.unsent > self._unsent:
                self._cut_slow(connection)
                return False
            if self.inbox.items and time.monotonic() - stream.flushed < GATHERING:
                # More answers are about to follow.
                self._gathering.add(stream)
                stream.send_soon(frames)
            else:
                stream.send(frames)
            return not stream.broken

    def _send_over_socket(self, connection: Connection, frames: list[Any]) -> bool:
        with self.lock:
            return not self.closed and self._put_on_socket(connection, frames)

    def _put_on_socket(self, connection: Connection, frames: list[Any]) -> bool:
        if connection.stamps is not None:
            frames = connection.stamps.put(frames)
        backlog = connection.backlog
        if backlog is not None:
            backlog.unmarked += sum(map(len, frames)) + ENVELOPE * len(frames)
            if backlog.unmarked > backlog.step:
                if backlog.is_full() and not connection.cut:
                    self._cut_slow(connection)
                    return False
                frames = backlog.mark(frames)
        self.unread = True  # sending may have swallowed the sign that something came
        try:
            self._frames.send([connection.identity, *frames])
        except zmq.ZMQError as error:
            _log.debug("%s: could not send to a client: %s", self.address, error)
            return False
        return True

    # -- the end ---------------------------------------------------------------

    def wait_closed(self, timeout: float | None) -> bool:
        """Wait until it no longer listens, `timeout` seconds at most."""
        return self._over or self._ended.wait(timeout)

    def close(self) -> None:
        """Tell all clients, and stop listening when they have got what there is for them.

        Where they are slow to read, this returns before that; see `wait_closed`.
        """
        # In the child of a fork the sockets are the parent's.
        if self._runtime.pid != os.getpid():
            return
        ends = False
        try:
            with self.lock:
                if self.closed or self._socket.closed:
                    return
                connections = self.connections.all() + self.connections.strangers()
                for connection in connections:
                    self._say_goodbye(connection)
                if self._listing is not None:
                    self._listing.remove()
                if self._direct is not None:
                    self._direct.close()
                self._runtime.keys.forget(self.address)
                self._poller.close()
                self._waker.close()
                self.closed = ends = True  # from now on nobody else uses the socket
            end = ServerEnd(self, connections)
            if end.is_needed():
                self._runtime.linger(end)
            else:
                self.close_socket()
        except BaseException:  # an interrupt
            if ends:
                self._runtime.linger(ServerEnd(self, connections))
            raise

    def _say_goodbye(self, connection: Connection) -> None:
        self.tell(connection, Goodbye("server closed"))
        stream = connection.stream
        if stream is not None and self._leave(connection, stream):
            self._runtime.close_stream(stream, self.lock)

    def send_mark(self, connection: Connection) -> None:
        """Send what tells, when it is out, that all is that a client was sent over ZeroMQ."""
        with self.lock:
            backlog = connection.backlog
            if backlog is None or connection.stream is not None or connection.cut:
                return
            # What has no meaning any more, behind what is not seen to be out.
            filler, last = (
                connection.codec.encode(Goodbye(reason), refuse) for reason in (" " * AT_ONCE, "")
            )
            self._put_on_socket(connection, filler)
            backlog.step = -1  # so that the next one is marked
            self._put_on_socket(connection, last)

    def close_socket(self) -> None:
        """Give back the address and the descriptors; once more does no harm."""
        if self._over:
            return
        if not self._socket.closed:
            if not self._unbound:
                self._unbound = True  # before: else it would be taken for an error the next time
                self._monitor.unbind()
            self._monitor.close()
            # Within a process there is no connection that could break.
            self._socket.close(None if self.address.startswith("inproc:") else 0)
        self._over = True
        self._ended.set()

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's.

        A fork within a request returns from it in both processes. Only the
        parent may answer; in the child nothing listens any more.
        """
        self.closed = True
        for connection in self.connections.all():
            if connection.stream is not None:
                connection.stream.close()
        self._moved.clear()
        if self._direct is not None:
            self._direct.abandon()
        self._poller.close()
        self._waker.abandon()
        self._ended.set()


def _listen_direct(limits: Limits) -> DirectListener | None:
    if not is_available():
        return None
    try:
        return DirectListener(limits)
    except OSError as error:
        _log.warning("clients on this host will take the slow road: %s", error)
        return None
