"""A client's connection: its socket, and the direct road.

The socket is only touched under the lock, from whichever thread. Its
descriptor is edge-triggered: any use of the socket may swallow the edge that
says that something has arrived. Hence the rule that whoever has sent something
reads the socket empty before letting go of the lock, and delivers what was there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from ..errors import AuthenticationError, ServerDisconnected
from ..limits import LEAST_MESSAGE
from ..transport.direct import connect_direct
from ..transport.stream import Stream
from ..wire import messages
from ..wire.codecs import Codec
from .arrivals import Arrivals, Receiver
from .dealer import Dealer
from .exchange import refuse
from .lease_holder import LeaseHolder
from .lingering import ClientEnd
from .runtime import current
from .sizes import SizeCheck
from .unsent import GATHERING

if TYPE_CHECKING:
    from .attention import Attention
    from .links import ServerLink
    from .runtime import Runtime

__all__ = ["Channel"]

MOVING = 1.0
"""Seconds to wait for the I/O thread to take the direct road, before what is next is sent."""

LAST_WORD = 500
"""Milliseconds to wait for why a server has ended the direct road, if it is still there."""


class Channel:
    """A connection to one server, which is to `begin`.

    Parameters
    ----------
    runtime : Runtime
    address : str
    codec : Codec
        How messages are written.
    receiver : Receiver
    attention : Attention

    Attributes
    ----------
    arrivals : Arrivals
        What has come from the server.
    name : PeerName
        What this process calls itself towards the server.
    peer : str
        The same, as it is written.
    holder : LeaseHolder
        Of the leases that came over this connection.
    server : str
        What the server is called in messages: its name, once it has told it,
        and its address.
    monitor_fd : int
        Readable when the connection may be lost.
    gone : ServerDisconnected or None
        Why the server is known to be gone.
    closed : bool
        Whether this side has closed, or the server is gone.
    fds : list of int
        Descriptors that are readable when something may have arrived; another
        list when they have changed.
    in_process : bool
        Whether the server is in this process.
    sizes : SizeCheck
        Knows what the server takes.
    link : ServerLink or None
        What this was made for, if that is an object of a server that is known, and as long as
        the server has not told which it is.
    bytes_sent : int
        Of requests.
    sends : int
        How many messages `send` has passed on. If an interrupt ends it, this tells whether
        before or after that.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: str,
        codec: Codec,
        receiver: Receiver,
        attention: Attention,
    ) -> None:
        self.address = address
        self.server = f"the server at {address}"
        self.gone: ServerDisconnected | None = None
        self.closed = False
        self.sizes = SizeCheck()
        self.bytes_sent = 0
        self.sends = 0
        self._last: ClientEnd | None = None
        self._runtime = runtime
        self._codec = codec
        self._receiver = receiver
        self._attention = attention
        self._lock = threading.RLock()
        self._server_closed = False
        self._farewell: str | None = None
        self._leaving = False  # whether it is about to say goodbye
        self._lost_along: list[Channel] = []
        self._lost = False  # whether all that depends on the server knows that it is gone
        self.in_process = address.startswith("inproc:")
        self.link: ServerLink | None = None
        with runtime.opening() as context:
            self._dealer = Dealer(context, address, runtime.keys.for_client(address))
            # If it were collected, libzmq's one thread would wait for ever for somebody to read
            # the monitor's events.
            runtime.half_made.add(self)
        try:
            self._dealer.connect()
            self._stream: Stream | None = None
            self._moved = False  # whether the server's messages come over the stream, too
            self._torn = False  # whether one of the socket's may have been lost
            self._unseen = False  # whether the stream may hold what it has read
            self.fds = [self._dealer.fd]
            self._last_soon = 0.0
            self.monitor_fd = self._dealer.monitor.fd
            self.name = runtime.links.peer_name(address)
            self.peer = self.name.text
            self._elsewhere = partial(runtime.links.note, address, self.name)
            self.holder = LeaseHolder(runtime, self.peer, self, self._elsewhere)
            self.arrivals = Arrivals(runtime, address, receiver, attention, self.holder, self._lose)
        except BaseException:
            self.drop()
            raise

    def begin(self) -> None:
        """Say hello. From now on the I/O thread may deliver what comes: the receiver is ready."""
        info = {"direct": True} if self._runtime.direct else {}
        self._put(messages.Hello(messages.VERSION, self.peer, info))
        self._runtime.watcher.add(self)
        self._runtime.half_made.discard(self)

    def drop(self) -> None:
        """Close without a word what was kept from beginning, as by an interrupt."""
        self.closed = True
        self._runtime.watcher.remove(self)
        self._dealer.drop()
        self._runtime.half_made.discard(self)

    def send(self, frames: list[Any], soon: bool = False, held: bool = False) -> None:
        """Send a message, and deliver what has arrived meanwhile.

        With `soon` it may wait a moment for others to come, if others came
        just before. With `held` it may wait for `flush`, which is the caller's to call.

        Raises
        ------
        ServerDisconnected
            If the server is gone, or this side closed.
        LimitExceeded
            If the server would not take it.
        """
        if len(frames) > 1 or len(frames[0]) > LEAST_MESSAGE:
            self.sizes.check(frames, self.server)
        with self._lock:
            if self.closed:
                raise self.reason()
            if self.holder.released:
                self._put_releases()
            self.bytes_sent += len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
            stream = self._stream
            if stream is not None:
                taken = stream.taken
                try:
                    if held:
                        stream.gather(frames)
                        return
                    if soon:
                        last, now = self._last_soon, time.monotonic()
                        self._last_soon = now
                        if now - last < GATHERING and now - stream.flushed < GATHERING:
                            stream.send_soon(frames)
                            return
                    stream.send(frames)
                finally:
                    self.sends += stream.taken - taken
                return
            try:
                self._dealer.send(frames)
                self.sends += 1
            except zmq.Again:  # over inproc the other end is gone at once
                self._dealer.reach.connected = False
            self._read()
        self.arrivals.deliver()
        if not self._dealer.reach.connected and self.address.startswith("inproc:"):
            self.lose("has closed")
            raise self.reason()

    def flush(self) -> None:
        """Send what waits for others to come."""
        with self._lock:
            if self._stream is not None and not self.closed:
                self._stream.flush()

    def move(self, path: str, token: str) -> None:
        """Take the direct road to the server from now on, if it can be reached that way."""
        watcher = self._runtime.watcher
        if watcher.is_current():
            self._move(path, token)
            return
        moving = threading.Lock()  # not an Event, whose own lock an interrupt may leave taken
        moving.acquire()

        def move() -> None:
            try:
                self._move(path, token)
            finally:
                moving.release()
            self.arrivals.deliver()  # or whoever waits for what was read just now would wait on

        # An interrupt halfway would leave the server with a road that nobody takes.
        watcher.do(move)
        moving.acquire(timeout=MOVING)

    def _move(self, path: str, token: str) -> None:
        with self._lock:
            if self.closed or self._stream is not None:
                return
            stream = connect_direct(path, token)
            self.in_process = self._runtime.serves(self.address)
            if stream is not None:
                self._put(messages.Move(token))
                self._runtime.attend(stream, self._lock)
                self._stream = stream
                if self._torn:
                    self._look_at_both()
                self._read()

    def moved(self) -> None:
        """Nothing more comes over the socket, but over the stream."""
        if self._stream is not None:
            self.fds = [self._stream.fd]
            self._moved = True
            # Whoever waits at the socket, since another thread has read this, must not go on.
            self._attention.received()
            self._runtime.watcher.poke()

    def met(self, server_id: str) -> None:
        """The server has told which it is: another one that this was made for is no more."""
        link = self.link
        if link is not None and link.server_id != server_id:
            self._runtime.links.not_met(link)
        self.link = None

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's."""
        if self._stream is not None:
            self._stream.close()  # else the server would not see the parent end

    def note(self, message: messages.Message) -> None:
        """Send a message that has no answer, from any thread.

        If this channel has closed, another one by the same name will do: the
        books are kept for processes.
        """
        if self._is_parents():
            current().client_at(self.address).channel.note(message)
            return
        with self._lock:
            closed = self.closed
            if not closed:
                self._put(message)
                self._read()
        if not closed:
            self.arrivals.deliver()
        else:
            self._elsewhere(message)

    def send_releases(self) -> bool:
        """Send what the holder of the leases has in ``released``; False if this has closed."""
        with self._lock:
            closed = self.closed
            if self.holder.released and not closed:
                self._put_releases()
                self._read()
        self.arrivals.deliver()
        return not closed

    def overtake(self, message: messages.Message) -> None:
        """Send a message that need not wait for those before it."""
        with self._lock:
            if not self.closed:
                with contextlib.suppress(zmq.Again):
                    self._dealer.send(self._codec.encode(message, refuse))
                self._read()
        self.arrivals.deliver()

    def pump(self) -> bool:
        """Deliver what has arrived; whether there was anything."""
        with self._lock:
            self._read()
        return self.arrivals.deliver()

    def opened(self, frames: list[zmq.Frame]) -> list[Any] | None:
        """Return the buffers of a message that has come over the socket, if it is whole."""
        return self._dealer.opened(frames)

    def road(self) -> str:
        """Return what requests go over: ``'direct'`` or ``'zmq'``."""
        return "zmq" if self._stream is None else "direct"

    def connected(self) -> bool:
        """Whether somebody has been reached at the address."""
        return self._dealer.reach.connected

    def accepted(self) -> bool:
        """Whether somebody there has accepted the connection, but perhaps not this client yet."""
        return self._dealer.monitor.accepted

    def server_closed(self) -> None:
        """A server of this process has closed; its last messages are on their way."""
        self._server_closed = True

    def _is_parents(self) -> bool:
        """Whether this is the child of a fork, and the socket the parent's."""
        return self._runtime.pid != os.getpid()

    def reason(self) -> ServerDisconnected:
        """Why this channel cannot be used any more."""
        if self.gone is not None:
            return type(self.gone)(*self.gone.args)
        return ServerDisconnected(f"this client of {self.server} has been closed")

    # -- the end ---------------------------------------------------------------

    def check_monitor(self) -> None:
        """Notice if the connection has broken."""
        with self._lock:
            if self.closed:
                return
            lost = self._dealer.reach.look()
        self.arrivals.deliver()
        if lost is not None:
            self.lose(lost or "has died")

    def farewell(self, what: str) -> Callable[[], object]:
        """The server has said that it ends this; return what has to be done about it.

        Until that is done, another thread may have noticed that it is gone; and
        it may say more, since it has not read what was sent meanwhile.
        """
        self._farewell = self._farewell or what
        return partial(self._lose, what)

    def lose(self, what: str) -> None:
        """The server is gone for good; what it sent before is still delivered.

        Parameters
        ----------
        what : str
            What has become of it, as the end of a sentence.
        """
        with self._lock:
            self._read()
            if self._stream is not None and not self.closed:
                self._stream.drain(self.arrivals.inbox)
            self.arrivals.inbox.append(what)
        self.arrivals.deliver()

    def _lose(self, what: str) -> None:
        """See to the end of the server; once more, if that was interrupted."""
        with self._lock:
            if self._lost or (self.closed and self.gone is None):
                return
            if self.gone is None:
                # Before that is to be seen here: whoever then connects anew is not meant.
                self._receiver.losing(self._lost_along)
                link = self.link
                if link is not None and self.connected() and not self._farewell:
                    self._runtime.links.not_met(link)
                kind = AuthenticationError if self._dealer.reach.refused else ServerDisconnected
                gone = kind(f"{self.server} {self._farewell or what}")
                # No call between these: nobody uses any more what is closed here.
                self.gone = gone
                self.closed = True
            if self._stream is not None:
                self._stream.close()
            self._end()
            self._dealer.socket.close(linger=0)
        try:
            self._receiver.lost(self.reason())
        finally:
            for other in self._lost_along:
                other.lose(self._farewell or what)
        self._lost = True

    def close(self) -> None:
        """Say goodbye and close, if it is open; go on with that, if it was interrupted."""
        # A goodbye to a server that is gone would linger for nothing.
        self.pump()
        self.check_monitor()
        with self._lock:
            if not self.closed:
                self.closed = self._leaving = True  # before the server answers by closing
            if self._leaving:
                if self.holder.released:
                    self._put_releases()
                self._put(messages.Goodbye("client closed"))
                self._let_go()
                self._leaving = False

    def _let_go(self) -> None:
        """Close what this has opened, now or when all is out; twice is once."""
        with self._lock:
            if self._dealer.socket.closed:
                return
            self._end()
            # Where nobody is, nobody is waited for.
            somebody = self._dealer.reach.connected and not self._server_closed
            close = partial(self._dealer.socket.close, None if somebody else 0)
            if self._stream is not None:
                # The server takes the end of the one connection for the end of both.
                self._stream.on_closed = close
                self._runtime.close_stream(self._stream, self._lock)
                if self._stream.closed:  # before, if this was interrupted
                    close()
            elif somebody and self._dealer.may_hold_back():
                if self._last is None:
                    self._last = ClientEnd(self._dealer.socket, self._send_mark)
                self._runtime.linger(self._last)
            else:
                close()

    def _send_mark(self) -> zmq.MessageTracker | None:
        with self._lock:
            return self._dealer.send_mark(self._codec)

    def _end(self) -> None:
        self.closed = True
        self._runtime.watcher.remove(self)
        self._dealer.monitor.close()

    # -- with the lock held ------------------------------------------------------

    def _put(self, message: messages.Message) -> None:
        frames = self._codec.encode(message, refuse)
        if self._stream is None:
            with contextlib.suppress(zmq.Again):  # refused already, as the monitor will tell
                self._dealer.send(frames)
        else:
            self._stream.send(frames)

    def _put_releases(self) -> None:
        self._put(messages.Release(self.holder.take_released()))

    def _read(self) -> None:
        if self.closed:
            return
        if not self._moved:
            # Answers to what was sent before the move are still to come here,
            # ahead of what comes over the stream.
            self._take_all()
        if self._stream is not None and (self._moved or self._torn):
            try:
                self._stream.receive(self.arrivals.inbox)
            except BaseException:  # an interrupt: what it has read does not signal any more
                self._unseen = True
                self._runtime.watcher.poke()
                raise
            self._unseen = False
            if self._stream.ended:
                # If it was not to be reached there, the server says why over the socket.
                self._dealer.monitor.wait(LAST_WORD)
                self._take_all()
                fault = self._stream.fault
                what = f"has sent what could not be taken in: {fault}" if fault else "has died"
                self.arrivals.inbox.append(what)

    def _take_all(self) -> None:
        try:
            self._dealer.take_all(self.arrivals.inbox)
        except BaseException:
            # An interrupt: pyzmq runs signal handlers when it has taken a message, which is
            # lost then. It may be the one that says that nothing more comes here.
            self._torn = True
            self._look_at_both()
            raise

    def _look_at_both(self) -> None:
        if self._stream is not None and not self._moved:
            self.fds = [self._dealer.fd, self._stream.fd]
            self._attention.received()
            self._runtime.watcher.poke()

    def signals(self) -> bool:
        """Whether everything that has not been seen to makes one of `fds` readable."""
        return self._moved and not (self.arrivals or self._unseen)

    # -- what the I/O thread asks ------------------------------------------------

    def is_busy(self) -> bool:
        """Whether the owner is sending one request after the other."""
        return not self.closed and self._attention.is_busy()

    def wants_reading(self) -> bool:
        """Whether the I/O thread has to read this channel."""
        return not self.closed and self._attention.unattended()
