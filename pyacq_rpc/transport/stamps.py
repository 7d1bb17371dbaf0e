"""What tells the messages of a connection from the data that goes with them.

CURVE keeps whoever is between two peers from reading what they send, from changing it, and from
sending it once more. But they can take out frames, which libzmq does not notice: what comes next
is then taken for what was taken out. Data that somebody has chosen would be taken for a message.

So each message begins with a secret that nobody in between knows, and a number. One of several
frames has one more, with their count and the same stamp. The client has chosen the secret, and
the server knows it before there is any message: it is told, encrypted, in the metadata with which
the connection is made (ZeroMQ RFC 26, RFC 37).
"""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

import zmq

__all__ = ["STAMP_SIZE", "Stamps", "ask_for_stamps", "new_secret", "secret_of", "unstamp"]

_PROPERTY = "X-Stamp"
_LENGTH = 16
_NUMBER = struct.Struct(">Q")
_COUNT = struct.Struct(">I")

STAMP_SIZE = _LENGTH + _NUMBER.size
"""Bytes by which stamps make a frame longer."""


def new_secret() -> bytes:
    """Return what nobody can guess."""
    return os.urandom(_LENGTH)


def ask_for_stamps(socket: zmq.Socket[bytes], secret: bytes) -> None:
    """Have the server stamp messages to this socket, and expect stamps; before it connects."""
    socket.setsockopt(zmq.METADATA, f"{_PROPERTY}:{secret.hex()}".encode())


def secret_of(frame: zmq.Frame) -> bytes | None:
    """Return the secret of the client that has sent a frame, if it has asked for stamps.

    Raises
    ------
    ValueError
        If what it has told is no secret. It may be long, and each look at it takes its time.
    """
    try:
        secret = bytes.fromhex(str(frame.get(_PROPERTY)))
    except zmq.ZMQError:  # there is none
        return None
    if len(secret) != _LENGTH:
        raise ValueError(f"a secret has {_LENGTH} bytes, and not {len(secret)}")
    return secret


class Stamps:
    """Stamps what one side of a connection sends.

    Parameters
    ----------
    secret : bytes
    """

    __slots__ = ("_numbers", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        # Not from the same one if a client says goodbye, and hello again, over one connection.
        self._numbers = itertools.count(int.from_bytes(os.urandom(7), "big"))

    def put(self, frames: list[Any]) -> list[Any]:
        """Return the frames of a message with the stamps."""
        stamp = self.secret + _NUMBER.pack(next(self._numbers))
        head = b"".join((stamp, frames[0]))
        if len(frames) == 1:
            return [head]
        return [head, *frames[1:], _COUNT.pack(len(frames)) + stamp]


def unstamp(secret: bytes, frames: list[memoryview]) -> bool:
    """Take the stamps off the frames of a message; whether it is one that was sent.

    Of a message whose end is missing, the frames are in front of those of the next one. Then
    that is what is left.

    Examples
    --------
    >>> stamps = Stamps(b"#" * 16)
    >>> frames = [memoryview(frame) for frame in stamps.put([b"head", b"data"])]
    >>> unstamp(b"#" * 16, frames), [bytes(frame) for frame in frames]
    (True, [b'head', b'data'])
    >>> unstamp(b"#" * 16, frames)
    False
    """
    if len(frames) > 1:
        heads = [at for at, frame in enumerate(frames) if frame[:_LENGTH] == secret]
        del frames[: heads[-1] if heads else 0]
    head = frames[0]
    if len(head) < STAMP_SIZE or head[:_LENGTH] != secret:
        return False
    if len(frames) > 1:
        if frames[-1] != _COUNT.pack(len(frames) - 1) + head[:STAMP_SIZE].tobytes():
            return False
        del frames[-1]
    frames[0] = head[STAMP_SIZE:]
    return True
