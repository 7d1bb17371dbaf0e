"""Requests to a server in an event loop that go on after their turn: calls of coroutines."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import time
from collections.abc import Callable, Coroutine
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ..late_logging import getLogger
from ..peers.answering import answer_late
from ..session.dispatch import UserError
from ..wire.messages import Request

if TYPE_CHECKING:
    from ..peers.connection import Connection
    from ..peers.server import ServerCore

__all__ = ["RequestTasks", "is_awaited"]

_log = getLogger(__name__)

_DESCRIBED = 5
"""So many different calls that run at a time are told of by `RequestTasks.describe`."""


def is_awaited(result: object) -> bool:
    """Whether what a call has returned is awaited, and not sent.

    Coroutines and futures are good for nothing else. Other objects that can be
    awaited have methods of their own, for which they are sent by proxy.

    Examples
    --------
    >>> async def expose():
    ...     return "an image"
    >>> exposure = expose()
    >>> is_awaited(exposure), is_awaited(expose)
    (True, False)
    >>> exposure.close()
    """
    cls = type(result)
    if cls is CoroutineType:
        return True
    return hasattr(cls, "__await__") and (isinstance(result, Coroutine) or asyncio.isfuture(result))


_depth: contextvars.ContextVar[int] = contextvars.ContextVar("pyacq_rpc_depth", default=0)
"""The depth of requests that a task makes, and those that it begins."""


class _Running:
    """One call that runs as a task.

    Attributes
    ----------
    connection : Connection or None
        Of the client that has asked for it; None if this server's own code has.
    request : Request or None
        What it has asked for, which holds the arguments until the call has ended.
    about : str
        The same in a word or two.
    task : asyncio.Task
    begun : bool
        Whether it has come to its first line.
    ended : callable
        To be called once, with what it has raised, or None; before its answer is sent.
    ended_by : str
        Who has cancelled it: ``'client'``, ``'interrupt'``, ``'server'``, or nobody.
    """

    __slots__ = ("about", "begun", "connection", "ended", "ended_by", "request", "since", "task")

    def __init__(
        self,
        connection: Connection | None,
        request: Request | None,
        ended: Callable[[BaseException | None], object],
    ) -> None:
        self.connection = connection
        self.request = request
        self.about = ""
        self.ended = ended
        self.since = time.monotonic()
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self.ended_by = ""

    def asked_for(self) -> tuple[str, int] | None:
        """Return who has asked for it, and the id of the request."""
        connection, request = self.connection, self.request
        return None if connection is None or request is None else (connection.peer, request.id)

    def cancel(self, by: str) -> None:
        self.ended_by = self.ended_by or by
        if self.task is not None:
            self.task.cancel()


def _nobody_is_told(_: BaseException | None) -> None:
    """Calls of a server's own code are not counted, and pass no hooks."""


