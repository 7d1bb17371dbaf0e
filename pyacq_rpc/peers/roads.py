"""The roads to a server: the ZeroMQ socket that each client begins with, and the direct one.

The socket's descriptor is edge-triggered: any use of the socket may swallow the edge that
says that something has arrived. Hence the rule that whoever has sent something over it reads
it empty before letting go of the lock, and delivers what was there.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from ..transport.direct import connect_direct
from ..transport.stream import Stream
from ..wire.codecs import Codec
from ..wire.messages import Message, Move
from .dealer import Dealer
from .exchange import refuse
from .lingering import ClientEnd
from .unsent import GATHERING

if TYPE_CHECKING:
    from .attention import Attention
    from .reach import Reach
    from .runtime import Runtime

__all__ = ["Roads"]

LAST_WORD = 500
"""Milliseconds to wait for why a server has ended the direct road, if it is still there."""


class Roads:
    """What a client's messages go over, and come from; to `connect`.

    Parameters
    ----------
    runtime : Runtime
    context : zmq.Context
    address : str
    codec : Codec
        How messages are written.
    attention : Attention
        Whoever waits there has to look again when `fds` have changed.

    Attributes
    ----------
    lock : threading.RLock
        To be held by whoever sends, receives or closes.
    signal : bool
        Whether all that may be there to receive makes one of `fds` readable.
    fds : list of int
        Descriptors that are readable when something may have arrived; another
        list when they have changed.
    monitor_fd : int
        Readable when the connection may be lost.
    reach : Reach
        Whether the server has been reached.
    bytes_sent : int
        Of requests.
    sends : int
        How many messages `send` has passed on. If an interrupt ends it, this tells whether
        before or after that.
    """

    fds: list[int]
    monitor_fd: int
    reach: Reach

    def __init__(
        self,
        runtime: Runtime,
        context: zmq.Context[Any],
        address: str,
        codec: Codec,
        attention: Attention,
    ) -> None:
        self.lock = threading.RLock()
        self.signal = False
        self.bytes_sent = 0
        self.sends = 0
        self._runtime = runtime
        self._codec = codec
        self._attention = attention
        self._dealer = Dealer(context, address, runtime.keys.for_client(address))
        self._stream: Stream | None = None
        self._moved = False  # whether the server's messages come over the stream, too
        self._torn = False  # whether one of the socket's may have been lost
        self._unseen = False  # whether the stream may hold what it has read
        self._last_soon = 0.0
        self._last: ClientEnd | None = None

    def connect(self) -> None:
        """Connect the socket; before anybody else has this."""
        self._dealer.connect()
        self.reach = self._dealer.reach
        self.monitor_fd = self._dealer.monitor.fd
        self.fds = [self._dealer.fd]

    def accepted(self) -> bool:
        """Whether somebody has accepted the connection, but perhaps not this client yet."""
        return self._dealer.monitor.accepted

    # -- which one ---------------------------------------------------------------

    def taken(self) -> str:
        """Return the one that requests take: ``'direct'`` or ``'zmq'``."""
        return "zmq" if self._stream is None else "direct"

    def take_direct(self, path: str, token: str) -> bool:
        """Take the direct road from now on, if the server is reached there; whether that is new.

        The socket is to be read then.
        """
        stream = None if self._stream is not None else connect_direct(path, token)
        if stream is None:
            return False
        self.put(Move(token))
        self._runtime.attend(stream, self.lock)
        self._stream = stream
        if self._torn:
            self._look_at_both()
        return True

    def moved(self) -> None:
        """Nothing more comes over the socket, but over the stream: as the server has said."""
        if self._stream is not None:
            # No call within these, as wherever `signal` is set: the lock is not held here.
            self.fds = [self._stream.fd]
            self._moved = True
            self.signal = not self._unseen
            # Whoever waits at the socket, since another thread has read this, must not go on.
            self._attention.received()
            self._runtime.watcher.poke()

    def _look_at_both(self) -> None:
        if self._stream is not None and not self._moved:
            self.fds = [self._dealer.fd, self._stream.fd]
            self._attention.received()
            self._runtime.watcher.poke()

    # -- sending -------------------------------------------------------------------

    def send(self, frames: list[Any], soon: bool, held: bool) -> bool:
        """Send a request; whether the socket has to be read for that.

        Parameters
        ----------
        frames : list
            Of its message.
        soon : bool
            Whether it may wait a moment for others to come, if others came just before.
        held : bool
            Whether it may wait for `flush`.
        """
        self.bytes_sent += len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
        stream = self._stream
        if stream is None:
            try:
                self._dealer.send(frames)
                self.sends += 1
            except zmq.Again:  # over inproc the other end is gone at once
                self.reach.connected = False
            return True
        taken = stream.taken
        try:
            if held:
                stream.gather(frames)
                return False
            if soon:
                last, now = self._last_soon, time.monotonic()
                self._last_soon = now
                if now - last < GATHERING and now - stream.flushed < GATHERING:
                    stream.send_soon(frames)
                    return False
            stream.send(frames)
        finally:
            self.sends += stream.taken - taken
        return False

    def put(self, message: Message) -> None:
        """Send what is no request; the socket is to be read then."""
        frames = self._codec.encode(message, refuse)
        if self._stream is None:
            with contextlib.suppress(zmq.Again):  # refused already, as the monitor will tell
                self._dealer.send(frames)
        else:
            self._stream.send(frames)

    def overtake(self, message: Message) -> None:
        """Send a message that need not wait for those before it; the socket is to be read then."""
        with contextlib.suppress(zmq.Again):
            self._dealer.send(self._codec.encode(message, refuse))

    def flush(self) -> None:
        """Send what waits for others to come."""
        if self._stream is not None:
            self._stream.flush()

    # -- receiving -----------------------------------------------------------------

    def receive(self, inbox: collections.deque[Any]) -> None:
        """Add the messages that are there to an inbox; at the end, what has become of the server.

        After an interrupt this has to be called once more: what is left does not signal.
        """
        if not self._moved:
            # Answers to what was sent before the move are still to come here,
            # ahead of what comes over the stream.
            self._take_all(inbox)
        if self._stream is not None and (self._moved or self._torn):
            try:
                self._stream.receive(inbox)
            except BaseException:  # an interrupt
                self._unseen = True
                self.signal = False
                raise
            self._unseen = False
            self.signal = self._moved
            if self._stream.ended:
                # If it was not to be reached there, the server says why over the socket.
                self._dealer.monitor.wait(LAST_WORD)
                self._take_all(inbox)
                fault = self._stream.fault
                what = f"has sent what could not be taken in: {fault}" if fault else "has died"
                inbox.append(what)

    def _take_all(self, inbox: collections.deque[Any]) -> None:
        try:
            self._dealer.take_all(inbox)
        except BaseException:
            # An interrupt: pyzmq runs signal handlers when it has taken a message, which is
            # lost then. It may be the one that says that nothing more comes here.
            self._torn = True
            self._look_at_both()
            raise

    def drain(self, inbox: collections.deque[Any]) -> None:
        """Add to an inbox all that was sent by a server that is known to be gone."""
        if self._stream is not None:
            self._stream.drain(inbox)

    def opened(self, frames: list[zmq.Frame]) -> list[Any] | None:
        """Return the buffers of a message that has come over the socket, if it is whole."""
        return self._dealer.opened(frames)

    # -- the end -------------------------------------------------------------------

    def cut(self) -> None:
        """Close all at once: nobody is there any more. Twice is once, as with `close`."""
        if self._stream is not None:
            self._stream.close()
        self._dealer.monitor.close()
        self._dealer.socket.close(linger=0)

    def closed(self) -> bool:
        """Whether the socket is closed: the last of all."""
        return self._dealer.socket.closed

    def close(self, server_closed: bool) -> None:
        """Close all, now or when what was sent is out.

        Parameters
        ----------
        server_closed : bool
            Whether nobody would read it, though there is a connection.
        """
        self._dealer.monitor.close()
        # Where nobody is, nobody is waited for.
        somebody = self.reach.connected and not server_closed
        close = partial(self._dealer.socket.close, None if somebody else 0)
        if self._stream is not None:
            # The server takes the end of the one connection for the end of both.
            self._stream.on_closed = close
            self._runtime.close_stream(self._stream, self.lock)
            if self._stream.closed:  # before, if this was interrupted
                close()
        elif somebody and self._dealer.may_hold_back():
            if self._last is None:
                self._last = ClientEnd(self._dealer.socket, self._send_mark)
            self._runtime.linger(self._last)
        else:
            close()

    def _send_mark(self) -> zmq.MessageTracker | None:
        with self.lock:
            return self._dealer.send_mark(self._codec)

    def drop(self) -> None:
        """Close all without a word, however far it has come."""
        if self._stream is not None:
            self._stream.close()
        self._dealer.drop()

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's."""
        if self._stream is not None:
            self._stream.close()  # else the server would not see the parent end
