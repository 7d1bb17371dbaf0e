"""Waiting for descriptors in a thread whose event loop goes on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import ceil

from ..errors import ApplicationQuit
from ..transport.waiting import wait_readable
from .binding import NO_INPUT, QtCore, call_when_readable, this_thread

__all__ = ["EventLoopWait"]

PATIENCE = 0.01
"""Seconds that waits may take together before the event loop has a turn.

Shorter calls let nothing else happen in the thread, and cost nothing more.
"""


class EventLoopWait:
    """Waits in one thread; timers, repaints and messages are seen to, user input is not.

    What the user does meanwhile is kept, and comes when the wait is over.
    """

    def __init__(self) -> None:
        self._waited = 0.0  # seconds since the event loop had a turn
        self._loops: list[QtCore.QEventLoop] = []
        self._notifiers: dict[int, QtCore.QSocketNotifier] = {}
        self._wakes = 0

    def wake(self, *_: object) -> None:
        """End all waits, which then look for what they wait for."""
        self._wakes += 1
        for loop in self._loops:
            loop.quit()

    def __call__(self, fds: Sequence[int], own: Sequence[int], timeout: float | None) -> None:
        """Wait until a descriptor is readable, or for `timeout` seconds.

        Parameters
        ----------
        fds : sequence of int
        own : sequence of int
            More of them, which the event loop watches anyway.
        timeout : float or None

        Raises
        ------
        ApplicationQuit
            If the event loop was asked to end.
        """
        begin = time.monotonic()
        patience = PATIENCE - self._waited
        if patience > 0:
            at_most = patience if timeout is None else min(patience, timeout)
            ready = wait_readable([*fds, *own], at_most)
            waited = time.monotonic() - begin
            self._waited += waited
            if ready or (timeout is not None and timeout <= waited):
                return
            timeout = None if timeout is None else timeout - waited
        self._waited = 0.0
        self._go_on(fds, timeout)

    def _go_on(self, fds: Sequence[int], timeout: float | None) -> None:
        """Let the event loop go on until there is something to look at."""
        loop = QtCore.QEventLoop()
        timer = QtCore.QTimer()
        timer.setSingleShot(True)
        timer.timeout.connect(self.wake)
        wakes = self._wakes
        made = [fd for fd in fds if fd not in self._notifiers]
        for fd in fds:
            self._notify_of(fd)
        self._loops.append(loop)
        try:
            if timeout is not None:
                timer.start(ceil(timeout * 1000))
            loop.exec(NO_INPUT)
        finally:
            self._loops.remove(loop)
            timer.stop()
            for fd in made:  # nobody else will know when it is closed
                self._notifiers.pop(fd).setEnabled(False)
        if wakes != self._wakes:
            return
        if this_thread().loopLevel():
            raise ApplicationQuit(
                "the application, or this QThread, quits: it does not wait any more for the answer"
                " of a call that goes on over there"
            )
        # It was asked to when it did not run, and PyQt5's begins no loop until it has run.
        QtCore.QCoreApplication.processEvents(NO_INPUT)

    def _notify_of(self, fd: int) -> None:
        notifier = self._notifiers.get(fd)
        if notifier is None:

            def activated(*_: object) -> None:
                # Whoever waits for it may be further out, and not come to it yet.
                self._notifiers[fd].setEnabled(False)
                self.wake()

            notifier = self._notifiers[fd] = call_when_readable(fd, activated)
        notifier.setEnabled(True)
