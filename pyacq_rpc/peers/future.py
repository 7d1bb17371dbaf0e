"""The result of an asynchronous call."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Generator
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from ..errors import CallTimeout
from ..late_logging import getLogger
from .awaiting import TaskSteps, awaited, is_cancellation, not_begun, settled

__all__ = ["Future"]

_log = getLogger(__name__)

T = TypeVar("T")

_DONE = frozenset({"CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED"})
making = threading.Lock()
"""Held while a future is filled, or while somebody begins to wait for it.

Nothing is made meanwhile: that may collect garbage, whose finalizers may use futures, too.
"""


class Answerer(Protocol):
    """Who brings the answer: a client, as a future sees it."""

    def wait_for(self, future: Future[Any], timeout: float | None) -> None:
        """Return when the future is done or the time is over."""

    def hurry(self) -> None:
        """Let no request wait for others to be sent with; from any thread."""

    def whom(self) -> str:
        """Return what the server is called in messages."""

    def cancel(self, request_id: int) -> None:
        """Withdraw a request."""


class _Condition(threading.Condition):
    """A condition that an interrupt cannot leave taken.

    The library's own takes its lock in a function of Python's, at whose end an interrupt may
    come: when the lock is taken, and the block that lets go of it has not begun. Whoever fills
    in the future next would wait for ever. With these, ``with`` calls the methods of the lock.
    """

    __enter__ = property(attrgetter("_lock.__enter__"))
    __exit__ = property(attrgetter("_lock.__exit__"))


class Future(concurrent.futures.Future[T]):
    """The result of a call made with ``_sync='async'``.

    A `concurrent.futures.Future` in every respect: ``done()``, callbacks,
    ``concurrent.futures.wait`` and ``as_completed`` need nobody to wait for it
    here. Callbacks run in whichever thread receives the answer: one that waits for
    this server in a call, or the I/O thread.

    In a coroutine it can be awaited, under asyncio, uvloop and trio, and be given
    to ``asyncio.gather`` and ``TaskGroup.create_task``. To cancel what awaits it
    cancels the request.
    """

    # Most futures are filled before anybody waits for them. What the base class
    # makes of each, which takes longer than the rest, is made when it is needed.

    _ended: Callable[[BaseException | None], object] | None = None
    """Called once, before anybody sees the result: for hooks."""

    _made: threading.Condition | None = None
    _state = "PENDING"
    _result: Any = None
    _exception = None
    _steps: TaskSteps | None = None
    _called = 0
    """How many callbacks were called."""

    _waiters: list[Any]
    _done_callbacks: list[Callable[[concurrent.futures.Future[T]], object]]

    def __init__(
        self,
        answerer: Answerer,
        request_id: int,
        ended: Callable[[BaseException | None], object] | None = None,
    ) -> None:
        self._answerer = answerer
        self.request_id = request_id
        if ended is not None:
            self._ended = ended

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]  # not settable
        if self._made is None:
            made = _Condition()
            waiters: list[Any] = []
            callbacks: list[Callable[[concurrent.futures.Future[T]], object]] = []
            with making:
                if self._made is None:
                    # Nobody uses these but with the condition held.
                    self._waiters, self._done_callbacks = waiters, callbacks
                    self._made = made
        assert self._made is not None
        return self._made

    def done(self) -> bool:
        """Whether the answer is here, or the call was cancelled."""
        return self._state in _DONE

    def set_result(self, result: T) -> None:
        """Fill in the result; for whoever receives it."""
        if self._ended is not None:
            self._ended(None)
        with making:  # nobody begins to wait meanwhile
            if self._made is None and self._state == "PENDING":
                self._result = result
                self._state = "FINISHED"
                return
        self._fill(result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        """Fill in what was raised instead; for whoever receives it."""
        if self._ended is not None:
            self._ended(exception)
        self._fill(None, exception)

    def _fill(self, result: Any, exception: BaseException | None) -> None:
        with self._condition:
            if self._state in _DONE:
                raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")
            self._result, self._exception = result, exception
            self._state = "FINISHED"
            for waiter in self._waiters:
                (waiter.add_result if exception is None else waiter.add_exception)(self)
            self._condition.notify_all()
        self._invoke_callbacks()

    def _go_on(self) -> None:
        """Call the callbacks that are left, if that was interrupted."""
        if self._state == "FINISHED" and self._made is not None:
            self._invoke_callbacks()

    def _invoke_callbacks(self) -> None:
        callbacks = self._done_callbacks
        while True:
            if self._called >= len(callbacks):
                break
            callback = callbacks[self._called]
            self._called += 1  # no call in between
            try:
                callback(self)
            except Exception:  # noqa: BLE001  # the others are called all the same
                _log.exception("a callback of a future has failed: %r", callback)

    def result(self, timeout: float | None = None) -> T:
        """Return the result of the call, or raise what it raised.

        While it waits, the current thread's server goes on serving.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.

        Raises
        ------
        CallTimeout
            If there is no answer by then; the future stays as it is.
        concurrent.futures.CancelledError
            If it was cancelled.
        """
        try:
            self._wait(timeout)
            if self._state == "FINISHED" and self._exception is None:
                result: T = self._result
                return result
            return super().result(0)
        finally:
            # The exception's traceback holds this frame, and the future the
            # exception: a cycle that would keep proxies alive.
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised, or None; waits like `result`."""
        self._wait(timeout)
        return super().exception(0)

    def cancel(self) -> bool:
        """Withdraw the request if the server has not begun with it.

        If it has, a call of an ``async def`` function is cancelled over there. Another
        one runs on, and its answer is dropped.

        Returns
        -------
        bool
            False if the answer is already here.
        """
        with self._condition:
            cancelled = super().cancel()
            first = self._state == "CANCELLED"
            if first:
                # Tells `concurrent.futures.wait` and `as_completed`, which
                # take a future for done only then.
                self.set_running_or_notify_cancel()
        if first:
            if self._ended is not None:
                self._ended(concurrent.futures.CancelledError())
            self._answerer.cancel(self.request_id)
        return cancelled

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            self._answerer.wait_for(self, timeout)
            if not self.done():
                raise CallTimeout(
                    f"no answer from {self._answerer.whom()} after {timeout} s; the call goes on"
                    " there, and this future can be waited for again"
                )

    # -- as a coroutine --------------------------------------------------------

    async def settled(self) -> None:
        """Wait in a coroutine until it is done; if that is cancelled, the call is not."""
        if not self.done():
            self._answerer.hurry()
            await settled(self)

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            self._answerer.hurry()
        return awaited(self)

    # With these it is a `collections.abc.Coroutine`, which `asyncio.create_task`
    # and `TaskGroup.create_task` insist upon.

    def send(self, value: None) -> Any:
        """Go on waiting; see ``coroutine.send``."""
        return self._current_steps().send(value)

    def throw(self, *args: Any) -> Any:
        """Raise an exception where it waits; see ``coroutine.throw``."""
        steps = self._current_steps()
        if not_begun(steps) and is_cancellation(args[0]):
            self.cancel()  # the request was sent before the task was to begin
        return steps.throw(*args)

    def close(self) -> None:
        """Wait no more; see ``coroutine.close``. The request is not withdrawn."""
        self._current_steps().close()

    def _current_steps(self) -> Generator[Any, None, Any]:
        if self._steps is None:
            self._steps = TaskSteps(self)
        return self._steps.current()
