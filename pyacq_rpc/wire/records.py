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
    if not isinstance(value, tuple) or cls.__base__ not in (tuple, _Record):
        return None
    fields = getattr(cls, "_fields", None)
    if type(fields) is not tuple or len(fields) != len(value):
        return None
    if vars(cls).get("__slots__") != () or not _names_are_good(cls.__name__, fields):
        return None
    return [cls.__name__, list(fields), list(value)]


def raise_namedtuple(name: str, fields: list[str], items: list[Any]) -> tuple[Any, ...]:
    """Rebuild a named tuple from what `lower_namedtuple` gave."""
    key = tuple(fields)
    if not _names_are_good(name, key):
        raise ProtocolError("the names in a named tuple must be identifiers, each a new one")
    # What a peer can make stay here has to be little.
    small = len(key) <= 50 and len(name) + sum(map(len, key)) <= 1000
    return (_known_record_type if small else _record_type)(name, key)._make(items)


def _names_are_good(name: str, fields: tuple[Any, ...]) -> bool:
    if not all(type(field) is str and field.isidentifier() for field in (name, *fields)):
        return False
    # ``_1`` is what ``namedtuple(rename=True)`` makes of a bad name; any other
    # underscore could replace a part of the class.
    hidden = [field[1:] for field in fields if field.startswith("_")]
    return len(set(fields)) == len(fields) and all(f.isascii() and f.isdigit() for f in hidden)


class _Record(tuple[Any, ...]):
    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls, *items: Any) -> _Record:
        return cls._make(items)

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

    def __reduce__(self) -> Any:
        # Pickled by its names too: the class cannot be found by import.
        return raise_namedtuple, (type(self).__name__, list(self._fields), list(self))


def _record_type(name: str, fields: tuple[str, ...]) -> type[_Record]:
    body: dict[str, Any] = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
    return type(name, (_Record,), {"__slots__": (), "_fields": fields, **body})


_known_record_type = functools.lru_cache(maxsize=256)(_record_type)
