"""The event loop of a process that serves in one, and does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from functools import partial

from ..peers.running import InterruptHandler
from .plain import RPCServer

__all__ = ["AsyncNode"]


class AsyncNode:
    """Serves in an event loop of asyncio's in the main thread, which ends with the server."""

    def __init__(self) -> None:
        self._serving: asyncio.Task[None] | None = None
        self._interrupted = False

    def terminate(self, server: RPCServer) -> None:
        """End from within a signal handler: what a request does, and the coroutines.

        Raises
        ------
        SystemExit
            If a request has to be left by it.
        """
        server.doing.leaving = True
        server.close()
        self._cancel(server)
        if server.doing.request is not None:
            raise SystemExit

    def run(self, server: RPCServer) -> None:
        """Serve until the server is asked to close.

        Raises
        ------
        KeyboardInterrupt
            If there was one.
        """
        # Python's own would be replaced by one of asyncio's, which leaves no request.
        signal.signal(
            signal.SIGINT, InterruptHandler(server.doing, partial(self._interrupt, server))
        )
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._serve(server))
        if self._interrupted:
            raise KeyboardInterrupt

    async def _serve(self, server: RPCServer) -> None:
        self._serving = asyncio.current_task()
        if not self._interrupted:
            await server.run_async()

    def _interrupt(self, server: RPCServer) -> None:
        if server.doing.wanted is not None:
            return  # for a request that has just ended
        self._interrupted = server.doing.leaving = True
        self._cancel(server)

    def _cancel(self, server: RPCServer) -> None:
        serving = self._serving
        if serving is None:
            return

        def cancel() -> None:
            # What was being taken has been left. What comes now may be for the end of others.
            server.doing.leaving = False
            serving.cancel()

        # Which also wakes the event loop: a signal handler does not.
        with contextlib.suppress(RuntimeError):  # closed, since all is over
            serving.get_loop().call_soon_threadsafe(cancel)
