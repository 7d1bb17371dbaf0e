"""`AsyncClient`: a connection to a server whose answers are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from ..errors import CallTimeout, ServerDisconnected
from ..peers.actions import Actions
from ..peers.future import Future
from ..peers.stats import stats_told
from ..peers.status import Status, status_of, status_of_silent
from ..session.options import NO_TIMEOUT_GIVEN
from ..session.proxy import ObjectProxy
from ..session.stats import ClientStats, ServerStats
from ..transport.keys import KeyOrPath
from .loop_client import LoopClient

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient(Actions):
    """Connection of the running event loop to an `RPCServer`, whose answers are awaited.

    It is made in a coroutine, under asyncio or uvloop, and used in that event loop only.
    While it is open, all calls of proxies of that server in the loop's thread return a
    `Future`, which is awaited: ``await camera.expose(0.1)``. No other thread takes part.
    Making one does not wait for the server: see `ensure_connection`.

    A call that is not answered within its timeout raises `CallTimeout`, and goes on over
    there. To cancel the task that awaits it cancels the call: it is withdrawn if it has not
    begun, and cancelled over there if it is that of an ``async def`` function. Hence
    ``asyncio.timeout`` and the like do as well.

    What Python wants to know at once cannot be awaited, and raises a `RuntimeError` that
    says what can: truth and length, ``in``, comparisons, ``for``, ``with``, assignments.

    Parameters
    ----------
    address : str or bytes
        Address of the server, such as ``'tcp://127.0.0.1:5000'``.
    timeout : float or None
        Seconds that calls wait for their answers, unless told otherwise; None: for ever.
    serializer : {'msgpack', 'json'}
        How messages are written.
    key : str or path, optional
        The file with the server's key; by default the user's own.

    Raises
    ------
    RuntimeError
        If no event loop of asyncio's runs in this thread.
    ValueError
        If the address or the serializer is none, or the file holds no key.
    OSError
        If the key cannot be read, or others could read it too.

    See Also
    --------
    RPCClient : For threads without an event loop; its calls wait.

    Examples
    --------
    >>> import asyncio
    >>> server = start_background("example")
    >>> async def main():
    ...     async with AsyncClient(server.address) as client:
    ...         math = await client._import("math")
    ...         return await asyncio.gather(math.sqrt(4), math.sqrt(9))
    >>> asyncio.run(main())
    [2.0, 3.0]
    """

    def __init__(
        self,
        address: str | bytes,
        timeout: float | None = 10.0,
        serializer: str = "msgpack",
        key: KeyOrPath | None = None,
    ) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "an AsyncClient is made in a coroutine, while an event loop of asyncio's runs;"
                " elsewhere, make an RPCClient, whose futures can be awaited under trio as well"
            ) from None
        self._client = LoopClient(address, serializer, key)
        self._client.timeout = timeout

    async def __aenter__(self) -> AsyncClient:
        # A server that was made a task just before begins now: to await an answer that is
        # here already does not let it, and functions that are sent along would not find it.
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._client).replace("RPCClient", type(self).__name__, 1)

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self._client.address

    @property
    def server_id(self) -> str | None:
        """The server's incarnation, once it has answered."""
        return self._client.server_id

    @property
    def timeout(self) -> float | None:
        """Seconds that calls wait for their answers, unless told otherwise; None: for ever."""
        return self._client.timeout

    @timeout.setter
    def timeout(self, timeout: float | None) -> None:
        self._client.timeout = timeout

    def send(
        self,
        action: str,
        opts: dict[str, Any] | None = None,
        return_type: str | None = None,
        sync: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
        about: ObjectProxy | None = None,
    ) -> Any:
        """Send a request; return the `Future` of its answer, unless `sync` says otherwise.

        The parameters are those of `RPCClient.send`. There is a method for each action.
        """
        return self._client.send(action, opts, return_type, sync, timeout, about)

    # Not ``type[T]``: mypy takes no Protocols and abstract classes for that.
    async def get(self, name: str, cls: Callable[..., T], *, check: bool = False) -> T:
        """Return what is published under a name, for type checkers as an object of a class.

        The parameters are those of `RPCClient.get`. Checkers take its calls for ones that
        wait: call them by `asynchronous`, whose result they know to be a `Future`.

        Examples
        --------
        >>> import asyncio, queue
        >>> server = start_background("example")
        >>> server["jobs"] = queue.Queue()
        >>> async def main():
        ...     async with AsyncClient(server.address) as client:
        ...         jobs = await client.get("jobs", queue.Queue)
        ...         await asynchronous(jobs.put)("first")
        ...         return await asynchronous(jobs.qsize)()
        >>> asyncio.run(main())
        1
        """
        found = await self[name]
        if isinstance(found, ObjectProxy):
            return found.as_type(cls, check=check)
        value: T = found
        return value

    async def ensure_connection(self, timeout: float | None = 1.0) -> None:
        """Wait until the server has answered.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.

        Raises
        ------
        CallTimeout
            If it has not by then: there is none, or it is busy.
        ServerDisconnected
            If it is gone.
        """
        await self.ping(timeout=timeout)

    async def measure_clock_diff(self, rounds: int = 10) -> float:
        """Measure how far the server's clock is ahead of this one, in seconds.

        Parameters
        ----------
        rounds : int
            Number of requests; the one that was answered soonest counts.
        """
        best = (float("inf"), 0.0)
        for _ in range(rounds):
            before, start = time.time(), time.perf_counter()
            theirs = await self.send("time")
            took = time.perf_counter() - start
            best = min(best, (took, theirs - (before + took / 2)))
        return best[1]

    async def status(self, timeout: float = 1.0) -> Status:
        """Find out how the server is, also while it is busy; see `RPCClient.status`.

        Parameters
        ----------
        timeout : float
            Seconds to wait for its answer; if there is none, as long again for
            any sign of life.
        """
        client = self._client
        if client.closed():
            return Status("dead")
        try:
            found = await client.ask_urgently("status", timeout)
        except ServerDisconnected:
            return Status("dead")
        except CallTimeout:
            # A look at its socket, which waits.
            return await client.loop.run_in_executor(
                None, status_of_silent, client.address, timeout
            )
        return status_of(found)

    def stats(self) -> ClientStats:
        """Return what this client has sent and got; see `RPCClient.stats`."""
        return self._client.stats()

    async def server_stats(self, timeout: float | None = 5.0) -> ServerStats:
        """Ask the server what it has done, and what it has; see `RPCClient.server_stats`.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for its answer; None waits for ever.
        """
        return stats_told(await self._client.ask_urgently("stats", timeout), self._client)

    async def keys(self, timeout: float | None = 5.0) -> list[str]:
        """Return the names that are published, also while the server is busy.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for the answer; None waits for ever.
        """
        return list(await self._client.ask_urgently("names", timeout))

    async def interrupt(
        self, timeout: float | None = 5.0, *, future: Future[Any] | None = None
    ) -> bool:
        """Interrupt what the server is carrying out; see `RPCClient.interrupt`.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for the server to say that it has done so.
        future : Future, optional
            Of the call that is meant.

        Returns
        -------
        bool
            Whether there was something to interrupt.
        """
        options = {"request": None if future is None else future.request_id}
        return bool(await self._client.ask_urgently("interrupt", timeout, options))

    async def close_server(self, timeout: float | None = 1.0) -> bool:
        """Ask the server to close; True if it has closed, or had before.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for its answer.
        """
        if self.closed():
            return True
        try:
            return bool(await self.send("close", timeout=timeout))
        except ServerDisconnected:
            return True

    def closed(self) -> bool:
        """Whether this client can no longer be used."""
        return self._client.closed()

    def close(self) -> None:
        """Close this connection; the server stays.

        Calls that are awaited raise `ServerDisconnected`.
        """
        self._client.close()
