"""`RPCServer`: in a thread of its own, or along with what the thread waits for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..limits import Limits
from ..peers.server import ServerCore
from ..session.policy import Policy
from ..transport.keys import KeyOrPath
from ..transport.waiting import wait_readable

if TYPE_CHECKING:
    from .async_serving import AsyncServing

__all__ = ["RPCServer"]


class RPCServer(ServerCore):
    """Serves the objects of one thread to clients in other threads and processes.

    There is at most one server in a thread. It can be run in three ways:

    * `run_forever` serves until the server is asked to close.
    * `run_lazy` registers the server with the current thread. Requests are
      carried out whenever a client of this thread waits for an answer, which
      is what lets two servers call each other; and when the program calls
      `_read_and_process_one`.
    * `run_async` is awaited in an event loop of asyncio's, and lets coroutines
      be called.

    Parameters
    ----------
    address : str or bytes
        Where to listen; ``*`` for the port takes any that is free.
    name : str, optional
        What the server is called in logs and error messages.
    policy : Policy, optional
        Decides what peers may do: everything, or with a `Service` only what
        is offered to them.
    key : str or path, optional
        The file with the key that clients have to have, too; by default the
        user's own, which only this user's programs have.
    limits : Limits, optional
        What it takes of each client.
    listed : bool
        Whether other programs of this user find it, such as ``pyacq-rpc ls``.

    Attributes
    ----------
    address : str
        Where clients reach the server, such as ``'tcp://127.0.0.1:5678'``.

    Raises
    ------
    OSError
        If it cannot listen there.
    ValueError
        If it could not work with these limits.

    Examples
    --------
    >>> import threading
    >>> server = RPCServer()
    >>> server["numbers"] = [1, 2, 3]
    >>> thread = threading.Thread(target=server.run_forever)
    >>> thread.start()
    >>> client = RPCClient(server.address)
    >>> client["numbers"]
    [1, 2, 3]
    >>> client.close_server()
    True
    >>> thread.join()
    """

    def __init__(
        self,
        address: str | bytes = "tcp://127.0.0.1:*",
        name: str | None = None,
        policy: Policy | None = None,
        key: KeyOrPath | None = None,
        limits: Limits | None = None,
        listed: bool = True,
    ) -> None:
        # Only for the messages about wrong arguments, which name this class.
        super().__init__(address, name, policy, key, limits, listed)
        self._serving: AsyncServing | None = None

    def run_forever(self) -> None:
        """Carry out requests in this thread until the server is asked to close.

        If it was asked before, this returns at once.

        Raises
        ------
        RuntimeError
            If the thread has another server.
        """
        self.register_server(self)
        self.serve_until_closed()

    def run_lazy(self) -> None:
        """Make this the current thread's server, and return at once.

        Its requests are carried out while a client of this thread waits.

        Raises
        ------
        RuntimeError
            If the server has closed, or the thread has another one.
        """
        if self.listener.closed:
            raise RuntimeError(f"{self!r} cannot be run any more; make another server")
        self.register_server(self)

    async def run_async(self) -> None:
        """Carry out requests in the running event loop until the server is asked to close.

        Requests begin in the order in which they were sent, and other tasks of the
        loop go on in between. What returns at once is answered at once. A call that
        returns a coroutine or a future, as those of ``async def`` functions do, goes on
        as a task beside the others, and is answered when that is done. Its task is
        cancelled when the client cancels the request, or is gone.

        `close` lets the calls that have begun end first. To be cancelled ends them, too,
        and closes the server. If it was asked to close before, this returns at once.

        Raises
        ------
        RuntimeError
            If the thread has another server, this one runs already, or the event loop
            cannot watch descriptors.

        Examples
        --------
        >>> import asyncio, threading
        >>> class Camera:
        ...     async def expose(self, seconds):
        ...         await asyncio.sleep(seconds)
        ...         return f"exposed for {seconds} s"
        >>> server = RPCServer()
        >>> server["camera"] = Camera()
        >>> thread = threading.Thread(target=lambda: asyncio.run(server.run_async()))
        >>> thread.start()
        >>> client = RPCClient(server.address)
        >>> client["camera"].expose(0.01)
        'exposed for 0.01 s'
        >>> client.close_server()
        True
        >>> thread.join()
        """
        from .async_serving import AsyncServing  # here only: asyncio takes long to import

        if self.listener.closed:
            return
        if self._looping:
            raise RuntimeError(f"{self!r} runs already")
        self.register_server(self)
        if not self.begin_looping():
            return
        self._serving = AsyncServing(self)
        try:
            await self._serving.run()
        except NotImplementedError:
            raise RuntimeError(
                "this event loop cannot watch descriptors, as a server needs; on Windows, run it"
                " in an asyncio.SelectorEventLoop"
            ) from None

    def attends(self) -> bool:
        """Whether its thread would see at once to what comes; of an event loop one cannot tell."""
        return self._serving is None and super().attends()

    def _close_listener(self) -> None:
        if self._serving is not None:
            self._serving.unwatch()
        super()._close_listener()

    def _await_end(self) -> None:
        if self._serving is None:
            super()._await_end()

    def _let_go(self) -> None:
        super()._let_go()
        if self._serving is not None:
            self._serving.over()

    def _read_and_process_one(self, timeout: float | None = None) -> bool:
        """Carry out one request, or the timers that are due, by hand.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for one; None waits for ever.

        Returns
        -------
        bool
            Whether there was one.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.serve_ready():
            left = None if deadline is None else deadline - time.monotonic()
            if not self.running() or (left is not None and left <= 0):
                return False
            wait_readable(self.fds(), self.timers.due_in(left))
        return True
