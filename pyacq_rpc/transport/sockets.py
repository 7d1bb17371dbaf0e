"""The sockets of both sides, with the options that this project relies on."""

from __future__ import annotations

import collections
from typing import Any

import zmq

from .keys import Key, be_client, be_server

__all__ = ["FrameSocket", "bind_router", "clean_address", "connect_dealer", "endpoint"]

HEARTBEAT_INTERVAL = 1500
"""Milliseconds between two ZMTP heartbeats."""

HEARTBEAT_TIMEOUT = 3000
"""Milliseconds without any traffic after which a peer counts as gone. The
heartbeats are answered by the peer's I/O thread: a busy program, even one that
holds the GIL, is not gone. A frozen process, machine or network is."""

LINGER = 2000
"""Milliseconds that a closed socket goes on sending what it was given."""

_ENVELOPE = 64
"""Bytes by which encryption makes a frame longer, at most."""

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


def bind_router(
    context: zmq.Context[Any], address: str, key: Key | None = None, max_frame: int = -1
) -> zmq.Socket[bytes]:
    """Return a ROUTER socket that listens at `address`.

    Parameters
    ----------
    context : zmq.Context
    address : str
    key : Key, optional
        The server's. Everything is encrypted then, and a `gate.Gate` has to
        say who may connect.
    max_frame : int
        Bytes that a frame may have; who sends a larger one is disconnected.

    Raises
    ------
    OSError
        If it cannot listen there.
    """
    socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    try:
        _common(socket)
        # Say so when a client is gone, where the default drops in silence.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # What encrypts a frame makes it a little longer.
        socket.maxmsgsize = max_frame + _ENVELOPE if max_frame >= 0 else -1
        if key is not None:
            be_server(socket, key)
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise OSError(error.errno, f"cannot listen at {address}: {error.strerror}") from error
    return socket


def connect_dealer(
    context: zmq.Context[Any], address: str, key: Key | None = None
) -> zmq.Socket[bytes]:
    """Return a DEALER socket that is on its way to `address`.

    Its identity is left to the ROUTER, which makes a random one.

    Parameters
    ----------
    context : zmq.Context
    address : str
    key : Key, optional
        The client's, which has to be the server's too.

    Raises
    ------
    ValueError
        If nothing could ever listen there.
    """
    socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    try:
        _common(socket)
        if key is not None:
            be_client(socket, key)
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise ValueError(f"cannot connect to {address!r}: {error.strerror}") from error
    return socket


def endpoint(socket: zmq.Socket[bytes]) -> str:
    """Return where a socket listens, with the port that it was given."""
    where = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(where, bytes)
    return where.rstrip(b"\0").decode()


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
            while self._outbox:
                self._put(self._outbox.popleft())
        finally:
            self._sending = False

    def take(self) -> list[zmq.Frame] | None:
        """Return one message that is there, as frames, or None."""
        taken = self._taken
        try:
            while not taken or taken[-1].more:
                taken.append(self._socket.recv(zmq.DONTWAIT, copy=False))
        except zmq.Again:
            return None
        self._taken = []
        return taken

    def _put(self, frames: list[Any]) -> None:
        last = len(frames) - 1
        index = 0
        try:
            while index <= last:
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
