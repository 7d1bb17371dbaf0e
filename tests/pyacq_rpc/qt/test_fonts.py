from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy import QtGui

from pyacq_rpc import ProtocolError
from pyacq_rpc.qt.fonts import _QT5_WEIGHTS, _WEIGHTS, _between, lower_font, raise_font
from pyacq_rpc.wire.registry import registry

from .test_values import through

Font = QtGui.QFont


def changed(name, *values):
    font = Font("Arial", 20)
    getattr(font, name)(*values)
    return font


# Not made before there is an application, which has a default font.
FONTS = {
    "default": Font,
    "size": lambda: Font("Arial", 20),
    "bold": lambda: Font("Arial, the other", 7, Font.Weight.Bold, True),
    "fraction": lambda: changed("setPointSizeF", 9.5),
    "pixels": lambda: changed("setPixelSize", 31),
    "thin": lambda: changed("setWeight", Font.Weight.Thin),
    "black": lambda: changed("setWeight", Font.Weight.Black),
    "oblique": lambda: changed("setStyle", Font.Style.StyleOblique),
    "underline": lambda: changed("setUnderline", True),
    "overline": lambda: changed("setOverline", True),
    "strike out": lambda: changed("setStrikeOut", True),
    "fixed": lambda: changed("setFixedPitch", True),
    "kerning": lambda: changed("setKerning", False),
    "stretch": lambda: changed("setStretch", 150),
    "words": lambda: changed("setWordSpacing", 2.5),
    "letters": lambda: changed("setLetterSpacing", Font.SpacingType.AbsoluteSpacing, 2.5),
    "percent": lambda: changed("setLetterSpacing", Font.SpacingType.PercentageSpacing, 120.0),
    "capitals": lambda: changed("setCapitalization", Font.Capitalization.SmallCaps),
    "hint": lambda: changed("setStyleHint", Font.StyleHint.Monospace),
    "strategy": lambda: changed(
        "setStyleHint", Font.StyleHint.Serif, Font.StyleStrategy.NoAntialias
    ),
    "hinting": lambda: changed("setHintingPreference", Font.HintingPreference.PreferNoHinting),
    "style name": lambda: changed("setStyleName", "Condensed"),
    "families": lambda: changed("setFamilies", ["Arial", "Times"]),
}


@pytest.mark.parametrize("name", FONTS)
def test_fonts(name, capfd):
    font = FONTS[name]()
    arrived = through(font)
    assert arrived == font
    assert arrived.toString() == font.toString()
    assert lower_font(arrived) == lower_font(font)
    assert "QFont::" not in capfd.readouterr().err  # what Qt says of a wrong property


def test_a_font_wishes_for_no_more_than_before(app):
    """What was not set is taken from the parent widget, there as here."""
    from qtpy import QtWidgets

    parent = QtWidgets.QWidget()
    parent.setFont(Font("Arial", 40))
    child = QtWidgets.QLabel("x", parent)
    bold = Font()
    bold.setBold(True)
    child.setFont(through(bold))
    assert child.font().bold()
    assert child.font().pointSize() == 40


@given(st.integers(0, 99))
def test_weights_come_back_from_the_other_scale(weight):
    assert _between(_between(weight, _QT5_WEIGHTS, _WEIGHTS), _WEIGHTS, _QT5_WEIGHTS) == weight


def test_weights_that_have_names():
    assert [_between(weight, _QT5_WEIGHTS, _WEIGHTS) for weight in _QT5_WEIGHTS] == _WEIGHTS
    assert _between(10**9, _WEIGHTS, _QT5_WEIGHTS) == 99
    assert _between(-1, _WEIGHTS, _QT5_WEIGHTS) == 0


def test_the_weight_is_that_of_qt_6():
    assert lower_font(changed("setWeight", Font.Weight.DemiBold))["weight"] == 600


def test_some_properties_suffice():
    font = registry.decode("qt.QFont", {"families": ["Arial"], "pixelSize": 12})
    assert (font.family(), font.pixelSize(), font.bold()) == ("Arial", 12, False)


@pytest.mark.parametrize(
    "payload",
    [None, [], {"family": "x"}, {"weight": True}, {"kerning": 1}, {"stretch": 70_000}],
    ids=repr,
)
def test_what_is_none(payload):
    with pytest.raises(ProtocolError, match="malformed QFont"):
        raise_font(payload)
