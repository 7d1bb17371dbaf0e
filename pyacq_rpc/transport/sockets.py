"""The sockets of both sides, with the options that this project relies on."""

from __future__ import annotations

from typing import Any

import zmq

__all__ = ["bind_router", "clean_address", "connect_dealer", "endpoint", "send_frames", "take"]

HEARTBEAT_INTERVAL = 1500
"""Milliseconds between two ZMTP heartbeats."""

HEARTBEAT_TIMEOUT = 3000
"""Milliseconds without any traffic after which a peer counts as gone. The
heartbeats are answered by the peer's I/O thread: a busy program, even one that
holds the GIL, is not gone. A frozen process, machine or network is."""

LINGER = 2000
"""Milliseconds that a closed socket goes on sending what it was given."""

COPY_BELOW = 64 * 1024
"""Bytes below which copying a frame is cheaper than sharing it with libzmq."""


def clean_address(address: str | bytes) -> str:
    """Return an address as text.

    Raises
    ------
    ValueError
        If it is not of the form ``transport://where``.

    Examples
    --------
    >>> clean_address(b"tcp://127.0.0.1:5000")
    'tcp://127.0.0.1:5000'
    """
    text = address.decode() if isinstance(address, bytes) else address
    transport, found, where = text.partition("://")
    if not found or not where or transport not in ("tcp", "ipc", "inproc"):
        raise ValueError(
            f"{text!r} is not an address; one looks like 'tcp://127.0.0.1:5000',"
            " or 'tcp://127.0.0.1:*' to listen on any free port"
        )
    return text


def _common(socket: zmq.Socket[bytes]) -> None:
    socket.linger = LINGER
    # No high-water mark: a ROUTER would drop, a DEALER would block, and what
    # is in flight is the caller's to bound.
    socket.sndhwm = 0
    socket.rcvhwm = 0
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT)


def bind_router(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """Return a ROUTER socket that listens at `address`.

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
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise OSError(error.errno, f"cannot listen at {address}: {error.strerror}") from error
    return socket


def connect_dealer(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    """Return a DEALER socket that is on its way to `address`.

    Its identity is left to the ROUTER, which makes a random one.

    Raises
    ------
    ValueError
        If nothing could ever listen there.
    """
    socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    try:
        _common(socket)
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


def send_frames(socket: zmq.Socket[bytes], frames: list[Any]) -> None:
    """Send one message; large frames without a copy.

    Raises
    ------
    zmq.ZMQError
        If the peer is gone.
    """
    if len(frames) == 1:
        socket.send(frames[0], zmq.DONTWAIT)
        return
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        flags = zmq.DONTWAIT if index == last else zmq.DONTWAIT | zmq.SNDMORE
        socket.send(frame, flags, copy=len(frame) < COPY_BELOW)


def take(socket: zmq.Socket[bytes]) -> list[zmq.Frame] | None:
    """Return one message that is there, as frames, or None."""
    try:
        return socket.recv_multipart(zmq.DONTWAIT, copy=False)
    except zmq.Again:
        return None
