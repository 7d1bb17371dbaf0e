"""What a server is carrying out at the moment, and how to interrupt it."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire.messages import Request

__all__ = ["Running"]


class Running:
    """The request that a server's thread is in, for other threads to see.

    The thread itself sets the attributes. When a request has ended that somebody
    wanted to interrupt, it calls `settle`: an exception that is on its way to the
    thread must not meet it in whatever it does next.

    Attributes
    ----------
    request : Request or None
        The innermost one, where requests are carried out within others.
    since : float
        When that began, by `time.monotonic`, to about a millisecond.
    wanted : Request or None
        What is to be interrupted.
    waits : int
        Whether the request waits for an answer. Its thread then carries out
        others' requests, which an exception at any moment would spoil: it looks
        itself, by `check`, whether the request is to be interrupted.
    """

    __slots__ = ("_lock", "_raised", "request", "since", "waits", "wanted")

    def __init__(self) -> None:
        self.request: Request | None = None
        self.since = 0.0
        self.wanted: Request | None = None
        self.waits = 0
        self._raised = False
        self._lock = threading.Lock()  # one interrupts at a time

    def interrupt(self, ident: int) -> bool:
        """Raise `KeyboardInterrupt` in the request; whether there was one.

        Parameters
        ----------
        ident : int
            The server's thread. If that is this one, or if the request waits, it
            is to `check` once it has been woken.
        """
        with self._lock:
            while (request := self.request) is not None:
                if self.waits:
                    self.wanted, self._raised = request, True
                    return True
                # In this order: if it ends now, either we see that, or its thread
                # sees that it is wanted, and lets the exception come.
                self._raised = False
                self.wanted = request
                if self.request is request:
                    _raise_in(ident)
                    self._raised = True
                    return True
                self.wanted = None
        return False

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if the request that waits is to be interrupted."""
        if self.wanted is not None and self.wanted is self.request:
            raise KeyboardInterrupt

    def settled(self, request: Request) -> None:
        """Nothing is to be interrupted any more about a request that has ended."""
        if self.wanted is request:
            self.wanted = None

    def settle(self, request: Request) -> None:
        """Let the exception come, if it is still to come, for a request that has ended.

        To be called where a `KeyboardInterrupt` is expected, by the server's thread.
        """
        while self.wanted is request and not self._raised:
            time.sleep(0.0001)  # the other thread is about to know
        time.sleep(0.001)  # here, if not before


def _raise_in(ident: int) -> None:
    """Raise `KeyboardInterrupt` in a thread, out of a system call too where that is possible."""
    is_main = ident == threading.main_thread().ident
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(ident, signal.SIGINT)
        else:
            import _thread

            _thread.interrupt_main()
        return
    import ctypes

    # There is no other way to stop a thread; it comes when that runs Python code next.
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    throw(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))
