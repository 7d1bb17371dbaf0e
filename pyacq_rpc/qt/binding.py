"""The Qt binding of this process, and where the bindings differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import qtpy
    from qtpy import QtCore
except ImportError as error:  # qtpy's own, of a binding that is missing, is one too
    raise ImportError(
        f"there is no Qt here ({error}); install one with: pip install 'pyacq-rpc[qt]'"
    ) from error

__all__ = [
    "NO_INPUT",
    "QtCore",
    "Signal",
    "SignalInstance",
    "address_of",
    "call_when_readable",
    "this_thread",
]

_core: Any = QtCore  # what qtpy adds to it, type checkers do not know
Signal = _core.Signal
SignalInstance = _core.SignalInstance

NO_INPUT: Any = QtCore.QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
"""Flags of an event loop that keeps what the user does for later."""


def call_when_readable(fd: int, callback: Callable[..., object]) -> QtCore.QSocketNotifier:
    """Have the current thread's event loop call back while a descriptor is readable.

    Until what is returned is disabled, which must be before the descriptor is closed.
    """
    number: Any = fd  # in C++ a pointer, says PyQt5
    notifier = QtCore.QSocketNotifier(number, QtCore.QSocketNotifier.Type.Read)
    connect: Any = notifier.activated.connect  # to what returns nothing, says PyQt5
    connect(callback)
    return notifier


def address_of(obj: QtCore.QObject) -> int:
    """Return where the object is in C++: Python may make several objects of one of Qt's."""
    if qtpy.PYSIDE6:
        from qtpy import shiboken

        return int(shiboken.getCppPointer(obj)[0])
    from qtpy import sip

    unwrap: Any = sip.unwrapinstance
    return int(unwrap(obj))


def this_thread() -> QtCore.QThread:
    """Return what Qt has for the current thread; there is always something."""
    thread = QtCore.QThread.currentThread()
    assert thread is not None
    return thread
