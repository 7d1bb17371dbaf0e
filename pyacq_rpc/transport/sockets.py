"""The sockets of both sides, with the options that this project relies on."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import zmq

from .addresses import is_beyond_loopback
from .keys import Key, be_client, be_server
from .stamps import STAMP_SIZE, ask_for_stamps

__all__ = [
    "ENVELOPE",
    "FrameSocket",
    "clean_address",
    "connect",
    "endpoint",
    "has_message",
    "listen",
    "new_dealer",
    "new_router",
]

HEARTBEAT_INTERVAL = 1500
"""Milliseconds between two ZMTP heartbeats."""

HEARTBEAT_TIMEOUT = 3000
"""Milliseconds without any traffic after which a peer counts as gone. The
heartbeats are answered by the peer's I/O thread: a busy program, even one that
holds the GIL, is not gone. A frozen process, machine or network is."""

LINGER = 2000
"""Milliseconds that a closed socket goes on sending what it was given."""

ENVELOPE = 64 + STAMP_SIZE
"""Bytes by which encryption and a stamp make a frame longer, at most."""

COPY_BELOW = 64 * 1024
"""Bytes below which copying a frame is cheaper than sharing it with libzmq."""

HIGHEST_PORT = 65535

_ADDRESSES = (
    f"one looks like 'tcp://127.0.0.1:5000', with a port up to {HIGHEST_PORT},"
    " or 'tcp://127.0.0.1:*' to listen on any free port"
)


def clean_address(address: str | bytes) -> str:
    """Return an address as text.

    Raises
    ------
    ValueError
        If it is not of the form ``transport://where``; for tcp, ``where`` ends
        with a port.
    TypeError
        If it is no text.

    Examples
    --------
    >>> clean_address(b"tcp://127.0.0.1:5000")
    'tcp://127.0.0.1:5000'
    """
    text = address.decode() if isinstance(address, bytes) else address
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not an address; {_ADDRESSES}")
    transport, found, where = text.partition("://")
    is_known = found and where and transport in ("tcp", "ipc", "inproc")
    if not is_known or (transport == "tcp" and not _ends_with_port(where)):
        raise ValueError(f"{text!r} is not an address; {_ADDRESSES}")
    return text


def _ends_with_port(where: str) -> bool:
    port = where.rpartition(":")[2] if ":" in where else ""
    return port == "*" or (port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT)


def _common(socket: zmq.Socket[bytes]) -> None:
    socket.linger = LINGER
    # No high-water mark: a ROUTER would drop, a DEALER would block, and one for
    # what arrives stops the heartbeats too. What is in flight is the caller's to
    # bound; a server does: see `backlog`.
    socket.sndhwm = 0
    socket.rcvhwm = 0
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)


def new_router(
    context: zmq.Context[Any], key: Key | None = None, max_frame: int = -1
) -> zmq.Socket[bytes]:
    """Return a ROUTER socket, which is to `listen`.

    Parameters
    ----------
    context : zmq.Context
    key : Key, optional
        The server's. Everything is encrypted then, and a `gate.Gate` has to
        say who may connect.
    max_frame : int
        Bytes that a frame may have; who sends a larger one is disconnected.
    """
    socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    try:
        _common(socket)
        # Say so when a client is gone, where the default drops in silence.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.maxmsgsize = max_frame + ENVELOPE if max_frame >= 0 else -1
        if key is not None:
            be_server(socket, key)
    except BaseException:
        socket.close(linger=0)
        raise
    return socket


def listen(socket: zmq.Socket[bytes], address: str) -> None:
    """Have a socket listen at an address: the one way in which anything here does.

    Whatever monitors the socket must do so before.

    Raises
    ------
    PermissionError
        If other hosts could reach it, and it has no key.
    OSError
        If it cannot listen there.
    """
    if is_beyond_loopback(address) and not socket.getsockopt(zmq.CURVE_SERVER):
        raise PermissionError(
            f"will not listen at {address} without a key: whoever reaches it could run any code"
            " here; give it a key, or listen at 'tcp://127.0.0.1:*'"
        )
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise OSError(error.errno, f"cannot listen at {address}: {error.strerror}") from error


def new_dealer(
    context: zmq.Context[Any], key: Key | None = None, secret: bytes | None = None
) -> zmq.Socket[bytes]:
    """Return a DEALER socket, which is to `connect`.

    Its routing id is left to the ROUTER, which makes a random one for each connection.

    Parameters
    ----------
    context : zmq.Context
    key : Key, optional
        The client's, which has to be the server's too.
    secret : bytes, optional
        Of the stamps that its messages will have; see `stamps`.
    """
    socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    try:
        _common(socket)
        if secret is not None:
            ask_for_stamps(socket, secret)
        if key is not None:
            be_client(socket, key)
    except BaseException:
        socket.close(linger=0)
        raise
    return socket


def connect(socket: zmq.Socket[bytes], address: str) -> None:
    """Set a socket on its way to an address; whatever monitors it must do so before.

    Raises
    ------
    ValueError
        If nothing could ever listen there.
    """
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        raise ValueError(f"cannot connect to {address!r}: {error.strerror}") from error


def endpoint(socket: zmq.Socket[bytes]) -> str:
    """Return where a socket listens, with the port that it was given."""
    where = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(where, bytes)
    return where.rstrip(b"\0").decode()


def has_message(socket: zmq.Socket[bytes]) -> bool:
    """Whether there is a message to receive.

    Asking is not only faster than to receive in vain: to raise `zmq.Again`, and to throw away the
    empty frame, pyzmq runs code in which Ctrl-C is noticed, and lost.
    """
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)


class FrameSocket:
    """Sends and takes whole messages, whatever interrupts it.

    A message of several frames takes several calls of the socket. Ctrl-C
    between two of them, or a ``__del__`` that sends something itself, would
    join two messages into one. So what has been begun is always finished.

    Parameters
    ----------
    socket : zmq.Socket
        Used by one thread at a time; see to that with a lock.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._receive: Callable[[int, bool], Any] = socket.recv
        self._sending = False
        self._outbox: collections.deque[list[Any]] = collections.deque()
        self._taken: list[zmq.Frame] = []

    def send(self, frames: list[Any]) -> None:
        """Send one message; large frames without a copy.

        Raises
        ------
        zmq.ZMQError
            If the peer is gone.
        """
        if self._sending:
            self._outbox.append(frames)
            return
        self._sending = True
        try:
            self._put(frames)
            while True:
                if not self._outbox:
                    break
                self._put(self._outbox.popleft())
        finally:
            self._sending = False

    def take(self) -> list[zmq.Frame] | None:
        """Return one message that is there, as frames, or None.

        It is the same one until the list has been cleared, so that an interrupt
        cannot lose it: clear it when the message is where it belongs.
        """
        taken = self._taken
        try:
            while True:
                if taken:
                    if not taken[-1].more:
                        return taken
                elif not has_message(self._socket):
                    return None
                # In one step, which no interrupt comes between.
                taken += map(self._receive, (zmq.DONTWAIT,), (False,))
        except zmq.Again:
            return None

    def _put(self, frames: list[Any]) -> None:
        last = len(frames) - 1
        index = 0
        try:
            while True:
                if index > last:
                    break
                self._put_frame(frames[index], index == last)
                index += 1
        except zmq.ZMQError:
            raise
        except BaseException:  # an interrupt
            for rest in range(index + 1, last + 1):
                self._put_frame(frames[rest], rest == last)
            raise

    def _put_frame(self, frame: Any, is_last: bool) -> None:
        flags = zmq.DONTWAIT if is_last else zmq.DONTWAIT | zmq.SNDMORE
        # Copying a frame of libzmq's own would undo what it was made for: see `backlog`.
        is_own = type(frame) is zmq.Frame
        self._socket.send(frame, flags, copy=len(frame) < COPY_BELOW and not is_own)
