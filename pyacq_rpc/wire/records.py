"""Named tuples travel by value: their fields arrive under their names.

The class itself is not looked up at the receiver, let alone imported: an
equal one is made there, once for each name and set of fields. It compares
equal to the original and to a plain tuple, and prints the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from ..errors import ProtocolError

__all__ = ["lower_namedtuple", "raise_namedtuple"]


def lower_namedtuple(value: object) -> list[Any] | None:
    """Return name, field names and items of a named tuple; None for others."""
    cls = type(value)
    if not isinstance(value, tuple) or cls.__base__ is not tuple:
        return None
    fields = getattr(cls, "_fields", None)
    if type(fields) is not tuple or len(fields) != len(value):
        return None
    if vars(cls).get("__slots__") != () or not all(type(f) is str for f in fields):
        return None
    return [cls.__name__, list(fields), list(value)]


def raise_namedtuple(name: str, fields: list[str], items: list[Any]) -> tuple[Any, ...]:
    """Rebuild a named tuple from what `lower_namedtuple` gave."""
    return _record_type(name, tuple(fields))._make(items)


class _Record(tuple[Any, ...]):
    __slots__ = ()
    _fields: tuple[str, ...] = ()

    @classmethod
    def _make(cls, items: Iterable[Any]) -> _Record:
        record = tuple.__new__(cls, items)
        if len(record) != len(cls._fields):
            raise ProtocolError(f"{cls.__name__} has {len(cls._fields)} fields, not {len(record)}")
        return record

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={item!r}" for name, item in zip(self._fields, self))
        return f"{type(self).__name__}({inner})"

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self))

    def _replace(self, **changes: Any) -> _Record:
        record = self._make(changes.pop(name, item) for name, item in self._asdict().items())
        if changes:
            raise ValueError(f"Got unexpected field names: {list(changes)!r}")
        return record

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


@functools.lru_cache(maxsize=256)
def _record_type(name: str, fields: tuple[str, ...]) -> type[_Record]:
    if not all(f.isidentifier() and not f.startswith("_") for f in (name.lstrip("_"), *fields)):
        raise ProtocolError("the names in a named tuple must be identifiers")
    body: dict[str, Any] = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
    if len(body) != len(fields) or not body.keys().isdisjoint(dir(tuple)):
        raise ProtocolError("the field names of a named tuple must be new ones")
    return type(name, (_Record,), {"__slots__": (), "_fields": fields, **body})
