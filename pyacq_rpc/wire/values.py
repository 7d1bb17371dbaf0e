"""The type layer: how each Python value is written with few native ones.

Both serializers share it. A value that they know natively stays as it is; any
other becomes a *tagged* one: a tag from the tables below and a list of items
which are values again. How a tag is written is the serializer's business.

What has no value form here goes to a `Refer` function, which answers with the
`Reference` that travels in its place; a `Resolve` function turns a reference
back into something to hold.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Union

from ..errors import ProtocolError, SerializationError
from .messages import Message, Reference, Target, parse
from .records import lower_namedtuple, raise_namedtuple
from .registry import Buffer, TypeRegistry

__all__ = [
    "MAX_DEPTH",
    "TAGS",
    "Frame",
    "Lowering",
    "Raising",
    "Refer",
    "Resolve",
    "Undecodable",
    "lower_int",
]

Frame = Union[bytes, memoryview]
"""One frame of a message."""

Refer = Callable[[object], Reference]
"""Gives the reference that travels for an object, or raises SerializationError."""

Resolve = Callable[[Reference], object]
"""Gives what to hold for a reference that arrived."""

MAX_DEPTH = 100
"""How deep containers may nest to be sent."""


def _lower_tz(tz: datetime.tzinfo | None, at: datetime.datetime | None) -> Any:
    if tz is None:
        return None
    if isinstance(tz, zoneinfo.ZoneInfo) and tz.key is not None:
        return tz.key
    offset = tz.utcoffset(at)
    if offset is None:
        raise SerializationError(f"a time with the zone {tz!r} has no offset to send")
    name = tz.tzname(at)
    return [offset.days, offset.seconds, offset.microseconds, name]


def _raise_tz(zone: Any) -> datetime.tzinfo | None:
    if zone is None:
        return None
    if isinstance(zone, str):
        return zoneinfo.ZoneInfo(zone)
    days, seconds, microseconds, name = zone
    offset = datetime.timedelta(days, seconds, microseconds)
    if not offset and name == "UTC":
        return datetime.timezone.utc
    plain = datetime.timezone(offset)
    return plain if name == plain.tzname(None) else datetime.timezone(offset, name)


def _lower_datetime(d: datetime.datetime) -> list[Any]:
    clock = [d.hour, d.minute, d.second, d.microsecond, d.fold]
    return [d.year, d.month, d.day, *clock, _lower_tz(d.tzinfo, d)]


def _raise_datetime(
    year: int, month: int, day: int, h: int, m: int, s: int, us: int, fold: int, tz: Any
) -> datetime.datetime:
    return datetime.datetime(year, month, day, h, m, s, us, _raise_tz(tz), fold=fold)


def _lower_time(t: datetime.time) -> list[Any]:
    return [t.hour, t.minute, t.second, t.microsecond, t.fold, _lower_tz(t.tzinfo, None)]


def _raise_time(h: int, m: int, s: int, us: int, fold: int, tz: Any) -> datetime.time:
    return datetime.time(h, m, s, us, _raise_tz(tz), fold=fold)


def lower_int(value: int) -> list[Any]:
    """Write an integer of any size as its two's complement, big-endian."""
    length = value.bit_length() // 8 + 1
    return [value.to_bytes(length, "big", signed=True)]


