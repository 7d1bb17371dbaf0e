"""The serializers by name, and by the first byte of a message.

A MessagePack message begins with the head of a short array (0x90-0x9f), a
JSON one with ``[``: a server needs no setting to tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from ..errors import ProtocolError
from .messages import MOVE, REQUEST, Message
from .msgpack_codec import MsgpackCodec
from .packing import Packing
from .values import ANY_NESTING, Frame, Refer, Resolve

__all__ = ["Codec", "codec_named", "codec_of", "depth_of", "moves"]

_OF_SEVEN = 0x97
"""What stands first in a list of seven elements in MessagePack."""

_KIND_IN_JSON = re.compile(rb"\[\s*(\d{1,3})\s*,")
_DEPTH_IN_JSON = re.compile(rb",\s*(\d{1,3})\s*\]\s*$")

_LOOKED_AT = 16
"""Bytes at either end of a message in JSON."""


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


def depth_of(frames: Sequence[Frame]) -> int | None:
    """Return the depth of a request without reading it, or None if it is surely another message.

    Examples
    --------
    >>> depth_of([b'[2,1,"ping","ack",{},null,3]']), depth_of([b'[2,1,"ping","ack",{}]'])
    (3, 0)
    >>> depth_of([bytes([0x97, 2, 1, 0xA4, *b"ping", 0xA3, *b"ack", 0x80, 0xC0, 3])])
    3
    >>> depth_of([b"[9,7]"])
    """
    kind = _kind_of(frames)
    if kind is not None and kind != REQUEST:
        return None
    head = frames[0] if frames else b""
    if head[:1] == b"[":
        # One that does not tell its depth ends with a map.
        found = _DEPTH_IN_JSON.search(bytes(head[-_LOOKED_AT:]))
        return 0 if found is None else int(found[1])
    return head[-1] if kind == REQUEST and head[0] == _OF_SEVEN else 0


def moves(frames: Sequence[Frame]) -> bool:
    """Whether a message says that what follows comes over the direct road.

    Examples
    --------
    >>> moves([b'[11,"token"]']), moves([b"[9,7]"])
    (True, False)
    """
    return _kind_of(frames) == MOVE


def _kind_of(frames: Sequence[Frame]) -> int | None:
    """Return the kind of a message as it is mostly written, or None."""
    head = frames[0] if frames else b""
    if head[:1] == b"[":
        found = _KIND_IN_JSON.match(bytes(head[:_LOOKED_AT]))
        return None if found is None else int(found[1])
    return head[1] if len(head) > 1 and 0x90 <= head[0] <= 0x9F and head[1] < 0x80 else None
