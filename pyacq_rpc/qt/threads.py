"""Threads of Qt's, and what Python knows of them."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from ..peers.runtime import Runtime
from ..peers.thread_state import ThreadState
from .binding import QtCore, this_thread

__all__ = ["ThreadPins"]


class ThreadPins:
    """Keeps what belongs to a ``QThread`` from one slot to the next.

    Where a ``QThread`` runs Qt's own loop, Python takes each call of a slot for
    a thread of its own, whose `threading.local` ends with the call. A server
    there would end with the slot that has made it, and clients would connect
    anew in each slot.

    Parameters
    ----------
    runtime : Runtime
        Whose threads they are.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._pinned: set[int] = set()
        self._runtime = runtime
        runtime.thread_hooks.append(self.pin)

    def pin(self, state: ThreadState) -> None:
        """Have the current thread count as one until it has finished."""
        if state.ident in self._pinned:
            return
        if not isinstance(threading.current_thread(), threading._DummyThread):
            return  # a thread of Python's
        thread = this_thread()
        if not thread.isRunning():  # it has finished, but for slots that are told so
            return
        ensure, release = ctypes.pythonapi.PyGILState_Ensure, ctypes.pythonapi.PyGILState_Release
        # Each call of a slot is such a pair as well: Python forgets the thread with
        # the last of them.
        held = ensure()
        self._pinned.add(state.ident)

        def finished() -> None:
            thread.finished.disconnect(finished)
            # Now, since nothing of Qt may be called while Python forgets the thread.
            self._runtime.end_thread()
            self._pinned.discard(state.ident)
            release(held)

        connect: Any = thread.finished.connect  # the types that come with PyQt5 know no second
        connect(finished, QtCore.Qt.ConnectionType.DirectConnection)
