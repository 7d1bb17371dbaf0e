"""Colours for levels, on light and on dark grounds."""

from __future__ import annotations

import logging

from qtpy import QtGui

__all__ = ["LevelColours", "contrast"]

_LIGHT = {
    logging.CRITICAL: ("#ffffff", "#b3261e"),
    logging.ERROR: ("#b3261e", None),
    logging.WARNING: ("#8a4b00", None),
    logging.INFO: (None, None),
    0: ("#666666", None),
}
_DARK = {
    logging.CRITICAL: ("#ffffff", "#9c1c1c"),
    logging.ERROR: ("#ff8a80", None),
    logging.WARNING: ("#ffb74d", None),
    logging.INFO: (None, None),
    0: ("#a0a0a0", None),
}


class LevelColours:
    """What records of each level look like.

    Parameters
    ----------
    palette : QPalette
        Of the widget that shows them; decides whether the ground is dark.

    Attributes
    ----------
    is_dark : bool
    """

    def __init__(self, palette: QtGui.QPalette) -> None:
        base = palette.color(QtGui.QPalette.ColorRole.Base)
        self.is_dark = _luminance(base) < 0.2
        self._levels = [
            (level, _brush(text), _brush(ground))
            for level, (text, ground) in (_DARK if self.is_dark else _LIGHT).items()
        ]

    def foreground(self, level: int) -> QtGui.QBrush | None:
        """Return the colour of the text; None for the palette's."""
        return next((text for least, text, _ in self._levels if level >= least), None)

    def background(self, level: int) -> QtGui.QBrush | None:
        """Return the colour of the ground; None for the palette's."""
        return next((ground for least, _, ground in self._levels if level >= least), None)


def contrast(one: QtGui.QColor, other: QtGui.QColor) -> float:
    """Return the contrast ratio of two colours, from 1 to 21, as WCAG has it."""
    darker, lighter = sorted([_luminance(one), _luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: QtGui.QColor) -> float:
    parts = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _brush(name: str | None) -> QtGui.QBrush | None:
    return None if name is None else QtGui.QBrush(QtGui.QColor(name))
