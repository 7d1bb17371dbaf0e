"""A client's connection: its socket, its monitor, and the leases that came over it.

The socket is only touched under the lock, from whichever thread. Its
descriptor is edge-triggered: any use of the socket may swallow the edge that
says that something has arrived. Hence the rule that whoever has sent something
reads the socket empty before letting go of the lock, and delivers what was there.

What was read goes to the inbox. It is decoded in the order of arrival, by one
thread at a time; what each message brings about is then done by whichever
thread comes first, without any lock, since that may run the user's code.
"""

from __future__ import annotations

import collections
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import zmq

from ..errors import AuthenticationError, LimitExceeded, ServerDisconnected
from ..late_logging import getLogger
from ..limits import LEAST_MESSAGE, Limits
from ..session.leases import new_token
from ..session.proxy import Lease
from ..session.tokens import token_of_claimer, token_of_holder
from ..transport.direct import connect_direct
from ..transport.monitor import Monitor
from ..transport.sockets import FrameSocket, connect, new_dealer
from ..transport.stream import Stream
from ..wire import messages
from ..wire.codecs import Codec
from .exchange import refuse
from .runtime import current
from .sizes import too_large
from .unsent import GATHERING

if TYPE_CHECKING:
    from .runtime import Runtime

__all__ = ["Channel", "Receiver"]

_log = getLogger(__name__)


_TRIES = 3
"""Handshakes that may fail without a reason; a server that ends within one gives none."""


def _why_refused(failures: collections.Counter[int]) -> str | None:
    """Return why a server cannot be connected to, as the end of a sentence, if that is clear."""
    if zmq.EVENT_HANDSHAKE_FAILED_AUTH in failures:
        return "does not admit your key; ask its owner to"
    if zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL in failures:
        return "does not speak this protocol with a key: it is something else, or an older version"
    if failures[zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL] >= _TRIES:
        return (
            "has another key than you, or is something else. Is it another user's? On another"
            " machine? Then you need a key from there: see 'pyacq-rpc key --help'. If you have it"
            " in another file, say so with key=... or PYACQ_RPC_KEY"
        )
    return None


LAST_WORD = 50
"""Milliseconds to wait for why a server has ended the direct road, if it is still there."""


class Receiver(Protocol):
    """Who takes what arrives: a client."""

    def receive(self, frames: list[Any]) -> Callable[[], object] | None:
        """Decode one message, and return what has to be done about it.

        Raises
        ------
        RPCError
            If it refers to what cannot be resolved.
        """

    def received(self) -> None:
        """Something was done: whoever waits should look again."""

    def lost(self, error: ServerDisconnected) -> None:
        """The server is gone, and the channel closed."""

    def is_busy(self) -> bool:
        """Whether the owner has sent several requests since this was last asked."""

    def unattended(self) -> bool:
        """Whether answers are to come and nobody waits for them here."""


