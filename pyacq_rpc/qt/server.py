"""`QtRPCServer`: in a thread with an event loop of Qt's."""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from math import ceil

from ..late_logging import getLogger
from ..limits import Limits
from ..peers.runtime import current
from ..peers.server import ServerCore
from ..session.policy import Policy
from ..transport.keys import KeyOrPath
from .binding import QtCore, call_when_readable, this_thread
from .dialogs import innermost_dialog, reject
from .signals import Signals
from .threads import ThreadPins
from .waiting import EventLoopWait

__all__ = ["QtRPCServer"]

_log = getLogger(__name__)

BUDGET = 0.005
"""Seconds for which requests are carried out before the event loop goes on."""


LONG = 0.1
"""Seconds after which an event loop that was woken, and does not turn, is held up."""


class QtRPCServer(ServerCore):
    """Serves the objects of a GUI thread, or of another thread with a Qt event loop.

    Requests are carried out in that thread, by its event loop, which they wake.
    When many have come they take turns with everything else there: windows are
    painted and used meanwhile.

    While a client of that thread waits for an answer, timers, repaints and
    requests go on. What the user does is kept until the answer has come, so
    that no slot is entered twice. The wait ends early, with `ApplicationQuit`,
    when the application is asked to quit.

    Otherwise it is used like an `RPCServer`.

    Parameters
    ----------
    quit_on_close : bool
        Whether to end the thread's event loop when the server closes: of the
        GUI thread by ``QApplication.quit``, of a ``QThread`` by its ``quit``.
    address, name, policy, key, limits, listed
        As of `RPCServer`.

    See Also
    --------
    RPCServer : For threads without an event loop of Qt's.

    Examples
    --------
    >>> from qtpy.QtWidgets import QApplication, QLabel
    >>> app = QApplication.instance() or QApplication([])
    >>> server = QtRPCServer(quit_on_close=False)
    >>> server["label"] = QLabel("ready")
    >>> server.run_forever()
    >>> server.running()
    True
    >>> server.close()
    """

    may_nest = True

    def __init__(
        self,
        address: str | bytes = "tcp://127.0.0.1:*",
        quit_on_close: bool = True,
        name: str | None = None,
        policy: Policy | None = None,
        key: KeyOrPath | None = None,
        limits: Limits | None = None,
        listed: bool = True,
    ) -> None:
        self._pins = current().attachment(ThreadPins)
        super().__init__(address, name, policy, key, limits, listed)
        self.quit_on_close = quit_on_close
        self.quit_loop: Callable[[], object] = _quit
        self._level = 0  # of event loops within each other, where requests are carried out
        self._dialog: object = None  # that was open there
        self._wait = EventLoopWait()
        self._signals = Signals(self)
        self.dispatcher.look_up = self._signals.look_up
        self._notifiers: dict[int, QtCore.QSocketNotifier] = {}
        self._timer: QtCore.QTimer | None = None
        self._gui_thread: object = None  # Qt's bindings take 3 us to make another one
        self._inside = 0
        self._turned = threading.Event()  # there was a turn since it was last looked for one
        self._still_since: float | None = None

    def run_forever(self) -> None:
        """Begin to serve in the current thread, and return at once.

        Requests are carried out when the thread's event loop runs, until the
        server is asked to close. If it was asked before, nothing happens.

        Raises
        ------
        RuntimeError
            If the thread has no event loop of Qt's or another server, or if
            this server runs already.
        """
        if self.listener.closed:
            return
        if self._looping:
            raise RuntimeError(f"{self!r} runs already")
        app = QtCore.QCoreApplication.instance()
        if app is None:
            raise RuntimeError("there is no QApplication; make one before running a QtRPCServer")
        if QtCore.QAbstractEventDispatcher.instance() is None:
            raise RuntimeError(
                "this thread has no event loop of Qt's: run a QtRPCServer in the GUI thread or in"
                " a QThread, and an RPCServer in others"
            )
        self._pins.pin(self.runtime.thread())
        timer = QtCore.QTimer()
        timer.setSingleShot(True)
        timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        timer.timeout.connect(self._turn)
        with self._undisturbed():
            self.register_server(self)
            self.runtime.begins_to_loop(self)
            self._looping = True  # from now on, only this thread closes
            self._timer = timer
            self._gui_thread = app.thread()
            self._watch()
            # Before the hook with which Qt takes down the application, which was there before.
            atexit.register(self.close)
        self.listener.wake()  # for what has come before

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Have a signal handler that closes the server here leave that to the next turn."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def wait_for(self, fds: list[int], timeout: float | None) -> None:
        """Wait within a request or for an answer, while the event loop goes on."""
        if self._looping and self.state().is_current():
            self._wait(fds, self.fds(), timeout)
        else:
            super().wait_for(fds, timeout)

    def serve_ready(self, seconds: float = 0.0) -> bool:
        """Do what can be done without waiting; see `ServerCore.serve_ready`."""
        level, dialog = self._level, self._dialog
        self._level, self._dialog = this_thread().loopLevel(), innermost_dialog()
        try:
            return super().serve_ready(seconds)
        finally:
            self._level, self._dialog = level, dialog

    def in_request(self) -> bool:
        """Whether an exception of a signal handler would get to the request that is carried out.

        It would not if an event loop runs within that: some slot would get it, or
        PySide6 while it makes the slot's arguments, which ends the process. It would
        spoil others' requests if they are seen to meanwhile.
        """
        doing = self.doing
        return doing.request is not None and not doing.waits and self._is_innermost()

    def _is_innermost(self) -> bool:
        """Whether no event loop runs within what is carried out."""
        return this_thread().loopLevel() <= self._level

    def attends(self) -> bool:
        """Whether its thread would see at once to what comes; one cannot tell."""
        return False

    def status(self) -> dict[str, object]:
        """Return what the server is doing, for `RPCClient.status`.

        A slot that takes long keeps requests waiting, too: nobody knows which
        one, but that the event loop does not turn, and since when it was seen
        not to.
        """
        found = super().status()
        if found["doing"] is None and self._looping and not self.state().is_current():
            self._turned.clear()
            since = self._still_since or time.monotonic()
            self._still_since = since  # before the turn, which forgets it
            self.listener.wake()
            if not self._turned.wait(LONG):
                seconds = time.monotonic() - since
                found = {"doing": "its own program: its event loop is held up", "seconds": seconds}
        return found

    def interrupt(self, only: tuple[str, int] | None = None) -> bool:
        """Interrupt what is being carried out, a dialog by closing it; whether anything is."""
        found = super().interrupt(only)
        self.listener.wake()  # for a turn within the dialog
        return found

    def close(self) -> None:
        """Ask the server to close; from any thread, at any time.

        A request that is being carried out is finished and answered first.
        If it runs an event loop of Qt's, such as that of a dialog, and the
        server is to quit, that loop is ended. All clients are told. Called in
        the server's own thread, outside of any request, it has closed when this
        returns.
        """
        super().close()
        thread = self._thread
        is_here = thread is not None and (thread.is_current() or thread.ended)
        if is_here and not (self._depth or self._inside):
            self.serve_ready()

    def soon(self, function: Callable[[], object]) -> None:
        """Have something done in the server's thread, by a turn of its event loop."""
        self.timers.once(1e-6, function)
        self.listener.wake()

    def _turn(self, *_: object) -> None:
        """Carry out requests, called by the event loop."""
        stop = time.monotonic() + BUDGET
        self._turned.set()
        self._still_since = None
        nested = self._depth > 0
        # A request runs this event loop, as that of a dialog, and waits for no answer.
        within = nested and not (self.doing.waits or self._is_innermost())
        self._inside += 1
        self.doing.waits += nested
        try:
            while True:
                if self.listener.closed:
                    break
                worked = self.serve_ready(max(0.0, stop - time.monotonic()))
                if not self.listener.closed:
                    more = self.listener.settle() or (worked and self._closing)
                    # What is there may have to wait for the end of a request that this is within.
                    waits = nested and not (worked or self.listener.unread)
                    if waits or not more:
                        break
                    # The event loop may have been asked to end: there is no other turn then.
                    closes = self._closing and not self._depth
                    if time.monotonic() >= stop and not closes:
                        self.listener.wake()  # the event loop first, then we again
                        break
        except KeyboardInterrupt:
            # It would go nowhere from here; a program in a terminal ends by it.
            _log.warning("%r: interrupted, the event loop ends", self)
            self.quit_loop()
        except Exception:  # noqa: BLE001  # PyQt would end the process
            _log.exception("%r: a turn failed", self)
        finally:
            self._watch()
            self._inside -= 1
            self.doing.waits -= nested
            self._wait.wake()  # who waits for an answer: it may have been taken in meanwhile
            if within:
                self._leave_loop()

    def _leave_loop(self) -> None:
        """End the event loop that a request runs, if that is asked for."""
        if self._closing and self.quit_on_close:
            self.quit_loop()
        elif self.doing.wanted is not None and self.doing.wanted is self.doing.request:
            dialog = innermost_dialog()
            if dialog is not None and dialog is not self._dialog:
                reject(dialog)

    def _watch(self) -> None:
        """See to it that the event loop wakes us when there is something to do."""
        fds = self.fds()
        for fd in self._notifiers.keys() - fds:
            self._notifiers.pop(fd).setEnabled(False)
        for fd in fds:
            if fd not in self._notifiers:
                self._notifiers[fd] = call_when_readable(fd, self._turn)
        due = self.timers.due_in()
        if due is not None and self._timer is not None:
            self._timer.start(ceil(due * 1000))

    def _close_listener(self) -> None:
        # Before their descriptors are closed, and belong to something else.
        with contextlib.suppress(RuntimeError):  # PyQt has deleted them along with its application
            for notifier in self._notifiers.values():
                notifier.setEnabled(False)
            if self._timer is not None:
                self._timer.stop()
        self._notifiers.clear()
        self._timer = None
        super()._close_listener()

    def _await_end(self) -> None:
        """Return: the GUI goes on meanwhile."""

    def _let_go(self) -> None:
        self._signals.clear()
        super()._let_go()
        if self._looping:
            self._looping = False
            atexit.unregister(self.close)
            self.runtime.ends_to_loop(self)
            if self.quit_on_close:
                self.quit_loop()


def _quit() -> None:
    """End the event loop of the current thread."""
    app, thread = QtCore.QCoreApplication.instance(), this_thread()
    if app is not None and thread is not app.thread():
        thread.quit()
    elif app is not None:
        app.quit()
