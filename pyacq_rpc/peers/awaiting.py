"""Awaiting a future in whichever event loop runs: asyncio's, uvloop's or trio's."""

from __future__ import annotations

import contextlib
import sys
import threading
import types
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

    from .future import Future

__all__ = ["TaskSteps", "awaited", "is_cancellation", "is_in_loop", "not_begun", "settled"]

T = TypeVar("T")


def awaited(future: Future[T]) -> Generator[Any, None, T]:
    """Wait for a future as a coroutine does; return its result, or raise what the call raised.

    Whoever is cancelled while it waits cancels the future, and with it the request.

    Raises
    ------
    RuntimeError
        If no event loop runs that could go on meanwhile.
    """
    try:
        if not future.done():
            yield from settled(future)
    except BaseException as error:
        if is_cancellation(error):
            future.cancel()
        raise
    try:
        return future.result(0)
    finally:
        del future  # as in `Future.result`


@types.coroutine
def settled(future: Future[Any]) -> Generator[Any, None, None]:
    """Wait until a future is done, however; whoever is cancelled leaves it as it is.

    Raises
    ------
    RuntimeError
        If no event loop runs that could go on meanwhile.
    """
    trio = sys.modules.get("trio")  # without it, it does not run
    if trio is not None and trio.lowlevel.in_trio_task():
        yield from _in_trio(future, trio)
    else:
        yield from _in_asyncio(future)


class TaskSteps:
    """The steps of the tasks that were made of one future as if it were a coroutine.

    There may be several tasks, as ``asyncio.shield`` makes one each time. Each has its own.

    Parameters
    ----------
    future : Future
    """

    def __init__(self, future: Future[Any]) -> None:
        self._future = future
        self._of: weakref.WeakKeyDictionary[Any, Generator[Any, None, Any]] = (
            weakref.WeakKeyDictionary()
        )
        self._without: Generator[Any, None, Any] | None = None

    def current(self) -> Generator[Any, None, Any]:
        """Return those of the task that takes a step now, or of whoever is no task."""
        task = sys.modules["asyncio"].current_task() if is_in_loop() else None
        if task is not None:
            if task not in self._of:
                self._of[task] = self._future.__await__()
            return self._of[task]
        if self._without is None:
            self._without = self._future.__await__()
        return self._without


def is_in_loop() -> bool:
    """Whether the current thread runs an event loop of asyncio's just now."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def not_begun(steps: Generator[Any, None, Any]) -> bool:
    """Whether a generator has not come to its first line, where it could catch anything."""
    import inspect  # here: slow to import

    return inspect.getgeneratorstate(steps) == inspect.GEN_CREATED


def is_cancellation(error: object) -> bool:
    """Whether an exception, or its class, is what asyncio or trio cancels tasks by."""
    cls = error if isinstance(error, type) else type(error)
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and issubclass(cls, asyncio.CancelledError):
        return True
    return trio is not None and issubclass(cls, trio.Cancelled)


def _in_asyncio(future: Future[Any]) -> Generator[Any, None, None]:
    import asyncio  # here only: it takes long to import

    loop = asyncio.get_running_loop()
    thread = threading.get_ident()
    waiter = loop.create_future()

    def done(_: object) -> None:
        if loop.is_closed():
            return  # nobody waits any more
        if threading.get_ident() == thread:
            _wake(waiter)
        else:
            loop.call_soon_threadsafe(_wake, waiter)

    future.add_done_callback(done)
    yield from waiter


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():  # cancelled, or the loop has ended
        waiter.set_result(None)


def _in_trio(future: Future[Any], trio: Any) -> Generator[Any, None, None]:
    token, event = trio.lowlevel.current_trio_token(), trio.Event()

    def done(_: object) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # nobody waits any more
            token.run_sync_soon(event.set)

    future.add_done_callback(done)
    yield from event.wait().__await__()
