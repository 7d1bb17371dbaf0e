"""What tells the messages of a connection from the data that goes with them, and how both go.

CURVE keeps whoever is between two peers from reading what they send, from changing it, and from
sending it once more. But they can take out frames, which libzmq does not notice: what comes next
is then taken for what was taken out. Data that somebody has chosen would be taken for a message.

So each message begins with a secret that nobody in between knows, and a number. One of several
frames has one more, with their count and the same stamp. The client has chosen the secret, and
the server knows it before there is any message: it is told, encrypted, in the metadata with which
the connection is made (ZeroMQ RFC 26, RFC 37).

And large frames go in pieces. libzmq takes note of its peer when a whole frame has come. Over a
slow network that of an image would take longer than a peer may be silent.
"""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

import zmq

__all__ = ["PIECE", "STAMP_SIZE", "Stamps", "ask_for_stamps", "new_secret", "secret_of", "unstamp"]

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


PIECE = 64 * 1024
"""Bytes of a piece, which has to get through within a heartbeat's timeout.

Data of many pieces is on its way sooner, too: one is decrypted while the next is encrypted."""


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
        """Return the frames of a message with the stamps, in pieces."""
        stamp = self.secret + _NUMBER.pack(next(self._numbers))
        head = b"".join((stamp, frames[0]))
        if len(frames) == 1 and len(head) < PIECE:
            return [head]
        pieces = [piece for frame in (head, *frames[1:]) for piece in _cut(frame)]
        return [*pieces, _COUNT.pack(len(pieces)) + stamp]


def _cut(frame: Any) -> list[Any]:
    """Return the pieces of a frame; the last one, and no other, is shorter than `PIECE`."""
    if len(frame) < PIECE:
        return [frame]
    view = memoryview(frame)
    return [view[at : at + PIECE] for at in range(0, len(view) + 1, PIECE)]


def unstamp(secret: bytes, frames: list[memoryview], most: int | None = None) -> bool:
    """Take the stamps off the frames of a message; whether it is one that was sent.

    Of a message whose end is missing, the frames are in front of those of the next one. Then
    that is what is left.

    Parameters
    ----------
    secret : bytes
    frames : list of memoryview
        As they have come; as they were before they were stamped, if it is one.
    most : int, optional
        Bytes of a message that is to be put together; a larger one is left in pieces.

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
    if len(frames) > 1 and (most is None or sum(map(len, frames)) <= most):
        frames[:] = _joined(frames)
    return True


def _joined(pieces: list[memoryview]) -> list[memoryview]:
    """Return the frames that these are the pieces of."""
    frames = []
    begin, cut = 0, PIECE - STAMP_SIZE  # of the first one, the stamp is off
    for at, piece in enumerate(pieces, 1):
        if len(piece) != cut or at == len(pieces):
            whole = at == begin + 1
            frames.append(piece if whole else memoryview(bytearray().join(pieces[begin:at])))
            begin = at
        cut = PIECE
    return frames
