"""The window of ``pyacq-rpc logs``, in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from types import TracebackType

from qtpy import QtCore, QtGui, QtWidgets

from spawner.log_watch import LogWatcher
from spawner.logs import LogServer

from ...qt.binding import Signal
from ...qt.garbage import garbage_collected_here
from ...qt.node import signals_heard
from .bars import button
from .viewer import MAX_RECORDS, LogViewer

__all__ = ["LogWindow", "run"]

_log = logging.getLogger(__name__)


class LogWindow(QtWidgets.QWidget):
    """Shows what comes to a log server, and the address that it is sent to.

    Parameters
    ----------
    source : LogServer or LogWatcher
    max_records : int
        How many are kept.

    Attributes
    ----------
    viewer : LogViewer
    address : QLineEdit
    """

    closed = Signal()

    def __init__(self, source: LogServer | LogWatcher, max_records: int = MAX_RECORDS) -> None:
        super().__init__()
        is_own = isinstance(source, LogServer)
        self.setWindowTitle(f"Logs {'sent to' if is_own else 'of'} {source.address}")
        self.viewer = LogViewer(source, max_records=max_records)
        self.address = QtWidgets.QLineEdit(source.address)
        self.address.setReadOnly(True)
        copy = button("Copy", "Put the address on the clipboard")
        copy.clicked.connect(self.copy_address)
        row = QtWidgets.QHBoxLayout()
        row.setContentsMargins(4, 4, 4, 0)
        row.addWidget(QtWidgets.QLabel("log_addr =" if is_own else "Log server:"))
        row.addWidget(self.address, 1)
        row.addWidget(copy)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self.viewer, 1)
        self.viewer.table.setFocus()
        self.resize(1000, 600)

    def copy_address(self) -> None:
        """Put the address on the clipboard."""
        clipboard = QtWidgets.QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.address.text())

    def closeEvent(self, event: QtGui.QCloseEvent | None) -> None:  # noqa: N802
        """Tell that the user is done with it."""
        super().closeEvent(event)
        self.viewer.detach()
        self.closed.emit()


def run(watch: str | None = None, listen: str | None = None, max_records: int = MAX_RECORDS) -> int:
    """Show the window until it is closed.

    Parameters
    ----------
    watch : str, optional
        Address of the log server of a program that runs.
    listen : str, optional
        Where to listen without; by default where only this user can send to.
    max_records : int
        How many are kept.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C.
    OSError, ValueError
        If it cannot listen or connect there.
    """
    app = QtCore.QCoreApplication.instance() or QtWidgets.QApplication(["pyacq-rpc logs"])
    source = LogServer(address=listen) if watch is None else LogWatcher(watch)
    signals: list[int] = []

    def heard(number: int, frame: object) -> None:
        signals.append(number)
        app.quit()

    with source, contextlib.ExitStack() as undo, signals_heard(), garbage_collected_here():
        for number in (signal.SIGINT, signal.SIGTERM):
            undo.callback(signal.signal, number, signal.signal(number, heard))
        undo.callback(setattr, sys, "excepthook", sys.excepthook)
        sys.excepthook = _report  # without one, PyQt would abort the process
        window = LogWindow(source, max_records)
        window.closed.connect(app.quit)
        window.show()
        verb = "Watching" if watch is not None else "Listening: log_addr ="
        print(verb, source.address, flush=True)
        # One that came before the event loop runs has ended nothing.
        QtCore.QTimer.singleShot(0, lambda: app.quit() if signals else None)
        app.exec()
        window.closed.disconnect(app.quit)  # Qt 5 would begin no event loop after that
        window.close()
        window.deleteLater()
    if signal.SIGINT in signals:
        raise KeyboardInterrupt
    return 128 + signals[0] if signals else 0


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Show in the window what has gone wrong in it."""
    _log.error("a slot failed", exc_info=(kind, error, traceback))
