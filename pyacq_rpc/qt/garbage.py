"""Garbage that is collected where the widgets in it may be destroyed."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from .binding import QtCore

__all__ = ["garbage_collected_here"]

INTERVAL = 1.0
"""Seconds from one look whether there is enough garbage to the next."""


@contextlib.contextmanager
def garbage_collected_here() -> Iterator[None]:
    """Have garbage collected in this thread alone, by its event loop.

    Python finds objects that refer to each other, and that nobody uses any
    more, in whichever thread happens to make a new one when it looks. PySide6
    destroys the widgets among them in that thread, which Qt does not allow: a
    timer goes on without its object, and crashes. Clients and servers work in
    threads of their own, so a program with widgets is safe from that only if
    the GUI thread collects. The nodes of `ProcessSpawner` with ``qt=True`` do so.

    While a slot runs, nothing is collected; one that takes long and leaves much
    garbage calls `gc.collect`.

    Examples
    --------
    >>> from qtpy.QtWidgets import QApplication
    >>> app = QApplication.instance() or QApplication([])
    >>> with garbage_collected_here():  # app.exec()
    ...     app.processEvents()
    """
    timer = QtCore.QTimer()
    timer.timeout.connect(_collect)
    was_enabled = gc.isenabled()
    gc.disable()
    timer.start(int(INTERVAL * 1000))
    try:
        yield
    finally:
        timer.stop()
        if was_enabled:
            gc.enable()


def _collect() -> None:
    """Collect the generations whose turn it would be by Python's own thresholds."""
    thresholds, counts = gc.get_threshold(), gc.get_count()
    if not thresholds[0]:
        return  # which is how one turns it off, too
    for generation in (2, 1, 0):
        if counts[generation] > thresholds[generation]:
            gc.collect(generation)  # and all that are younger
            return
