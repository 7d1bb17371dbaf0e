"""Qt's value types by value, through the type registry.

What is written names no binding, so each side may have another one. Widgets,
pixmaps, icons and whatever else is not in these tables go by proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import methodcaller
from typing import Any

from qtpy import QtGui

from ..errors import ProtocolError, SerializationError
from ..wire.registry import Buffer, TypeRegistry
from . import enums
from .binding import QtCore
from .fonts import lower_font, raise_font
from .images import lower_image

__all__ = ["register"]

_Pair = tuple[Callable[[Any], object], Callable[[Any], Any]]
"""What writes such a value, and what reads it."""

_NUMBERS: list[tuple[Any, type[int] | type[float], str]] = [
    (QtCore.QPoint, int, "x y"),
    (QtCore.QPointF, float, "x y"),
    (QtCore.QSize, int, "width height"),
    (QtCore.QSizeF, float, "width height"),
    (QtCore.QRect, int, "x y width height"),
    (QtCore.QRectF, float, "x y width height"),
    (QtCore.QLine, int, "x1 y1 x2 y2"),
    (QtCore.QLineF, float, "x1 y1 x2 y2"),
    (QtCore.QMargins, int, "left top right bottom"),
    (QtCore.QMarginsF, float, "left top right bottom"),
]
"""What is made of the numbers that these methods return."""


def register(registry: TypeRegistry) -> None:
    """Register them all; called when the first of them is met."""
    for cls, kind, getters in _NUMBERS:
        registry.register(cls, _name(cls), *_numbers(cls, kind, getters))
    for cls, point in ((QtGui.QPolygon, QtCore.QPoint), (QtGui.QPolygonF, QtCore.QPointF)):
        registry.register(cls, _name(cls), *_points(cls, point))
    others: list[tuple[Any, Callable[[Any], object], Callable[[Any], Any]]] = [
        (QtCore.QByteArray, _lower_bytes, _raise_bytes),
        (QtCore.QDate, _lower_date, _raise_date),
        (QtCore.QTime, _lower_time, _raise_time),
        (QtCore.QDateTime, _lower_datetime, _raise_datetime),
        (QtCore.QUrl, _lower_url, _raise_url),
        (QtGui.QColor, _lower_color, _raise_color),
        (QtGui.QKeySequence, _lower_keys, _raise_keys),
        (QtGui.QFont, lower_font, raise_font),
    ]
    for cls, lower, raise_ in others:
        registry.register(cls, _name(cls), lower, raise_)
    registry.send_as(QtGui.QImage, "numpy.ndarray", lower_image)
    enums.register(registry)


def _name(cls: type[Any]) -> str:
    return f"qt.{cls.__name__}"


def _malformed(cls: type[Any]) -> ProtocolError:
    return ProtocolError(f"malformed {cls.__name__}")


def _is_int(value: object, bits: int = 32) -> bool:
    return type(value) is int and -(1 << bits - 1) <= value < 1 << bits - 1


def _is_float(value: object) -> bool:
    # Integers too: a client in JavaScript has no other way to write 1.0.
    return type(value) is float or _is_int(value, 64)


# -- of numbers -------------------------------------------------------------------


def _numbers(cls: Any, kind: type[Any], names: str) -> _Pair:
    getters = [methodcaller(name) for name in names.split()]
    fits = _is_int if kind is int else _is_float

    def lower(value: Any) -> object:
        return [get(value) for get in getters]

    def raise_(payload: Any) -> Any:
        if type(payload) is not list or len(payload) != len(getters):
            raise _malformed(cls)
        if not all(map(fits, payload)):
            raise _malformed(cls)
        return cls(*map(kind, payload))

    return lower, raise_


def _points(cls: Any, point: Any) -> _Pair:
    _, raise_point = _numbers(point, *next(row[1:] for row in _NUMBERS if row[0] is point))

    def lower(polygon: Any) -> object:
        return [[corner.x(), corner.y()] for corner in polygon]

    def raise_(payload: Any) -> Any:
        if type(payload) is not list:
            raise _malformed(cls)
        return cls([raise_point(pair) for pair in payload])

    return lower, raise_


# -- bytes and text ---------------------------------------------------------------


def _lower_bytes(value: Any) -> object:
    return Buffer(memoryview(bytes(value)))


def _raise_bytes(payload: Any) -> Any:
    if type(payload) not in (bytes, memoryview):
        raise _malformed(QtCore.QByteArray)
    return QtCore.QByteArray(bytes(payload))


def _lower_url(url: Any) -> object:
    return bytes(url.toEncoded()).decode("ascii")


def _raise_url(payload: Any) -> Any:
    if type(payload) is not str or not payload.isascii():
        raise _malformed(QtCore.QUrl)
    mode = QtCore.QUrl.ParsingMode.StrictMode
    url = QtCore.QUrl.fromEncoded(QtCore.QByteArray(payload.encode()), mode)
    if payload and not url.isValid():
        raise _malformed(QtCore.QUrl)
    return url


_PORTABLE = QtGui.QKeySequence.SequenceFormat.PortableText


def _lower_keys(keys: Any) -> object:
    return keys.toString(_PORTABLE)


def _raise_keys(payload: Any) -> Any:
    if type(payload) is not str:
        raise _malformed(QtGui.QKeySequence)
    return QtGui.QKeySequence(payload, _PORTABLE)


# -- dates and times --------------------------------------------------------------

_DAY = 86_400_000
_EPOCH = 2_440_588
"""The Julian day 1970-01-01."""

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+:-]*(?:/[A-Za-z0-9_+:-]+){0,3}\Z")


def _lower_date(date: Any) -> object:
    return date.toJulianDay() if date.isValid() else None


def _raise_date(payload: Any) -> Any:
    if payload is None:
        return QtCore.QDate()
    if not _is_int(payload, 64):
        raise _malformed(QtCore.QDate)
    date = QtCore.QDate.fromJulianDay(payload)
    if not date.isValid():
        raise _malformed(QtCore.QDate)
    return date


def _lower_time(time: Any) -> object:
    return time.msecsSinceStartOfDay() if time.isValid() else None


def _raise_time(payload: Any) -> Any:
    if payload is None:
        return QtCore.QTime()
    if type(payload) is not int or not 0 <= payload < _DAY:
        raise _malformed(QtCore.QTime)
    return QtCore.QTime.fromMSecsSinceStartOfDay(payload)


def _lower_datetime(at: Any) -> object:
    if not at.isValid():
        return None
    spec, specs = at.timeSpec(), QtCore.Qt.TimeSpec
    if spec == specs.LocalTime:  # what a clock shows there, wherever that is
        day, clock = at.date().toJulianDay() - _EPOCH, at.time().msecsSinceStartOfDay()
        return [day * _DAY + clock, None]
    if spec == specs.TimeZone:
        zone: object = bytes(at.timeZone().id()).decode()
    else:
        zone = at.offsetFromUtc()
    return [at.toMSecsSinceEpoch(), zone]


def _raise_datetime(payload: Any) -> Any:
    if payload is None:
        return QtCore.QDateTime()
    if type(payload) is not list or len(payload) != 2 or not _is_int(payload[0], 64):
        raise _malformed(QtCore.QDateTime)
    number, zone = payload
    if zone is None:
        day, clock = divmod(number, _DAY)
        at = QtCore.QDateTime(_raise_date(day + _EPOCH), _raise_time(clock))
    elif type(zone) is int and abs(zone) < _DAY // 1000:
        at = QtCore.QDateTime.fromMSecsSinceEpoch(number).toOffsetFromUtc(zone)
    elif type(zone) is str:
        at = QtCore.QDateTime.fromMSecsSinceEpoch(number).toTimeZone(_zone(zone))
    else:
        raise _malformed(QtCore.QDateTime)
    if not at.isValid():
        raise SerializationError("a QDateTime arrived that there is not here")
    return at


def _zone(name: str) -> Any:
    # Qt looks for a file of that name, and reads other things than names too.
    if len(name) < 100 and _ZONE.match(name):
        written = QtCore.QByteArray(name.encode())
        if QtCore.QTimeZone.isTimeZoneIdAvailable(written):
            return QtCore.QTimeZone(written)
    raise SerializationError(f"the time zone {name[:60]!r} is not known here")


# -- colours ----------------------------------------------------------------------

_SPECS = {
    name: (methodcaller(f"get{system}F"), getattr(QtGui.QColor, f"from{system}F"), size)
    for name, system, size in [
        ("Rgb", "Rgb", 4),
        ("Hsv", "Hsv", 4),
        ("Cmyk", "Cmyk", 5),
        ("Hsl", "Hsl", 4),
        ("ExtendedRgb", "Rgb", 4),
    ]
}

_LARGEST = 65_504.0
"""That a float of 16 bits can be."""


def _lower_color(color: Any) -> object:
    for name, (get, _, _) in _SPECS.items():
        if color.spec() == getattr(QtGui.QColor.Spec, name):
            return [name, *get(color)]
    return None


def _raise_color(payload: Any) -> Any:
    if payload is None:
        return QtGui.QColor()
    if type(payload) is not list or not payload or payload[0] not in list(_SPECS):
        raise _malformed(QtGui.QColor)
    name, *parts = payload
    _, make, size = _SPECS[name]
    if len(parts) != size or not all(map(_is_float, parts)):
        raise _malformed(QtGui.QColor)
    if name in ("Hsv", "Hsl") and parts[0] == -1.0:  # it has no hue
        fits = all(0.0 <= part <= 1.0 for part in parts[1:])
    elif name == "ExtendedRgb":
        fits = all(abs(part) <= _LARGEST for part in parts)
    else:
        fits = all(0.0 <= part <= 1.0 for part in parts)
    if not fits:
        raise _malformed(QtGui.QColor)
    color: Any = make(*map(float, parts))
    if name == "ExtendedRgb":
        return color.convertTo(QtGui.QColor.Spec.ExtendedRgb)
    return color
