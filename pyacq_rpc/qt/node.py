"""The application of a process that serves a GUI, and does nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from types import TracebackType

from qtpy import QtCore, QtWidgets

from ..late_logging import getLogger
from ..peers.running import InterruptHandler
from .binding import call_when_readable
from .garbage import garbage_collected_here
from .server import QtRPCServer

__all__ = ["GuiNode", "lacks_display", "signals_heard"]

_log = getLogger(__name__)


class GuiNode:
    """A `QApplication` whose windows may come and go, and that ends with its server.

    A slot that raises is logged, and ends nothing.

    Parameters
    ----------
    name : str
        What the application is called.

    Attributes
    ----------
    app : QApplication

    Raises
    ------
    RuntimeError
        If there is no display; says what to do without one.
    """

    def __init__(self, name: str) -> None:
        if lacks_display():
            raise RuntimeError(
                "there is no display for a GUI: neither DISPLAY nor WAYLAND_DISPLAY is set;"
                " without one, start it with env={'QT_QPA_PLATFORM': 'offscreen'}"
            )
        self.app = QtWidgets.QApplication([name])
        self.app.setApplicationName(name)
        self.app.setQuitOnLastWindowClosed(False)  # it shows others later

    def terminate(self, server: QtRPCServer) -> None:
        """End from within a signal handler: what a request does, and the application.

        Raises
        ------
        SystemExit
            If a request has to be left by it.
        """
        server.doing.leaving = True
        server.close()
        if server.in_request():
            raise SystemExit
        self.app.exit()

    def run(self, server: QtRPCServer) -> None:
        """Serve until the server is asked to close, or the application to quit.

        Raises
        ------
        KeyboardInterrupt
            If there was one.
        """
        interrupts: list[BaseException] = []

        def report(
            cls: type[BaseException], error: BaseException, traceback: TracebackType | None
        ) -> None:
            if issubclass(cls, Exception):
                _log.error("a slot failed", exc_info=(cls, error, traceback))
            else:
                interrupted(error)

        def interrupted(error: BaseException | None = None) -> None:
            if server.doing.wanted is not None:
                # For a request, which has begun to wait: it looks itself whether it is meant.
                server.state().waker.wake()
                return
            interrupts.append(KeyboardInterrupt() if error is None else error)
            server.doing.leaving = True
            self.app.exit()

        def look() -> None:
            # What came before the event loop has begun has ended nothing.
            if interrupts or not server.running():
                self.app.exit()

        # With Qt 6, `quit` asks the windows first, which may refuse or open a dialog.
        server.quit_loop = self.app.exit
        before = sys.excepthook
        sys.excepthook = report  # without one, PyQt would abort the process
        handler = InterruptHandler(server.doing, interrupted, server.in_request)
        signal.signal(signal.SIGINT, handler)
        try:
            with signals_heard(), garbage_collected_here():
                server.run_forever()
                QtCore.QTimer.singleShot(0, look)
                self.app.exec()
        finally:
            sys.excepthook = before
            server.close()
        if any(isinstance(error, KeyboardInterrupt) for error in interrupts):
            raise KeyboardInterrupt


@contextlib.contextmanager
def signals_heard() -> Iterator[None]:
    """Have Python's signal handlers run while the event loop waits.

    They run as soon as Python code does, and while Qt waits there is none.
    """
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)

        def heard(*_: object) -> None:
            with contextlib.suppress(BlockingIOError):
                reading.recv(4096)

        notifier = call_when_readable(reading.fileno(), heard)
        before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            notifier.setEnabled(False)


def lacks_display() -> bool:
    """Whether there is no place for a window, so that Qt would abort the process."""
    wanted = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform.startswith("linux") and not any(map(os.environ.get, wanted))
