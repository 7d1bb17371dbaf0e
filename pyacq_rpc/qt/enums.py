"""Enums and flags of Qt's by value, whatever binding either side has.

PyQt6 and PySide6 have enums of Python's. PyQt5's are integers with a class, and
its flags are of other classes than the enum that they consist of. On the wire
there is the enum's place in Qt, which is the same in all of them, and a number.

A name that a peer sends leads along classes of Qt's to an enum, or nowhere:
nothing is called, and nothing else looked at.
"""

from __future__ import annotations

import enum
import functools
import re
from typing import Any

from ..errors import ProtocolError, SerializationError
from ..wire.registry import TypeRegistry
from .binding import QtCore

__all__ = ["register"]

_BINDING = QtCore.QObject.__module__.partition(".")[0]

_MODULES = ("QtCore", "QtGui", "QtWidgets")

_PLACE = re.compile(r"[A-Z][A-Za-z0-9]{0,60}(?:\.[A-Z][A-Za-z0-9]{0,60}){0,3}\Z")

MAX_COMBINATIONS = 10_000
"""Values that have no name of their own and that peers may have made here.

Python keeps each combination of flags for good.
"""

_combinations: dict[tuple[type[Any], int], object] = {}


def register(registry: TypeRegistry) -> None:
    """Register all enums and flags of the three modules."""
    registry.register_kind(_belongs, "qt.enum", _lower, _raise)


def _belongs(cls: Any) -> bool:
    module = str(cls.__module__)
    if module not in [f"{_BINDING}.{name}" for name in _MODULES]:
        return False
    return _is_enum(cls) or _enum_of(cls) is not None


def _is_enum(cls: object) -> bool:
    return isinstance(cls, enum.EnumMeta) or type(cls).__name__ == "enumtype"


def _is_flag(value: Any) -> bool:
    """Whether it is no single one, in a binding that has one class for both."""
    return isinstance(value, enum.Flag) and value.name not in type(value).__members__


def _lower(value: Any) -> object:
    cls: Any = type(value)
    flags = not _is_enum(cls)
    if flags:
        cls = _enum_of(cls)
    number = value.value if isinstance(value, enum.Enum) else int(value)
    if not -(1 << 31) <= number < 1 << 32:
        return NotImplemented
    # The bindings do not agree on the sign of what has the highest bit.
    number = (number + (1 << 31)) % (1 << 32) - (1 << 31)
    module = cls.__module__.partition(".")[2]
    return [module, cls.__qualname__, number, flags or _is_flag(value)]


def _raise(payload: Any) -> object:
    if type(payload) is not list or len(payload) != 4:
        raise ProtocolError("malformed Qt enum")
    module, place, number, flags = payload
    if not (
        type(module) is type(place) is str
        and type(number) is int
        and type(flags) is bool
        and module in _MODULES
        and _PLACE.match(place)
        and -(1 << 31) <= number < 1 << 31
    ):
        raise ProtocolError("malformed Qt enum")
    cls = _enum_at(module, place)
    if isinstance(cls, enum.EnumMeta):
        return _member(cls, number)
    flags_cls = _flags_of(cls) if flags else None
    return cls(number) if flags_cls is None else flags_cls(number)


def _member(cls: Any, number: int) -> object:
    unsigned = number % (1 << 32)
    named = _named(cls)
    for same in (number, unsigned):
        if same in named:
            return named[same]
    if issubclass(cls, enum.Flag):
        number = unsigned
    known = _combinations.get((cls, number))
    if known is None:
        if len(_combinations) >= MAX_COMBINATIONS:
            raise SerializationError("more different Qt flags have arrived than are kept here")
        try:
            known = _combinations[cls, number] = cls(number)
        except ValueError as error:
            raise SerializationError(
                f"{_BINDING} here has no {cls.__qualname__} with the value {number}"
            ) from error
    return known


@functools.lru_cache(maxsize=1000)
def _named(cls: Any) -> dict[int, object]:
    return {member.value: member for member in cls.__members__.values()}


@functools.lru_cache(maxsize=1000)
def _enum_at(module: str, place: str) -> Any:
    found: Any = _module(module)
    for name in place.split("."):
        found = getattr(found, name, None)
        if not isinstance(found, type) or not str(found.__module__).startswith(_BINDING + "."):
            break
    else:
        if _is_enum(found):
            return found
    raise SerializationError(f"{_BINDING} here has no enum {module}.{place}")


def _module(name: str) -> Any:
    if name == "QtWidgets":  # only if it is asked for
        from qtpy import QtWidgets

        return QtWidgets
    from qtpy import QtGui

    return {"QtCore": QtCore, "QtGui": QtGui}[name]


# -- PyQt5's flags ----------------------------------------------------------------


def _scope_of(cls: type[Any]) -> dict[str, Any]:
    """Return what stands beside a class within another one."""
    scope: Any = _module(cls.__module__.partition(".")[2])
    for name in cls.__qualname__.split(".")[:-1]:
        scope = vars(scope).get(name)
        if not isinstance(scope, type):
            return {}
    return dict(vars(scope)) if isinstance(scope, type) else {}


@functools.lru_cache(maxsize=1000)
def _flags_of(cls: Any) -> Any:
    """Return the class for combinations of PyQt5's enum; None if it has none."""
    flags: Any = type(cls(0) | cls(0))
    if flags is int:
        flags = _scope_of(cls).get(cls.__name__ + "s")  # the few whose | is not declared
    try:
        flags(0)
    except TypeError:  # None, or the one that takes no number
        return None
    return flags


@functools.lru_cache(maxsize=1000)
def _enum_of(flags: Any) -> Any:
    """Return the enum of which PyQt5's flags consist; None if the class is none."""
    for found in _scope_of(flags).values():
        if type(found).__name__ == "enumtype" and _flags_of(found) is flags:
            return found
    return None
