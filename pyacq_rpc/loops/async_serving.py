"""`RPCServer.run_async`: a server in the running event loop of asyncio's, or of uvloop's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from .request_tasks import RequestTasks

if TYPE_CHECKING:
    from .plain import RPCServer

__all__ = ["AsyncServing"]

BUDGET = 0.005
"""Seconds for which requests are carried out before the event loop goes on."""


class AsyncServing:
    """Has the running event loop take a server's turns, when there is something to do.

    The loop watches the descriptor of the server's poller. A turn ends after some
    milliseconds, however much there is left, and has itself called again.

    Parameters
    ----------
    server : RPCServer
    """

    def __init__(self, server: RPCServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._watched: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when that is
        self._tasks = RequestTasks(server, self._loop, self._turn)

    async def run(self) -> None:
        """Serve until the server is asked to close, or this is cancelled.

        Raises
        ------
        NotImplementedError
            If this event loop cannot watch descriptors.
        """
        server = self._server
        server.tasks = server.timers.tasks = self._tasks
        try:
            server.runtime.begins_to_loop(server)
            self._watch()
            self._loop.call_soon(self._turn)  # for what has come before
            try:
                await self._over.wait()
            except asyncio.CancelledError:
                server.close()
                server.timers.clear()
                self._tasks.cancel_all()
                await self._over.wait()  # unless that is cancelled as well
                raise
        finally:
            self.unwatch()
            server.end_looping()
            self._tasks.cancel_all()  # what has begun since it was asked to close
        await self._tasks.ended()

    def _turn(self) -> None:
        """Carry out requests, called by the event loop."""
        if self._tasks.starting:
            return  # it is called again when that has begun
        self._tasks.turning = True
        try:
            self._serve(time.monotonic() + BUDGET)
        finally:
            self._tasks.turning = False
            if not self._server.listener.closed:
                self._watch()

    def _serve(self, stop: float) -> None:
        """Carry out requests until that time, or until a task is about to begin."""
        server, listener, tasks = self._server, self._server.listener, self._tasks
        while not listener.closed:
            worked = server.serve_ready(max(0.0, stop - time.monotonic()))
            if listener.closed or tasks.starting:
                break
            more = listener.settle() or (worked and not server.running())
            if not more:
                break
            if time.monotonic() >= stop:
                listener.wake()  # the event loop first, then we again
                break

    def _watch(self) -> None:
        """See to it that the event loop wakes us when there is something to do."""
        fds = self._server.fds()
        if fds != self._watched:
            for fd in self._watched:
                if fd not in fds:
                    self._loop.remove_reader(fd)
            for fd in fds:
                self._loop.add_reader(fd, self._turn)
            self._watched = fds
        timers = self._server.timers
        if not timers.heap:
            return
        due = timers.due_in()
        if due is None:
            return
        at = self._loop.time() + due
        if self._timer is not None and at >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = at
        self._timer = self._loop.call_at(at, self._turn_by_timer)

    def _turn_by_timer(self) -> None:
        self._timer = None  # it may have come a little early, and is set once more then
        self._turn()

    def unwatch(self) -> None:
        """Watch no more: the descriptors are about to be closed, and to belong to others."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._loop.is_closed():
            for fd in self._watched:
                self._loop.remove_reader(fd)
        self._watched = []

    def over(self) -> None:
        """The server has closed."""
        self._over.set()
