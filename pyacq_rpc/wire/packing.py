"""A result that begins with a list of items, each of which is written when it is there.

Its value is ``[[item, ...], *rest]``. An item that changes after it was added is in
the message as it was: whoever produces items may use one object for all of them.
Large buffers are the exception: they are not copied.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

from .values import Frame

__all__ = ["ITEM_DEPTH", "Packing"]

ITEM_DEPTH = 3
"""How deep an item lies in its message."""

_COPIED = 1 << 16
"""Bytes up to which a buffer is copied, so that other items may follow it."""


class Packing(abc.ABC):
    """Writes one result; made by a codec.

    Attributes
    ----------
    parts : list of bytes
        The items, as they are written.
    frames : list
        The frames of the message; the first one is made in the end.
    size : int
        Bytes so far.
    holds : bool
        Whether an item was added that must not change before the message is sent.

    Examples
    --------
    >>> from pyacq_rpc.wire.codecs import codec_named
    >>> packing = codec_named("json").packing(refer=None)
    >>> packing.add(1), packing.add((2, 3))
    (None, None)
    >>> packing.finish(7, [True])
    [b'[3,7,[[1,{"$tuple":[2,3]}],true]]']
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.frames: list[Frame] = [b""]
        self.size = 0
        self.holds = False

    @abc.abstractmethod
    def pack(self, item: object) -> bytes:
        """Return an item as it is written; what is large in it goes to `frames`."""

    @abc.abstractmethod
    def head(self, request_id: int, rest: Sequence[object]) -> bytes:
        """Return the first frame."""

    def add(self, item: object) -> None:
        """Write one more item.

        Raises
        ------
        SerializationError
            If it can travel neither by value nor by proxy; nothing of it is left.
        """
        frames = self.frames
        count = len(frames)
        try:
            part = self.pack(item)
        except BaseException:
            del frames[count:]
            raise
        for n in range(count, len(frames)):
            if len(frames[n]) <= _COPIED:
                frames[n] = bytes(frames[n])
            else:
                self.holds = True
            self.size += len(frames[n])
        self.parts.append(part)
        self.size += len(part)

    def take_back(self, count: int, frames: int, size: int) -> None:
        """Forget what was added since there were so many parts, frames and bytes."""
        del self.parts[count:]
        del self.frames[frames:]
        self.size = size

    def finish(self, request_id: int, rest: Sequence[object]) -> list[Frame]:
        """Return the frames of the message.

        Parameters
        ----------
        request_id : int
            Of the request that it answers.
        rest : sequence
            What follows the list of items in the value.
        """
        self.frames[0] = self.head(request_id, rest)
        return self.frames