def _raise_int(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


_LOWER: dict[type[Any], tuple[str, Callable[[Any], list[Any]]]] = {
    tuple: ("tuple", list),
    set: ("set", list),
    frozenset: ("frozenset", list),
    complex: ("complex", lambda c: [c.real, c.imag]),
    bytearray: ("bytearray", lambda b: [bytes(b)]),
    slice: ("slice", lambda s: [s.start, s.stop, s.step]),
    range: ("range", lambda r: [r.start, r.stop, r.step]),
    datetime.datetime: ("datetime", _lower_datetime),
    datetime.date: ("date", lambda d: [d.year, d.month, d.day]),
    datetime.time: ("time", _lower_time),
    datetime.timedelta: ("timedelta", lambda d: [d.days, d.seconds, d.microseconds]),
    type(...): ("ellipsis", lambda _: []),
    type(NotImplemented): ("notimplemented", lambda _: []),
    Reference: ("proxy", list),
}

_RAISE: dict[str, Callable[..., object]] = {
    "tuple": lambda *items: items,
    "set": lambda *items: set(items),
    "frozenset": lambda *items: frozenset(items),
    "complex": complex,
    "bytearray": bytearray,
    "slice": slice,
    "range": range,
    "datetime": _raise_datetime,
    "date": datetime.date,
    "time": _raise_time,
    "timedelta": datetime.timedelta,
    "ellipsis": lambda: ...,
    "notimplemented": lambda: NotImplemented,
    "int": _raise_int,
    "namedtuple": raise_namedtuple,
    "dict": lambda *pairs: dict(pairs),
}

TAGS = (*_RAISE, "proxy", "buffer", "type", "float", "bytes")
"""Every tag; its place in this list is its number in MessagePack."""


class Lowering:
    """One pass over one message, from values to what a serializer packs.

    Parameters
    ----------
    refer : callable
        See `Refer`.
    registry : TypeRegistry
        The types that travel by value besides the common ones.
    frames : list
        Where the data of large buffers goes, one frame each. The first frame
        is the message's own.
    """

    natives: ClassVar[frozenset[type[Any]]] = frozenset({type(None), bool, int, float, str, bytes})

    def __init__(self, refer: Refer, registry: TypeRegistry, frames: list[Frame]) -> None:
        self._refer = refer
        self._registry = registry
        self._frames = frames
        self._special: dict[type[Any], Callable[[Any, int], Any]] = {
            list: self._list,
            dict: self._dict,
            Target: lambda target, _: [target.ref, *target.attributes],
            Buffer: self._buffer,
        }

    def tag(self, tag: str, items: list[Any]) -> Any:
        """Write a tagged value; the serializers override this."""
        raise NotImplementedError

    def __call__(self, value: Any, depth: int = 0) -> Any:
        """Write one value, at this depth of nesting."""
        cls = type(value)
        if cls in self.natives:
            return value
        if depth > MAX_DEPTH:
            raise SerializationError(
                f"a value is nested deeper than {MAX_DEPTH} levels, or contains itself"
            )
        special = self._special.get(cls)
        if special is not None:
            return special(value, depth)
        common = _LOWER.get(cls)
        if common is not None:
            tag, lower = common
            return self.tag(tag, self._items(lower(value), depth))
        entry = self._registry.find(cls)
        if entry is not None:
            payload = entry.encode(value)
            if payload is not NotImplemented:
                return self.tag("type", [entry.name, self(payload, depth + 1)])
        fields = lower_namedtuple(value)
        if fields is not None:
            return self.tag("namedtuple", self._items(fields, depth))
        reference = self._refer(value)
        return self.tag("proxy", list(reference))

    def _items(self, items: list[Any], depth: int) -> list[Any]:
        if self.natives.issuperset(map(type, items)):
            return items
        depth += 1
        return [self(item, depth) for item in items]

    _list = _items

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        natives = self.natives
        if natives.issuperset(map(type, value)):
            if natives.issuperset(map(type, value.values())):
                return value
            depth += 1
            return {key: self(item, depth) for key, item in value.items()}
        depth += 1
        pairs = [[self(key, depth), self(item, depth)] for key, item in value.items()]
        return self.tag("dict", pairs)

    def _buffer(self, value: Buffer, depth: int) -> Any:
        if value.data.nbytes <= SMALL_BUFFER:
            return self(value.data.tobytes(), depth)
        self._frames.append(value.data)
        return self.tag("buffer", [len(self._frames) - 1])


SMALL_BUFFER = 4096
"""Buffers up to this many bytes travel inside the first frame."""


class Undecodable(SerializationError):
    """A well-formed message holds something that cannot be rebuilt here.

    Attributes
    ----------
    error : Exception
        The first thing that went wrong.
    partial : Message
        The message, with None where something is missing: its sender can
        still be told which request has failed.
    """

    def __init__(self, error: Exception, partial: Message) -> None:
        super().__init__(str(error))
        self.error = error
        self.partial = partial


class Raising:
    """One pass over one message, from what a serializer read back to values.

    Parameters
    ----------
    resolve : callable
        See `Resolve`.
    registry : TypeRegistry
        The types that travel by value besides the common ones.
    frames : sequence
        The frames of the message; buffers are the second and later ones.
    """

    def __init__(self, resolve: Resolve, registry: TypeRegistry, frames: Sequence[Frame]) -> None:
        self._resolve = resolve
        self._registry = registry
        self._frames = frames
        self._error: Exception | None = None

    def finish(self, fields: object) -> Message:
        """Return the message that these fields make.

        Raises
        ------
        ProtocolError
            If they make none.
        Undecodable
            If part of it could not be rebuilt.
        """
        message = parse(fields)
        if self._error is not None:
            raise Undecodable(self._error, message)
        return message

    def __call__(self, tag: str, items: list[Any]) -> Any:
        """Rebuild one tagged value; None, noting why, where that is not possible.

        Raises
        ------
        ProtocolError
            If the items do not fit the tag.
        """
        try:
            plain = _RAISE.get(tag)
            if plain is not None:
                return plain(*items)
            if tag == "buffer":
                (index,) = items
                if type(index) is not int or not 1 <= index < len(self._frames):
                    raise ProtocolError(f"no frame {index!r} came with the message")
                return self._frames[index]
            if tag == "type":
                name, payload = items
                return self._registry.decode(name, payload)
            if tag == "proxy":
                return self._resolved(_reference(items))
        except ProtocolError:
            raise
        except SerializationError as error:
            return self._failed(error)
        except Exception as error:
            raise ProtocolError(f"malformed {tag} value: {error}") from error
        raise ProtocolError(f"unknown tag {tag!r}")

    def _resolved(self, reference: Reference) -> object:
        try:
            return self._resolve(reference)
        except Exception as error:  # noqa: BLE001  # reported when the message is complete
            return self._failed(error)

    def _failed(self, error: Exception) -> Any:
        if self._error is None:
            self._error = error
        return None


def _reference(items: list[Any]) -> Reference:
    reference = Reference(*items)
    *texts, attributes, token = reference
    for text in (*texts, token):
        if type(text) is not str:
            raise ProtocolError("a proxy is written with strings")
    if type(attributes) is not list or not all(type(name) is str for name in attributes):
        raise ProtocolError("the attributes of a proxy are a list of strings")
    return reference
