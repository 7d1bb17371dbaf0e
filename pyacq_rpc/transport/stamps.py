"""What tells the messages of a connection from the data that goes with them.

CURVE keeps whoever is between two peers from reading what they send, from changing it, and from
sending it once more. But they can leave out frames, which libzmq does not notice: what comes next
is then taken for what was left out. Data that somebody has chosen would be taken for a message.

So each message begins with what nobody in between knows, the client's routing id, and a number.
One of several frames has one more, with their count and the same stamp. The server knows the
routing id before there is any message: it is told, encrypted, when the connection is made (ZeroMQ
RFC 26).
"""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

__all__ = ["Stamps", "is_stamped", "new_routing_id", "unstamp"]

_FIRST = 1
_LENGTH = 16
_NUMBER = struct.Struct(">Q")
_COUNT = struct.Struct(">I")
_STAMP = _LENGTH + _NUMBER.size


def new_routing_id() -> bytes:
    """Return what a client calls its socket that stamps its messages: nobody can guess it."""
    return bytes([_FIRST]) + os.urandom(_LENGTH - 1)


def is_stamped(routing_id: bytes) -> bool:
    """Whether the messages of the client of that routing id, and those to it, are stamped.

    Examples
    --------
    >>> is_stamped(new_routing_id())
    True
    >>> is_stamped(bytes([0, 107, 139, 69, 103]))  # as a ROUTER makes one
    False
    """
    return len(routing_id) == _LENGTH and routing_id[0] == _FIRST


class Stamps:
    """Stamps what one side of a connection sends.

    Parameters
    ----------
    routing_id : bytes
        Of the client.
    """

    __slots__ = ("_numbers", "_routing_id")

    def __init__(self, routing_id: bytes) -> None:
        self._routing_id = routing_id
        self._numbers = itertools.count()

    def put(self, frames: list[Any]) -> list[Any]:
        """Return the frames of a message with the stamps."""
        # A number need not be used, if an interrupt comes; but none is used twice.
        stamp = self._routing_id + _NUMBER.pack(next(self._numbers))
        head = b"".join((stamp, frames[0]))
        if len(frames) == 1:
            return [head]
        return [head, *frames[1:], _COUNT.pack(len(frames)) + stamp]


def unstamp(routing_id: bytes, frames: list[memoryview]) -> bool:
    """Take the stamps off the frames of a message; whether they are right.

    If they are not, the message is not one that the other side has sent.

    Examples
    --------
    >>> stamps = Stamps(b"#" * 16)
    >>> frames = [memoryview(frame) for frame in stamps.put([b"head", b"data"])]
    >>> unstamp(b"#" * 16, frames), [bytes(frame) for frame in frames]
    (True, [b'head', b'data'])
    >>> unstamp(b"#" * 16, frames)
    False
    """
    head = frames[0]
    if len(head) < _STAMP or head[:_LENGTH] != routing_id:
        return False
    if len(frames) > 1:
        if frames[-1] != _COUNT.pack(len(frames) - 1) + head[:_STAMP].tobytes():
            return False
        del frames[-1]
    frames[0] = head[_STAMP:]
    return True