class RequestTasks:
    """The tasks of one server; see `peers.tasks.Tasks`.

    Parameters
    ----------
    server : ServerCore
    loop : asyncio.AbstractEventLoop
        Where the server runs.
    resume : callable
        Called when the first step of what was begun is done.
    """

    def __init__(
        self,
        server: ServerCore,
        loop: asyncio.AbstractEventLoop,
        resume: Callable[[], object],
    ) -> None:
        self.starting = False
        self.turning = False  # whether the event loop has called the server's turn
        self._server = server
        self._loop = loop
        self._resume = resume
        self._inbox = server.listener.inbox
        self._inbox.cancels = collections.deque()
        self._running: set[_Running] = set()
        self._by_id: dict[tuple[bytes, int], _Running] = {}
        self._last: set[_Running] | None = None

    # -- beginning and ending ----------------------------------------------------

    def begin(
        self,
        connection: Connection,
        request: Request,
        result: object,
        ended: Callable[[BaseException | None], object],
    ) -> bool:
        """Take up a request whose result is still to come; whether it is."""
        if not is_awaited(result):
            return False
        running = _Running(connection, request, ended)
        self._by_id[connection.identity, request.id] = running
        counts, identity = self._inbox.running, connection.identity
        with self._server.listener.lock:  # the I/O thread may be counting what comes
            counts[identity] = counts.get(identity, 0) + 1
        try:
            # Now, since what it is about may be let go while it goes on.
            running.about = self._server.dispatcher.describe(request.action, request.options)
            # Not within a call that waits: the event loop does not turn then, and what
            # comes next may be what is waited for.
            self.starting = self.turning and not self._server.nested()
            self._start(running, result, partial(self._answer, running))
            if self.starting:
                # Called after the first step, which was to be called soon before this was.
                self._loop.call_soon(self._started)
        except BaseException:  # an interrupt, which the client is told of instead
            self.starting = False
            self._give_up(running, result)
            raise
        return True

    def refuse(self, result: object) -> None:
        """See to it that a result is here, where nobody can take it up."""
        if not is_awaited(result):
            return
        awaitable: Any = result
        if isinstance(result, Coroutine):
            awaitable.close()  # or Python would say that it was never awaited
        else:
            awaitable.cancel()
        raise UserError(
            TypeError(
                "a call of an 'async def' function cannot be part of a batch: it goes on as"
                " a task, and the batch does not; call it by itself"
            )
        )

    def run(
        self, result: object, done: Callable[[object, BaseException | None], object]
    ) -> Callable[[], object] | None:
        """Take up what the server's own code has called, if its result is still to come."""
        if not is_awaited(result):
            return None
        running = _Running(None, None, _nobody_is_told)
        self._start(running, result, done)
        return partial(running.cancel, "server")

    def _start(
        self,
        running: _Running,
        awaitable: Any,
        done: Callable[[object, BaseException | None], object],
    ) -> None:
        self._running.add(running)
        task = contextvars.copy_context().run(self._begin_at_depth, running, awaitable, done)
        running.task = task
        task.add_done_callback(partial(self._ended, running, awaitable, done))

    def _give_up(self, running: _Running, awaitable: Any) -> None:
        """Let go of what was about to begin: whoever has asked for it is told otherwise."""
        running.begun = True  # as its task will see, if that was made
        if hasattr(awaitable, "close"):
            awaitable.close()
        self._forget(running)

    def _begin_at_depth(
        self,
        running: _Running,
        awaitable: Any,
        done: Callable[[object, BaseException | None], object],
    ) -> asyncio.Task[None]:
        _depth.set(self._server.doing.depth)  # which the task inherits
        steps = self._carry_out(running, awaitable, done)
        return self._loop.create_task(steps, name=running.about or None)

    def depth_of_calls(self) -> int:
        """Return the depth of requests that are made by the current task."""
        return _depth.get()

    def _started(self) -> None:
        self.starting = False
        self._resume()

    async def _carry_out(
        self,
        running: _Running,
        awaitable: Any,
        done: Callable[[object, BaseException | None], object],
    ) -> None:
        if running.begun:  # or rather given up
            return
        running.begun = True
        result: object = None
        failed: BaseException | None = None
        try:
            result = await awaitable
        except GeneratorExit:  # the event loop is gone
            raise
        except BaseException as error:  # noqa: BLE001  # user code may raise anything
            failed = error
        del awaitable
        self._forget(running)
        try:
            done(result, failed)
            # Others, such as SystemExit, end the call and not the event loop.
            if isinstance(failed, (KeyboardInterrupt, asyncio.CancelledError)):
                raise failed
        finally:
            failed = None  # its traceback holds this frame

    def _ended(
        self,
        running: _Running,
        awaitable: Any,
        done: Callable[[object, BaseException | None], object],
        task: asyncio.Task[None],
    ) -> None:
        if not running.begun:  # cancelled before
            if hasattr(awaitable, "close"):
                awaitable.close()  # or Python would say that it was never awaited
            self._forget(running)
            done(None, asyncio.CancelledError())
        if self._server.running():
            return
        self._server.listener.wake()  # it may be what the server waits for to close

    def _forget(self, running: _Running) -> None:
        self._running.discard(running)
        connection, request = running.connection, running.request
        if connection is None or request is None:
            return
        identity, inbox = connection.identity, self._inbox
        if self._by_id.get((identity, request.id)) is running:
            del self._by_id[identity, request.id]
        with self._server.listener.lock:
            left = inbox.running.get(identity, 0) - 1
            if left > 0:
                inbox.running[identity] = left
            else:
                inbox.running.pop(identity, None)
                if identity not in inbox.waiting:
                    inbox.refused.discard(identity)

    def _answer(self, running: _Running, result: object, failed: BaseException | None) -> None:
        connection, request = running.connection, running.request
        assert connection is not None
        assert request is not None
        # Nobody holds the arguments any more when the answer goes.
        request = running.request = request._replace(options={})
        if running.ended_by and isinstance(failed, asyncio.CancelledError):
            if running.ended_by == "server" or request.reply == "off":
                running.ended(failed)
                return  # nobody waits, or is about to be told that the server closes
            if running.ended_by == "interrupt":
                interrupted = KeyboardInterrupt()
                interrupted.__cause__ = failed
                failed = interrupted
        elif running.ended_by and failed is not None:
            _log.error("%r: a call failed when it was cancelled", self._server, exc_info=failed)
        wrapped = None if failed is None else UserError(failed)
        answer_late(self._server, connection, request, result, wrapped, running.ended)
        if self._server.listener.unread:
            self._server.look_again()

    # -- cancelling ----------------------------------------------------------------

    def cancel(self, connection: Connection, request_id: int) -> None:
        """A client has withdrawn a request."""
        running = self._by_id.get((connection.identity, request_id))
        if running is not None:
            connection.cancelled.discard(request_id)
            running.cancel("client")

    def cancel_withdrawn(self) -> None:
        """See to all that were withdrawn lately."""
        cancels = self._inbox.cancels
        while cancels:
            self.cancel(*cancels.popleft())

    def forget(self, connection: Connection) -> None:
        """A client is gone: nobody wants the results of its requests."""
        for running in list(self._running):
            if running.connection is connection:
                running.cancel("client")

    def cancel_all(self, by: str = "server") -> None:
        """Cancel all that run."""
        for running in list(self._running):
            running.cancel(by)

    def interrupt(self, only: tuple[str, int] | None = None) -> bool:
        """Cancel all, or the one request of a peer; whether there are any. From any thread."""
        found = [
            running
            for running in list(self._running)
            if running.connection is not None and only in (None, running.asked_for())
        ]
        if not found:
            return False
        if only is None:
            self._loop.call_soon_threadsafe(self.cancel_all, "interrupt")
        else:
            self._loop.call_soon_threadsafe(found[0].cancel, "interrupt")
        return True

    # -- how it stands -------------------------------------------------------------

    def finished(self) -> bool:
        """Whether all have ended that ran when this was first asked."""
        if self._last is None:
            self._last = {running for running in self._running if running.connection is not None}
        self._last &= self._running
        return not self._last

    async def ended(self) -> None:
        """Wait until all have ended."""
        while self._running:
            tasks = [running.task for running in self._running if running.task is not None]
            await asyncio.wait(tasks)

    def describe(self) -> tuple[str, float]:
        """Say what is carried out, and since when the first of it is. From any thread."""
        counts: collections.Counter[str] = collections.Counter()
        since = time.monotonic()
        for running in list(self._running):
            if running.about:
                counts[running.about] += 1
                since = min(since, running.since)
        told = [f"{count} x {what}" if count > 1 else what for what, count in counts.items()]
        if len(told) > _DESCRIBED:
            told[_DESCRIBED:] = [f"{len(told) - _DESCRIBED} others"]
        return ", ".join(told), since
