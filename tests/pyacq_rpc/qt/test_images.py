from __future__ import annotations

import gc

import numpy as np
import pytest
from qtpy import QtCore, QtGui, QtWidgets

from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Result

from .test_values import refuse, through

Format = QtGui.QImage.Format


def painted(width, height, format_):
    image = QtGui.QImage(width, height, format_)
    for x in range(width):
        for y in range(height):
            image.setPixelColor(x, y, QtGui.QColor(10 * x, 10 * y, 7, 255))
    return image


@pytest.mark.parametrize(
    "format_",
    ["RGB32", "ARGB32", "ARGB32_Premultiplied", "RGB888", "RGBA8888", "RGBX64"],
)
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 25)])
def test_colours_become_four_bytes(format_, size):
    width, height = size
    array = through(painted(width, height, getattr(Format, "Format_" + format_)))
    assert (array.shape, array.dtype) == ((height, width, 4), np.uint8)
    y, x = np.mgrid[:height, :width]
    assert (array[..., 0] == 10 * x).all()
    assert (array[..., 1] == 10 * y).all()
    assert (array[..., 2] == 7).all()
    assert (array[..., 3] == 255).all()
    array[0] = 0


def test_alpha():
    image = QtGui.QImage(3, 1, Format.Format_ARGB32_Premultiplied)
    image.fill(QtGui.QColor(255, 0, 0, 51))
    assert through(image).tolist() == [[[255, 0, 0, 51]] * 3]


@pytest.mark.parametrize("format_", ["Mono", "Indexed8"])
def test_palettes_become_colours(format_):
    image = QtGui.QImage(9, 2, getattr(Format, "Format_" + format_))
    image.setColorTable([0xFF000000, 0xFF102030])
    image.fill(0)
    image.setPixel(8, 1, 1)
    array = through(image)
    assert array[1, 8].tolist() == [0x10, 0x20, 0x30, 255]
    assert array[0, 0].tolist() == [0, 0, 0, 255]


@pytest.mark.parametrize("size", [(1, 1), (4, 3), (5, 3), (101, 100)])
def test_grey_levels_stay_as_they_are(size):
    width, height = size
    eight = QtGui.QImage(width, height, Format.Format_Grayscale8)
    sixteen = QtGui.QImage(width, height, Format.Format_Grayscale16)
    for x in range(width):
        for y in range(height):
            level = (7 * x + y) % 256
            eight.setPixelColor(x, y, QtGui.QColor(level, level, level))
            sixteen.setPixelColor(x, y, QtGui.QColor(level, level, level))
    y, x = np.mgrid[:height, :width]
    array = through(eight)
    assert (array.shape, array.dtype) == ((height, width), np.uint8)
    assert (array == (7 * x + y) % 256).all()
    array = through(sixteen)
    assert (array.shape, array.dtype) == ((height, width), np.uint16)
    assert (array == 257 * ((7 * x + y) % 256)).all()


def test_lines_with_gaps_between_them():
    """An image in somebody else's memory."""
    data = bytes(range(200))
    image = QtGui.QImage(data, 3, 4, 50, Format.Format_Grayscale8)
    assert through(image).tolist() == [[50 * y + x for x in range(3)] for y in range(4)]
    image = QtGui.QImage(data, 2, 4, 50, Format.Format_RGBA8888)
    expected = [[[50 * y + 4 * x + c for c in range(4)] for x in range(2)] for y in range(4)]
    assert through(image).tolist() == expected


def test_no_image():
    assert through(QtGui.QImage()).shape == (0, 0, 4)


@pytest.mark.parametrize("format_", ["RGB32", "RGBA8888", "Grayscale8", "Grayscale16"])
def test_what_is_to_be_sent_outlives_the_image_and_does_not_change(format_):
    image = QtGui.QImage(200, 100, getattr(Format, "Format_" + format_))
    image.fill(QtGui.QColor(10, 20, 30))
    _, pixels = codec_named("msgpack").encode(Result(1, image), refuse)
    before = bytes(pixels)
    part = pixels[8:]
    image.fill(QtGui.QColor("white"))
    del image, pixels
    gc.collect()
    others = [QtGui.QImage(200, 100, Format.Format_RGBA8888) for _ in range(20)]
    for other in others:
        other.fill(QtGui.QColor("white"))
    assert bytes(part) == before[8:]


def test_a_picture_of_a_widget_that_is_elsewhere(qt_server, elsewhere):
    label = qt_server["label"] = QtWidgets.QLabel()
    label.setStyleSheet("background: #102030")
    label.resize(QtCore.QSize(40, 30))
    array = elsewhere(lambda client: client["label"].grab().toImage())
    assert array.shape == (30, 40, 4)
    assert array[15, 20].tolist() == [0x10, 0x20, 0x30, 255]
