"""Letting Qt's event loop run in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy import QtCore


def turn_until(condition: Callable[[], object], timeout: float = 20.0) -> bool:
    """Let the event loop run until that is so; whether it is."""
    deadline = time.monotonic() + timeout
    loop, timer = QtCore.QEventLoop(), QtCore.QTimer()
    timer.timeout.connect(loop.quit)
    timer.start(5)
    while not condition():
        if time.monotonic() > deadline:
            return False
        loop.exec()
    return True
