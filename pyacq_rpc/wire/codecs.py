"""The serializers by name, and by the first byte of a message.

A MessagePack message begins with the head of a short array (0x90-0x9f), a
JSON one with ``[``: a server needs no setting to tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..errors import ProtocolError
from .messages import Message
from .msgpack_codec import MsgpackCodec
from .packing import Packing
from .values import ANY_NESTING, Frame, Refer, Resolve

__all__ = ["Codec", "codec_named", "codec_of"]


class Codec(Protocol):
    """What every serializer does."""

    @property
    def name(self) -> str:
        """What the serializer is called."""

    def encode(self, message: Message, refer: Refer) -> list[Frame]:
        """Return the frames of a message."""

    def packing(self, refer: Refer) -> Packing:
        """Begin a result with a list of items, which are added one by one."""

    def decode(self, frames: Sequence[Frame], resolve: Resolve) -> Message:
        """Return the message that the frames hold."""


def _json(nesting: int = ANY_NESTING) -> Codec:
    from .json_codec import JsonCodec  # most programs never need it

    return JsonCodec(nesting=nesting)


_CODECS: dict[str, Callable[[], Codec]] = {"msgpack": MsgpackCodec, "json": _json}


def codec_named(name: str) -> Codec:
    """Return a new codec of this serializer.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> codec_named("json").name
    'json'
    """
    try:
        return _CODECS[name]()
    except KeyError:
        raise ValueError(f"unknown serializer {name!r}; known: {', '.join(_CODECS)}") from None


def codec_of(frames: Sequence[Frame], nesting: int = ANY_NESTING) -> Codec:
    """Return a new codec of the serializer that these frames are written in.

    Parameters
    ----------
    frames : sequence
    nesting : int, optional
        Levels of containers that a message may have to be read.

    Raises
    ------
    ProtocolError
        If the first byte is neither's.

    Examples
    --------
    >>> codec_of([b"[9,7]"]).name
    'json'
    """
    first = frames[0][0] if frames and len(frames[0]) else None
    if first is not None and 0x90 <= first <= 0x9F:
        return MsgpackCodec(nesting=nesting)
    if first == ord("["):
        return _json(nesting)
    raise ProtocolError(f"unknown serializer: a message begins with byte {first}")
