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
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Union

from ..errors import ProtocolError, SerializationError
from .messages import Message, Reference, Target, parse
from .records import lower_namedtuple, raise_namedtuple
from .registry import Buffer, TypeRegistry

__all__ = [
    "ANY_NESTING",
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

ANY_NESTING = 1 << 62
"""How deep they may nest to be read where nobody minds: as deep as the parser can."""


def _lower_tz(tz: datetime.tzinfo | None, at: datetime.datetime | None) -> Any:
    if tz is None:
        return None
    import zoneinfo  # here only: it takes long to import

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
    if type(zone) is str:
        import zoneinfo

        try:
            return zoneinfo.ZoneInfo(zone)
        except (LookupError, OSError) as error:  # a directory, a name too long for a file
            raise SerializationError(f"the time zone {zone[:60]!r} is not known here") from error
    days, seconds, microseconds, name = zone
    if not type(days) is type(seconds) is type(microseconds) is int:
        raise ProtocolError("the offset of a zone is written with integers")
    plain = datetime.timezone(datetime.timedelta(days, seconds, microseconds))
    if name is None or name == plain.tzname(None):
        return plain
    return datetime.timezone(plain.utcoffset(None), name)


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


def _raise_complex(real: Any, imag: Any) -> complex:
    # Integers too: a client in JavaScript has no other way to write 1.0.
    if not {type(real), type(imag)} <= {int, float}:
        raise ProtocolError("a complex number is written with two numbers")
    return complex(real, imag)


def _raise_dict(*pairs: Any) -> dict[Any, Any]:
    for pair in pairs:
        if type(pair) is not list:  # a string of two characters is not a pair
            raise ProtocolError("the items of a dict are pairs")
    return dict(pairs)


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

_INT3 = (int, int, int)

# What the items must be, exactly: many constructors take far more than what is
# sent here (``bytearray(10**9)``, ``date(b"pickled")``). None: any items.
_RAISE: dict[str, tuple[tuple[type[Any], ...] | None, Callable[..., object]]] = {
    "tuple": (None, lambda *items: items),
    "set": (None, lambda *items: set(items)),
    "frozenset": (None, lambda *items: frozenset(items)),
    "complex": ((object, object), _raise_complex),
    "bytearray": ((bytes,), bytearray),
    "slice": ((object, object, object), slice),
    "range": (_INT3, range),
    "datetime": ((*_INT3, *_INT3, int, int, object), _raise_datetime),
    "date": (_INT3, datetime.date),
    "time": ((*_INT3, int, int, object), _raise_time),
    "timedelta": (_INT3, datetime.timedelta),
    "ellipsis": ((), lambda: ...),
    "notimplemented": ((), lambda: NotImplemented),
    "int": ((bytes,), _raise_int),
    "namedtuple": ((str, list, list), raise_namedtuple),
    "dict": (None, _raise_dict),
}

TAGS = (*_RAISE, "proxy", "buffer", "type", "float", "bytes", "str")
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

    # Names, not bound methods: those would make each message a reference cycle,
    # and what it refers to would outlive it until the next collection.
    special: ClassVar[dict[type[Any], str]] = {
        list: "_list",
        dict: "_dict",
        Target: "_target",
        Buffer: "_buffer",
    }
    natives: ClassVar[frozenset[type[Any]]] = frozenset({type(None), bool, int, float, str, bytes})

    def __init__(self, refer: Refer, registry: TypeRegistry, frames: list[Frame]) -> None:
        self._refer = refer
        self._registry = registry
        self._frames = frames

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
        special = self.special.get(cls)
        if special is not None:
            return getattr(self, special)(value, depth)
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
        return self.tag("proxy", self._items(list(reference), depth))

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

    def _target(self, value: Target, depth: int) -> Any:
        return self._items([value.ref, *value.attributes], depth)

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

    Attributes
    ----------
    opaque : list
        What was rebuilt as something else than plain containers.
    """

    def __init__(self, resolve: Resolve, registry: TypeRegistry, frames: Sequence[Frame]) -> None:
        self._resolve = resolve
        self._registry = registry
        self._frames = frames
        self._taken: set[int] = set()
        self._error: Exception | None = None
        self.opaque: list[object] = []

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
        if len(self._taken) != len(self._frames) - 1:
            raise ProtocolError("a frame came that nothing in the message refers to")
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
                types, make = plain
                if types is not None:
                    _check_items(tag, items, types)
                return make(*items)
            if tag == "buffer":
                return self._buffer(*items)
            if tag == "type":
                return self._registered(*items)
            if tag == "proxy":
                return self._resolved(_reference(items))
        except ProtocolError:
            raise
        except SerializationError as error:
            return self._failed(error)
        except Exception as error:
            raise ProtocolError(f"malformed {tag} value: {error}") from error
        raise ProtocolError(f"unknown tag {tag!r}")

    def _buffer(self, index: object) -> Frame:
        if type(index) is not int or not 1 <= index < len(self._frames):
            raise ProtocolError("a buffer names a frame that did not come with the message")
        # Else a small message could ask for a thousand copies of a large frame.
        if index in self._taken:
            raise ProtocolError("two buffers name the same frame")
        self._taken.add(index)
        return self._frames[index]

    def _registered(self, name: object, payload: object) -> object:
        if type(name) is not str:
            raise ProtocolError("a registered type is named by a string")
        try:
            return self._note(self._registry.decode(name, payload))
        except (ProtocolError, SerializationError):
            raise
        except Exception as error:
            # Its sender may have meant well: the two sides know the type differently.
            raise SerializationError(
                f"a value of the registered type {name[:60]!r} could not be rebuilt here:"
                f" {type(error).__name__}: {error}"
            ) from error

    def _resolved(self, reference: Reference) -> object:
        try:
            return self._note(self._resolve(reference))
        except Exception as error:  # noqa: BLE001  # reported when the message is complete
            return self._failed(error)

    def _note(self, obj: object) -> object:
        self.opaque.append(obj)
        return obj

    def _failed(self, error: Exception) -> Any:
        if self._error is None:
            self._error = error
        return None


def _check_items(tag: str, items: list[Any], types: tuple[type[Any], ...]) -> None:
    if len(items) != len(types):
        raise ProtocolError(f"a {tag} value has {len(types)} items, not {len(items)}")
    for item, cls in zip(items, types):
        if cls is not object and type(item) is not cls:
            raise ProtocolError(
                f"an item of a {tag} value is of type {type(item).__name__}, not {cls.__name__}"
            )


def _reference(items: list[Any]) -> Reference:
    reference = Reference(*items)
    *texts, attributes, token = reference
    for text in (*texts, token):
        if type(text) is not str:
            raise ProtocolError("a proxy is written with strings")
    if type(attributes) is not list or not all(type(name) is str for name in attributes):
        raise ProtocolError("the attributes of a proxy are a list of strings")
    return reference
