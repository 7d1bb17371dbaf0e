"""The result of an asynchronous call."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

from ..errors import CallTimeout

__all__ = ["Future"]

_DONE = frozenset({"CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED"})
_making = threading.Lock()


class Answerer(Protocol):
    """Who brings the answer: a client, as a future sees it."""

    def wait_for(self, future: Future, timeout: float | None) -> None:
        """Return when the future is done or the time is over."""

    def whom(self) -> str:
        """Return what the server is called in messages."""

    def cancel(self, request_id: int) -> None:
        """Withdraw a request."""


class Future(concurrent.futures.Future[Any]):
    """The result of a call made with ``_sync='async'``.

    A `concurrent.futures.Future` in every respect: ``done()``, callbacks,
    ``concurrent.futures.wait`` and ``as_completed`` need nobody to wait for it
    here, and in a coroutine it can be awaited. Callbacks run in whichever
    thread receives the answer: one that waits for this server in a call, or
    the I/O thread.
    """

    # Most futures are filled before anybody waits for them. What the base class
    # makes of each, which takes longer than the rest, is made when it is needed.

    _made: threading.Condition | None = None
    _state = "PENDING"
    _result = None
    _exception = None
    _waiters: list[Any]
    _done_callbacks: list[Callable[[concurrent.futures.Future[Any]], object]]

    def __init__(self, answerer: Answerer, request_id: int) -> None:
        self._answerer = answerer
        self.request_id = request_id

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]  # not settable
        with _making:
            if self._made is None:
                # Nobody uses these but with the condition held.
                self._waiters, self._done_callbacks = [], []
                self._made = threading.Condition()
            return self._made

    def done(self) -> bool:
        """Whether the answer is here, or the call was cancelled."""
        return self._state in _DONE

    def set_result(self, result: Any) -> None:
        """Fill in the result; for whoever receives it."""
        with _making:  # nobody begins to wait meanwhile
            if self._made is None and self._state == "PENDING":
                self._result = result
                self._state = "FINISHED"
                return
        super().set_result(result)

    def result(self, timeout: float | None = None) -> Any:
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
                return self._result
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

        If it has, the call runs on and its answer is dropped.

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

    def __await__(self) -> Generator[Any, None, Any]:
        import asyncio  # here only: it takes long to import

        return asyncio.wrap_future(self).__await__()
