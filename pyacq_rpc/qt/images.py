"""Images as arrays: what arrives is numpy's, and needs no Qt."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from qtpy import QtGui

from ..wire.registry import Buffer

__all__ = ["lower_image"]

_Format = QtGui.QImage.Format
_UINT16 = "<u2" if sys.byteorder == "little" else ">u2"

_GREY = {_Format.Format_Grayscale8: ("|u1", 1), _Format.Format_Grayscale16: (_UINT16, 2)}
"""What stays as it is; all else becomes red, green, blue and alpha of 8 bits."""


def lower_image(image: Any) -> object:
    """Write an image as a numpy array is written.

    Its pixels are gone over once, here; they are sent from where they then are.
    """
    format_ = image.format()
    if format_ in _GREY:
        dtype, pixel_size = _GREY[format_]
        shape = [image.height(), image.width()]
        own = image.copy()  # it may be painted on before it is sent
    else:
        dtype, pixel_size = "|u1", 4
        shape = [image.height(), image.width(), 4]
        own = image.convertToFormat(_Format.Format_RGBA8888)
        if format_ == _Format.Format_RGBA8888:
            own = own.copy()
    return [dtype, shape, "C", Buffer(_pixels(own, image.width() * pixel_size))]


def _pixels(image: Any, row: int) -> memoryview:
    """Return the rows of an image that nobody else has, without what pads them."""
    height, line = image.height(), image.bytesPerLine()
    if image.isNull():
        return memoryview(b"")
    bits = image.bits()
    if hasattr(bits, "setsize"):  # PyQt's does not know how long it is
        bits.setsize(height * line)
    memory: Any = (ctypes.c_ubyte * (height * line)).from_buffer(bits)
    memory.image = image  # which lives as long as views of its memory do
    view = memoryview(memory).cast("B")
    if line == row:
        return view
    return memoryview(b"".join(view[i : i + row] for i in range(0, height * line, line)))
