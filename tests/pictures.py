"""Looks at pictures; in another process, since to read one starts threads of Qt's."""

from __future__ import annotations


def size(path: str) -> tuple[int, int]:
    """Width and height in pixels."""
    from qtpy import QtGui

    image = QtGui.QImage(path)
    return image.width(), image.height()


def count(path: str, colour: str, left: int, top: int, right: int, bottom: int) -> int:
    """How many pixels within that rectangle are about that colour: edges are smoothed."""
    from qtpy import QtGui

    image, wanted = QtGui.QImage(path), QtGui.QColor(colour).getRgb()[:3]
    places = [(x, y) for y in range(top, bottom) for x in range(left, right)]
    found = (QtGui.QColor(image.pixel(*place)).getRgb()[:3] for place in places)
    return sum(max(abs(a - b) for a, b in zip(wanted, one)) < 40 for one in found)
