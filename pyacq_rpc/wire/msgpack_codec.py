"""Messages as MessagePack: one frame, and one more for each large buffer.

A tagged value is a list whose first element is an extension object with no
data, of the tag's number. No other list can begin so, which makes the reading
a single pass without recursion of ours: the parser calls back for each list.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgpack

from ..errors import ProtocolError, RPCError, SerializationError
from .messages import (
    REQUEST,
    RESULT,
    Message,
    Request,
    Result,
    Target,
    pack_fields,
    parse,
)
from .nesting import check_nesting
from .packing import ITEM_DEPTH, Packing
from .registry import TypeRegistry, registry
from .values import ANY_NESTING, TAGS, Frame, Lowering, Raising, Refer, Resolve, lower_int

__all__ = ["MsgpackCodec"]

_MARKS = {tag: msgpack.ExtType(number, b"") for number, tag in enumerate(TAGS)}


class _Lowering(Lowering):
    def tag(self, tag: str, items: list[Any]) -> Any:
        return [_MARKS[tag], *items]


def _lower_rest(value: Any) -> Any:
    # The packer asks about what it cannot pack: integers beyond 64 bits only,
    # since everything else has been lowered before.
    if type(value) is int:
        return [_MARKS["int"], *lower_int(value)]
    raise SerializationError(f"{type(value).__name__} cannot be packed")


# One for each message: a codec is used from several threads, a packer may not
# be, and making one takes a seventh of a microsecond.
_packer = partial(msgpack.Packer, strict_types=True, default=_lower_rest)


def _packed(packer: msgpack.Packer, fields: object) -> bytes:
    try:
        packed: bytes = packer.pack(fields)
    except UnicodeEncodeError:  # lone surrogates; rare, so the fast way is tried first
        packed = _packer(unicode_errors="surrogatepass").pack(fields)
    except (ValueError, OverflowError) as error:  # longer than 4 GB, say
        raise SerializationError(f"a value cannot be packed: {error}") from error
    return packed


def _plain(request: Request) -> list[Any] | None:
    """Return the fields of a request that needs no lowering; most calls do not."""
    number, action, reply, options, context, depth = request
    if action == "call_obj" and not options["kwargs"]:
        target, args = options["obj"], options["args"]
        if type(target) is Target and Lowering.natives.issuperset(map(type, args)):
            options = {"obj": [target.ref, *target.attributes], "args": args, "kwargs": {}}
            fields = [REQUEST, number, action, reply, options]
            if depth:
                return [*fields, context, depth]
            return [*fields, context] if context else fields
    return None


class _Packing(Packing):
    def __init__(self, refer: Refer, types: TypeRegistry) -> None:
        super().__init__()
        self._lower = _Lowering(refer, types, self.frames)
        self._packer = _packer()

    def pack(self, item: object) -> bytes:
        if type(item) not in Lowering.natives:
            item = self._lower(item, ITEM_DEPTH)
        return _packed(self._packer, item)

    def head(self, request_id: int, rest: Sequence[object]) -> bytes:
        packer, parts = self._packer, self.parts
        return b"".join(
            (
                packer.pack_array_header(3),
                packer.pack(RESULT),
                packer.pack(request_id),
                packer.pack_array_header(1 + len(rest)),
                packer.pack_array_header(len(parts)),
                *parts,
                *map(self.pack, rest),
            )
        )


class _Mark:
    """The head of a tagged list, as read."""

    __slots__ = ("tag",)

    def __init__(self, tag: str) -> None:
        self.tag = tag


_READ_MARKS = [_Mark(tag) for tag in TAGS]


_MARK = b"\xc7\x00"
"""What each mark begins with; messages in which these bytes are not hold no tagged value."""

_SMALL = 4096
"""Bytes up to which it is worth while to look for that."""


_CONTAINERS = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])


def _containers(head: bytes) -> int:
    """Return how many lists and maps there can be in a message at most."""
    return len(head) - len(head.translate(None, _CONTAINERS))


_unpack = partial(
    msgpack.unpackb,
    strict_map_key=False,
    unicode_errors="surrogatepass",
    timestamp=3,  # the one extension that does not come to an `ext_hook`; as a datetime
)


def _malformed(error: Exception) -> ProtocolError:
    # The parser has several ways of its own to say so.
    return ProtocolError(f"not a MessagePack message: {error}")


def _refuse(number: int, data: bytes) -> object:
    raise ProtocolError(f"unknown extension {number} with {len(data)} bytes")


class _Reader:
    """Reads one message; counts the marks so that none is left over."""

    def __init__(self, raising: Raising) -> None:
        self._raise = raising
        self._open = 0

    def read(self, head: Frame) -> object:
        fields = _unpack(head, ext_hook=self._ext, list_hook=self._list)
        if self._open:
            raise ProtocolError("a tag stands where no tagged value begins")
        return fields

    def _ext(self, number: int, data: bytes) -> _Mark:
        if data or not 0 <= number < len(_READ_MARKS):
            raise ProtocolError(f"unknown extension {number} with {len(data)} bytes")
        self._open += 1
        return _READ_MARKS[number]

    def _list(self, items: list[Any]) -> Any:
        if items and type(items[0]) is _Mark:
            self._open -= 1
            return self._raise(items[0].tag, items[1:])
        return items


class MsgpackCodec:
    """Turns messages into frames and back.

    Parameters
    ----------
    types : TypeRegistry
        The types that travel by value besides the common ones.
    nesting : int
        Levels of containers that a message may have to be read.
    """

    name = "msgpack"

    def __init__(self, types: TypeRegistry = registry, nesting: int = ANY_NESTING) -> None:
        self._types = types
        self._nesting = nesting

    def encode(self, message: Message, refer: Refer) -> list[Frame]:
        """Return the frames of a message.

        Raises
        ------
        SerializationError
            If part of it can travel neither by value nor by proxy.
        """
        frames: list[Frame] = [b""]
        fields: list[Any] | None = None
        if type(message) is Result:
            if type(message.value) in Lowering.natives:
                fields = [RESULT, *message]
        elif type(message) is Request:
            fields = _plain(message)
        if fields is None:
            fields = _Lowering(refer, self._types, frames)(pack_fields(message))
        frames[0] = _packed(_packer(), fields)
        return frames

    def packing(self, refer: Refer) -> Packing:
        """Begin a result with a list of items, which are added one by one."""
        return _Packing(refer, self._types)

    def decode(self, frames: Sequence[Frame], resolve: Resolve) -> Message:
        """Return the message that these frames hold.

        Raises
        ------
        ProtocolError
            If they do not hold one.
        LimitExceeded
            If they do, but it nests too deep.
        Undecodable
            If they do, but part of it cannot be rebuilt here.
        """
        if not frames:
            raise ProtocolError("a message has one frame at least")
        head = frames[0]
        if len(head) <= _SMALL:
            head = bytes(head)
            if len(frames) == 1 and _MARK not in head:
                try:
                    message = parse(_unpack(head, ext_hook=_refuse))
                except RPCError:
                    raise
                except Exception as error:
                    raise _malformed(error) from error
                if len(head) > self._nesting and _containers(head) > self._nesting:
                    check_nesting(message, self._nesting, ())
                return message
        raising = Raising(resolve, self._types, frames)
        reader = _Reader(raising)
        try:
            fields = reader.read(head)
        except RPCError:
            raise
        except Exception as error:
            raise _malformed(error) from error
        message = raising.finish(fields)
        if len(head) > self._nesting:
            check_nesting(message, self._nesting, raising.opaque)
        return message