class Channel:
    """A connection to one server; also where leases from there are at home.

    Parameters
    ----------
    runtime : Runtime
    address : str
    codec : Codec
        How messages are written.
    receiver : Receiver

    Attributes
    ----------
    peer : str
        What this process calls itself towards the server.
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
    limits : Limits or None
        What the server takes, once it has told.
    """

    def __init__(self, runtime: Runtime, address: str, codec: Codec, receiver: Receiver) -> None:
        self.address = address
        self.server = f"the server at {address}"
        self.gone: ServerDisconnected | None = None
        self.closed = False
        self.limits: Limits | None = None
        self._largest = 0  # bytes of a message that was sent before these were known
        self._runtime = runtime
        self._codec = codec
        self._receiver = receiver
        self._lock = threading.RLock()
        self._released: collections.deque[str] = collections.deque()
        self._release_noted = False
        self._server_closed = False
        self._farewell: str | None = None
        self._connected = address.startswith("inproc:")
        self._refused = False
        self._leases_opened = 0
        self._leases_released = 0
        self._adopted: weakref.WeakKeyDictionary[Lease, Lease] | None = None  # mostly none
        # Messages, and at the end what has become of the server.
        self._inbox: collections.deque[list[Any] | str] = collections.deque()
        self._decoding = threading.Lock()
        self._effects: collections.deque[Callable[[], object]] = collections.deque()
        self._socket = new_dealer(runtime.context, runtime.keys.for_client(address))
        self._monitor = Monitor(self._socket)
        try:
            connect(self._socket, address)
        except BaseException:
            self._monitor.close()
            self._socket.close(linger=0)
            raise
        self._frames = FrameSocket(self._socket)
        self._socket_fd = int(self._socket.fd)
        self._stream: Stream | None = None
        self._moved = False  # whether the server's messages come over the stream, too
        self.fds = [self._socket_fd]
        self._last_soon = 0.0
        self.in_process = address.startswith("inproc:")
        self.monitor_fd = self._monitor.fd
        self.peer = runtime.peer_name(address)
        info = {"direct": True} if runtime.direct else {}
        self._put(messages.Hello(messages.VERSION, self.peer, info))
        runtime.watcher.add(self)

    def send(self, frames: list[Any], soon: bool = False) -> None:
        """Send a message, and deliver what has arrived meanwhile.

        With `soon` it may wait a moment for others to come, if others came
        just before.

        Raises
        ------
        ServerDisconnected
            If the server is gone, or this side closed.
        LimitExceeded
            If the server would not take it.
        """
        if len(frames) > 1 or len(frames[0]) > LEAST_MESSAGE:
            self._check_size(frames)
        with self._lock:
            if self.closed:
                raise self.reason()
            if self._released:
                self._put_releases()
            stream = self._stream
            if stream is not None:
                if soon:
                    last, now = self._last_soon, time.monotonic()
                    self._last_soon = now
                    if now - last < GATHERING and now - stream.flushed < GATHERING:
                        stream.send_soon(frames)
                        return
                stream.send(frames)
                return
            try:
                self._frames.send(frames)
            except zmq.Again:  # over inproc the other end is gone at once
                self._connected = False
            self._read()
        self.deliver()
        if not self._connected and self.address.startswith("inproc:"):
            self.lose("has closed")
            raise self.reason()

    def _check_size(self, frames: list[Any]) -> None:
        if self.limits is not None:
            too_much = too_large(frames, self.limits)
            if too_much:
                raise LimitExceeded(f"this message to {self.server} {too_much}")
        else:
            self._largest = max(self._largest, sum(map(len, frames)))

    def flush(self) -> None:
        """Send what waits for others to come."""
        with self._lock:
            if self._stream is not None and not self.closed:
                self._stream.flush()

    def move(self, path: str, token: str) -> None:
        """Take the direct road to the server from now on, if it can be reached that way."""
        with self._lock:
            if self.closed or self._stream is not None:
                return
            stream = connect_direct(path, token)
            self.in_process = self._runtime.serves(self.address)
            if stream is not None:
                self._put(messages.Move(token))
                self._runtime.attend(stream, self._lock)
                self._stream = stream
                self._read()

    def moved(self) -> None:
        """Nothing more comes over the socket, but over the stream."""
        if self._stream is not None:
            self.fds = [self._stream.fd]
            self._moved = True
            # Whoever waits at the socket, since another thread has read this, must not go on.
            self._receiver.received()
            self._runtime.watcher.poke()

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's."""
        if self._stream is not None:
            self._stream.close()  # else the server would not see the parent end

    def note(self, message: messages.Message) -> None:
        """Send a message that has no answer, from any thread.

        If this channel has closed, another one of this process to the same
        server will do: the books are kept for processes.
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
            self.deliver()
        elif self.gone is None:
            other = self._runtime.any_channel(self.address)
            if other is not None:
                other.note(message)

    def overtake(self, message: messages.Message) -> None:
        """Send a message that need not wait for those before it."""
        with self._lock:
            if not self.closed:
                with contextlib.suppress(zmq.Again):
                    self._frames.send(self._codec.encode(message, refuse))
                self._read()
        self.deliver()

    def pump(self) -> bool:
        """Deliver what has arrived; whether there was anything."""
        with self._lock:
            self._read()
        return self.deliver()

    def connected(self) -> bool:
        """Whether somebody has been reached at the address."""
        return self._connected

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

    # -- leases: see `session.proxy.Home` ------------------------------------

    def open_lease(self, ref: str) -> Lease:
        """Take up the lease that came with a message of the server."""
        self._leases_opened += 1
        return Lease(ref, self)

    def claim(self, ref: str, token: str) -> Lease:
        """Take up the lease that somebody else has granted."""
        self.note(messages.Claim(ref, token))
        self._leases_opened += 1
        return Lease(ref, self, token)

    def is_known(self, lease: Lease) -> bool:
        """Whether the server knows of a lease before it gets what is sent here next."""
        return lease.home is self or not (lease.token or lease.home.peer != self.peer)

    def introduce(self, lease: Lease) -> Lease:
        """See to it that the server does; return the lease that it then knows of.

        The claim may have gone over the channel of another thread, and still
        be on its way. And a server that is known by two addresses, or whose
        own process holds the lease, or the parent of a fork, takes those for
        different peers: then the one hands it on to the other.
        """
        if lease.home.peer == self.peer:
            token = lease.token
            if token:
                self.note(messages.Claim(lease.ref, token))
            return lease
        if self._adopted is None:
            self._adopted = weakref.WeakKeyDictionary()
        adopted = self._adopted.get(lease)
        if adopted is None:
            token = lease.home.grant(lease)
            adopted = self._adopted[lease] = self.claim(lease.ref, token)
        return adopted

    def grant(self, lease: Lease) -> str:
        """Grant one more lease of what `lease` holds; return the token that claims it."""
        name, claimed_with = new_token(), lease.token
        if claimed_with:
            token = token_of_claimer(name, claimed_with)
        else:
            token = token_of_holder(name, lease.ref, self.peer)
        self.note(messages.Grant(lease.ref, token))
        return token

    def withdraw(self, token: str) -> None:
        """Forget a grant that nobody will claim."""
        self.note(messages.Withdraw(token))

    def release(self, ref: str) -> None:
        """Note that a lease is over; called by ``Lease.__del__``, never blocks."""
        if self._is_parents():
            return
        self._released.append(ref)
        if not self._release_noted:
            self._release_noted = True
            self._runtime.watcher.note_release(self)

    def flush_releases(self) -> None:
        """Tell the server about the leases that are over."""
        self._release_noted = False
        with self._lock:
            closed = self.closed
            if self._released and not closed:
                self._put_releases()
                self._read()
        self.deliver()
        if closed and self._released:
            # If no other channel of this process is open, the server has
            # taken the leases back already.
            refs = self._take_released()
            other = self._runtime.any_channel(self.address)
            if other is not None and self.gone is None:
                other.note(messages.Release(refs))

    def live_leases(self) -> int:
        """Number of leases that were opened here and are not over yet."""
        return self._leases_opened - self._leases_released - len(self._released)

    # -- the end ---------------------------------------------------------------

    def check_monitor(self) -> None:
        """Notice if the connection has broken."""
        with self._lock:
            if self.closed:
                return
            lost, was_connected = False, self._connected
            broken = self._monitor.failures[zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL]
            for connected, _ in self._monitor.events():
                # What ends before it has begun is tried again, by libzmq.
                lost = lost or (self._connected and not connected)
                self._connected = self._connected or connected
            spoilt = broken < self._monitor.failures[zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL]
            refused = None if self._connected else _why_refused(self._monitor.failures)
            self._refused = refused is not None
        self.deliver()
        if refused is not None:
            self.lose(refused)
        elif spoilt and was_connected:
            # libzmq reads no more then, but ends the connection only seconds later.
            self.lose("is out of reach: what it has sent was changed on the way")
        elif lost:
            self.lose(self._why_lost())

    def _why_lost(self) -> str:
        if self._largest > (0 if self.limits is None else self.limits.message):
            return (
                "has died, or does not take as large a message as was sent before it could say"
                f" so, of {self._largest} bytes (to raise the limit, start it with"
                " limits=Limits(message=...))"
            )
        return "has died"

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
                self._stream.drain(self._inbox)
            self._inbox.append(what)
        self.deliver()

    def _lose(self, what: str) -> None:
        with self._lock:
            if self.closed:
                return
            what = self._farewell or what
            kind = AuthenticationError if self._refused else ServerDisconnected
            self.gone = kind(f"{self.server} {what}")
            self._released.clear()
            if self._stream is not None:
                self._stream.close()
            self._end()
            self._socket.close(linger=0)
        self._receiver.lost(self.reason())

    def close(self) -> bool:
        """Say goodbye and close; whether it was open."""
        # A goodbye to a server that is gone would linger for nothing.
        self.pump()
        self.check_monitor()
        with self._lock:
            if self.closed:
                return False
            if self._released:
                self._put_releases()
            self._put(messages.Goodbye("client closed"))
            self._end()
            # Where nobody is, nobody is waited for.
            somebody = self._connected and not self._server_closed
            close = partial(self._socket.close, None if somebody else 0)
            if self._stream is None:
                close()
            else:
                # The server takes the end of the one connection for the end of both.
                self._stream.on_closed = close
                self._runtime.close_stream(self._stream, self._lock)
            return True

    def _end(self) -> None:
        self.closed = True
        self._runtime.watcher.remove(self)
        self._monitor.close()

    # -- with the lock held ------------------------------------------------------

    def _put(self, message: messages.Message) -> None:
        frames = self._codec.encode(message, refuse)
        if self._stream is None:
            with contextlib.suppress(zmq.Again):  # refused already, as the monitor will tell
                self._frames.send(frames)
        else:
            self._stream.send(frames)

    def _put_releases(self) -> None:
        refs = self._take_released()
        self._leases_released += len(refs)
        self._put(messages.Release(refs))

    def _take_released(self) -> list[str]:
        return [self._released.popleft() for _ in range(len(self._released))]

    def _read(self) -> None:
        if self.closed:
            return
        if not self._moved:
            # Answers to what was sent before the move are still to come here,
            # ahead of what comes over the stream.
            self._take_all()
        elif self._stream is not None:
            self._stream.receive(self._inbox)
            if self._stream.ended:
                # If it was not to be reached there, the server says why over the socket.
                self._monitor.wait(LAST_WORD)
                self._take_all()
                fault = self._stream.fault
                what = f"has sent what could not be taken in: {fault}" if fault else "has died"
                self._inbox.append(what)

    def _take_all(self) -> None:
        inbox = self._inbox
        while (frames := self._frames.take()) is not None:
            arrived = [[frame.buffer for frame in frames]]
            inbox += arrived
            frames.clear()  # with no call in between: both happen, or neither

    # -- delivering, with no lock held ---------------------------------------------

    def deliver(self) -> bool:
        """See to everything that was read; whether there was anything.

        An interrupt leaves what it has kept from being done to the next call.
        """
        worked = False
        while self._inbox or self._effects:
            self._decode()
            try:
                effect = self._effects.popleft()
            except IndexError:
                break
            worked = True
            try:
                effect()
            finally:
                self._receiver.received()
        return worked

    def _decode(self) -> None:
        # A thread that finds another one decoding need not wait: that one
        # looks again after it has let go.
        while self._inbox and self._decoding.acquire(blocking=False):
            try:
                while self._inbox:
                    effect = self._effect_of(self._inbox[0])
                    if effect is not None:
                        self._effects.append(effect)
                    self._inbox.popleft()
            finally:
                self._decoding.release()

    def _effect_of(self, arrived: list[Any] | str) -> Callable[[], object] | None:
        if isinstance(arrived, str):
            return partial(self._lose, arrived)
        try:
            return self._receiver.receive(arrived)
        except Exception:  # noqa: BLE001  # one bad message must not lose the others
            _log.exception("a message of %s could not be taken in", self.address)
            return None

    def signals(self) -> bool:
        """Whether everything that has not been seen to makes one of `fds` readable."""
        return self._moved and not (self._inbox or self._effects)

    # -- what the I/O thread asks ------------------------------------------------

    def is_busy(self) -> bool:
        """Whether the owner is sending one request after the other."""
        return not self.closed and self._receiver.is_busy()

    def wants_reading(self) -> bool:
        """Whether the I/O thread has to read this channel."""
        return not self.closed and self._receiver.unattended()
