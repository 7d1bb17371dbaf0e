"""Fonts by value: by their properties, since each version of Qt has a text form of its own."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from qtpy import QtGui

from ..errors import ProtocolError
from .binding import QtCore

__all__ = ["lower_font", "raise_font"]

_Font = QtGui.QFont

_PROPERTIES: dict[str, Any] = {
    "pointSizeF": float,  # -1, if it is in pixels
    "pixelSize": int,  # -1, if it is in points
    "weight": _Font.Weight,
    "style": _Font.Style,
    "underline": bool,
    "overline": bool,
    "strikeOut": bool,
    "fixedPitch": bool,
    "kerning": bool,
    "stretch": int,
    "wordSpacing": float,
    "letterSpacingType": _Font.SpacingType,
    "letterSpacing": float,
    "capitalization": _Font.Capitalization,
    "styleHint": _Font.StyleHint,  # sets the strategy too, which therefore comes later
    "styleStrategy": _Font.StyleStrategy,
    "hintingPreference": _Font.HintingPreference,
    "styleName": str,
}
"""The methods that tell them, and what they are; an enum is written as its number."""

_QT5_WEIGHTS = [0, 12, 25, 50, 57, 63, 75, 81, 87, 99]
_WEIGHTS = [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
"""The same, thin to black, in Qt 5 and everywhere else."""


def lower_font(font: Any) -> object:
    """Write all properties of a font, by their names."""
    found = {name: _plain(getattr(font, name)()) for name in _PROPERTIES}
    if _IS_QT5:
        found["weight"] = _between(found["weight"], _QT5_WEIGHTS, _WEIGHTS)
    return {"families": _families(font), **found}


def raise_font(payload: Any) -> Any:
    """Make a font with these properties; those that are missing are the default's.

    Raises
    ------
    ProtocolError
        If there is something else.
    """
    if type(payload) is not dict or not payload.keys() <= {"families", *_PROPERTIES}:
        raise ProtocolError("malformed QFont")
    found = {name: _checked(name, payload[name]) for name in _PROPERTIES if name in payload}
    font = _Font()
    if (families := payload.get("families")) is not None:
        _set_families(font, families)
    spacing = found.pop("letterSpacingType", 0), found.pop("letterSpacing", 0.0)
    if spacing != (_plain(font.letterSpacingType()), font.letterSpacing()):
        font.setLetterSpacing(_Font.SpacingType(spacing[0]), spacing[1])
    for name, value in found.items():
        if name in ("pointSizeF", "pixelSize") and value <= 0:
            continue
        # What is set counts as wished for: it is not taken from a parent widget any more.
        if value != _plain(getattr(font, name)()):
            kind = _PROPERTIES[name]
            setter = getattr(font, f"set{name[0].upper()}{name[1:]}")
            setter(value if kind in _PLAIN else kind(value))
    return font


_PLAIN = (bool, int, float, str)
_IS_QT5 = str(QtCore.qVersion()).startswith("5.")


def _plain(value: Any) -> Any:
    """Return the number of an enum."""
    value = getattr(value, "value", value)
    return value if type(value) in _PLAIN else int(value)


def _checked(name: str, value: Any) -> Any:
    kind = _PROPERTIES[name]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not (kind if kind in _PLAIN else int):
        raise ProtocolError(f"malformed QFont: {name}")
    if type(value) is float and not math.isfinite(value):
        raise ProtocolError(f"malformed QFont: {name}")
    if type(value) is int and not -1 <= value < 1 << 16:
        raise ProtocolError(f"malformed QFont: {name}")
    if name == "weight" and _IS_QT5:
        return _between(value, _WEIGHTS, _QT5_WEIGHTS)
    return value


def _families(font: Any) -> list[str]:
    return list(font.families()) or [font.family()]


def _set_families(font: Any, families: Any) -> None:
    if type(families) is not list or not all(type(name) is str for name in families):
        raise ProtocolError("malformed QFont: families")
    if families and families != _families(font):
        font.setFamily(families[0])
        if len(families) > 1:
            font.setFamilies(families)


def _between(value: int, ours: list[int], theirs: list[int]) -> int:
    """Return the weight on the other scale, in proportion to its two neighbours."""
    value = min(max(value, ours[0]), ours[-1])
    at = max(bisect_right(ours, value) - 1, 0)
    if at == len(ours) - 1:
        return theirs[at]
    share = (value - ours[at]) / (ours[at + 1] - ours[at])
    return theirs[at] + round(share * (theirs[at + 1] - theirs[at]))
