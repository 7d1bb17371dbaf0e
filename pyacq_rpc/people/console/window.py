"""The console's window, in the process whose objects it shows."""

from __future__ import annotations

import os
from typing import Any

from qtpy import QtCore, QtGui, QtWidgets

from ...peers.server import ServerCore
from ...qt.binding import Signal
from ...qt.server import QtRPCServer
from ..logs.colours import LevelColours
from .kernel import Client, Manager, Names

# The kernel first: it says what to install.
from qtconsole.inprocess import QtInProcessRichJupyterWidget  # isort: skip

__all__ = ["Console", "show_console"]

_BANNER = """\
Process {pid}, server {name} at {address}
Published names are variables here; server["name"] = value publishes a value.
"""


class _Prompt(QtInProcessRichJupyterWidget):
    """Tells when it waits for code."""

    ready = Signal()

    _is_ready = False

    def is_ready(self) -> bool:
        """Whether it waits for code."""
        return self._is_ready

    def _prompt_started_hook(self) -> None:
        super()._prompt_started_hook()
        if not self._reading:  # for the answer to an input()
            self._is_ready = True
            self.ready.emit()

    def _prompt_finished_hook(self) -> None:
        super()._prompt_finished_hook()
        self._is_ready = False


class Console(QtWidgets.QWidget):
    """A window with an IPython prompt.

    What is typed runs in the GUI thread. While it waits for the answer of a
    remote call, requests go on.

    Parameters
    ----------
    server : ServerCore
        Of this thread.
    ends_application : bool
        Whether the application quits when the window is closed.

    Attributes
    ----------
    prompt : RichJupyterWidget
    """

    _shown: Console | None = None
    """The one of this process: IPython knows only one shell."""

    def __init__(self, server: ServerCore, ends_application: bool = False) -> None:
        super().__init__()
        self.ends_application = ends_application
        self._is_open = True
        self._manager = Manager(names=Names(server))
        self._manager.start_kernel()
        self._client: Client = self._manager.client()
        self._client.start_channels()
        self._to_execute: list[str] = []
        self.prompt = _Prompt(gui_completion="droplist")
        if LevelColours(self.palette()).is_dark:
            self.prompt.set_default_style("linux")
            kernel = self._manager.kernel
            assert kernel is not None
            kernel.shell.colors = "linux"
        self.prompt.banner = _BANNER.format(
            pid=os.getpid(), name=server.name, address=server.address
        )
        # Neither can be done to a kernel in this process; the menu would raise.
        self.prompt.custom_interrupt = self.prompt.custom_restart = True
        self.prompt.kernel_manager = self._manager
        self.prompt.kernel_client = self._client
        # Later: the prompt goes on with itself when it has told.
        queued: Any = QtCore.Qt.ConnectionType.QueuedConnection
        exit_requested: Any = self.prompt.exit_requested
        exit_requested.connect(self._leave, queued)
        self.prompt.ready.connect(self._execute_next, queued)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.prompt)
        self.setFocusProxy(self.prompt)
        self.setWindowTitle(f"Console of {server.name}")
        self.resize(900, 500)
        app = QtCore.QCoreApplication.instance()
        assert app is not None
        app.aboutToQuit.connect(self._leave)

    def is_open(self) -> bool:
        """Whether it was not closed."""
        return self._is_open

    def execute(self, code: str) -> None:
        """Run code as if it was typed, when the prompt is there; do not wait.

        Parameters
        ----------
        code : str
        """
        self._to_execute.append(code)
        QtCore.QTimer.singleShot(0, self._execute_next)

    def text(self) -> str:
        """Return all that is written in the window."""
        control = self.prompt._control
        assert control is not None
        return str(control.toPlainText())

    def closeEvent(self, event: QtGui.QCloseEvent | None) -> None:  # noqa: N802
        """End the kernel too, when what it runs has ended."""
        super().closeEvent(event)
        if self._is_open:
            self._is_open = False
            self._client.stdin_channel.wake(False)
            self._client.when_idle(self._end)

    def _execute_next(self) -> None:
        if self._to_execute and self._is_open and self.prompt.is_ready():
            self.prompt.execute(self._to_execute.pop(0))

    def _leave(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        if Console._shown is self:
            Console._shown = None
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        app = QtCore.QCoreApplication.instance()
        assert app is not None
        app.aboutToQuit.disconnect(self._leave)
        self.deleteLater()
        if self.ends_application:
            app.quit()


def show_console(ends_application: bool = False) -> Console:
    """Open the console of this process, or bring it to the front; in the GUI thread.

    Parameters
    ----------
    ends_application : bool
        Whether the application quits when the window is closed.

    Returns
    -------
    Console

    Raises
    ------
    RuntimeError
        If this thread has no `QtRPCServer`.
    """
    server = QtRPCServer.get_server()
    if not isinstance(server, QtRPCServer):
        raise RuntimeError(
            "this thread has no QtRPCServer: a console needs a GUI, as of ProcessSpawner(qt=True)"
        )
    console = Console._shown
    if console is None or not console.is_open():
        console = Console._shown = Console(server, ends_application)
    console.ends_application |= ends_application
    console.show()
    console.raise_()
    console.activateWindow()
    return console
