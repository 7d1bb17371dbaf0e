"""What a server is carrying out at the moment, and how to interrupt it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from ..wire.messages import URGENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..session.batch import BatchDispatcher
    from ..session.dispatch import Dispatcher
    from ..wire.messages import Request
    from .tasks import Tasks
    from .timers import Timers

__all__ = ["InterruptHandler", "Running", "describe_running"]


class Running:
    """The request that a server's thread is in, for other threads to see.

    The thread itself sets the attributes. When a request has ended that somebody
    wanted to interrupt, it calls `settle`: an exception that is on its way to the
    thread must not meet it in whatever it does next.

    Attributes
    ----------
    request : Request or None
        The innermost one, where requests are carried out within others.
    peer : str
        Who has asked for it.
    outer : tuple of (Request, str)
        Those that it is carried out within, and who has asked for them.
    depth : int
        The depth of requests that are made by it; 0 if there is none.
    since : float
        When that began, by `time.monotonic`, to about a millisecond.
    wanted : Request or None
        What is to be interrupted.
    waits : int
        Whether the request waits for an answer, or runs an event loop that has
        just called. Its thread then carries out others' requests, which an
        exception at any moment would spoil: it looks itself, by `check`, whether
        the request is to be interrupted.
    unseen : bool
        A signal was sent to raise `KeyboardInterrupt`, and its handler has not run since.
    leaving : bool
        The process is to end at once: a request that was being taken when the signal
        came, and was not known here yet, is left as it begins.
    """

    __slots__ = (
        "_lock",
        "_raised",
        "depth",
        "leaving",
        "outer",
        "peer",
        "request",
        "since",
        "unseen",
        "waits",
        "wanted",
    )

    def __init__(self) -> None:
        self.request: Request | None = None
        self.peer = ""
        self.depth = 0
        self.outer: tuple[tuple[Request, str], ...] = ()
        self.since = 0.0
        self.wanted: Request | None = None
        self.waits = 0
        self.unseen = False
        self.leaving = False
        self._raised = False
        self._lock = threading.Lock()  # one interrupts at a time

    def interrupt(self, ident: int, only: tuple[str, int] | None = None) -> bool:
        """Raise `KeyboardInterrupt` in the request; whether there was one.

        Parameters
        ----------
        ident : int
            The server's thread. If that is this one, or if the request waits, it
            is to `check` once it has been woken.
        only : tuple, optional
            A peer, and the id of its request that is meant. If that waits while
            another is carried out within it, it is interrupted when that has ended.
        """
        with self._lock:
            while True:
                request = self.request
                if request is None:
                    return False
                if only is not None and not _is_it(request, self.peer, only):
                    if self.request is not request:
                        continue
                    return self._interrupt_outer(only)
                if self.waits:
                    self.wanted, self._raised, self.unseen = request, True, False
                    return True
                # In this order: if it ends now, either we see that, or its thread
                # sees that it is wanted, and lets the exception come.
                self._raised = False
                self.wanted = request
                if self.request is request:
                    handler = signal.getsignal(signal.SIGINT)
                    notes = isinstance(handler, InterruptHandler) and handler.running is self
                    self.unseen = notes and _is_main(ident)
                    _raise_in(ident)
                    self._raised = True
                    return True
                self.wanted = None

    def insist(self, ident: int) -> bool:
        """Send the signal of an interrupt again if it was missed; whether it was.

        Python looks for signals between its own instructions. One that comes after the last look
        before a system call does not end that; another one does.

        Parameters
        ----------
        ident : int
            The server's thread.
        """
        with self._lock:
            request = self.wanted
            if request is None or not self.unseen:
                return False
            self._raised = False  # in the same order as above
            missed = self.request is request
            if missed and not _is_handling(ident):
                _raise_in(ident)
            self._raised = True
            return missed

    def _interrupt_outer(self, only: tuple[str, int]) -> bool:
        for request, peer in self.outer:
            if _is_it(request, peer, only):
                self.wanted, self._raised, self.unseen = request, True, False
                return True
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


def describe_running(
    running: Running, dispatcher: Dispatcher, tasks: Tasks | None, timers: Timers
) -> dict[str, object]:
    """Return what a server is doing, as it tells its clients; from any thread.

    Parameters
    ----------
    running : Running
    dispatcher : Dispatcher
        Knows what a request is about.
    tasks : Tasks or None
        What goes on beside the requests.
    timers : Timers
        What is carried out where there is no request.

    Returns
    -------
    dict
        ``'doing'``, a text or None, and ``'seconds'``, for which it has been doing that.
    """
    doing: str | None = None
    request, since = running.request, running.since
    if request is not None and request.action not in URGENT:
        # A request of a batch may be about what others of the batch have come to.
        of_batch: BatchDispatcher | None = getattr(request, "dispatcher", None)
        doing = (of_batch or dispatcher).describe(request.action, request.options)
        if of_batch is not None:
            doing = f"{doing} ({of_batch.index + 1} of {of_batch.count} in a batch)"
    elif (timer := timers.current) is not None:
        doing, since = f"a timer's {dispatcher.name_of(timer.callback)}", timers.since
    elif tasks is not None:
        doing, since = tasks.describe()
    return {
        "doing": doing or None,
        "seconds": time.monotonic() - since if doing else None,
    }


class InterruptHandler:
    """A handler of SIGINT that raises `KeyboardInterrupt` in requests.

    Where there is no request, an exception may have nowhere to go: in an event loop of C++.

    Parameters
    ----------
    running : Running
    otherwise : callable, optional
        Called instead where there is no request; by default it is raised there, too.
    reaches : callable, optional
        Tells whether an exception that is raised now would get to the request.
    """

    def __init__(
        self,
        running: Running,
        otherwise: Callable[[], object] | None = None,
        reaches: Callable[[], bool] = lambda: True,
    ) -> None:
        self.running = running
        self._otherwise = otherwise
        self._reaches = reaches

    def __call__(self, signum: int, frame: object) -> None:
        """Be called by Python, in the main thread."""
        __tracebackhide__ = True  # what is interrupted is of interest, and not by whom
        self.running.unseen = False
        if self._otherwise is None or (self.running.request is not None and self._reaches()):
            raise KeyboardInterrupt
        self._otherwise()


def _is_it(request: Request, peer: str, only: tuple[str, int]) -> bool:
    """Whether that is a request of a peer, or of a batch of it, by an id."""
    return peer == only[0] and only[1] in (request.id, getattr(request, "batch_id", None))


def _is_handling(ident: int) -> bool:
    """Whether a thread is in the handler, where it may be waiting for the GIL."""
    frame = sys._current_frames().get(ident)
    while frame is not None and frame.f_code is not InterruptHandler.__call__.__code__:
        frame = frame.f_back
    return frame is not None


def _is_main(ident: int) -> bool:
    return ident == threading.main_thread().ident


def _raise_in(ident: int) -> None:
    """Raise `KeyboardInterrupt` in a thread, out of a system call too where that is possible."""
    handler = signal.getsignal(signal.SIGINT)
    raises = handler is signal.default_int_handler or isinstance(handler, InterruptHandler)
    if _is_main(ident) and raises:
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
