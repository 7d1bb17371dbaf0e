"""The kernel of a console: in this process, in the thread of its GUI."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any

from qtpy import QtCore

from ...peers.server import ServerCore

# Said to the debugger that ipykernel imports, which would warn about the modules that are
# built into Python.
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

try:
    from ipykernel.inprocess.ipkernel import InProcessInteractiveShell, InProcessKernel
    from ipykernel.iostream import IOPubThread
    from qtconsole.inprocess import (
        QtInProcessChannel,
        QtInProcessKernelClient,
        QtInProcessKernelManager,
    )
    from traitlets import Any as AnyTrait
    from traitlets import Type
except ImportError as error:
    raise ImportError(
        f"there is no IPython console here ({error}); install it with:"
        " pip install 'pyacq-rpc[console]'"
    ) from error

__all__ = ["Client", "Manager", "Names"]


class Names:
    """What a server publishes, as variables; those of the user come first.

    Parameters
    ----------
    server : ServerCore

    Attributes
    ----------
    variables : dict
    """

    def __init__(self, server: ServerCore) -> None:
        self._server = server
        self._shown: dict[str, object] = {}
        self.variables: dict[str, Any] = {"server": server}

    def refresh(self) -> None:
        """Bring the variables up to date."""
        names = self.variables
        published = {name: self._server[name] for name in self._server if name != "server"}
        for name, shown in list(self._shown.items()):
            if names.get(name, self) is not shown:  # it is the user's now
                del self._shown[name]
            elif name not in published:
                del names[name], self._shown[name]
        for name, value in published.items():
            if name.isidentifier() and (name not in names or name in self._shown):
                names[name] = self._shown[name] = value


class _Kernel(InProcessKernel):
    """Knows what is published, whenever it is asked for something."""

    names = AnyTrait()

    async def do_execute(self, *args: Any, **kwds: Any) -> Any:
        """Run what was typed."""
        self.names.refresh()
        return await super().do_execute(*args, **kwds)

    def do_complete(self, *args: Any, **kwds: Any) -> Any:
        """Tell how a name may go on."""
        self.names.refresh()
        return super().do_complete(*args, **kwds)

    async def do_inspect(self, *args: Any, **kwds: Any) -> Any:
        """Tell what a name is."""
        self.names.refresh()
        found = super().do_inspect(*args, **kwds)
        return await found if hasattr(found, "__await__") else found


class Manager(QtInProcessKernelManager):
    """Starts and ends the one kernel that a process may have.

    Its attribute ``names`` has to be set before.
    """

    names = AnyTrait()
    client_class = f"{__name__}.Client"

    def start_kernel(self, **kwds: Any) -> None:
        """Start it."""
        self.kernel = _Kernel(
            parent=self, session=self.session, user_ns=self.names.variables, names=self.names
        )
        self.kernel.gui = "qt"

    def shutdown_kernel(self) -> None:
        """End it, and give back what it has taken of the process."""
        if self.kernel is None:
            return
        shell = self.kernel.shell
        _end_collecting(self.kernel.iopub_thread)
        super().shutdown_kernel()
        thread = shell.history_manager and shell.history_manager.save_thread
        atexit.unregister(shell.atexit_operations)
        shell.atexit_operations()
        if thread:
            thread.stop()
        shell.restore_sys_module_state()
        InProcessInteractiveShell.clear_instance()


def _end_collecting(output: IOPubThread) -> None:
    """End the task of the thread that passes output on: asyncio complains if it is only stopped."""
    task = getattr(output, "_event_pipe_gc_task", None)
    if task is None:
        return
    ended = threading.Event()

    def end() -> None:
        task.add_done_callback(lambda _: ended.set())
        task.cancel()

    output.io_loop.add_callback(end)
    ended.wait(2.0)


class _Input(QtInProcessChannel):
    """Waits for an answer of the user, while the event loop goes on."""

    _loop: QtCore.QEventLoop | None = None
    _answered = False

    def process_events(self) -> None:
        """Return when there is an answer.

        Raises
        ------
        EOFError
            If there will be none.
        """
        loop = self._loop = QtCore.QEventLoop()
        self._answered = False
        try:
            loop.exec()
        finally:
            self._loop = None
        if not self._answered:
            raise EOFError("the console is closed")

    def wake(self, answered: bool) -> None:
        """End the wait, if there is one."""
        self._answered = answered
        if self._loop is not None:
            self._loop.quit()


class Client(QtInProcessKernelClient):
    """Asks the kernel for one thing after the other.

    What is asked for while code runs that waits for something has to wait too: the
    kernel would run it in another thread.
    """

    stdin_channel_class = Type(_Input)

    def __init__(self, *args: Any, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        self._asking = False
        self._later: list[Callable[[], object]] = []

    def input(self, string: str) -> None:
        """Give the kernel what the user has answered."""
        super().input(string)
        self.stdin_channel.wake(True)

    def when_idle(self, act: Callable[[], object]) -> None:
        """Do something now, or when what runs has ended."""
        self._later.append(act)
        if self._asking:
            return
        self._asking = True
        try:
            while True:
                if not self._later:
                    break
                self._later.pop(0)()
        finally:
            self._asking = False

    def _dispatch_to_kernel(self, msg: dict[str, Any]) -> None:
        ask = super()._dispatch_to_kernel
        self.when_idle(lambda: ask(msg))
