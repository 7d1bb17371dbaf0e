"""Objects of Qt's belong to a thread, and must not be called in another."""

from __future__ import annotations

import sys
from functools import partial
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any

from ..errors import SerializationError

if TYPE_CHECKING:
    from .exporter import Exporter

__all__ = ["check_thread"]

_BINDINGS = ("PyQt5.QtCore", "PyQt6.QtCore", "PySide6.QtCore")


def check_thread(server: Exporter, obj: object) -> None:
    """Make sure that a server may export an object: that its thread is the object's.

    Parameters
    ----------
    server : Exporter
    obj : object
        Of Qt's, or a method of one, or anything else.

    Raises
    ------
    SerializationError
        If calls of it would come in the wrong thread.
    """
    for name in _BINDINGS:
        core: Any = sys.modules.get(name)  # without it, there is none of its objects
        if core is None or not hasattr(core, "QObject"):
            continue
        target = obj
        while isinstance(target, partial):
            target = target.func
        if isinstance(target, (BuiltinMethodType, MethodType)):
            target = target.__self__
        if not isinstance(target, core.QObject):
            continue
        lives_here = target.thread() == core.QThread.currentThread()
        if lives_here != server.state().is_current():
            raise SerializationError(
                f"{obj!r} lives in another thread than {server!r}, which would call it there;"
                " run a QtRPCServer in the object's own thread, and hand it out from there"
            )
