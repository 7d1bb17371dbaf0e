"""What a client can be asked about itself and its server, which answers also while it is busy."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..session.stats import ClientStats, ServerStats
from .actions import BlockingActions
from .stats import ask_stats
from .status import Status, ask_status, ask_statuses

if TYPE_CHECKING:
    from .conversation import Conversation
    from .future import Future
    from .unanswered import Unanswered

__all__ = ["Inquiries"]


class Inquiries(BlockingActions):
    """The status and the numbers of a client and its server, and interrupting that."""

    _conversation: Conversation

    @abc.abstractmethod
    def check_usable(self) -> None:
        """Raise an exception if requests cannot be sent from here."""

    @abc.abstractmethod
    def check_thread(self) -> None:
        """Raise an exception if the client belongs to another thread."""

    @abc.abstractmethod
    def wait_for(self, future: Future[Any], timeout: float | None) -> None:
        """Wait for a future of this client."""

    @abc.abstractmethod
    def hurry(self) -> None:
        """Let no request wait for others to be sent with."""

    @abc.abstractmethod
    def whom(self) -> str:
        """Return what the server is called in messages."""

    @abc.abstractmethod
    def cancel(self, request_id: int) -> None:
        """Withdraw a request."""

    def status(self, timeout: float = 1.0) -> Status:
        """Find out how the server is, also while it is busy.

        Parameters
        ----------
        timeout : float
            Seconds to wait for its answer; if there is none, as long again for
            any sign of life.

        Returns
        -------
        Status
            Its ``state`` is ``'alive'``, ``'busy'``, ``'unresponsive'`` or
            ``'dead'``; of a busy server it tells what it is ``doing``, and for how
            many ``seconds``.

        Examples
        --------
        >>> server = start_background("example")
        >>> RPCClient(server.address).status().state
        'alive'
        """
        self.check_thread()
        self.disconnected()  # has a look
        return ask_status(self._conversation, self, timeout)

    @staticmethod
    def statuses(clients: Sequence[Inquiries], timeout: float = 1.0) -> list[Status]:
        """Find out how several servers are, in the time that one of them takes.

        Parameters
        ----------
        clients : sequence of RPCClient
            Of this thread.
        timeout : float
            As of `status`.

        Returns
        -------
        list of Status

        Examples
        --------
        >>> servers = [start_background("one"), start_background("two")]
        >>> clients = [RPCClient(server.address) for server in servers]
        >>> [status.state for status in RPCClient.statuses(clients)]
        ['alive', 'alive']
        """
        for client in clients:
            client.check_thread()
            client.disconnected()  # has a look
        return ask_statuses([(client._conversation, client) for client in clients], timeout)

    def stats(self) -> ClientStats:
        """Return what this client has sent and got; from any thread.

        Returns
        -------
        ClientStats

        Examples
        --------
        >>> server = start_background("example")
        >>> client = RPCClient(server.address)
        >>> client.ping()
        'pong'
        >>> stats = client.stats()
        >>> stats.sent, stats.answered, stats.in_flight
        (1, 1, 0)
        """
        return self._conversation.stats()

    def server_stats(self, timeout: float | None = 5.0) -> ServerStats:
        """Ask the server what it has done, and what it has; also while it is busy.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for its answer; None waits for ever.

        Returns
        -------
        ServerStats

        Raises
        ------
        CallTimeout
            If there is none by then.
        ServerDisconnected
            If the server is gone.
        AccessDenied
            If its policy does not let this client know.

        Examples
        --------
        >>> server = start_background("example")
        >>> client = RPCClient(server.address)
        >>> client["answer"] = 42
        >>> stats = client.server_stats()
        >>> stats.published, stats.connections
        (1, 1)
        """
        self.check_usable()
        return ask_stats(self._conversation, self, timeout)

    def keys(self, timeout: float | None = 5.0) -> list[str]:
        """Return the names that are published, also while the server is busy.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for the answer; None waits for ever.

        Raises
        ------
        CallTimeout
            If no answer came in time.
        ServerDisconnected
            If the server is gone.

        Examples
        --------
        >>> server = start_background("example")
        >>> server["answer"] = 42
        >>> RPCClient(server.address).keys()
        ['answer']
        """
        self.check_usable()
        return list(self._conversation.ask_urgently("names", self).result(timeout))

    def interrupt(
        self, timeout: float | None = 5.0, *, future: Future[Any] | Unanswered | None = None
    ) -> bool:
        """Raise `KeyboardInterrupt` in what the server is carrying out, whoever asked for it.

        Who waits for that gets the exception as a `RemoteCallException`. Where the
        server runs in the main thread of its process, as in nodes that were
        spawned, it also ends a sleep or another wait; elsewhere it comes when the
        call next runs Python code. In an event loop, where coroutines run beside each
        other, all of them are cancelled.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for the server to say that it has done so; a call
            that does not let go of the interpreter cannot be interrupted. By
            default longer than it takes to notice that a server is frozen.
        future : Future, optional
            Of the call that is meant. If the server does something else by then,
            that goes on.

        Returns
        -------
        bool
            Whether there was something to interrupt.

        Raises
        ------
        CallTimeout
            If the server does not say so in time.
        ServerDisconnected
            If the server is gone.
        """
        self.check_usable()
        options = {"request": None if future is None else future.request_id}
        return bool(self._conversation.ask_urgently("interrupt", self, options).result(timeout))
