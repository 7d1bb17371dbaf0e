"""`QtFuture`: the result of an asynchronous call, delivered to a slot."""

from __future__ import annotations

import concurrent.futures
import contextlib
from typing import Any

from .binding import QtCore, Signal

__all__ = ["QtFuture"]


class QtFuture(QtCore.QObject):
    """Emits a signal in the thread in which it was made when a future is done.

    It lives until then, also if nobody else keeps it.

    Parameters
    ----------
    future : concurrent.futures.Future
        What a call with ``_sync='async'`` has returned; any other one will do.
    parent : QObject, optional
        With which it ends, and tells nothing any more.

    Attributes
    ----------
    done : Signal
        With the result. Emitted from the event loop, also if the future was
        done before.
    failed : Signal
        With the exception instead; that of a future that was cancelled is
        `concurrent.futures.CancelledError`.

    Examples
    --------
    >>> from concurrent.futures import Future
    >>> from qtpy.QtCore import QCoreApplication
    >>> app = QCoreApplication.instance() or QCoreApplication([])
    >>> exposure = Future()  # camera.expose(0.1, _sync="async")
    >>> QtFuture(exposure).done.connect(print)  # doctest: +ELLIPSIS
    <...>
    >>> exposure.set_result("an image")
    >>> app.processEvents()
    an image
    """

    done = Signal(object)
    failed = Signal(object)
    _ended = Signal(object)

    def __init__(
        self, future: concurrent.futures.Future[Any], parent: QtCore.QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._future = future
        self._ended.connect(self._deliver, QtCore.Qt.ConnectionType.QueuedConnection)
        future.add_done_callback(self._tell)

    def future(self) -> concurrent.futures.Future[Any]:
        """Return the future."""
        return self._future

    def _tell(self, future: object) -> None:
        """In whichever thread."""
        # Until now the future has kept this. Qt keeps what it is about to deliver: from here
        # on nobody else may, and a reference to itself would not keep it from being collected.
        with contextlib.suppress(RuntimeError):  # Qt has deleted it, with its parent
            self._ended.emit(self)

    def _deliver(self, itself: QtFuture) -> None:
        # Not raised here: it would keep this frame, and so those around the event loop.
        if self._future.cancelled():
            self.failed.emit(concurrent.futures.CancelledError())
        elif (error := self._future.exception(0)) is not None:
            self.failed.emit(error)
        else:
            self.done.emit(self._future.result(0))
