from __future__ import annotations

import logging

import pytest
from qtpy import QtGui

from pyacq_rpc.people.logs.colours import LevelColours, contrast

LEVELS = [5, logging.DEBUG, logging.INFO, 25, logging.WARNING, logging.ERROR, logging.CRITICAL, 60]


def palette(base, text):
    made = QtGui.QPalette()
    made.setColor(QtGui.QPalette.ColorRole.Base, QtGui.QColor(base))
    made.setColor(QtGui.QPalette.ColorRole.Text, QtGui.QColor(text))
    return made


@pytest.mark.parametrize(
    ("base", "text"),
    [("#ffffff", "#000000"), ("#f6f5f4", "#2e3436"), ("#000000", "#fff"), ("#2d2d2d", "#eeeeee")],
)
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_can_be_read(base, text, level):
    """With the contrast that WCAG asks of text."""
    colours = LevelColours(palette(base, text))
    foreground, background = colours.foreground(level), colours.background(level)
    one = QtGui.QColor(text) if foreground is None else foreground.color()
    other = QtGui.QColor(base) if background is None else background.color()
    assert contrast(one, other) >= 4.5


def test_levels_differ():
    for colours in (palette("white", "black"), palette("black", "white")):
        made = LevelColours(colours)
        assert made.foreground(logging.INFO) is None
        named = [made.foreground(level) for level in (10, 30, 40)]
        assert len({brush.color().name() for brush in named if brush is not None}) == 3
        assert made.background(logging.CRITICAL) is not None
        assert made.background(logging.ERROR) is None


def test_contrast_is_that_of_wcag():
    black, white = QtGui.QColor("black"), QtGui.QColor("white")
    assert contrast(black, white) == contrast(white, black) == pytest.approx(21)
    assert contrast(QtGui.QColor("#777777"), white) == pytest.approx(4.48, abs=0.01)
