"""A client's connection to its server, which is used from whichever thread, one at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import AuthenticationError, ServerDisconnected
from ..limits import LEAST_MESSAGE
from ..wire import messages
from ..wire.codecs import Codec
from .arrivals import Arrivals, Receiver
from .lease_holder import LeaseHolder
from .roads import Roads
from .runtime import current
from .sizes import SizeCheck

if TYPE_CHECKING:
    from .attention import Attention
    from .links import ServerLink
    from .runtime import Runtime

__all__ = ["Channel"]

MOVING = 1.0
"""Seconds to wait for the I/O thread to take the direct road, before what is next is sent."""


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
    roads : Roads
        What messages go over.
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
    gone : ServerDisconnected or None
        Why the server is known to be gone.
    closed : bool
        Whether this side has closed, or the server is gone.
    in_process : bool
        Whether the server is in this process.
    sizes : SizeCheck
        Knows what the server takes.
    link : ServerLink or None
        What this was made for, if that is an object of a server that is known, and as long as
        the server has not told which it is.
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
        self._runtime = runtime
        self._receiver = receiver
        self._attention = attention
        self._server_closed = False
        self._farewell: str | None = None
        self._leaving = False  # whether it is about to say goodbye
        self._lost_along: list[Channel] = []
        self._lost = False  # whether all that depends on the server knows that it is gone
        self.in_process = address.startswith("inproc:")
        self.link: ServerLink | None = None
        with runtime.opening() as context:
            self.roads = Roads(runtime, context, address, codec, attention)
            # If it were collected, libzmq's one thread would wait for ever for somebody to read
            # the monitor's events.
            runtime.half_made.add(self)
        try:
            self._lock = self.roads.lock
            self.roads.connect()
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
        self.roads.put(messages.Hello(messages.VERSION, self.peer, info))
        self._runtime.watcher.add(self)
        self._runtime.half_made.discard(self)

    def drop(self) -> None:
        """Close without a word what was kept from beginning, as by an interrupt."""
        self.closed = True
        self._runtime.watcher.remove(self)
        self.roads.drop()
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
        try:
            with self._lock:
                if self.closed:
                    raise self.reason()
                if self.holder.released:
                    self._put_releases()
                if not self.roads.send(frames, soon, held):
                    return
                self.roads.receive(self.arrivals.inbox)
            self.arrivals.deliver()
        except Exception:
            raise
        except BaseException:
            self._interrupted()
            raise
        # A server of this process that has just closed took nothing.
        if not self.connected() and self.address.startswith("inproc:"):
            self.lose("has closed")
            raise self.reason()

    def flush(self) -> None:
        """Send what waits for others to come."""
        with self._lock:
            if not self.closed:
                self.roads.flush()

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
            if not self.closed:
                self.in_process = self._runtime.serves(self.address)
                if self.roads.take_direct(path, token):
                    self.roads.receive(self.arrivals.inbox)

    def met(self, server_id: str) -> None:
        """The server has told which it is: another one that this was made for is no more."""
        link = self.link
        if link is not None and link.server_id != server_id:
            self._runtime.links.not_met(link)
        self.link = None

    def note(self, message: messages.Message) -> None:
        """Send a message that has no answer, from any thread.

        If this channel has closed, another one by the same name will do: the
        books are kept for processes.
        """
        if self._is_parents():
            current().client_at(self.address).channel.note(message)
            return
        if not self._put(partial(self.roads.put, message)):
            self._elsewhere(message)

    def send_releases(self) -> bool:
        """Send what the holder of the leases has in ``released``; False if this has closed."""
        return self._put(self._put_releases)

    def overtake(self, message: messages.Message) -> None:
        """Send a message that need not wait for those before it."""
        self._put(partial(self.roads.overtake, message))

    def pump(self) -> bool:
        """Deliver what has arrived; whether there was anything."""
        try:
            with self._lock:
                if not self.closed:
                    self.roads.receive(self.arrivals.inbox)
            return self.arrivals.deliver()
        except Exception:
            raise
        except BaseException:
            self._interrupted()
            raise

    def _put(self, put: Callable[[], object]) -> bool:
        """Send something, and deliver what has arrived meanwhile; False if this has closed."""
        try:
            with self._lock:
                closed = self.closed
                if not closed:
                    put()
                    self.roads.receive(self.arrivals.inbox)
            self.arrivals.deliver()
        except Exception:
            raise
        except BaseException:
            self._interrupted()
            raise
        return not closed

    def _put_releases(self) -> None:
        if self.holder.released:
            self.roads.put(messages.Release(self.holder.take_released()))

    def _interrupted(self) -> None:
        """Have what has arrived looked at: it may not signal any more."""
        self._attention.received()
        self._runtime.watcher.do(self.pump)

    def connected(self) -> bool:
        """Whether somebody has been reached at the address."""
        return self.roads.reach.connected

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
        try:
            with self._lock:
                if self.closed:
                    return
                lost = self.roads.reach.look()
            self.arrivals.deliver()
            if lost is not None:
                self.lose(lost or "has died")
        except Exception:
            raise
        except BaseException:  # an interrupt: others are to learn of it
            self._runtime.watcher.do(self.check_monitor)
            raise

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
        try:
            with self._lock:
                if not self.closed:
                    self.roads.receive(self.arrivals.inbox)
                    self.roads.drain(self.arrivals.inbox)
                self.arrivals.inbox.append(what)
            self.arrivals.deliver()
        except Exception:
            raise
        except BaseException:
            self._interrupted()
            raise

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
                kind = AuthenticationError if self.roads.reach.refused else ServerDisconnected
                gone = kind(f"{self.server} {self._farewell or what}")
                # No call between these: nobody uses any more what is closed here.
                self.gone = gone
                self.closed = True
            self._runtime.watcher.remove(self)
            self.roads.cut()
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
            if self._leaving and not self.roads.closed():
                self._put_releases()
                self.roads.put(messages.Goodbye("client closed"))
                self._runtime.watcher.remove(self)
                self.roads.close(self._server_closed)
            self._leaving = False

    # -- what its owner and the I/O thread ask -----------------------------------

    def signals(self) -> bool:
        """Whether everything that has not been seen to makes one of the roads' ``fds`` readable."""
        return self.roads.signal and not self.arrivals

    def is_busy(self) -> bool:
        """Whether the owner is sending one request after the other."""
        return not self.closed and self._attention.is_busy()

    def wants_reading(self) -> bool:
        """Whether the I/O thread has to read this channel."""
        return not self.closed and self._attention.unattended()
