"""Messages within a message: the requests of a batch, and the answers to them.

Each is written as a message of its own, and then packed as the list of its frames. So
each is read when its turn comes, and one that cannot be read spoils no other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ProtocolError
from .messages import Reference
from .registry import Buffer
from .values import SMALL_BUFFER, Frame

__all__ = ["PROMISED", "cost_of", "pack_frames", "promised", "unpack_frames"]

PROMISED = "#"
"""What the `ref` begins with of a result that is still to come, before the request's id."""


def promised(request_id: int) -> Reference:
    """Return what stands for the result of an earlier request of the same batch.

    Examples
    --------
    >>> promised(7)
    Reference(address='', ref='#7', object_id='', type_name='', attributes=[], token='')
    """
    return Reference("", f"{PROMISED}{request_id}", "", "", [], "")


def pack_frames(frames: Sequence[Frame], own_frames: int) -> tuple[list[bytes | Buffer], int]:
    """Return a message's frames as a value that can be part of another message.

    The data of large buffers is copied: what follows in a batch may change it.

    Parameters
    ----------
    frames : sequence
    own_frames : int
        How many of them may be frames of that other message, too.

    Returns
    -------
    list, int
        The value, and how many are.

    Examples
    --------
    >>> pack_frames([b"head"], own_frames=10)
    ([b'head'], 0)
    """
    if len(frames) == 1 and len(frames[0]) <= SMALL_BUFFER:
        return [bytes(frames[0])], 0
    packed: list[bytes | Buffer] = []
    used = 0
    for frame in frames:
        data = bytes(frame)
        if len(data) > SMALL_BUFFER and used < own_frames:
            used += 1
            packed.append(Buffer(memoryview(data)))
        else:
            packed.append(data)
    return packed, used


def cost_of(packed: Sequence[bytes | Buffer], serializer: str) -> int:
    """Return how many bytes these frames add to the message that they are packed in, at most.

    Examples
    --------
    >>> cost_of([b"head"], "msgpack")
    24
    """
    if len(packed) == 1 and serializer != "json" and type(packed[0]) is bytes:
        return len(packed[0]) + 20
    size = sum(frame.data.nbytes if isinstance(frame, Buffer) else len(frame) for frame in packed)
    if serializer == "json":
        size += size // 2  # as base64
    return size + 20 * len(packed)


def unpack_frames(packed: Any) -> list[Frame]:
    """Return the frames of a message that came within another one.

    Raises
    ------
    ProtocolError
        If they are none.

    Examples
    --------
    >>> unpack_frames([b"head"])
    [b'head']
    """
    if type(packed) is not list or not packed:
        raise ProtocolError("a message within a message is a non-empty list of frames")
    for frame in packed:
        if type(frame) not in (bytes, memoryview):
            raise ProtocolError("a frame of a message within a message is written as bytes")
    return packed
