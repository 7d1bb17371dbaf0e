"""What a server knows of the requests that go on after their turn, as tasks of an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..wire.messages import Request
    from .connection import Connection

__all__ = ["Tasks"]


class Tasks(Protocol):
    """The tasks of one server, in whose thread all of this is called but for two methods.

    Attributes
    ----------
    starting : bool
        Whether one is about to begin, before which no other request may.
    """

    starting: bool

    def begin(
        self,
        connection: Connection,
        request: Request,
        result: object,
        ended: Callable[[BaseException | None], object],
    ) -> bool:
        """Take up a request whose result is still to come; whether it is.

        Parameters
        ----------
        connection : Connection
            The client.
        request : Request
        result : object
        ended : callable
            Called once, before the answer is sent, with what was raised, or None.

        Raises
        ------
        UserError
            If it cannot be begun.
        """

    def refuse(self, result: object) -> None:
        """See to it that a result is here, where nobody can take it up.

        Raises
        ------
        UserError
            If it is still to come; it will not, then.
        """

    def run(
        self, result: object, done: Callable[[object, BaseException | None], object]
    ) -> Callable[[], object] | None:
        """Take up what the server's own code has called, if its result is still to come.

        Parameters
        ----------
        result : object
        done : callable
            Called with the result and None, or with None and what was raised.

        Returns
        -------
        callable or None
            Cancels it; None if the result is there.
        """

    def depth_of_calls(self) -> int:
        """Return the depth of requests that are made by the task that is in its turn now, or 0."""

    def cancel(self, connection: Connection, request_id: int) -> None:
        """A client has withdrawn a request."""

    def cancel_withdrawn(self) -> None:
        """See to all that were withdrawn lately."""

    def forget(self, connection: Connection) -> None:
        """A client is gone: nobody wants the results of its requests."""

    def finished(self) -> bool:
        """Whether all have ended that ran when this was first asked."""

    def interrupt(self, only: tuple[str, int] | None = None) -> bool:
        """Cancel all, or the one request of a peer; whether there are any. From any thread."""

    def describe(self) -> tuple[str, float]:
        """Say what is carried out, and since when the first of it is. From any thread."""
